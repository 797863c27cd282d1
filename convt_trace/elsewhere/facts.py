"""What surprises in each framework, with the version in which it was seen; `make parity` looks again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """Something that a framework does and that its name or its documentation does not say.

    Attributes
    ----------
    key : str
        How the recorded results call it.
    framework, version : str
        Where it was seen.
    sentence : str
        What it is, for a reader.

    Examples
    --------
    >>> facts_of("flax")[0].key
    'flax kernel_size'
    """

    key: str
    framework: str
    version: str
    sentence: str


def _facts(framework: str, version: str, **sentences: str) -> tuple[Fact, ...]:
    return tuple(
        Fact(key.replace("__", " "), framework, version, sentence)
        for key, sentence in sentences.items()
    )


FACTS: tuple[Fact, ...] = (
    *_facts(
        "Keras",
        "3.15.1",
        keras__backends=(
            'With padding="same", an even kernel and output_padding=0, Keras gives (length-1)*strides '
            "positions on JAX and on torch; on TensorFlow the same layer fails."
        ),
        keras__dilation=(
            "On a CPU, Keras on TensorFlow computes dilation_rate > 1 in float32 alone, and that by "
            "oneDNN; in float64 it fails, where JAX and torch do not."
        ),
        keras__positions=(
            "By position, Conv1DTranspose and Conv2DTranspose take output_padding before data_format, and "
            "Conv3DTranspose takes it after."
        ),
        keras__same=(
            "The documentation of Keras' Conv1DTranspose says that \"same\" gives an output of the input's "
            "size: with strides it is length*strides."
        ),
        keras__output_padding=(
            "Keras' output_padding is not PyTorch's: with \"same\" the output has (length-1)*strides + "
            "kernel % 2 + output_padding positions, so it also says how much is cropped."
        ),
    ),
    *_facts(
        "JAX",
        "0.10.2",
        jax__pads=(
            "Numbers in lax.conv_transpose's padding are zeros around the stuffed input and enlarge the "
            'output; "SAME" and "VALID" are named after the plain convolution\'s. '
            "use_consistent_padding=True makes the numbers a crop, as in PyTorch."
        ),
        jax__pairs=(
            "With use_consistent_padding=True the pairs have to be tuples: lists are refused."
        ),
        jax__kernel=(
            "lax.conv_transpose slides the kernel without flipping it; transpose_kernel=True gives what "
            "PyTorch and Keras compute."
        ),
        jax__general=(
            "lax.conv_general_dilated refuses padding by name beside lhs_dilation, and has groups, "
            "which lax.conv_transpose has not."
        ),
        jax__64=(
            "Without jax_enable_x64 JAX computes float64 in float32 and int64 in int32, and warns at most."
        ),
    ),
    *_facts(
        "flax",
        "0.12.8",
        flax__kernel_size=(
            "kernel_size=3 means one dimension in flax, whatever the input has: a 2-D image is then taken "
            "for a batch of rows, without an error."
        ),
        flax__names=(
            'flax hands the padding\'s name on to JAX, which knows "SAME" and "VALID" in capitals alone.'
        ),
        flax__circular=(
            'With "CIRCULAR" transpose_kernel also moves the output by one position where the canvas and '
            "the ring differ by an odd number."
        ),
    ),
    *_facts(
        "onnxruntime",
        "1.32.0",
        ort__same=(
            "Where the kernel is smaller than the stride, auto_pad=SAME_UPPER and SAME_LOWER give the "
            "canvas in onnxruntime; by the standard, and in its reference evaluator, they give "
            "length*stride positions."
        ),
        ort__output_padding=(
            "onnxruntime refuses an output_padding of a stride or more; the standard, like PyTorch, "
            "allows it below the dilation."
        ),
        ort__float64="onnxruntime has no ConvTranspose for float64 on a CPU.",
        ort__large=(
            "For an output_shape beyond the canvas onnxruntime puts all zeros at the end; the "
            "standard's equations put half of them at the beginning."
        ),
    ),
    *_facts(
        "ONNX",
        "1.23.2",
        reference__output_shape=(
            "ONNX' reference evaluator makes no pads of an output_shape without auto_pad=SAME_*, and fails "
            "where it is smaller than the canvas; the standard and onnxruntime crop, the odd one at the "
            "beginning."
        ),
        reference__product=(
            "ONNX' reference evaluator compares an output_shape with the input by the number of "
            "positions in all: of an input of 1 x 2 with strides [1, 2] output_shape=[2, 1] puts the two "
            "values one below the other, where onnxruntime refuses."
        ),
        reference__group=(
            "ONNX' reference evaluator fails on a ConvTranspose whose groups have more than one "
            "input or output channel."
        ),
    ),
)


def facts_of(framework: str) -> tuple[Fact, ...]:
    """Return the facts about a framework.

    >>> len(facts_of("ONNX"))
    3
    """
    return tuple(fact for fact in FACTS if fact.framework == framework)

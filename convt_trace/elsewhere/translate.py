"""From PyTorch to elsewhere: a case as a program of Keras, JAX, flax or ONNX that prints its output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convt_trace.elsewhere.canvas import axes_of, output_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    in_words,
    keras_window,
    lax_pads_window,
    lax_window,
    onnx_window,
)
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.ported import listed
from convt_trace.elsewhere.writing import Program, is_written_out, mending_lines, numbers_of
from convt_trace.engine.case import Case
from convt_trace.engine.layer import span
from convt_trace.engine.text import AXES, shortest


@dataclass(frozen=True, eq=False, kw_only=True)
class Translation:
    """A case as a program of another framework.

    Attributes
    ----------
    framework : str
        Where it goes.
    case : Case
    line : str
        The framework's own setting that comes nearest, as one line.
    code : str
        A program that runs as it stands and prints PyTorch's output, PyTorch's axes in PyTorch's order.
    exact : bool
        Whether that setting alone, in one call, keeps the same part of the canvas as PyTorch.
    sentences : tuple of str
        What the framework cannot say, and what the program does instead.
    windows, nearest : tuple of Window
        What PyTorch keeps of the canvas, and what that setting does, per axis.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> there = to_keras(case)
    >>> there.line, there.exact
    ('layers.Conv1DTranspose(1, 3, strides=2, padding="same", use_bias=False)', False)
    >>> case.trace().output.tolist(), there.nearest_output.tolist()
    ([[[10, 102, 20, 203, 30, 300]]], [[[1, 10, 102, 20, 203, 30]]])
    """

    framework: str
    case: Case
    line: str
    code: str
    exact: bool
    sentences: tuple[str, ...]
    windows: tuple[Window, ...]
    nearest: tuple[Window, ...]

    @cached_property
    def nearest_output(self) -> np.ndarray:
        """What the nearest setting gives without any mending, in PyTorch's order of the axes."""
        return output_of(self.case, self.nearest)


# -- Keras ------------------------------------------------------------------------------------------


def to_keras(case: Case) -> Translation:
    """Return a case as a program of Keras 3; it runs on each of its backends.

    Examples
    --------
    >>> case = Case.of(np.ones((1, 1, 2)), np.array([[[1.0, 2, 3, 4]]]), stride=2, padding=1)
    >>> print(to_keras(case).code)
    import os
    <BLANKLINE>
    os.environ["JAX_ENABLE_X64"] = "1"  # or Keras on JAX makes float32 of float64
    import keras
    import numpy as np
    <BLANKLINE>
    x = np.array([1, 1], dtype="float64").reshape(1, 1, 2)  # (N, C, L), as PyTorch has it
    weight = np.array([1, 2, 3, 4], dtype="float64").reshape(1, 1, 4)  # (in, out, k)
    <BLANKLINE>
    layer = keras.layers.Conv1DTranspose(
        1, 4, strides=2, padding="same", use_bias=False, dtype="float64"
    )
    layer.build((None, 2, 1))
    layer.set_weights([weight.transpose(2, 1, 0)])  # (k, out, in)
    y = layer(np.moveaxis(x, 1, -1))  # channels last
    y = np.moveaxis(keras.ops.convert_to_numpy(y), -1, 1)
    print(y)
    """
    axes, want = axes_of(case), windows_of(case)
    layer, dims = case.layer, case.dims
    setting, nearest = _nearest_keras(axes, want)
    used, base = setting, nearest
    if not all(map(Window.covers, nearest, want, axes)):
        used = {"padding": "valid"}
        base = tuple(keras_window(axis) for axis in axes)
    numbers = numbers_of(case, "Keras", ("float32", "float64"))
    refused = max(layer.stride) > 1 and max(layer.dilation) > 1
    # TensorFlow on a CPU has no dilation in float64, and the program runs on every backend.
    stuffed = refused or (max(layer.dilation) > 1 and numbers.dtype == "float64")
    mending = mending_lines(axes, base, want)
    inside = _bias_inside(case, mending, groups=layer.groups)
    constructor = _keras_constructor(case, setting, refused)
    program = Program(
        imports=_keras_imports(numbers.dtype),
        layer=tuple(_keras_layer(case, used, numbers.dtype, stuffed, inside)),
        mending=tuple(mending),
        numbers=numbers,
        groups=layer.groups,
        bias=not inside,
    )
    sentences = [
        *([_KERAS_GROUPS] if layer.groups > 1 else []),
        *([_KERAS_DILATION] if refused else [_KERAS_FLOAT64] if stuffed else []),
        *_unlike(f'padding="{setting["padding"]}"', axes, want, nearest, whole=used is not setting),
        *_of_numbers(case, numbers.sentence),
    ]
    return Translation(
        framework="Keras",
        case=case,
        line=f"layers.Conv{dims}DTranspose({listed(constructor)})",
        code=program.text(case),
        exact=nearest == want and layer.groups == 1 and not refused,
        sentences=tuple(sentences),
        windows=want,
        nearest=nearest,
    )


_PER_GROUP = "the program runs it once per group and puts the outputs side by side."
_KERAS_GROUPS = f"Keras' transposed layers have no groups: {_PER_GROUP}"
_INTO_KERNEL = (
    "the program writes the zeros between the taps into the kernel, which is the same layer with a "
    "larger kernel."
)
_KERAS_DILATION = f"Keras refuses strides > 1 beside dilation_rate > 1: {_INTO_KERNEL}"
_KERAS_FLOAT64 = f"On a CPU TensorFlow refuses dilation_rate > 1 in float64: {_INTO_KERNEL}"


def _nearest_keras(
    axes: Sequence[CanvasAxis], want: tuple[Window, ...]
) -> tuple[dict[str, object], tuple[Window, ...]]:
    """Return the setting whose output has the size and the place of a window, as nearly as there is."""
    found = []
    for order, (setting, windows) in enumerate(_keras_settings(axes, want)):
        size = sum(abs(a.size - b.size) for a, b in zip(windows, want))
        place = sum(abs(a.before - b.before) for a, b in zip(windows, want))
        found.append((size, place, order, setting, windows))
    return min(found, key=lambda one: one[:3])[3:]


def _keras_settings(
    axes: Sequence[CanvasAxis], want: tuple[Window, ...]
) -> Iterator[tuple[dict[str, object], tuple[Window, ...]]]:
    """Yield "valid" and "same", each without output_padding and with the one that fits best."""
    for padding in ("valid", "same"):
        yield {"padding": padding}, tuple(keras_window(axis, padding) for axis in axes)
    for padding in ("valid", "same"):
        extra = tuple(_fitting(axis, window, padding) for axis, window in zip(axes, want))
        # TensorFlow alone refuses some of them, and the program runs on every backend.
        with suppress(RefusedError):
            windows = tuple(
                keras_window(axis, padding, more, backend="tensorflow")
                for axis, more in zip(axes, extra)
            )
            yield {"padding": padding, "output_padding": extra}, windows


def _fitting(axis: CanvasAxis, window: Window, padding: str) -> int:
    """Return the output_padding with which the size is nearest to a window's.

    >>> _fitting(CanvasAxis(3, 3, stride=2), Window(1, 6), "same")
    1
    """
    least, without = 0, axis.canvas
    if padding == "same":
        least, without = 1 - axis.span % 2, (axis.length - 1) * axis.stride + axis.span % 2
    return max(0, min(max(window.size - without, least), axis.stride - 1))


def _keras_constructor(case: Case, setting: dict[str, object], stuffed: bool) -> list[str]:
    layer = case.layer
    kernel = tuple(map(span, layer.kernel_size, layer.dilation)) if stuffed else layer.kernel_size
    given = [str(layer.out_per_group), str(shortest(kernel))]
    if max(layer.stride) > 1:
        given.append(f"strides={shortest(layer.stride)}")
    if setting["padding"] != "valid":
        given.append('padding="same"')
    if "output_padding" in setting:
        given.append(f"output_padding={shortest(setting['output_padding'])}")
    if max(layer.dilation) > 1 and not stuffed:
        given.append(f"dilation_rate={shortest(layer.dilation)}")
    return given + (["use_bias=False"] if case.bias is None else [])


def _keras_imports(dtype: str) -> tuple[str, ...]:
    usual = ("import keras", "import numpy as np")
    if dtype != "float64":
        return usual
    why = "# or Keras on JAX makes float32 of float64"
    return ("import os", "", f'os.environ["JAX_ENABLE_X64"] = "1"  {why}', *usual)


def _keras_layer(
    case: Case, setting: dict[str, object], dtype: str, stuffed: bool, bias_inside: bool
) -> Iterator[str]:
    layer, dims = case.layer, case.dims
    given = _keras_constructor(case, setting, stuffed)
    if not bias_inside and "use_bias=False" not in given:
        given.append("use_bias=False")
    if dtype != "float32":
        given.append(f'dtype="{dtype}"')
    if stuffed:
        kernel = tuple(map(span, layer.kernel_size, layer.dilation))
        steps = listed(f"::{d}" for d in layer.dilation)
        size = listed(["*{block}.shape[:2]", *kernel])
        yield f"stuffed = np.zeros(({size}), {{block}}.dtype)  # zeros between the taps"
        yield f"stuffed[..., {steps}] = {{block}}"
    order = listed([*range(2, 2 + dims), 1, 0])
    kernel_now = f"{'stuffed' if stuffed else '{block}'}.transpose({order})"
    yield f"layer = keras.layers.Conv{dims}DTranspose("
    yield f"    {listed(given)}"
    yield ")"
    yield f"layer.build((None, {listed(case.geometry.input_size)}, {layer.in_per_group}))"
    weights = f"[{kernel_now}{', bias' if bias_inside else ''}]"
    yield f"layer.set_weights({weights})  # ({'k' if dims == 1 else '*k'}, out, in)"
    yield "y = layer(np.moveaxis({part}, 1, -1))  # channels last"
    yield "y = np.moveaxis(keras.ops.convert_to_numpy(y), -1, 1)"


# -- JAX and flax -----------------------------------------------------------------------------------


def to_jax(case: Case, *, transpose_kernel: bool = True) -> Translation:
    """Return a case as a program of ``jax.lax.conv_transpose``.

    Its pads can be any numbers, so it keeps any window. It has no groups.

    Parameters
    ----------
    case : Case
    transpose_kernel : bool
        With it the kernel is (*k, out, in); without it (*k, in, out) with the taps backwards.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> there = to_jax(case)
    >>> there.line
    'lax.conv_transpose(x, kernel, (2,), [(1, 2)], transpose_kernel=True)'
    >>> there.exact, there.sentences
    (True, ())
    """
    axes, want = axes_of(case), windows_of(case)
    layer = case.layer
    padding = _jax_padding(axes, want)
    dilation = f", rhs_dilation={layer.dilation}" if max(layer.dilation) > 1 else ""
    transposed = ", transpose_kernel=True" if transpose_kernel else ""
    given = f"{layer.stride}, {padding}{dilation}{transposed}"
    call = f"lax.conv_transpose(x, kernel, {given})"
    lines = (
        f"kernel = {_jax_kernel(case.dims, transpose_kernel)}",
        "inputs = jnp.asarray(np.moveaxis({part}, 1, -1))  # channels last",
        f"y = {call.replace('x, kernel', 'inputs, jnp.asarray(kernel)')}",
        "y = np.moveaxis(np.asarray(y), -1, 1)",
    )
    return _of_jax(case, "JAX", call, lines, ("from jax import lax",), axes, want)


def to_flax(case: Case, *, transpose_kernel: bool = True) -> Translation:
    """Return a case as a program of ``flax.linen.ConvTranspose``.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> to_flax(case, transpose_kernel=False).line
    'nn.ConvTranspose(features=1, kernel_size=(3,), strides=(2,), padding=[(1, 2)], use_bias=False)'
    """
    axes, want = axes_of(case), windows_of(case)
    layer = case.layer
    given = [f"features={layer.out_per_group}", f"kernel_size={layer.kernel_size}"]
    if max(layer.stride) > 1:
        given.append(f"strides={layer.stride}")
    given.append(f"padding={_jax_padding(axes, want)}")
    if max(layer.dilation) > 1:
        given.append(f"kernel_dilation={layer.dilation}")
    if transpose_kernel:
        given.append("transpose_kernel=True")
    inside = _bias_inside(case, [], groups=layer.groups)
    line = f"nn.ConvTranspose({listed(given)}{', use_bias=False' if case.bias is None else ''})"
    constructor = f"nn.ConvTranspose({listed(given)}{'' if inside else ', use_bias=False'})"
    parameters = '{"kernel": kernel' + (', "bias": bias}' if inside else "}")
    lines = (
        f"kernel = {_jax_kernel(case.dims, transpose_kernel)}",
        f"layer = {constructor}",
        f'y = layer.apply({{"params": {parameters}}}, np.moveaxis({{part}}, 1, -1))  # channels last',
        "y = np.moveaxis(np.asarray(y), -1, 1)",
    )
    return _of_jax(case, "flax", line, lines, ("from flax import linen as nn",), axes, want, inside)


def to_lax_general(case: Case) -> Translation:
    """Return a case as ``lax.conv_general_dilated``: a plain convolution over the stuffed input.

    It has groups and takes any pads, so it is exact for every case, with channels first.

    Examples
    --------
    >>> to_lax_general(Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1)).line
    'lax.conv_general_dilated(x, kernel, (1,), [(1, 1)], lhs_dilation=(2,))'
    """
    axes, want = axes_of(case), windows_of(case)
    layer, dims = case.layer, case.dims
    given = f"{(1,) * dims}, {_pads(axes, want)}, lhs_dilation={layer.stride}"
    given += f", rhs_dilation={layer.dilation}" if max(layer.dilation) > 1 else ""
    given += f", feature_group_count={layer.groups}" if layer.groups > 1 else ""
    call = f"lax.conv_general_dilated(x, kernel, {given})"
    backwards = f"np.flip({{block}}, {tuple(range(2, 2 + dims))})"
    if layer.groups == 1:
        kernel = [f"kernel = {backwards}.swapaxes(0, 1)  # (out, in, *k backwards)"]
    else:
        blocks = f"{backwards}.reshape({layer.groups}, -1, *{{block}}.shape[1:])"
        kernel = [
            f"kernel = {blocks}.swapaxes(1, 2)  # (groups, out, in, *k backwards)",
            "kernel = kernel.reshape(-1, *kernel.shape[2:])  # (out, in/groups, *k backwards)",
        ]
    lines = (
        *kernel,
        f"y = {call.replace('x, kernel', 'jnp.asarray({part}), jnp.asarray(kernel)')}",
        "y = np.asarray(y)",
    )
    return _of_jax(case, "JAX", call, lines, ("from jax import lax",), axes, want, grouped=True)


def _of_jax(
    case: Case,
    framework: str,
    line: str,
    lines: tuple[str, ...],
    imports: tuple[str, ...],
    axes: tuple[CanvasAxis, ...],
    want: tuple[Window, ...],
    bias_inside: bool = False,
    grouped: bool = False,
) -> Translation:
    """Return a translation whose pads keep PyTorch's own window."""
    floats = ("float32", "float64")
    native = case.x.dtype.name if framework == "JAX" and case.x.dtype.kind in "iu" else ""
    numbers = numbers_of(case, framework, (native, *floats) if native else floats)
    wide = ["import jax"] if "64" in numbers.dtype else []
    after = (
        ["", 'jax.config.update("jax_enable_x64", True)  # or JAX halves 64 bits'] if wide else []
    )
    numpys = ["import jax.numpy as jnp"] if any("jnp." in one for one in lines) else []
    head = sorted(imports) if framework == "flax" else []
    tail = [] if framework == "flax" else [*imports]
    groups = 1 if grouped else case.layer.groups
    program = Program(
        imports=(*wide, *numpys, "import numpy as np", *head, *tail, *after),
        layer=lines,
        mending=(),
        numbers=numbers,
        groups=groups,
        bias=not bias_inside,
    )
    where = "lax.conv_transpose has" if framework == "JAX" else "flax' ConvTranspose has"
    other = "; lax.conv_general_dilated has (feature_group_count)" if framework == "JAX" else ""
    no_groups = f"{where} no groups{other}: {_PER_GROUP}"
    return Translation(
        framework=framework,
        case=case,
        line=line,
        code=program.text(case),
        exact=groups == 1,
        sentences=(*([no_groups] if groups > 1 else []), *_of_numbers(case, numbers.sentence)),
        windows=want,
        nearest=want,
    )


def _jax_padding(axes: Sequence[CanvasAxis], want: tuple[Window, ...]) -> str:
    """Return the padding as a name where one means this, else as pairs."""
    for name in ("SAME", "VALID"):
        if tuple(lax_window(axis, name) for axis in axes) == want:
            return f'"{name}"'
    return _pads(axes, want)


def _pads(axes: Sequence[CanvasAxis], want: tuple[Window, ...]) -> str:
    pairs = [
        (axis.span - 1 - window.before, axis.span - 1 - window.after(axis))
        for axis, window in zip(axes, want)
    ]
    assert tuple(lax_pads_window(axis, *pair) for axis, pair in zip(axes, pairs)) == want
    return str(pairs)


def _jax_kernel(dims: int, transpose_kernel: bool) -> str:
    spatial = [*range(2, 2 + dims)]
    if transpose_kernel:
        return f"{{block}}.transpose({listed([*spatial, 1, 0])})  # (*k, out, in)"
    backwards = f"np.flip({{block}}, {tuple(spatial)})"
    return f"{backwards}.transpose({listed([*spatial, 0, 1])})  # (*k backwards, in, out)"


# -- ONNX -------------------------------------------------------------------------------------------


def to_onnx(case: Case) -> Translation:
    """Return a case as an ONNX node, in a program that onnxruntime runs.

    Examples
    --------
    >>> case = Case.of([[[1, 2, 3]]], [[[1, 10, 100]]], stride=2, padding=1, output_padding=1)
    >>> there = to_onnx(case)
    >>> print(there.line)
    helper.make_node("ConvTranspose", ["x", "weight"], ["y"], strides=[2], pads=[1, 1], output_padding=[1])
    >>> there.exact
    True
    """
    axes, want = axes_of(case), windows_of(case)
    pads, extra = _onnx_padding(case, axes)
    nearest = tuple(
        onnx_window(axis, pads=both, output_padding=more, runtime="onnxruntime")
        for axis, both, more in zip(axes, pads, extra)
    )
    mending = mending_lines(axes, nearest, want)
    numbers = numbers_of(case, "onnxruntime", ("float32",))
    inside = _bias_inside(case, mending)
    attributes = _onnx_attributes(case, pads, extra)
    program = Program(
        imports=(
            "import numpy as np",
            "import onnxruntime",
            "from onnx import TensorProto, helper",
        ),
        layer=tuple(_onnx_layer(attributes, bias=inside)),
        mending=tuple(mending),
        numbers=numbers,
        bias=not inside,
    )
    sentences = [_ONNX_BEYOND] if mending else []
    return Translation(
        framework="ONNX",
        case=case,
        line=_onnx_node(attributes, bias=case.bias is not None),
        code=program.text(case),
        exact=nearest == want,
        sentences=(*sentences, *_of_numbers(case, numbers.sentence)),
        windows=want,
        nearest=nearest,
    )


_ONNX_BEYOND = (
    "onnxruntime refuses an output_padding of a stride or more, though ONNX allows it below the "
    "dilation: the program puts those zeros beside the output."
)


def _onnx_padding(
    case: Case, axes: Sequence[CanvasAxis]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return pads and output_padding per axis that onnxruntime takes and that keep the most."""
    pads, extra = [], []
    for axis, padding, more in zip(axes, case.layer.padding, case.layer.output_padding):
        if more < axis.stride:
            pads.append((padding, padding))
            extra.append(more)
        else:
            # Pads of its own for the end do what a large output_padding does, as far as they reach.
            beyond = max(0, more - padding)
            pads.append((padding, max(0, padding - more)))
            extra.append(min(beyond, axis.stride - 1))
    return pads, extra


def _onnx_attributes(case: Case, pads: list[tuple[int, int]], extra: list[int]) -> list[str]:
    layer, given = case.layer, []
    if max(layer.stride) > 1:
        given.append(f"strides={[*layer.stride]}")
    if any(map(any, pads)):
        given.append(f"pads={[begin for begin, _ in pads] + [end for _, end in pads]}")
    if any(extra):
        given.append(f"output_padding={extra}")
    if max(layer.dilation) > 1:
        given.append(f"dilations={[*layer.dilation]}")
    if layer.groups > 1:
        given.append(f"group={layer.groups}")
    return given


def _onnx_node(attributes: list[str], bias: bool) -> str:
    inputs = '["x", "weight", "bias"]' if bias else '["x", "weight"]'
    given = listed(['"ConvTranspose"', inputs, '["y"]', *attributes])
    return f"helper.make_node({given})"


def _onnx_layer(attributes: list[str], bias: bool) -> Iterator[str]:
    yield f"node = {_onnx_node(attributes, bias)}"
    too = ', "bias": bias' if bias else ""
    yield f'feeds = {{"x": {{part}}, "weight": {{block}}{too}}}'
    yield "graph = helper.make_graph("
    yield "    [node],"
    yield '    "layer",'
    yield (
        "    [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()],"
    )
    yield '    [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],'
    yield ")"
    yield 'opset = [helper.make_opsetid("", 11)]'
    yield "model = helper.make_model(graph, opset_imports=opset, ir_version=10)"
    yield "session = onnxruntime.InferenceSession(model.SerializeToString())"
    yield "y = session.run(None, feeds)[0]"


# -- what all share ---------------------------------------------------------------------------------


def _bias_inside(case: Case, mending: Sequence[str], groups: int = 1) -> bool:
    """Tell whether the framework's own layer adds the bias; zeros put beside it would miss theirs."""
    return case.bias is not None and groups == 1 and not any("pad" in line for line in mending)


def _unlike(
    setting: str,
    axes: Sequence[CanvasAxis],
    want: Sequence[Window],
    nearest: Sequence[Window],
    whole: bool,
) -> Iterator[str]:
    """Yield a sentence for each axis on which Keras' nearest setting keeps something else."""
    for name, axis, wanted, near in zip(AXES[len(axes)], axes, want, nearest):
        if wanted != near:
            yield (
                f"Along {name} PyTorch {in_words(axis, wanted)}. Nothing in Keras does; the nearest, "
                f"{setting}, {in_words(axis, near)}."
            )
    if tuple(want) != tuple(nearest):
        yield (
            'The program keeps the whole canvas (padding="valid") and crops or pads it.'
            if whole
            else "The program crops or pads what the nearest setting keeps."
        )


def _of_numbers(case: Case, sentence: str) -> Iterator[str]:
    if sentence:
        yield sentence
    if not is_written_out(case):
        yield "The tensors are too large to be written out: the program draws random ones of their shape."

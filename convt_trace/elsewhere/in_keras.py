"""A case as a program of Keras, which runs on each of its backends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from convt_trace.elsewhere.canvas import axes_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    in_words,
    keras_window,
)
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.ported import listed
from convt_trace.elsewhere.translation import PER_GROUP, Translation, bias_inside, of_numbers
from convt_trace.elsewhere.writing import Numbers, Program, mending_lines, numbers_of
from convt_trace.engine.case import Case
from convt_trace.engine.layer import span
from convt_trace.engine.text import AXES, shortest


def to_keras(case: Case) -> Translation:
    """Return a case as a program of Keras 3; it runs on each of its backends.

    Examples
    --------
    >>> case = Case.of([[[1.0, 1]]], [[[1.0, 2, 3, 4]]], stride=2, padding=1)
    >>> print(to_keras(case).code)
    import keras
    import numpy as np
    <BLANKLINE>
    x = np.array([1, 1], dtype="float32").reshape(1, 1, 2)  # (N, C, L), as PyTorch has it
    weight = np.array([1, 2, 3, 4], dtype="float32").reshape(1, 1, 4)  # (in, out, k)
    <BLANKLINE>
    layer = keras.layers.Conv1DTranspose(
        1, 4, strides=2, padding="same", use_bias=False
    )
    layer.build((None, 2, 1))
    layer.set_weights([weight.transpose(2, 1, 0)])  # (k, out, in)
    y = layer(np.moveaxis(x, 1, -1))  # channels last
    y = np.moveaxis(keras.ops.convert_to_numpy(y), -1, 1)
    print(y)
    """
    axes, want = axes_of(case), windows_of(case)
    layer = case.layer
    setting, nearest = _nearest_keras(axes, want)
    used, base = setting, nearest
    if not all(map(Window.covers, nearest, want, axes)):
        used, base = {"padding": "valid"}, tuple(map(keras_window, axes))
    refused = max(layer.stride) > 1 and max(layer.dilation) > 1
    constructor = _keras_constructor(case, setting, stuffed=refused)
    numbers = numbers_of(case, "Keras", ("float32", "float64"))
    return Translation(
        framework="Keras",
        case=case,
        line=f"layers.Conv{case.dims}DTranspose({listed(constructor)})",
        code=_keras_program(case, used, mending_lines(axes, base, want), numbers).text(case),
        exact=nearest == want and layer.groups == 1 and not refused,
        sentences=(
            *([_KERAS_GROUPS] if layer.groups > 1 else []),
            *([_KERAS_DILATION] if refused else []),
            *([_KERAS_FLOAT64] if not refused and _is_stuffed(case, numbers) else []),
            *_unlike(
                f'padding="{setting["padding"]}"', axes, want, nearest, whole=used is not setting
            ),
            *of_numbers(case, numbers.sentence),
        ),
        windows=want,
        nearest=nearest,
    )


def _keras_program(
    case: Case, setting: dict[str, object], mending: list[str], numbers: Numbers
) -> Program:
    inside = bias_inside(case, mending, groups=case.layer.groups)
    stuffed = _is_stuffed(case, numbers)
    return Program(
        imports=_keras_imports(numbers.dtype),
        layer=tuple(_keras_layer(case, setting, numbers.dtype, stuffed, inside)),
        mending=tuple(mending),
        numbers=numbers,
        groups=case.layer.groups,
        bias=not inside,
    )


def _is_stuffed(case: Case, numbers: Numbers) -> bool:
    """Tell whether the program writes the dilation into the kernel.

    Keras refuses it beside a stride, and TensorFlow on a CPU has none in float64.
    """
    return max(case.layer.dilation) > 1 and (
        max(case.layer.stride) > 1 or numbers.dtype == "float64"
    )


_KERAS_GROUPS = f"Keras' transposed layers have no groups: {PER_GROUP}"
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

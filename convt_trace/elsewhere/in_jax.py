"""A case as a program of JAX or flax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convt_trace.elsewhere.canvas import axes_of, windows_of
from convt_trace.elsewhere.conventions import (
    CanvasAxis,
    Window,
    lax_pads_window,
    lax_window,
)
from convt_trace.elsewhere.ported import listed
from convt_trace.elsewhere.translation import PER_GROUP, Translation, bias_inside, of_numbers
from convt_trace.elsewhere.writing import Program, numbers_of
from convt_trace.engine.case import Case


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
    return _of_jax(case, "JAX", call, lines)


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
    inside = bias_inside(case, [], groups=layer.groups)
    line = f"nn.ConvTranspose({listed(given)}{', use_bias=False' if case.bias is None else ''})"
    constructor = f"nn.ConvTranspose({listed(given)}{'' if inside else ', use_bias=False'})"
    parameters = '{"kernel": kernel' + (', "bias": bias}' if inside else "}")
    lines = (
        f"kernel = {_jax_kernel(case.dims, transpose_kernel)}",
        f"layer = {constructor}",
        f'y = layer.apply({{"params": {parameters}}}, np.moveaxis({{part}}, 1, -1))  # channels last',
        "y = np.moveaxis(np.asarray(y), -1, 1)",
    )
    return _of_jax(case, "flax", line, lines, bias_inside=inside)


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
    return _of_jax(case, "JAX", call, lines, grouped=True)


#: What each has to import, beside numpy and (where it is used) jax.numpy.
_IMPORTS = {"JAX": "from jax import lax", "flax": "from flax import linen as nn"}
_NO_GROUPS = {
    "JAX": "lax.conv_transpose has no groups; lax.conv_general_dilated has (feature_group_count): ",
    "flax": "flax' ConvTranspose has no groups: ",
}


def _of_jax(
    case: Case,
    framework: str,
    line: str,
    lines: tuple[str, ...],
    *,
    bias_inside: bool = False,
    grouped: bool = False,
) -> Translation:
    """Return a translation whose pads keep PyTorch's own window."""
    floats: tuple[str, ...] = ("float32", "float64")
    if framework == "JAX" and case.x.dtype.kind in "iu":
        floats = (case.x.dtype.name, *floats)  # it convolves whole numbers too
    numbers = numbers_of(case, framework, floats)
    groups = 1 if grouped else case.layer.groups
    program = Program(
        imports=tuple(_imports(framework, lines, numbers.dtype)),
        layer=lines,
        mending=(),
        numbers=numbers,
        groups=groups,
        bias=not bias_inside,
    )
    no_groups = [_NO_GROUPS[framework] + PER_GROUP] if groups > 1 else []
    return Translation(
        framework=framework,
        case=case,
        line=line,
        code=program.text(case),
        exact=groups == 1,
        sentences=(*no_groups, *of_numbers(case, numbers.sentence)),
        windows=windows_of(case),
        nearest=windows_of(case),
    )


def _imports(framework: str, lines: tuple[str, ...], dtype: str) -> Iterator[str]:
    if "64" in dtype:
        yield "import jax"
    if any("jnp." in line for line in lines):
        yield "import jax.numpy as jnp"
    yield "import numpy as np"
    yield _IMPORTS[framework]
    if "64" in dtype:
        yield ""
        yield 'jax.config.update("jax_enable_x64", True)  # or JAX halves 64 bits'


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

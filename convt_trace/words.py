"""Sentences and equations about a case, as Markdown with maths. Every number is the case's own."""

from __future__ import annotations

import numpy as np

from convt_trace.case import Case

_AXES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


def size_formula(case: Case) -> str:
    r"""Return the output-size formula, then the same with the case's numbers, per axis, as LaTeX.

    Examples
    --------
    >>> formula = size_formula(Case.of([[[1, 1, 1]]], [[[1, 1, 2]]], padding=2))
    >>> print(formula.splitlines()[2])
    L_{out} &= (3-1)\cdot1 - 2\cdot2 + 1\cdot(3-1) + 0 + 1 = 1
    """
    names = _AXES[case.dims]
    rows = [
        f"{names[0]}_{{out}} &= ({names[0]}_{{in}}-1)\\cdot\\text{{stride}} - 2\\cdot\\text{{padding}}"
        " + \\text{dilation}\\cdot(\\text{kernel\\_size}-1) + \\text{output\\_padding} + 1"
    ]
    layer, geometry = case.layer, case.geometry
    for name, size, stride, padding, dilation, kernel, extra, result in zip(
        names,
        geometry.input_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.kernel_size,
        layer.output_padding,
        geometry.output_size,
    ):
        rows.append(
            f"{name}_{{out}} &= ({size}-1)\\cdot{stride} - 2\\cdot{padding} + "
            f"{dilation}\\cdot({kernel}-1) + {extra} + 1 = {result}"
        )
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def counts(case: Case) -> str:
    """Return what the layer costs, in one line: shapes, MACs, cropped MACs, parameters.

    Examples
    --------
    >>> print(counts(Case.of([[[1, 1, 1]]], [[[1, 1, 2]]], padding=2)))
    x (1, 1, 3) → y (1, 1, 1) · 9 MACs, of which 6 are cropped · 3 parameters
    """
    geometry = case.geometry
    shape = geometry.output_shape[1:] if case.unbatched else geometry.output_shape
    cropped = f", of which {geometry.cropped_macs:,} are cropped" if geometry.cropped_macs else ""
    return (
        f"x {case.x.shape} → y {shape} · {geometry.macs:,} MACs{cropped} · "
        f"{case.parameter_count:,} parameters"
    )


def weight_rule(case: Case) -> str:
    """Return how the weight's axes are read, with the case's groups."""
    layer = case.layer
    return (
        f"The weight is (in_channels, out_channels/groups, kernel) = {case.weight.shape}: input "
        f"channels first. Output channel co of group g is w[ci, co - g*{layer.out_per_group}]."
    )


def beside_plain_conv(plain: np.ndarray, transposed: np.ndarray) -> str:
    """Return torch's results of a plain and a transposed convolution side by side, in one line.

    >>> beside_plain_conv(np.array([8.0, 17.0]), np.array([12.0, 9.0]))
    'Plain convolution: `[8, 17]`. Transposed: `[12, 9]`.'
    """

    def listed(result: np.ndarray) -> str:
        return "[" + ", ".join(f"{value:g}" for value in result.ravel().tolist()) + "]"

    return f"Plain convolution: `{listed(plain)}`. Transposed: `{listed(transposed)}`."

"""Stamp: every input value times the whole kernel, added onto the output."""

from __future__ import annotations

from convt_trace.engine.case import Case
from convt_trace.engine.layer import span
from convt_trace.views.tensors import (
    LinkedView,
    input_of,
    lit_input,
    lit_output,
    lit_weight,
    one_or_all,
    output_of,
    program,
    weight_of,
)


def stamp(case: Case) -> LinkedView:
    """Return the view in which every input value stamps the kernel onto the output."""
    return LinkedView(
        name="stamp",
        sentence=(
            "Each input value multiplies the whole kernel, and the product is stamped onto the "
            f"output, {one_or_all(case.layer.stride)} further for each step on the input. Where stamps "
            "overlap, they are added; what padding crops is hatched."
        ),
        tensors=(input_of(case), weight_of(case), output_of(case)),
        lit=lambda macs: {
            "x": lit_input(macs),
            "w": lit_weight(case, macs),
            "y": lit_output(macs),
        },
        equation="{y} += {x} * {w} = {x=} * {w=} = {product}",
        code=_code(case),
        result=lambda: case.trace().output,
    )


def _code(case: Case) -> str:
    """Return a loop over the taps: for each, all input values at once."""
    layer, dims, size = case.layer, case.dims, case.geometry.input_size
    taps, letters = "abc"[:dims], "xyz"[:dims]
    along = list(zip(taps, size, layer.stride, layer.dilation))
    canvas = [
        str((length - 1) * s + span(k, d) + max(0, extra - p))
        for length, s, k, d, extra, p in zip(
            size,
            layer.stride,
            layer.kernel_size,
            layer.dilation,
            layer.output_padding,
            layer.padding,
        )
    ]
    batch, n = ([], "") if case.unbatched else (["len(x)"], "n")
    loops = [
        f"{'    ' * depth}for {tap} in range({k}):"
        for depth, (tap, k) in enumerate(zip(taps, layer.kernel_size))
    ]
    onto = ", ".join(
        f"{d} * {tap} : {d} * {tap} + {(length - 1) * s + 1} : {s}" for tap, length, s, d in along
    )
    crop = ", ".join(f"{p} : {p + out}" for p, out in zip(layer.padding, case.geometry.output_size))
    inside = "    " * dims
    return program(
        case,
        f"x = x.unflatten({-1 - dims}, ({layer.groups}, -1))",
        f"weight = weight.unflatten(0, ({layer.groups}, -1))",
        f"canvas = torch.zeros({', '.join([*batch, str(layer.out_channels), *canvas])}, dtype=x.dtype)",
        *loops,
        f"{inside}stamps = torch.einsum("
        f'"{n}gi{letters},gio->{n}go{letters}", x, weight[..., {", ".join(taps)}])',
        f"{inside}canvas[..., {onto}] += stamps.flatten({-2 - dims}, {-1 - dims})",
        f"y = canvas[..., {crop}]  # padding crops",
        functional=False,
    )

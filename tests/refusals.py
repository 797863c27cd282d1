"""Calls that torch refuses, as people write them: each kind of mistake, in one to three dimensions."""

from __future__ import annotations

#: What a pasted text begins with.
IMPORTS = (
    "import numpy as np\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
)


def _texts(dims: int, transposed: bool) -> dict[str, str]:
    f = f"F.conv_transpose{dims}d" if transposed else f"F.conv{dims}d"
    layer = f"nn.ConvTranspose{dims}d" if transposed else f"nn.Conv{dims}d"

    def shape(*sizes: int, each: int = 5) -> str:
        return ", ".join(map(str, (*sizes, *[each] * dims)))

    def values(value: object, count: int = dims) -> str:
        return f"({', '.join([str(value)] * count)},)" if count else "()"

    def x(*sizes: int, each: int = 5, more: str = "") -> str:
        return f"torch.ones({shape(*sizes, each=each)}{more})"

    def weight(ins: int, outs: int, each: int = 3, more: str = "") -> str:
        first, second = (ins, outs) if transposed else (outs, ins)
        return f"torch.ones({shape(first, second, each=each)}{more})"

    # "second" is what the weight's second number multiplied by groups makes.
    texts = {
        "channels": f"{f}({x(1, 2)}, {weight(3, 4)})",
        "channels, unbatched": f"{f}({x(2)}, {weight(3, 4)})",
        "channels, groups": f"{f}({x(1, 3)}, torch.ones({shape(4, 2, each=3)}), groups=2)",
        "channels, no groups left": f"{f}({x(1, 3)}, torch.ones({shape(4, 2, each=3)}), "
        "torch.zeros(4), groups=2)",
        "channels of a layer": f"layer = {layer}(3, 4, 3)\nlayer({x(1, 2)})",
        "channels of a layer, at once": f"{layer}(3, 4, 3)({x(1, 2)})",
        "channels of a layer, groups": f"layer = {layer}(4, 6, 3, groups=2)\nlayer({x(2, 5)})",
        "channels of a strided layer": f"up = {layer}(4, 2, 3, stride=2, bias=False)\nup({x(1, 6)})",
        "channels, none": f"{f}({x(1, 0)}, {weight(3, 4)})",
        "a batch of grey pictures": f"layer = {layer}(1, 4, 3)\nlayer({x(7)})",
        "channels last": f"{f}(torch.ones({1}, {shape(each=5)}, 3), {weight(3, 4)})",
        "channels last, unbatched": f"layer = {layer}(3, 4, 2)\nlayer(torch.ones({shape()}, 3))",
        "the other kind's weight": f"w = {weight(4, 2)}\n{f}({x(1, 2)}, w)"
        if transposed
        else f"w = torch.ones({shape(3, 4, each=3)})\n{f}({x(1, 3)}, w)",
        "the other kind's weight, groups": f"{f}({x(1, 4)}, torch.ones({shape(6, 2, each=3)}), "
        "torch.ones(6), groups=2)"
        if transposed
        else f"{f}({x(1, 6)}, torch.ones({shape(6, 2, each=3)}), torch.ones(4), groups=2)",
        "a replaced weight": f"layer = {layer}(2, 4, 3)\nlayer.weight = nn.Parameter({weight(3, 4)})\n"
        f"layer({x(1, 2)})",
        "groups that do not divide": f"{f}({x(1, 3)}, torch.ones({shape(3, 1, each=3)}), groups=2)",
        "groups, many channels": f"{f}({x(1, 12)}, torch.ones({shape(12, 3, each=3)}), groups=5)",
        "groups, with a bias": f"{f}({x(1, 3)}, torch.ones({shape(3, 2, each=3)}), torch.ones(6), "
        "groups=2)",
        "more groups than channels": f"{f}({x(1, 2)}, torch.ones({shape(2, 1, each=3)}), groups=3)",
        "no groups": f"{f}({x(1, 3)}, {weight(3, 2)}, groups=0)",
        "no groups, depthwise": f"{f}({x(1, 3)}, torch.ones({shape(3, 1, each=3)}), torch.ones(3), "
        "groups=-1)",
        "a layer of no groups": f"{layer}(3, 4, 3, groups=0)",
        "a layer's groups, in_channels": f"{layer}(3, 4, 3, groups=2)",
        "a layer's groups, out_channels": f"{layer}(4, 6, 3, groups=4)",
        "a layer's groups, both": f"{layer}(3, 5, 3, groups=2)",
        "a layer's groups, by a name": f"n = 3\nlayer = {layer}(12, 18, kernel_size=n, groups=n + 2)",
        "a layer's groups, one channel": f"{layer}(8, 1, 3, groups=8)",
        "a layer's groups as a float": f"{layer}(4, 6, 3, groups=4 / 2)",
        "groups as a float": f"{f}({x(1, 4)}, torch.ones({shape(4, 2, each=3)}), groups=2.0)",
        "groups per axis": f"{f}({x(1, 4)}, torch.ones({shape(4, 2, each=3)}), groups=(2, 2))",
        "no batch, no channel": f"{f}({x()}, {weight(1, 1)})",
        "no batch, no channel, layer": f"{layer}(1, 1, 3)({x()})",
        "one axis alone": f"{f}(torch.ones(5), {weight(2, 1)})",
        "no axis": f"{f}(torch.tensor(1.0), {weight(1, 1)})",
        "two batch axes": f"{f}({x(2, 4, 3)}, {weight(3, 1)})",
        "two batch axes, layer": f"layer = {layer}(3, 1, 3)\nlayer({x(2, 4, 3)})",
        "an axis of one": f"{layer}(4, 1, 3)({x(2, 4, 1)})",
        "axes that fit nothing": f"{layer}(4, 1, 3)({x(2, 3, 3)})",
        "a weight of one axis": f"{f}({x(1, 1)}, torch.ones(3))",
        "a weight without channels": f"{f}({x(1, 1)}, torch.ones({shape(each=3)}))",
        "a weight with one channel axis": f"{f}({x(1, 4)}, torch.ones({shape(4, each=3)}))",
        "a weight with a kernel size more": f"{f}({x(1, 1)}, torch.ones({shape(1, 1, each=3)}, 1))",
        "a weight with a long kernel size more": f"{f}({x(1, 1)}, torch.ones({shape(1, 1, each=3)}, 3))",
        "a kernel size more": f"{layer}(1, 1, {values(3, dims + 1)})({x(1, 1)})",
        "a kernel size less": f"{layer}(1, 1, {values(3, dims - 1)})({x(1, 1)})",
        "stride 0": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=0)",
        "stride -1 of a layer": f"{layer}(1, 1, 3, stride=-1)({x(1, 1)})",
        "one stride more": f"{f}({x(1, 1)}, {weight(1, 1)}, stride={values(1, dims + 1)})",
        "no strides": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=())",
        "one padding more": f"{f}({x(1, 1)}, {weight(1, 1)}, padding={values(1, dims + 1)})",
        "one dilation more": f"{f}({x(1, 1)}, {weight(1, 1)}, dilation={values(1, dims + 1)})",
        "one stride of a layer more": f"{layer}(1, 1, 3, stride={values(2, dims + 1)})({x(1, 1)})",
        "padding -1": f"{f}({x(1, 1)}, {weight(1, 1)}, padding=-1)",
        "dilation 0": f"{f}({x(1, 1)}, {weight(1, 1)}, dilation=0)",
        "dilation -1": f"{layer}(1, 1, 3, dilation=-1)({x(1, 1)})",
        "stride as a float": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=2.5)",
        "strides as floats": f"{f}({x(1, 1)}, {weight(1, 1)}, stride={values(2.0)})",
        "stride of a layer as a float": f"{layer}(1, 1, 3, stride=2.0)({x(1, 1)})",
        "no stride": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=None)",
        "dilation as a word": f'{f}({x(1, 1)}, {weight(1, 1)}, dilation="2")',
        "an unknown padding": f'{f}({x(1, 1)}, {weight(1, 1)}, padding="full")',
        "an unknown padding of a layer": f'{layer}(1, 1, 3, padding="full")({x(1, 1)})',
        "same, strided": f'{f}({x(1, 1)}, {weight(1, 1)}, padding="same", stride=2)',
        "same of a layer, strided": f'{layer}(1, 1, 4, padding="same", stride=2)({x(1, 1)})',
        "an unknown padding_mode": f'{layer}(1, 1, 3, padding_mode="mirror")',
        "a short bias": f"{f}({x(1, 1)}, {weight(1, 3)}, torch.ones(2))",
        "a long bias": f"{f}({x(1, 1)}, {weight(1, 2)}, bias=torch.ones(3))",
        "a bias of two axes": f"{f}({x(1, 1)}, {weight(1, 2)}, torch.ones(1, 2))",
        "a bias, groups": f"{f}({x(1, 4)}, torch.ones({shape(4, 2, each=3)}), torch.ones(3), groups=2)"
        if transposed
        else f"{f}({x(1, 4)}, torch.ones({shape(4, 2, each=3)}), torch.ones(3), groups=2)",
        "a replaced bias": f"layer = {layer}(1, 2, 3)\nlayer.bias = nn.Parameter(torch.ones(3))\n"
        f"layer({x(1, 1)})",
        "bias as a number": f"{f}({x(1, 1)}, {weight(1, 2)}, 1.0)",
        "bias as a truth value": f"{f}({x(1, 1)}, {weight(1, 2)}, bias=True)",
        "double and float": f"{f}({x(1, 1, more=', dtype=torch.double')}, {weight(1, 2)})",
        "double and a layer": f"{layer}(1, 2, 3)({x(1, 1)}.double())",
        "long and a layer": f"layer = {layer}(1, 2, 3)\nlayer(torch.ones({shape(1, 1)}).long())",
        "a double layer": f"layer = {layer}(1, 2, 3).double()\nlayer({x(1, 1)})",
        "float and long": f"{f}({x(1, 1)}, {weight(1, 2, more=', dtype=torch.long')})",
        "half and float": f"{f}({x(1, 1)}.half(), {weight(1, 2)})",
        "bfloat16 and float": f"{f}({x(1, 1)}.bfloat16(), {weight(1, 2)})",
        "int and float": f"{f}({x(1, 1)}.int(), {weight(1, 2)})",
        "int and double": f"{f}({x(1, 1)}.int(), {weight(1, 2)}.double())",
        "uint8 and a layer": f"{layer}(1, 2, 3)({x(1, 1)}.byte())",
        "complex and float": f"{f}({x(1, 1)} + 0j, {weight(1, 2)})",
        "bool and bool": f"{f}({x(1, 1)}.bool(), {weight(1, 2)}.bool())",
        "an empty kernel": f"{f}({x(1, 1)}, {weight(1, 1, each=0)})",
        "an empty kernel of a layer": f"{layer}(1, 1, 0)({x(1, 1)})",
        "a negative kernel": f"{layer}(1, 1, -3)",
        "negative channels": f"{layer}(-2, 1, 3)",
        "no out_channels": f"{layer}(1, 0, 3)({x(1, 1)})",
        "a kernel as a float": f"{layer}(1, 1, 3.0)",
        "channels as a float": f"{layer}(4 / 2, 1, 3)",
        "a kernel as a word": f'{layer}(1, 1, "3")',
        "an x without positions": f"{f}({x(1, 1, each=0)}, {weight(1, 1)})",
        "no weight": f"{f}({x(1, 1)})",
        "a weight that is None": f"{f}({x(1, 1)}, None)",
        "a weight as a list": f"{f}({x(1, 1)}, {weight(1, 1)}.tolist())",
        "an x as a list": f"{f}({x(1, 1)}.tolist(), {weight(1, 1)})",
        "an x of numpy": f"{f}(np.ones(({shape(1, 1)}), dtype=np.float32), {weight(1, 1)})",
        "an x of numpy for a layer": f"{layer}(1, 1, 3)(np.ones(({shape(1, 1)}), dtype=np.float32))",
        "a layer without a kernel": f"{layer}(3, 4)",
        "a misspelt argument": f"{f}({x(1, 1)}, {weight(1, 1)}, strides=2)",
        "a misspelt argument of a layer": f"{layer}(3, 4, 3, strides=2)",
        "an argument of another layer": f"{layer}(3, 4, 3, momentum=0)",
        "an argument too many": f"{f}({x(1, 1)}, {weight(1, 1)}, None, 1, 0, 0, 1, 1, 1)"
        if transposed
        else f"{f}({x(1, 1)}, {weight(1, 1)}, None, 1, 0, 1, 1, 1)",
    }  # fmt: skip
    only = _transposed(f, layer, x, weight, values) if transposed else _plain(f, layer, x, weight)
    return texts | only


def _transposed(f, layer, x, weight, values):
    strided = f"layer = {layer}(1, 1, 3, stride=2, padding=1)\n"
    dims = int(f[-2])
    mixed = ", ".join(map(str, range(1, dims + 1)))
    return {
        "output_padding": f"{f}({x(1, 1)}, {weight(1, 1)}, output_padding=1)",
        "output_padding, strided": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=2, output_padding=2)",
        "output_padding, per axis": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=({mixed},), output_padding=1)",
        "output_padding of a layer": f"layer = {layer}(3, 4, 3, 2, 1, 2)\nlayer({x(1, 3)})",
        "output_padding, dilated": f"{layer}(1, 1, 3, dilation=2, output_padding=3)({x(1, 1)})",
        "output_padding -1": f"{f}({x(1, 1)}, {weight(1, 1)}, output_padding=-1)",
        "one output_padding more": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=2, "
        f"output_padding={values(1, dims + 1)})",
        "too much padding": f"{f}({x(1, 1)}, {weight(1, 1)}, padding=4)",
        "too much padding of a layer": f"layer = {layer}(1, 1, 2, padding=3)\nlayer({x(1, 1)})",
        "padding same": f'{f}({x(1, 1)}, {weight(1, 1)}, padding="same")',
        "padding valid": f'{f}({x(1, 1)}, {weight(1, 1)}, padding="valid")',
        "padding same of a layer": f'{layer}(1, 1, 4, stride=2, padding="same")({x(1, 1)})',
        "padding same that has no size": f'{layer}(1, 1, 1, stride=3, padding="same")({x(1, 1)})',
        "padding_mode": f'{layer}(1, 2, 3, padding_mode="reflect")',
        "padding_mode, strided": f'{layer}(1, 2, 4, 2, 1, padding_mode="circular")',
        "padding_mode that changes nothing": f'{layer}(1, 2, 1, padding_mode="replicate")',
        "output_size": strided + f"layer({x(1, 1)}, output_size={values(20)})",
        "output_size, small": strided + f"layer({x(1, 1)}, output_size={values(3)})",
        "output_size, whole": strided + f"layer({x(1, 1)}, output_size=(1, 1, *{values(20)}))",
        "output_size, unbatched": strided + f"layer({x(1)}, {values(20)})",
        "output_size, one more": strided + f"layer({x(1, 1)}, output_size={values(10, dims + 1)})",
        "output_size of one number": strided + f"layer({x(1, 1)}, output_size=10)",
        "output_size of a function": f"{f}({x(1, 1)}, {weight(1, 1)}, stride=2, output_size={values(12)})",
        "output_size, no batch, no channel": strided + f"layer({x()}, output_size={values(10)})",
        "no in_channels": f"{layer}(0, 1, 3)({x(1, 0)})",
        "int and int": f"{f}({x(1, 1)}.int(), {weight(1, 2)}.int())",
        "uint8 and uint8": f"{f}({x(1, 1)}.byte(), {weight(1, 2)}.byte())",
    }  # fmt: skip


def _plain(f, layer, x, weight):
    return {
        "a kernel too large": f"{f}({x(1, 1, each=2)}, {weight(1, 1)})",
        "a dilated kernel too large": f"layer = {layer}(1, 1, 3, dilation=2)\nlayer({x(1, 1, each=3)})",
        "reflect, too far": f'{layer}(1, 1, 3, padding=7, padding_mode="reflect")({x(1, 1)})',
        "circular, too far": f'{layer}(1, 1, 3, padding=7, padding_mode="circular")({x(1, 1)})',
        "output_padding of a plain layer": f"{layer}(3, 4, 3, stride=2, output_padding=1)",
        "a bias of another dtype": f"{f}({x(1, 1)}, {weight(1, 2)}, torch.ones(2).double())",
    }


#: Every text by a name that says what is wrong in it.
REFUSED = {
    f"{'conv_transpose' if transposed else 'conv'}{dims}d: {name}": IMPORTS + text
    for transposed in (True, False)
    for dims in (1, 2, 3)
    for name, text in _texts(dims, transposed).items()
}

#: What is said after the layer, where sizes have to go together.
REFUSED["torch.cat"] = IMPORTS + "torch.cat([torch.ones(1, 2, 7), torch.ones(1, 2, 8)], 1)"

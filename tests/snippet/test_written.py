# ruff: noqa: E501  the texts stand on one line each
"""What a text writes down is found from its syntax: every transposed convolution, with its arguments."""

from __future__ import annotations

import ast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convt_trace.snippet.constants import Constants, Unknown
from convt_trace.snippet.written import definitions, guarded_imports, unmade_names

FOUND = {
    "attribute": ("up = torch.nn.ConvTranspose2d(8, 4, 2)", ["torch.nn.ConvTranspose2d(8, 4, 2)"]),
    "bare": ("up = ConvTranspose1d(8, 4, 2)", ["ConvTranspose1d(8, 4, 2)"]),
    "function": ("y = F.conv_transpose3d(x, w)", ["F.conv_transpose3d(x, w)"]),
    "lazy": ("up = nn.LazyConvTranspose2d(4, 2)", ["nn.LazyConvTranspose2d(4, 2)"]),
    "alias": ("Up = nn.ConvTranspose2d\nup = Up(8, 4, 2)", ["Up(8, 4, 2)"]),
    "imported": (
        "from torch.nn import ConvTranspose2d as Up\nup = Up(8, 4, 2)", ["Up(8, 4, 2)"]
    ),
    "alias_of_alias": ("A = nn.ConvTranspose2d\nB = A\nup = B(8, 4, 2)", ["B(8, 4, 2)"]),
    "choice": (
        "Up = nn.ConvTranspose2d if d == 2 else nn.ConvTranspose3d\nup = Up(8, 4, 2)",
        ["Up(8, 4, 2)"],
    ),
    "partial": (
        "from functools import partial\nUp = partial(nn.ConvTranspose2d, stride=2)\nup = Up(8, 4, 2)",
        ["Up(8, 4, 2)"],
    ),
    "subclass": ("class Up(nn.ConvTranspose2d): pass\nup = Up(8, 4, 2)", ["Up(8, 4, 2)"]),
    "default": ("def f(up=nn.ConvTranspose2d):\n    return up(8, 4, 2)", ["up(8, 4, 2)"]),
    "own_attribute": (
        "class A:\n    def __init__(self):\n        self.kind = nn.ConvTranspose2d\n"
        "        self.up = self.kind(8, 4, 2)\n    def forward(self, x): return self.up(x)",
        ["self.kind(8, 4, 2)"],
    ),
    "class_attribute": (
        "class A:\n    kind = nn.ConvTranspose2d\n"
        "    def __init__(self): self.up = self.kind(8, 4, 2)",
        ["self.kind(8, 4, 2)"],
    ),
    "dict": (
        "kinds = {'up': nn.ConvTranspose2d, 'down': nn.Conv2d}\nup = kinds['up'](8, 4, 2)",
        ["kinds['up'](8, 4, 2)"],
    ),
    "handed_over": ("make(kind=nn.ConvTranspose2d, size=3)", ["nn.ConvTranspose2d"]),
    "getattr": ("up = getattr(nn, 'ConvTranspose2d')(8, 4, 2)", ["getattr(nn, 'ConvTranspose2d')(8, 4, 2)"]),
    "getattr_of_dims": (
        "up = getattr(nn, f'ConvTranspose{d}d')(8, 4, 2)",
        ["getattr(nn, f'ConvTranspose{d}d')(8, 4, 2)"],
    ),
    "factory": ("def up(c): return nn.ConvTranspose2d(c, c, 2)", ["nn.ConvTranspose2d(c, c, 2)"]),
    "lambda": ("up = lambda c: nn.ConvTranspose2d(c, c, 2)", ["nn.ConvTranspose2d(c, c, 2)"]),
    "comprehension": (
        "ups = [nn.ConvTranspose2d(c, c, 2) for c in (1, 2)]", ["nn.ConvTranspose2d(c, c, 2)"]
    ),
    "over_lines": ("up = nn.ConvTranspose2d(8,\n    4,  # four\n    2)", ["nn.ConvTranspose2d(8, 4, # four 2)"]),
    "not_a_call_of_a_layer": ("up = nn.Conv2d(1, 1, 1)\nup(x)\nconv_transposed(1)", []),
    "another_up": ("up = nn.ConvTranspose2d\nclass A:\n    def forward(self, x): return self.up(x)", ["nn.ConvTranspose2d"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_every_way_to_write_one_is_found(name: str) -> None:
    text, expected = FOUND[name]
    assert [one.text for _, one in definitions(ast.parse(text), text)] == expected


def test_a_long_text_is_read_whole() -> None:
    block = "class Up{n}(nn.Module):\n    def __init__(self, c={n}):\n        self.up = nn.ConvTranspose2d(c, {n}, 2)\n"
    text = "".join(block.format(n=n + 1) for n in range(1500))
    assert len(text) > 150_000
    found = [one for _, one in definitions(ast.parse(text), text)]
    assert [one.arguments for one in found] == [
        {"in_channels": n + 1, "out_channels": n + 1, "kernel_size": 2} for n in range(1500)
    ]


VALUES = {
    "constants": ("nn.ConvTranspose2d(8, 4, (3, 2), padding=-1)",
                  {"in_channels": 8, "out_channels": 4, "kernel_size": (3, 2), "padding": -1}),
    "names": ("nz, ngf = 100, 64\nnn.ConvTranspose2d(nz, ngf * 8, 4)",
              {"in_channels": 100, "out_channels": 512, "kernel_size": 4}),
    "defaults": ("def f(c, k=4, *, s=2): return nn.ConvTranspose1d(c, 2 * k, k, s, k // 2 - 1)",
                 {"out_channels": 8, "kernel_size": 4, "stride": 2, "padding": 1}),
    "bound_twice": ("c = 1\nc = 2\nnn.ConvTranspose1d(c, 1, 2)", {"out_channels": 1, "kernel_size": 2}),
    "loop": ("for c in (1, 2): nn.ConvTranspose1d(c, 1, 2)", {"out_channels": 1, "kernel_size": 2}),
    "added_to": ("c = 1\nc += 1\nnn.ConvTranspose1d(c, 1, 2)", {"out_channels": 1, "kernel_size": 2}),
    "shadowed": ("c = 1\ndef f(c): nn.ConvTranspose1d(c, 1, 2)", {"out_channels": 1, "kernel_size": 2}),
    "attribute": ("class A:\n    def __init__(self, n=3):\n        self.n = n + 1\n        self.up = nn.ConvTranspose1d(self.n, 1, 2)",
                  {"in_channels": 4, "out_channels": 1, "kernel_size": 2}),
    "class_names_are_not_a_methods": ("c = 1\nclass A:\n    c = 2\n    def f(self): nn.ConvTranspose1d(c, 1, 2)",
                                      {"in_channels": 1, "out_channels": 1, "kernel_size": 2}),
    "starred": ("nn.ConvTranspose1d(8, *sizes, stride=2)", {"in_channels": 8, "stride": 2}),
    "words": ("nn.ConvTranspose1d(1, 1, 3, padding='same', padding_mode='reflect')",
              {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "padding": "same", "padding_mode": "reflect"}),
    "own_constructor": ("class Up(nn.ConvTranspose1d):\n    def __init__(self, k): super().__init__(1, 1, k)\nUp(3)", {}),
    "lazy": ("nn.LazyConvTranspose1d(4, 2)", {"out_channels": 4, "kernel_size": 2}),
    "item": ("sizes = [8, 4]\nnn.ConvTranspose1d(sizes[0], sizes[-1], 2)",
             {"in_channels": 8, "out_channels": 4, "kernel_size": 2}),
    "of_itself": ("c = c\nnn.ConvTranspose1d(c, 1, 2)", {"out_channels": 1, "kernel_size": 2}),
    "by_zero": ("nn.ConvTranspose1d(1 // 0, 1, 2 ** 999999)", {"out_channels": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_arguments_are_worked_out_as_far_as_the_syntax_tells(name: str) -> None:
    text, expected = VALUES[name]
    assert definitions(ast.parse(text), text)[-1][1].arguments == expected


numbers = st.recursive(
    st.integers(-50, 50).map(str),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=6,
)


@given(numbers, numbers)
def test_what_is_worked_out_is_what_python_gives(first: str, second: str) -> None:
    text = f"a = {first}\nb = (a, {second})\nb"
    tree = ast.parse(text)
    try:
        expected = eval(f"({first}, {second})")
    except ZeroDivisionError:
        with pytest.raises(Unknown):
            Constants(tree).value(tree.body[-1].value, ())  # type: ignore[attr-defined]
        return
    assert Constants(tree).value(tree.body[-1].value, ()) == expected  # type: ignore[attr-defined]


def test_values_are_those_of_the_layer_that_python_makes() -> None:
    text = (
        "import torch.nn as nn\nngf, k = 4, 4\n"
        "layer = nn.ConvTranspose2d(ngf * 2, ngf, k, (2, 1), padding=k // 2 - 1, bias=not k)\n"
    )
    names: dict[str, torch.nn.ConvTranspose2d] = {}
    exec(text, names)
    (told,) = (one.arguments for _, one in definitions(ast.parse(text), text))
    again = torch.nn.ConvTranspose2d(**told)
    assert repr(again) == repr(names["layer"])


def test_imports_that_a_text_guards_itself() -> None:
    text = "import a\ntry:\n    import b\nexcept ImportError:\n    import c\ntry:\n    import d\nexcept ValueError: pass"
    assert guarded_imports(ast.parse(text)) == {3}


def test_names_that_nothing_makes() -> None:
    text = "import os\ndef f(a): return a, b, os\nfor c in d: print(c)\nclass E: pass\nE(f)"
    assert unmade_names(ast.parse(text)) == {"b": 2, "d": 3, "print": 3}

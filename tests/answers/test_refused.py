"""What is said of torch's refusals is the same everywhere, true of the case, and makes it run."""

from __future__ import annotations

import ast
import io
import json
import re
import textwrap
from itertools import product
from typing import Any

import pytest
import torch
from refusals import IMPORTS, REFUSED
from streamlit.testing.v1 import AppTest
from torch import nn
from torch.nn import functional as F

from convt_trace.__main__ import main
from convt_trace.answers.advice import FUNCTION, MODULE
from convt_trace.answers.refusal import Explanation, Refusal
from convt_trace.answers.refused import _REFUSALS, explained
from convt_trace.snippet import SnippetError, read_snippet

pytestmark = pytest.mark.filterwarnings("ignore:Complex modules", "ignore:Using padding='same'")


def failed(text: str) -> SnippetError:
    with pytest.raises(SnippetError) as raised:
        read_snippet(text)
    return raised.value


def told(text: str) -> Explanation:
    explanation = explained(failed(text))
    assert explanation is not None
    return explanation


ERRORS = {name: failed(text) for name, text in REFUSED.items()}
TOLD = {name: explained(error) for name, error in ERRORS.items()}


def in_order(message: str) -> str:
    """A message with the words of each set in order: torch prints sets, which have none."""
    return re.sub(r"\{(.*?)\}", lambda words: str(sorted(words[1].split(", "))), message)


# -- torch's own words, and an explanation of each ----------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_the_message_is_torchs(name: str):
    with pytest.raises(Exception) as raised:
        exec(REFUSED[name], {})
    error = ERRORS[name]
    assert error.type == type(raised.value).__name__
    assert in_order(error.message) == in_order(str(raised.value).splitlines()[0])
    assert TOLD[name] is not None and TOLD[name].plain and TOLD[name].fix


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in _REFUSALS])
def test_every_refusal_that_is_known_is_in_the_table(pattern: str):
    assert any(re.search(pattern, error.message) for error in ERRORS.values())


# -- page, terminal and JSON --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in REFUSED if "1d: " not in name and "3d: " not in name]
)
def test_terminal_and_json_say_the_same(name: str, monkeypatch, capsys):
    explanation = TOLD[name]
    monkeypatch.setattr("sys.stdin", io.StringIO(REFUSED[name]))
    assert main(["explain", "-", "--json"]) == 2
    written, said = capsys.readouterr()
    error = json.loads(written)["error"]
    assert set(error) == {"type", "message", "lineno", "hint", "explanation"}
    assert error["explanation"] == {
        "plain": explanation.plain, "fix": explanation.fix, "code": explanation.code,
    }  # fmt: skip
    first, words, *code = said.rstrip().split("\n")
    assert in_order(first) == in_order(str(ERRORS[name]))
    assert words == f"{explanation.plain} {explanation.fix}"
    assert textwrap.dedent("\n".join(code)).strip() == explanation.code


def every_error() -> None:
    """Draw what the page says of each text, as the page does."""
    import streamlit as st
    from refusals import REFUSED

    from convt_trace.app.explain import _error
    from convt_trace.snippet import SnippetError, read_snippet

    for name, text in REFUSED.items():
        with st.container(key=name):
            try:
                read_snippet(text)
            except SnippetError as error:
                _error(error)


def unescaped(markdown: str) -> str:
    return re.sub(r"\\(.)", r"\1", markdown)


def test_the_page_says_the_same():
    page = AppTest.from_function(every_error, default_timeout=120).run()
    assert not page.exception
    words = [unescaped(part.value) for part in page.markdown]
    assert words == [f"{one.plain} {one.fix}" for one in TOLD.values()]
    assert [part.value for part in page.code] == [one.code for one in TOLD.values() if one.code]
    for part, error in zip(page.error, ERRORS.values(), strict=True):
        assert in_order(error.message) in in_order(part.value)


# -- the advice, carried out --------------------------------------------------------------------


class Broken:
    """A text up to its last call, whose arguments can be changed."""

    def __init__(self, text: str) -> None:
        self.scope: dict[str, Any] = {}
        *before, last = ast.parse(text).body
        exec(compile(ast.Module(before, []), "", "exec"), self.scope)
        call = last.value
        makes = next(
            node for node in reversed([*ast.walk(ast.parse(text))])
            if isinstance(node, ast.Call) and "onv" in ast.unparse(node.func)
            and not isinstance(node.func, ast.Call)
        )  # fmt: skip
        self.op = makes.func.attr
        self.layer = self.op.startswith("Conv")
        order = [
            name for name in (MODULE if self.layer else FUNCTION)
            if "ranspose" in self.op or name != "output_padding"
        ]  # fmt: skip
        if "ranspose" not in self.op:
            order.sort(key=lambda name: name == "groups" and not self.layer)
        if self.layer and "ranspose" not in self.op:
            order = [*order[:5], "dilation", "groups", "bias", "padding_mode"]
        self.given = self.arguments(makes, order)
        self.called = {}
        if self.layer and ast.unparse(call) != ast.unparse(makes):
            self.called = self.arguments(call, ["x", "output_size"])

    def arguments(self, call: ast.Call, order: list[str]) -> dict[str, Any]:
        pairs = [*zip(order, call.args), *((one.arg, one.value) for one in call.keywords)]
        values = {name: eval(ast.unparse(node), self.scope) for name, node in pairs}
        return {name.replace("input", "x"): value for name, value in values.items()}

    def run(self, change: dict[str, Any], code: str = "") -> torch.Tensor | nn.Module:
        """Run the call with other arguments, or after some code."""
        space: dict[str, Any] = {
            "torch": torch, "nn": nn, "F": F, "layer": self.scope.get("layer"),
            **self.given, **self.called,
        }  # fmt: skip
        if self.layer and not self.called:
            space["x"] = torch.ones(1, abs(int(self.given["in_channels"])), *[8] * int(self.op[-2]))
        exec(code, space)
        space |= change
        known = set(MODULE) if self.layer else {"x", *FUNCTION}
        given = {name: space[name] for name in (*self.given, *change) if name in known & set(space)}
        if not self.layer:
            given |= {name: space[name] for name in FUNCTION if name in space}
            return getattr(F, self.op)(given.pop("x"), **given)
        made = space["layer"]
        if made is not None and isinstance(change.get("bias"), torch.Tensor):
            made.bias = nn.Parameter(change["bias"])
        elif made is None or set(change) & set(MODULE):
            made = getattr(nn, self.op)(**given)
        if not self.called and "x =" not in code:
            return made
        return made(space["x"], **{n: space[n] for n in ("output_size",) if n in space})


def alternatives(fix: str) -> list[dict[str, Any]]:
    """What a sentence offers: "Use stride=2 and padding=1, or groups=1 or 2." is three changes."""
    if not fix.startswith("Use "):
        return []
    found = []
    for part in fix[len("Use ") : -1].split(", or "):
        first, *more = part.split(" or ")
        changes = [change(item) for item in re.split(r" and (?=\w+=|an? )", first)]
        found.append(dict(changes))
        found += [{changes[0][0]: ast.literal_eval(value)} for value in more]
    return found


def change(item: str) -> tuple[str, Any]:
    tensor = re.fullmatch(r"an? (x|weight) of shape (.*)", item)
    if tensor:
        return tensor[1], torch.randn(ast.literal_eval(tensor[2]))
    if bias := re.fullmatch(r"a bias of (\d+) numbers?", item):
        return "bias", torch.zeros(int(bias[1]))
    name, _, value = item.partition("=")
    return name, ast.literal_eval(value)


@pytest.mark.parametrize("name", [name for name, one in TOLD.items() if one.code])
def test_the_code_makes_torch_run(name: str):
    Broken(REFUSED[name]).run({}, TOLD[name].code)


@pytest.mark.parametrize("name", [name for name, one in TOLD.items() if alternatives(one.fix)])
def test_every_change_that_is_offered_makes_torch_run(name: str):
    for offered in alternatives(TOLD[name].fix):
        Broken(REFUSED[name]).run(offered)


def most(explanation: Explanation) -> tuple[str, Any] | None:
    found = re.search(r"(\w+) can be (\d+|\(.*?\)) at most", explanation.plain)
    return (found[1], ast.literal_eval(found[2])) if found else None


LIMITED = {name: limit for name, one in TOLD.items() if (limit := most(one))}


@pytest.mark.parametrize("name", LIMITED)
def test_what_is_the_most_is_enough_and_one_more_is_too_much(name: str):
    what, limit = LIMITED[name]
    broken = Broken(REFUSED[name])
    dims = int(broken.op[-2])
    each = limit if isinstance(limit, tuple) else (limit,) * dims
    broken.run({what: each})
    for axis in range(dims):
        more = tuple(value + (place == axis) for place, value in enumerate(each))
        with pytest.raises((RuntimeError, ValueError)):
            broken.run({what: more})


# -- every number is the case's -----------------------------------------------------------------


def numbers(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)", text))


def numbers_of(name: str) -> set[str]:
    """The numbers of a case: written in it, its shapes, its arguments, torch's, and the axes."""
    error, attempt = ERRORS[name], ERRORS[name].attempt
    seen = numbers(REFUSED[name].removeprefix(IMPORTS)) | numbers(error.message)
    if attempt is None:
        return seen
    dims = int(attempt.op[-2])
    shapes = [attempt.input_shape, attempt.weight_shape, attempt.bias_shape]
    seen |= {str(size) for shape in shapes if shape is not None for size in (*shape, len(shape))}
    seen |= numbers(repr([*attempt.parameters.values(), attempt.layer]))
    call = Refusal.of(attempt)
    values = [len(value) for value in attempt.parameters.values() if isinstance(value, tuple)]
    kernel = (attempt.layer or {}).get("kernel_size")
    values += [len(kernel)] if isinstance(kernel, tuple) else []
    return seen | {str(n) for n in (dims, dims + 2, call.channels, call.outputs, *values)}


#: What is worked out from the numbers of a case, by patterns of its sentences; each is checked above,
#: where the advice is carried out, or below.
WORKED_OUT = (
    r"can be .* at most", r"sizes from [\d x]+ to [\d x]+", r"[-\d x]+ would be left",
    r"is below \d", r"sizes are 1 or more", r": 1 or more", r": 1 when",
    r"output_padding adds cells .*, 0 or",
    r"covers [\d x]+ cells \(.*?\)", r"padding has only [\d x]+", r"from 0 to stride - 1",
    r"a stride above 1", r'"valid" is 0', r"in axis [01]", r"has \d+ axes",
    r"conv(_transpose)?\d takes \d arguments", r"takes \d arguments",
)  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_every_number_of_the_plain_words_is_of_the_case(name: str):
    words = re.sub("|".join(WORKED_OUT), "", TOLD[name].plain)
    assert numbers(words) <= numbers_of(name)


def test_what_is_worked_out_is_true():
    large = told(
        IMPORTS + "nn.Conv2d(1, 1, (3, 2), padding=(0, 1), dilation=2)(torch.ones(1, 1, 4, 1))"
    )
    assert "covers 5 x 3 cells" in large.plain and "has only 4 x 3" in large.plain
    cropped = told(IMPORTS + "nn.ConvTranspose2d(1, 1, 3, padding=(1, 5))(torch.ones(1, 1, 4, 6))")
    assert "(4 x 6)" in cropped.plain and "4 x -2 would be left" in cropped.plain
    assert "padding can be (1, 3) at most" in cropped.plain
    sized = told(IMPORTS + "up = nn.ConvTranspose1d(1, 1, 4, 3, 1)\nup(torch.ones(1, 1, 5), [20])")
    sizes = {
        nn.ConvTranspose1d(1, 1, 4, 3, 1, extra)(torch.ones(1, 1, 5)).shape[-1]
        for extra in range(3)
    }
    assert (
        f"from {min(sizes)} to {max(sizes)}" in sized.plain
        and sized.fix == "Use output_size=(16,)."
    )


# -- dtypes -------------------------------------------------------------------------------------

DTYPES = ("float32", "float64", "float16", "int64")


@pytest.mark.parametrize(("a", "b"), [(a, b) for a, b in product(DTYPES, DTYPES) if a != b])
def test_a_dtype_error_is_turned_the_right_way_round(a: str, b: str):
    text = (
        f"{IMPORTS}F.conv_transpose1d(torch.ones(1, 1, 3, dtype=torch.{a}), "
        f"torch.ones(1, 1, 2, dtype=torch.{b}))"
    )
    said = told(text)
    assert f"x holds {a} and the weight {b}" in said.plain
    assert Broken(text).run({}, said.code).is_floating_point()


# -- what was wrong, or could go wrong ----------------------------------------------------------


def test_the_numbers_stand_in_it():
    said = told(IMPORTS + "nn.ConvTranspose2d(4, 6, 3, groups=4)")
    assert "groups=4" in said.plain and "out_channels=6" in said.plain
    assert said.fix == "Use out_channels=4 or 8, or groups=2."


def test_a_plain_convolution_is_not_told_of_a_transposed_one():
    said = told(IMPORTS + "nn.Conv1d(3, 4, 3)(torch.ones(1, 2, 5))")
    assert "Transpose" not in f"{said.plain} {said.fix} {said.code}"
    assert said.code == "layer = nn.Conv1d(2, 4, 3)"


def test_what_was_caught_is_not_explained():
    caught = "try:\n    nn.Conv1d(3, 4, 3, groups=2)\nexcept ValueError:\n    pass\n"
    error = failed(f"{IMPORTS}{caught}nn.Linear(3, 4)(torch.ones(1, 2))")
    assert explained(error) is None


class Mixed:
    """One call's arguments under another one's message: a text may raise what it likes."""

    def __init__(self, message: str, attempt: Any, pasted: bool = False) -> None:
        self.message, self.attempt, self.pasted = message, attempt, pasted


def test_no_message_makes_it_raise():
    messages = {re.sub(r"\d", "#", error.message): error.message for error in ERRORS.values()}
    attempts = [error.attempt for name, error in ERRORS.items() if "1d: " in name or "2d: " in name]
    for message, attempt in product(messages.values(), attempts):
        explained(Mixed(message, attempt))
        explained(Mixed(message, attempt, pasted=True))
    assert explained(Mixed("something else altogether", attempts[0])) is None

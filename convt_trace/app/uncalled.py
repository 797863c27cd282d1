"""Layers that a text defines and never calls: a form to run them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import streamlit as st

from convt_trace.answers.advice import size_rule
from convt_trace.app.markdown import code
from convt_trace.engine.layer import Ints
from convt_trace.engine.text import AXES
from convt_trace.snippet import Definition, Run

Runner = Callable[[Run], None]

#: Axes of an input, and sizes to begin with: small, so that every number can be looked at.
_MOST_LISTED = 8


def show(definitions: Sequence[Definition], run: Run | None, runner: Runner) -> None:
    """List the layers that are never called, and offer to run them where texts are run.

    Parameters
    ----------
    definitions : sequence of Definition
    run : Run or None
        What was last run.
    runner : callable
        Called with what to run.
    """
    owners: dict[str | int, list[Definition]] = {}
    for one in definitions:
        owners.setdefault(one.owner or one.line, []).append(one)
    for target, group in owners.items():
        for one in group[:_MOST_LISTED]:
            known = " and nothing here calls it" if one.uncalled else ""
            st.markdown(f"Line {one.line} defines {code(one.text)}{known}.")
            if told := _told(one):
                st.caption(told)
        if len(group) > _MOST_LISTED:
            st.markdown(f"{len(group) - _MOST_LISTED:,} more layers of {code(str(target))} too.")
        if not all(one.uncalled for one in group):
            continue
        # One form is open; more would be a wall of them.
        first = target == next(iter(owners))
        asked = run is not None and run.target == target
        place = st.container() if first else st.expander(f"Run {_name(target)}", expanded=asked)
        with place:
            _form(target, group, run, runner)


def _name(target: str | int) -> str:
    return f"the layer of line {target}" if isinstance(target, int) else code(target)


def _told(one: Definition) -> str:
    """Return what is known of a layer that has not run: its numbers, and the sizes it makes."""
    values = f"With the text's own values: {code(one.values)}. " if one.values else ""
    rule = size_rule(one.op, one.arguments, one.unknown)
    return values + (f"It makes {code(rule)}." if rule else "")


def _form(target: str | int, group: Sequence[Definition], run: Run | None, runner: Runner) -> None:
    first = group[0]
    key = f"run_{target}_{first.line}"
    mine = run if run is not None and run.target == target else None
    begin = first.trial or Run(target, ((1, 1, *(4,) * first.dims),))
    with st.form(key, border=True):
        arguments = ""
        if first.init_arguments:
            arguments = st.text_input(
                f"{target}({', '.join(one.name for one in first.init_arguments)})",
                (mine or begin).init_args or "",
                key=f"{key}_init",
                placeholder="64, 32",
                help="The constructor's arguments, as you would write them.",
            )
        names = [one.name for one in first.forward_arguments if one.default is None] or ["input"]
        texts = [
            st.text_input(
                f"shape of {name}",
                _shape_text(mine or begin, place),
                key=f"{key}_{place}",
                help=f"(N, C, {', '.join(AXES[first.dims])}); filled with random numbers.",
            )
            for place, name in enumerate(names)
        ]
        pressed = st.form_submit_button("Run it", type="primary", icon=":material/play_arrow:")
    if pressed:
        shapes = [_shape(text) for text in texts]
        if None in shapes:
            st.warning(
                "A shape is whole numbers separated by commas, such as 1, 64, 8, 8.",
                icon=":material/edit:",
            )
            return
        found = tuple(shape for shape in shapes if shape)
        runner(Run(target, found, arguments.strip() or None))
        st.rerun()


def _shape_text(run: Run, place: int) -> str:
    shapes = run.input_shapes or ((),)
    return ", ".join(map(str, shapes[min(place, len(shapes) - 1)]))


def _shape(text: str) -> Ints | None:
    """Return the shape that a text states, or None.

    >>> _shape("(1, 64, 8, 8)"), _shape("1 64 8"), _shape("1, C, 8")
    ((1, 64, 8, 8), (1, 64, 8), None)
    """
    words = [word for word in re.split(r"[\s,()\[\]x]+", text) if word]
    if not words or not all(word.isascii() and word.isdigit() and len(word) < 7 for word in words):
        return None
    return tuple(map(int, words))

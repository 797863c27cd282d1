"""A chain read off a model that ran: its longest path of layers, and the skip connections along it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from string import ascii_lowercase
from typing import Any

from convt_trace.engine.extras import require
from convt_trace.engine.layer import Ints
from convt_trace.engine.made import Made
from convt_trace.engine.text import by
from convt_trace.planning.chain import TRIED, Chain, ChainError
from convt_trace.planning.stage import AxesError, Stage, stage_of


@dataclass(frozen=True)
class Recorded:
    """A chain as it was read off a run.

    Attributes
    ----------
    text : str
        Its lines, as `Chain.read` takes them, each with its module behind a #.
    size : tuple of int
        The spatial size that went in.
    notes : tuple of str
        What the lines cannot say.

    Examples
    --------
    >>> import torch
    >>> up = torch.nn.Sequential(torch.nn.MaxPool1d(2), torch.nn.ConvTranspose1d(1, 1, 2, stride=2))
    >>> found = recorded(lambda x: x + up(x), torch.ones(1, 1, 8))
    >>> print(found.text)
    save a
    nn.MaxPool1d(2)  # 0
    nn.ConvTranspose1d(1, 1, 2, stride=2)  # 1
    cat a
    >>> found.chain().passes()
    'even sizes'
    """

    text: str
    size: Ints
    notes: tuple[str, ...] = ()

    def chain(self, axis: int | None = None) -> Chain:
        """Return the chain along an axis.

        Raises
        ------
        AxesError
            Without an axis, where they are not alike.
        """
        if axis is None and len(set(self.size)) > 1:
            raise AxesError(f"The input has {by(self.size)} positions; choose an axis.")
        return Chain.read(self.text, axis, self.size[axis or 0])


def chain(
    layers: str | Callable[..., Any], *inputs: Any, axis: int | None = None, **named: Any
) -> Chain:
    """Return a chain of layers: from lines of torch, or read off a model that is run once.

    Parameters
    ----------
    layers : str or callable
        Lines as `Chain.read` takes them, or a model.
    *inputs, **named
        What the model is called with.
    axis : int, optional
        The spatial axis that is followed; without one all of them have to be alike.

    Raises
    ------
    ChainError
        On a line that cannot be read, or a model in which no layer ran that changes a size.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 4, stride=2), torch.nn.Upsample(scale_factor=2))
    >>> chain(model, torch.ones(1, 1, 9)).sizes(9)
    [9, 3, 6]
    >>> chain("nn.MaxPool2d(3)").passes()
    'all sizes from 3 on'
    """
    if isinstance(layers, str):
        return Chain.read(layers, axis)
    return recorded(layers, *inputs, **named).chain(axis)


def recorded(model: Callable[..., Any], *inputs: Any, **named: Any) -> Recorded:
    """Run a model once and return its longest path of layers as a chain.

    Parameters
    ----------
    model : callable
    *inputs, **named
        What it is called with. On the meta device it may be of any size.

    Raises
    ------
    ChainError
        If no layer that changes a size ran.
    """
    require("torch")
    from convt_trace.engine.flow import flow_of

    found = read_off(flow_of(model, *inputs, **named))
    if found is None:
        raise ChainError("No layer ran that changes a size.")
    return found


def read_off(made: Sequence[Made]) -> Recorded | None:
    """Return the longest path of what was made, as a chain; None where there is no layer on it.

    Where torch refused a layer or a join, the path is the one that leads there.
    """
    if not any(one.text for one in made):
        return None
    return _Path(made).recorded()


class _Path:
    """The longest path through what was made, from an input to the end.

    Parameters
    ----------
    made : sequence of Made
    """

    def __init__(self, made: Sequence[Made]):
        self._made = made
        self._depth = _depths(made)
        end = len(made) - 1
        if made[end].size:
            end = max(range(len(made)), key=lambda at: self._depth[at])
        self._nodes = [*self._back(end)][::-1]
        self._notes: list[str] = []
        self._stages: dict[tuple[str, int], Stage] = {}

    def _back(self, at: int) -> Iterator[int]:
        """Go back along the deepest of what each was made of."""
        while True:
            yield at
            if not self._made[at].of:
                return
            at = max(self._made[at].of, key=lambda one: (self._depth[one], one))

    def recorded(self) -> Recorded:
        joins = {at: [*self._skips(at)] for at in self._nodes if len(self._made[at].of) > 1}
        names = self._named({place for places in joins.values() for place in places})
        lines = []
        for at in self._nodes:
            one = self._made[at]
            if one.text:
                lines.append(f"{one.text}  # {one.module}" if one.module else one.text)
            lines += [f"cat {names[place]}" for place in joins.get(at, ())]
            if at in names:
                lines.append(f"save {names[at]}")
        self._tell()
        return Recorded("\n".join(lines), self._made[self._nodes[0]].size, tuple(self._notes))

    def _named(self, places: set[int]) -> dict[int, str]:
        """Return a name for each place whose size is kept, in the order of the path."""
        free = (f"{letter}{number or ''}" for number in count() for letter in ascii_lowercase)
        return dict(zip(filter(places.__contains__, self._nodes), free))

    def _skips(self, join: int) -> Iterator[int]:
        """Yield the places on the path before whose size is joined here."""
        main = self._nodes[self._nodes.index(join) - 1]
        for other in self._made[join].of:
            if other != main:
                yield from self._skip(other, join)

    def _skip(self, other: int, join: int) -> Iterator[int]:
        branch = [*self._back(other)]
        meets = next((at for at in branch if at in self._nodes), None)
        if meets is None:
            self._notes.append("an input of its own is joined: its size is not followed")
            return
        layers = [at for at in branch[: branch.index(meets)] if self._made[at].text]
        between = self._nodes[self._nodes.index(meets) + 1 : self._nodes.index(join)]
        path = [at for at in between if self._made[at].text][::-1]
        if self._are_alike(layers, []):
            yield meets
        elif not self._are_alike(layers, path):
            text = self._made[layers[-1]].text
            self._notes.append(
                f"a branch that begins with `{text}` is joined: its sizes are not followed"
            )

    def _are_alike(self, one: list[int], other: list[int]) -> bool:
        """Whether two branches make the same of every size: then their join always fits."""
        try:
            return all(
                self._through(one, size) == self._through(other, size)
                for size in range(1, TRIED + 1)
            )
        except ChainError:
            return False

    def _through(self, layers: list[int], size: int) -> list[int]:
        """Return what layers, the last one first, make of a size along every axis; 0 for nothing."""
        dims = len(self._made[self._nodes[0]].size)
        sizes = []
        for axis in range(dims):
            here = size
            for at in reversed(layers):
                here = max(0, self._stage(self._made[at].text, dims, axis).out(here)) if here else 0
            sizes.append(here)
        return sizes

    def _stage(self, text: str, dims: int, axis: int) -> Stage:
        if (text, axis) not in self._stages:
            found = stage_of(text, 1, dims, axis)
            assert found is not None, "what was made is no empty line"
            self._stages[text, axis] = found
        return self._stages[text, axis]

    def _tell(self) -> None:
        """Note what the lines of the path cannot say."""
        first = self._made[self._nodes[0]]
        if first.after:
            self._notes.append(f"it begins behind {first.after}, which is not followed")
        if (last := self._made[self._nodes[-1]]).text and not last.size:
            self._notes.append("torch stops at its end: what the model does behind it is not known")
        fixed = [self._made[at].text for at in self._nodes if self._made[at].fixed]
        if fixed:
            self._notes.append(
                f"`{fixed[0]}` stands as it was for this input: if the model works it out from the "
                "size of the input, it is another for another size"
            )


def _depths(made: Sequence[Made]) -> list[int]:
    """Return how many layers and joins lead to each."""
    depths: list[int] = []
    for one in made:
        depths.append(1 + max((depths[at] for at in one.of), default=-1))
    return depths

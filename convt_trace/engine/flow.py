"""Following the sizes of tensors through a program: which layer changes one, where several are joined."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from convt_trace.engine.conv_layer import ConvLayer
from convt_trace.engine.layer import DEFAULTS, Ints, Layer, ints
from convt_trace.engine.made import MOST_MADE, Made
from convt_trace.engine.modules import running_module
from convt_trace.engine.text import shortest

Kept = TypeVar("Kept")

#: Calls that are followed: what comes behind a long loop is not.
_MOST_CALLS = 20_000


@dataclass(frozen=True)
class _Line:
    """A call that changes a size, as a line of torch."""

    text: str
    x: torch.Tensor
    dims: int
    fixed: bool = False


class Flow:
    """Follows the sizes of tensors through the functions of torch that a program calls.

    Parameters
    ----------
    keep : callable
        Takes each `Made`; the first is number 0.
    """

    def __init__(self, keep: Callable[[Made], None]):
        self._keep = keep
        self._sizes: list[Ints] = []
        self._numbers: _Told[int] = _Told()
        self._unfollowed: _Told[str] = _Told()
        self._calls = 0

    def ran(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Follow one call that ran."""
        self._calls += 1
        if self._calls > _MOST_CALLS or len(self._sizes) >= MOST_MADE:
            return
        made = [one for one in _tensors(result) if one.dim() > 1]
        if not made:
            return
        line = _line(func, args, kwargs)
        if line is not None:
            of = (self._number(line.x, line.dims),)
            size = tuple(made[0].shape[-line.dims :])
            self._numbers.tell(made[0], self._add(line.text, of, size, line.fixed))
        elif self._sizes:
            self._pass_on(made, [*_tensors((args, kwargs))], _name(func))

    def _pass_on(self, made: list[torch.Tensor], given: list[torch.Tensor], name: str) -> None:
        known = {at for one in given if (at := self._numbers.of(one)) is not None}
        lost = next((after for one in given if (after := self._unfollowed.of(one))), None)
        for one in made:
            if known:
                self._follow(one, known, name)
            elif lost:
                self._unfollowed.tell(one, lost)

    def failed(self, func: Any, args: Any, kwargs: Any) -> bool:
        """Follow one call that torch refused; return whether its tensors did not fit together."""
        line = _line(func, args, kwargs)
        if line is not None:
            self._add(line.text, (self._number(line.x, line.dims),), (), line.fixed)
            return False
        given = [*_tensors((args, kwargs))]
        numbers = [at for one in given if (at := self._numbers.of(one)) is not None]
        if len({one.dim() for one in given}) > 1 or len({self._sizes[at] for at in numbers}) < 2:
            return False
        self._add("", tuple(dict.fromkeys(numbers)), ())
        return True

    def mend(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Call a function whose tensors did not fit together, with all of them in the oldest one's size."""
        join = len(self._sizes) - 1
        oldest = min(
            at for one in _tensors((args, kwargs)) if (at := self._numbers.of(one)) is not None
        )
        size = self._sizes[oldest]

        def fit(one: Any) -> Any:
            if not isinstance(one, torch.Tensor) or self._numbers.of(one) is None:
                return one
            missing = [want - have for want, have in zip(size, one.shape[-len(size) :])]
            return F.pad(one, [end for more in reversed(missing) for end in (0, more)])

        result = func(*tree_map(fit, args), **tree_map(fit, kwargs))
        self._sizes[join] = size
        self._numbers.tell(result, join)
        return result

    def _add(self, text: str, of: Ints, size: Ints, fixed: bool = False, after: str = "") -> int:
        path = running_module(sys._getframe())[0] if text else ""
        self._keep(Made(text, of, size, path, fixed, after))
        self._sizes.append(size)
        return len(self._sizes) - 1

    def _number(self, x: torch.Tensor, dims: int) -> int:
        """Return a tensor's number; one that is not followed begins anew, as an input."""
        number = self._numbers.of(x)
        if number is None:
            after = self._unfollowed.of(x) or ""
            number = self._add("", (), tuple(x.shape[-dims:]), after=after)
            self._numbers.tell(x, number)
        return number

    def _follow(self, made: torch.Tensor, known: set[int], name: str) -> None:
        """Give a tensor the number of what it was made of, where that has the same size."""
        alike = [
            at
            for at in sorted(known)
            if made.dim() > len(self._sizes[at])
            and tuple(made.shape[-len(self._sizes[at]) :]) == self._sizes[at]
        ]
        if not alike or name in _MIXING:
            self._unfollowed.tell(made, name)
            self._numbers.forget(made)
        elif len(alike) == 1:
            self._numbers.tell(made, alike[0])
        else:
            self._numbers.tell(made, self._add("", tuple(alike), self._sizes[alike[0]]))


class _Told(Generic[Kept]):
    """What is known of tensors, each as long as it lives.

    torch's own weak dictionaries do the same, at ten times the time for each call of a loop.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[torch.Tensor], Kept]] = {}

    def of(self, tensor: torch.Tensor) -> Kept | None:
        """Return what is known of a tensor."""
        held = self._held.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def tell(self, tensor: torch.Tensor, known: Kept) -> None:
        """Know this of a tensor; another may since have the place of one that is gone."""
        self._held[id(tensor)] = weakref.ref(tensor), known

    def forget(self, tensor: torch.Tensor) -> None:
        """Know nothing of a tensor."""
        self._held.pop(id(tensor), None)


def _tensors(value: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, (tuple, list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _tensors(one, depth - 1)


def _name(func: Any) -> str:
    return str(getattr(func, "__name__", func))[:60]


#: Functions that exchange or mix positions, even where they leave the sizes as they are.
_MIXING = {
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "linear", "matmul",
    "__matmul__", "bmm", "einsum", "scaled_dot_product_attention", "lstm", "gru", "rnn_tanh",
}  # fmt: skip


# -- functions as lines of torch ----------------------------------------------------------------------


def _line(func: Any, args: Any, kwargs: Any) -> _Line | None:
    """Return a call that changes a size as a line; None where it is none, or no layer can say it."""
    write = _WRITERS.get(func)
    try:
        line = None if write is None else write(*args, **kwargs)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
        return None
    # Tensors of more axes are cut and padded too, and one of too few is what torch refuses.
    fits = line is not None and line.dims in (1, 2, 3) and 0 < line.x.dim() - line.dims < 3
    return line if fits else None


def _call(name: str, first: Iterable[Any], **others: tuple[Any, Any]) -> str:
    """Return a layer; of the other arguments, each with its default, those that differ from it."""
    plain = {key: (_plain(one), _plain(usual)) for key, (one, usual) in others.items()}
    written = [f"{key}={one!r}" for key, (one, usual) in plain.items() if one != usual]
    return f"nn.{name}({', '.join([*(repr(_plain(one)) for one in first), *written])})"


def _plain(value: Any) -> Any:
    """Return a number as an int where it is whole; of equal ones, one."""
    if isinstance(value, (tuple, list)):
        return shortest(tuple(map(_plain, value)))
    if value is None or isinstance(value, (bool, str)):
        return value
    return int(value) if value == int(value) else float(value)


def _conv(dims: int) -> Callable[..., _Line]:
    def write(
        input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> _Line:  # fmt: skip
        named = (
            padding
            if padding == "same"
            else ints(0 if padding == "valid" else padding, dims, "padding")
        )
        layer = ConvLayer(
            weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),
            ints(stride, dims, "stride"), named, ints(dilation, dims, "dilation"), int(groups),
        )  # fmt: skip
        return _Line(f"nn.{layer}", input, dims)

    return write


def _conv_transpose(dims: int) -> Callable[..., _Line]:
    def write(input: Any, weight: Any, bias: Any = None, *given: Any, **named: Any) -> _Line:
        one = {**DEFAULTS, **dict(zip(DEFAULTS, given)), **named}
        groups, kernel = one["groups"], tuple(weight.shape[2:])
        layer = Layer.of(weight.shape[0], weight.shape[1] * groups, kernel, **one, dims=dims)
        _, module = running_module(sys._getframe())
        # `output_size=` in a layer's call comes to another output_padding than the layer's own.
        own = getattr(module, "output_padding", layer.output_padding)
        return _Line(
            f"nn.{layer}",
            input,
            dims,
            fixed=ints(own, dims, "output_padding") != layer.output_padding,
        )

    return write


def _max_pool(dims: int) -> Callable[..., _Line]:
    def write(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> _Line:  # fmt: skip
        text = _call(
            f"MaxPool{dims}d", [kernel_size], stride=(stride or kernel_size, kernel_size),
            padding=(padding, 0), dilation=(dilation, 1), ceil_mode=(ceil_mode, False),
        )  # fmt: skip
        return _Line(text, input, dims)

    return write


def _avg_pool(dims: int) -> Callable[..., _Line]:
    def write(
        input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
        ceil_mode: bool = False, *_: Any, **__: Any,
    ) -> _Line:  # fmt: skip
        text = _call(
            f"AvgPool{dims}d", [kernel_size], stride=(stride or kernel_size, kernel_size),
            padding=(padding, 0), ceil_mode=(ceil_mode, False),
        )  # fmt: skip
        return _Line(text, input, dims)

    return write


def _adaptive(kind: str, dims: int) -> Callable[..., _Line]:
    def write(input: Any, output_size: Any, *_: Any, **__: Any) -> _Line:
        return _Line(_call(f"Adaptive{kind}Pool{dims}d", [output_size]), input, dims)

    return write


def _interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, *_: Any, **__: Any,
) -> _Line:  # fmt: skip
    dims = input.dim() - 2
    given = {"scale_factor": (scale_factor, None)} if size is None else {"size": (size, None)}
    text = _call(
        "Upsample", [], **given, mode=(mode, "nearest"), align_corners=(bool(align_corners), False)
    )
    return _Line(text, input, dims, fixed=size is not None and not _is_called("Upsample"))


def _shuffle(name: str) -> Callable[..., _Line]:
    def write(input: Any, factor: Any = None, **named: Any) -> _Line:
        return _Line(_call(name, [factor or next(iter(named.values()))]), input, 2)

    return write


def _pad(input: Any, pad: Any, *_: Any, **__: Any) -> _Line:
    dims, ends = input.dim() - 2, [int(one) for one in pad]
    if any(ends[2 * dims :]):
        raise ValueError("channels are padded")
    text = f"F.pad(x, ({', '.join(map(str, ends[: 2 * dims]))}))"
    return _Line(text, input, dims, fixed=not _is_called("Pad"))


def _cut(x: Any, index: Any) -> _Line:
    """Write a cut of spatial axes: slices alone, each axis kept."""
    dims, parts = x.dim() - 2, list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (x.dim() - len(parts) + 1)
    parts += [slice(None)] * (x.dim() - len(parts))
    if dims < 1 or not all(isinstance(one, slice) and one.step in (None, 1) for one in parts):
        raise ValueError("not a cut")
    cuts = parts[2:]
    if all(one == slice(None) for one in cuts):
        raise ValueError("nothing is cut")
    return _Line(f"x[..., {', '.join(map(_sliced, cuts))}]", x, dims, fixed=True)


def _sliced(cut: slice) -> str:
    return ":".join("" if one is None else str(int(one)) for one in (cut.start, cut.stop))


def _is_called(name: str) -> bool:
    """Whether a layer of torch's own is being called whose class has this in its name."""
    _, module = running_module(sys._getframe())
    return module is not None and name in type(module).__name__


def _named(module: Any, names: Iterable[str]) -> list[Any]:
    return [found for name in names if (found := getattr(module, name, None)) is not None]


_C: Any = torch._C._nn
#: What writes each function down. Some are reached by several names.
_WRITERS: dict[Any, Callable[..., _Line]] = {
    F.interpolate: _interpolate,
    F.upsample: _interpolate,
    torch.pixel_shuffle: _shuffle("PixelShuffle"),
    torch.pixel_unshuffle: _shuffle("PixelUnshuffle"),
    F.pad: _pad,
    _C.pad: _pad,
    torch.Tensor.__getitem__: _cut,
}
for _dims in (1, 2, 3):
    _d = f"{_dims}d"
    _WRITERS[getattr(torch, f"conv{_d}")] = _conv(_dims)
    _WRITERS[getattr(torch, f"conv_transpose{_d}")] = _conv_transpose(_dims)
    for _kind, _one in (
        (f"max_pool{_d}", _max_pool(_dims)),
        (f"max_pool{_d}_with_indices", _max_pool(_dims)),
        (f"avg_pool{_d}", _avg_pool(_dims)),
        (f"adaptive_max_pool{_d}", _adaptive("Max", _dims)),
        (f"adaptive_max_pool{_d}_with_indices", _adaptive("Max", _dims)),
        (f"adaptive_avg_pool{_d}", _adaptive("Avg", _dims)),
    ):
        for _module in (torch, F, _C):
            _WRITERS |= dict.fromkeys(_named(_module, [_kind]), _one)


class _Following(TorchFunctionMode):
    """Follows sizes while a model runs."""

    def __init__(self, flow: Flow):
        super().__init__()
        self._flow = flow

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        try:
            result = func(*args, **kwargs)
        except RuntimeError:
            if not self._flow.failed(func, args, kwargs):
                raise
            return self._flow.mend(func, args, kwargs)
        self._flow.ran(func, args, kwargs, result)
        return result


def flow_of(model: Callable[..., Any], *inputs: Any, **named: Any) -> tuple[Made, ...]:
    """Return how the sizes of a model's tensors follow from each other.

    The model is run once, without gradients. A join that torch refuses has an empty size, and the run
    goes on with its tensors padded or cropped; where torch refuses a layer, the run ends with it.

    Parameters
    ----------
    model : callable
    *inputs, **named
        What it is called with.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.ReLU(), torch.nn.MaxPool1d(2))
    >>> for made in flow_of(model, torch.ones(1, 1, 8)):
    ...     print(made.size, made.text, made.module)
    (8,)
    (6,) nn.Conv1d(1, 2, 3) 0
    (3,) nn.MaxPool1d(2) 2
    """
    found: list[Made] = []
    try:
        with torch.no_grad(), _Following(Flow(found.append)):
            model(*inputs, **named)
    except RuntimeError:
        if not found or found[-1].size:
            raise
    return tuple(found)

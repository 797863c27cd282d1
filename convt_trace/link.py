"""Links: a whole picture in a query string, and back. Described in ``docs/links.md``.

Any server can open any link, for none remembers anything. Links come from strangers: what one holds
is bounded before it is unpacked, checked like any other input, and never shown but as a number.
"""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from convt_trace import settings as rules
from convt_trace.case import Case
from convt_trace.errors import LayerError
from convt_trace.layer import LARGEST_PARAMETER, ORDERS, Ints, Layer
from convt_trace.packed import DTYPES, LARGEST_TENSOR, Unreadable, check_bounds, pack, unpack
from convt_trace.player.scene import View
from convt_trace.settings import MOST_TYPED, QUESTION, RECIPES, Fill, Settings

VERSION = 1
#: Characters in a link's query; common servers and proxies take 16 kB in all.
LONGEST = 15_000
#: Every parameter, in the order in which a link has them; the last checks the others.
NAMES = (
    *("v", "page", "order", "item", "pick", "step", "unit", "cell", "hide"),
    *("dims", "batch", "in", "out", "groups", "size", "kernel", "stride", "padding"),
    *("output_padding", "dilation", "dtype", "x", "weight", "bias", "sum"),
)
#: What can be selected.
TENSORS = ("input", "weight", "output", "torch")

_PICKS = ("groups", "in_local", "out_local")
_MOST_PICKED = 1024
_MOST_STEP = 2**53
_MOST_SEED = 2**32
#: Up to this many characters numbers are written out, also where packing is shorter.
_READABLE = 64
_NUMBER = re.compile(r"-?(\d{1,20}(\.\d{0,25})?|\.\d{1,25})(e-?\d{1,3})?|nan|-?inf")
_PLACEHOLDER = Fill("ones")


class LinkError(Unreadable):
    """A link that cannot be made or opened; the message is one sentence for the reader."""


class Cell(NamedTuple):
    """A cell of a tensor.

    Attributes
    ----------
    tensor : str
        One of `TENSORS`.
    index : tuple of int
        The tensor's own index; an output cell's may lie outside the output.
    """

    tensor: str
    index: Ints


@dataclass(frozen=True)
class Linked:
    """What a link holds.

    Attributes
    ----------
    settings : Settings or None
        What the playground's controls are to be set to. Where `case` is None they may break a rule
        of torch's; the controls move them to the nearest that does not. None where no controls can
        hold the case: it is shown as it is.
    case : Case or None
        The case; None where no layer can be made of what the link says.
    view : View
    step : int
    unit : str
        One of the units of the view's order.
    selected : Cell or None
    page : str
        The page's name in lower-case letters, digits and dashes.
    hidden : int or None
        The output is hidden from this step on, to be predicted; 0 hides all of it.
    problems : tuple of str
        A sentence for each thing that could not be read; empty for a link as it was made.
    """

    settings: Settings | None
    case: Case | None
    view: View = View()
    step: int = 0
    unit: str = "MAC"
    selected: Cell | None = None
    page: str = "playground"
    hidden: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The problems in one sentence for the reader; empty where there is none."""
        if not self.problems:
            return ""
        more = len(self.problems) - 1
        return self.problems[0] + (f" (And {more} more of its settings.)" if more else "")


def to_link(
    case: Case | Settings,
    *,
    view: View | None = None,
    step: int = 0,
    unit: str = "MAC",
    selected: Cell | tuple[str, Sequence[int]] | None = None,
    page: str = "playground",
    hidden: int | None = None,
) -> str:
    """Return a link's query string, without the question mark.

    Every setting is named, so that a link stays what it is when a default changes. Seeded numbers
    travel as their recipe when ``case`` is a `Settings`; a `Case` travels by its numbers, bit for
    bit, short where they repeat.

    Parameters
    ----------
    case : Case or Settings
    view : View, optional
        Order, batch item and channels to look at.
    step : int
        The step of that view.
    unit : str
        What a step spans.
    selected : Cell or (str, sequence of int), optional
        The selected cell: "input", "weight", "output" or "torch", and its index.
    page : str
        The page to open.
    hidden : int, optional
        The step from which on the output is hidden; 0 for all of it.

    Raises
    ------
    LinkError
        When it does not fit into `LONGEST` characters, or is larger than links open.

    Examples
    --------
    >>> link = to_link(QUESTION, step=5)
    >>> len(link) <= 300
    True
    >>> from_link(link).settings == QUESTION, from_link(link).step
    (True, 5)
    >>> from_link(to_link(QUESTION.case())).case == QUESTION.case()
    True
    """
    view = view or View()
    state = {
        "v": str(VERSION),
        "page": page,
        "order": view.order,
        "item": str(view.n),
        "pick": _pick(view),
        "step": str(step),
        "unit": unit.replace(" ", "-"),
        "cell": f"{selected[0]}:{_commas(selected[1])}" if selected else "none",
        "hide": "none" if hidden is None else str(hidden),
    }
    parts = _of_settings(case) if isinstance(case, Settings) else _of_case(case)
    link = "&".join(f"{name}={value}" for name, value in {**state, **parts}.items())
    link += f"&sum={_sum({**state, **parts})}"
    if len(link) > LONGEST:
        raise LinkError(
            f"As a link this case takes {len(link):,} characters; {LONGEST:,} fit. "
            "Save it as a file instead."
        )
    return link


def from_link(query: str | Mapping[str, str]) -> Linked:
    """Read a link: its query string, the whole address, or the parameters by name.

    What cannot be read is named in ``problems`` and replaced; the rest is kept.

    Raises
    ------
    LinkError
        When nothing can be read: it is no link, too long, or of a later version.

    Examples
    --------
    >>> linked = from_link(to_link(QUESTION, step=5).replace("stride=1", "stride=0"))
    >>> linked.case is None, linked.step
    (True, 5)
    >>> print(linked.sentence)
    The layer of this link is not possible: non-positive stride is not supported. stride is (0,): use
    1 or more.
    """
    reader = _Reader(_parameters(query))
    reader.check_version()
    try:
        return _read(reader)
    except (ValueError, TypeError, OverflowError, MemoryError):
        # Nothing is known to come here; whatever does is still a link that cannot be read.
        raise LinkError("This link cannot be read.") from None


# -- writing --------------------------------------------------------------------------------------


def _commas(values: Sequence[int] | None, otherwise: str = "") -> str:
    return otherwise if values is None else ",".join(map(str, values))


def _pick(view: View) -> str:
    picks = [getattr(view, name) for name in _PICKS]
    if picks == [None] * len(_PICKS):
        return "auto"
    return "_".join(_commas(pick, "auto") for pick in picks)


def _shortest(values: Ints) -> str:
    """Return one number where all are equal: it stands for every axis."""
    return str(values[0]) if len(set(values)) == 1 else _commas(values)


def _layer(layer: Layer, batch: int | None, size: Ints, dtype: str) -> dict[str, str]:
    return {
        "dims": str(layer.dims),
        "batch": "none" if batch is None else str(batch),
        "in": str(layer.in_channels),
        "out": str(layer.out_channels),
        "groups": str(layer.groups),
        "size": _shortest(size),
        "kernel": _shortest(layer.kernel_size),
        "stride": _shortest(layer.stride),
        "padding": _shortest(layer.padding),
        "output_padding": _shortest(layer.output_padding),
        "dilation": _shortest(layer.dilation),
        "dtype": dtype,
    }


def _of_settings(settings: Settings) -> dict[str, str]:
    layer = settings.layer()
    _check_openable(settings.batch, layer, settings.size, DTYPES["float32"])
    tensors = {
        "x": _written(settings.x),
        "weight": _written(settings.weight),
        "bias": _written(settings.offset) if settings.bias else "none",
    }
    for name, text in tensors.items():
        if text != "none":
            _check_readable(name, text)
    return {**_layer(layer, settings.batch, settings.size, "float32"), **tensors}


def _check_readable(name: str, text: str) -> None:
    try:
        _read_fill(text)
    except Unreadable as error:
        raise LinkError(f"The recipe of {name} does not fit into a link: {error}.") from None


def _of_case(case: Case) -> dict[str, str]:
    geometry = case.geometry
    batch = None if case.unbatched else geometry.batch
    _check_openable(batch, case.layer, geometry.input_size, case.x.dtype)
    return {
        **_layer(case.layer, batch, geometry.input_size, case.x.dtype.name),
        "x": _tensor(case.x),
        "weight": _tensor(case.weight),
        "bias": "none" if case.bias is None else _tensor(case.bias),
    }


def _check_openable(batch: int | None, layer: Layer, size: Ints, dtype: np.dtype) -> None:
    try:
        check_bounds(batch, layer, size, dtype)
    except Unreadable as error:
        raise LinkError(f"This case is too large for a link: {error}.") from None


def _written(fill: Fill) -> str:
    if fill.recipe in ("integers", "normal"):
        return f"{fill.recipe}:{fill.seed}"
    if fill.recipe != "numbers":
        return fill.recipe
    return f"numbers:{_numbers(fill.numbers)}"


def _numbers(numbers: Sequence[float]) -> str:
    """Return numbers as text, or packed where that is much shorter or text would lose a bit."""
    # No plus sign: in a query it stands for a blank.
    text = rules.write_numbers(numbers).replace(", ", ",").replace("e+", "e")
    if len(text) <= _READABLE and _same(_parsed(text), numbers):
        return text
    packed = pack(np.array(numbers, dtype=np.float64))
    return text if len(text) <= len(packed) and _same(_parsed(text), numbers) else packed


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    return np.array(a, dtype=np.float64).tobytes() == np.array(b, dtype=np.float64).tobytes()


def _tensor(tensor: np.ndarray) -> str:
    """Return a tensor as the recipe that gives the same bits, if one is in sight, or packed."""
    if tensor.size > LONGEST * 1024:  # deflate makes nothing shorter than a thousandth
        raise LinkError(
            f"This case holds {tensor.size:,} numbers, too many for a link. "
            "Save it as a file instead."
        )
    packed = f"raw:{pack(tensor)}"
    for fill in _guesses(tensor):
        written = _written(fill)
        if len(written) <= max(len(packed), _READABLE) and _is(fill, tensor):
            return written
    return packed


def _guesses(tensor: np.ndarray) -> Iterator[Fill]:
    yield from map(Fill, ("ones", "counting", "impulse"))
    period = _period(tensor.reshape(-1))
    if period:
        with np.errstate(all="ignore"):
            yield Fill("numbers", tuple(map(float, tensor.reshape(-1)[:period])))
    if tensor.ndim > 2:
        yield Fill("bilinear")


def _period(flat: np.ndarray) -> int:
    """Return after how many numbers a tensor repeats itself; 0 for more than can be typed."""
    bits = flat.view(f"u{flat.dtype.itemsize}")
    for period in range(1, min(len(bits), _READABLE) + 1):
        if np.array_equal(bits[period:], bits[:-period]):
            return period
    return 0


def _is(fill: Fill, tensor: np.ndarray) -> bool:
    return _filled(fill, tensor.shape, tensor.dtype).tobytes() == tensor.tobytes()


def _filled(fill: Fill, shape: Ints, dtype: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return fill.tensor(shape).astype(dtype)


def _sum(parts: Mapping[str, str]) -> str:
    text = "&".join(f"{name}={parts[name]}" for name in NAMES[:-1] if name in parts)
    return urlsafe_b64encode(zlib.crc32(text.encode()).to_bytes(4, "big")).decode().rstrip("=")


# -- reading --------------------------------------------------------------------------------------


def _parameters(query: str | Mapping[str, str]) -> dict[str, str]:
    """Return a link's own parameters; whatever else mail programs and trackers add is dropped."""
    if not isinstance(query, str):
        pairs = [(str(name), str(value)) for name, value in query.items()]
    elif len(query) > 4 * LONGEST:  # percent signs may have made it longer
        raise LinkError(f"This link is too long: {len(query):,} characters; {LONGEST:,} are read.")
    else:
        pairs = _pairs(query)
    ours = {name: value for name, value in pairs if name in NAMES}
    length = sum(len(name) + len(value) + 2 for name, value in ours.items())
    if length > LONGEST + 1:
        raise LinkError(f"This link is too long: {length:,} characters; {LONGEST:,} are read.")
    return ours


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        if "?" in query or "#" in query:
            query = urlsplit(query.strip()).query
        return parse_qsl(query.strip(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise LinkError("This is not a link of convt-trace: it cannot be taken apart.") from None


@dataclass
class _Reader:
    """Reads parameters one by one; what it cannot read it writes down."""

    parts: dict[str, str]
    problems: list[str] = field(default_factory=list)

    def check_version(self) -> None:
        said = self.parts.get("v", "")
        if re.fullmatch(r"\d{1,9}", said) and int(said) > VERSION:
            raise LinkError(
                f"This link was made by a later version (v={int(said)}) than this one, which reads "
                f"links up to v={VERSION}."
            )
        if len(self.parts) < 3:
            raise LinkError("This is not a link of convt-trace: it has none of its settings.")
        if said != str(VERSION):
            self.problems.append(f"This link does not say its version; it is read as v={VERSION}.")

    def check_sum(self) -> None:
        """Say that a link was changed, unless that has shown already."""
        said = re.sub(r"[^\w-]+$", "", self.parts.get("sum", ""))
        if self.problems or said == "none":
            return
        if not said:
            self.problems.append(
                "The end of this link is missing; what is left of it is shown as it is."
            )
        elif said != _sum(self.parts):
            self.problems.append(
                "This link was changed after it was made; it is shown as it reads now."
            )

    def text(self, name: str, pattern: str, otherwise: str, wanted: str) -> str:
        said = self.parts.get(name)
        if said is not None and re.fullmatch(pattern, said):
            return said
        self.miss(name, wanted, otherwise)
        return otherwise

    def miss(self, name: str, wanted: str, instead: object) -> None:
        said = self.parts.get(name)
        what = "is missing" if said is None else f"reads “{_plainly(said)}”"
        self.problems.append(
            f"In this link {name} {what}, where {wanted} was expected; {instead} is used instead."
        )

    def choice(self, name: str, choices: Sequence[str], otherwise: str) -> str:
        said = self.parts.get(name)
        if said in choices:
            return said
        self.miss(name, f"one of {', '.join(choices)}", otherwise)
        return otherwise

    def whole(self, name: str, low: int, high: int, otherwise: int) -> int:
        said = self.parts.get(name, "")
        number = int(said) if re.fullmatch(r"-?\d{1,18}", said, re.ASCII) else low - 1
        if low <= number <= high:
            return number
        self.miss(name, f"a whole number from {low:,} to {high:,}", otherwise)
        return otherwise

    def none_or_whole(self, name: str, high: int, otherwise: int | None) -> int | None:
        if self.parts.get(name) == "none":
            return None
        return self.whole(name, 0, high, -1 if otherwise is None else otherwise)

    def along(self, name: str, dims: int, high: int, otherwise: int) -> Ints:
        """Read one number for every axis, or one for each."""
        numbers = _whole_numbers(self.parts.get(name, ""), 3)
        if (
            numbers is None
            or len(numbers) not in (1, dims)
            or not all(0 <= number <= high for number in numbers)
        ):
            wanted = f"{'a number' if dims == 1 else f'one number or {dims}'} up to {high:,}"
            self.miss(name, wanted, otherwise)
            return (otherwise,) * dims
        return numbers * dims if len(numbers) == 1 else numbers


def _plainly(text: str) -> str:
    """Return the beginning of a stranger's text with nothing in it that Markdown or HTML reads."""
    return re.sub(r"[^A-Za-z0-9.,-]", "·", text[:16]) + ("…" if len(text) > 16 else "")


def _whole_numbers(text: str, most: int) -> Ints | None:
    words = text.split(",")
    if len(words) > most or not all(re.fullmatch(r"-?\d{1,10}", word, re.ASCII) for word in words):
        return None
    return tuple(map(int, words))


def _read(reader: _Reader) -> Linked:
    order = reader.choice("order", list(ORDERS), "scatter")
    view = View(order, reader.whole("item", 0, LARGEST_TENSOR, 0), *_picks(reader))
    units = [unit.replace(" ", "-") for unit in ORDERS[order].units]
    state = {
        "view": view,
        "step": reader.whole("step", 0, _MOST_STEP, 0),
        "unit": reader.choice("unit", units, "MAC").replace("-", " "),
        "selected": _selected(reader),
        "page": reader.text("page", "[a-z0-9-]{1,32}", "playground", "a page's name"),
    }
    hidden = reader.none_or_whole("hide", _MOST_STEP, None)
    settings, case = _Layer(reader).read()
    reader.check_sum()
    return Linked(
        settings,
        case,
        hidden=None if hidden == -1 else hidden,
        problems=tuple(reader.problems),
        **state,  # type: ignore[arg-type]
    )


def _picks(reader: _Reader) -> tuple[Ints | None, Ints | None, Ints | None]:
    words = reader.parts.get("pick", "").split("_")
    words = words * len(_PICKS) if words == ["auto"] else words
    picks = [None if word == "auto" else _whole_numbers(word, _MOST_PICKED) for word in words]
    fine = all(pick is not None or word == "auto" for pick, word in zip(picks, words))
    if len(picks) != len(_PICKS) or not fine:
        reader.miss("pick", "auto or three lists of channels", "auto")
        return None, None, None
    return picks[0], picks[1], picks[2]


def _selected(reader: _Reader) -> Cell | None:
    said = reader.parts.get("cell")
    if said == "none":
        return None
    tensor, _, index = (said or "").partition(":")
    numbers = _whole_numbers(index, 5)
    if tensor in TENSORS and numbers is not None:
        return Cell(tensor, numbers)
    reader.miss("cell", "a cell such as output:0,0,1", "none")
    return None


class _Layer:
    """Reads the layer and its numbers, into a case and into settings where there are some."""

    def __init__(self, reader: _Reader):
        self.reader = reader
        self.dims = reader.whole("dims", 1, 3, self._likely_dims)
        self.batch = reader.none_or_whole("batch", LARGEST_TENSOR, 1)
        many = LARGEST_TENSOR
        self.in_channels = reader.whole("in", 1, many, QUESTION.in_channels)
        self.out_channels = reader.whole("out", 1, many, QUESTION.out_channels)
        self.groups = reader.whole("groups", 1, many, 1)
        self.along = {
            name: reader.along(name, self.dims, high, otherwise)
            for name, high, otherwise in (
                ("size", many, 3),
                ("kernel", many, 3),
                ("stride", LARGEST_PARAMETER, 1),
                ("padding", LARGEST_PARAMETER, 0),
                ("output_padding", LARGEST_PARAMETER, 0),
                ("dilation", LARGEST_PARAMETER, 1),
            )
        }
        self.dtype = DTYPES[reader.choice("dtype", list(DTYPES), "float32")]

    @property
    def _likely_dims(self) -> int:
        """The longest list of numbers along axes: for a link that does not say."""
        names = ("size", "kernel", "stride", "padding", "output_padding", "dilation")
        return min(3, max(self.reader.parts.get(name, "").count(",") + 1 for name in names))

    @cached_property
    def layer(self) -> Layer:
        """The layer; raises what torch would."""
        return Layer(
            self.in_channels,
            self.out_channels,
            self.along["kernel"],
            self.along["stride"],
            self.along["padding"],
            self.along["output_padding"],
            self.along["dilation"],
            self.groups,
        )

    def read(self) -> tuple[Settings | None, Case | None]:
        size = self.along["size"]
        shapes = {
            "x": (*([] if self.batch is None else [self.batch]), self.in_channels, *size),
            "weight": (
                self.in_channels, self.out_channels // self.groups, *self.along["kernel"],
            ),
            "bias": (self.out_channels,),
        }  # fmt: skip
        try:
            check_bounds(self.batch, self.layer, size, self.dtype)
        except (LayerError, Unreadable) as error:
            self._refuse(error)
            # Nothing is unpacked into a shape that cannot be; recipes need none.
            return self._settings({name: self._fill(name) for name in shapes}), None
        found = {
            name: None if name == "bias" and self.reader.parts.get(name) == "none"
            else self._numbers(name, shape)
            for name, shape in shapes.items()
        }  # fmt: skip
        fills = {name: value if isinstance(value, Fill) else None for name, value in found.items()}
        settings = self._settings(fills) if not any(
            isinstance(value, np.ndarray) for value in found.values()
        ) else None  # fmt: skip
        case = self._case(found, shapes)
        return settings if case is None or _controllable(settings) else None, case

    def _case(
        self, found: dict[str, Fill | np.ndarray | None], shapes: dict[str, Ints]
    ) -> Case | None:
        tensors = {
            name: _filled(value, shapes[name], self.dtype) if isinstance(value, Fill) else value
            for name, value in found.items()
        }
        parameters = {
            name: self.along[name] for name in ("stride", "padding", "output_padding", "dilation")
        }
        try:
            return Case.of(**tensors, **parameters, groups=self.groups, origin="link")
        except LayerError as error:
            self._refuse(error)
            return None

    def _refuse(self, error: Exception) -> None:
        end = "" if str(error).endswith(".") else "."
        self.reader.problems.append(f"The layer of this link is not possible: {error}{end}")

    def _settings(self, fills: dict[str, Fill | None]) -> Settings | None:
        """Return settings, where every tensor has a recipe that controls can show."""
        if self.dtype != np.float32 or self.batch is None:
            return None
        x, weight = fills["x"], fills["weight"]
        if x is None or weight is None:
            return None
        return Settings(
            batch=self.batch,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            groups=self.groups,
            **self.along,
            bias=fills["bias"] is not None,
            x=x,
            weight=weight,
            offset=fills["bias"] or QUESTION.offset,
        )

    def _fill(self, name: str) -> Fill | None:
        """Return a tensor's recipe, without a word where it has none."""
        try:
            return _read_fill(self.reader.parts.get(name, ""))
        except Unreadable:
            return None

    def _numbers(self, name: str, shape: Ints) -> Fill | np.ndarray:
        said = self.reader.parts.get(name)
        try:
            if said is None:
                raise Unreadable("it is missing")
            if not said.startswith("raw:"):
                return _read_fill(said)
            return unpack(said[4:], self.dtype, prod(shape)).reshape(shape)
        except Unreadable as error:
            self.reader.problems.append(
                f"The numbers of {name} in this link cannot be read: {error}; "
                "they are shown as ones."
            )
            return _PLACEHOLDER


def _read_fill(text: str) -> Fill:
    recipe, _, argument = text.partition(":")
    if recipe in ("integers", "normal"):
        if not re.fullmatch(r"\d{1,10}", argument, re.ASCII) or int(argument) > _MOST_SEED:
            raise Unreadable(f"its seed is no whole number up to {_MOST_SEED:,}")
        return Fill(recipe, seed=int(argument))
    if recipe == "numbers":
        return Fill(recipe, _read_numbers(argument))
    if recipe not in RECIPES or argument:
        raise Unreadable("its recipe is not known")
    return Fill(recipe)


def _read_numbers(text: str) -> tuple[float, ...]:
    if text.partition(".")[0] in DTYPES:
        numbers = tuple(unpack(text, np.dtype(np.float64), None, MOST_TYPED).tolist())
    else:
        numbers = _parsed(text)
    if not numbers:
        raise Unreadable("it has no numbers")
    return numbers


def _parsed(text: str) -> tuple[float, ...]:
    words = text.split(",")
    if len(words) > MOST_TYPED:
        raise Unreadable(f"it has {len(words):,} numbers, and {MOST_TYPED:,} can be typed")
    if not all(_NUMBER.fullmatch(word) for word in words):
        raise Unreadable("there is something among them that is not a number")
    return tuple(map(float, words))


def _controllable(settings: Settings | None) -> bool:
    """Tell whether the playground's controls can be set so."""
    if settings is None:
        return False
    dims, channels = settings.dims, rules.channel_choices(settings.groups)
    return (
        1 <= settings.batch <= rules.MOST_BATCH
        and settings.groups <= rules.MOST_GROUPS
        and {settings.in_channels, settings.out_channels} <= set(channels)
        and max(settings.size) <= rules.MOST_SIZE[dims]
        and max(settings.kernel) <= rules.MOST_KERNEL[dims]
        and max(settings.stride) <= rules.MOST_STRIDE
        and max(settings.dilation) <= rules.MOST_DILATION
        and "bilinear" not in (settings.x.recipe, settings.offset.recipe)
        and all(fill.seed < 10_000 for fill in (settings.x, settings.weight, settings.offset))
    )

"""Links: a whole picture in a query string, and back. Described in ``docs/links.md``.

Any server can open any link, because a link holds everything. Links come from strangers: what one
holds is bounded before it is unpacked and checked like any other input. Of its text, a message shows
16 letters and digits at most.
"""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.cost import LARGEST
from convt_trace.engine.errors import LayerError
from convt_trace.engine.layer import (
    DEFAULTS,
    LARGEST_PARAMETER,
    PER_DIMENSION,
    Geometry,
    Ints,
    Layer,
)
from convt_trace.engine.orders import ORDERS
from convt_trace.engine.view import Cell, Moment, View
from convt_trace.links import settings as rules
from convt_trace.links.packed import (
    DTYPES,
    TooLong,
    Unreadable,
    check_bounds,
    pack,
    same_bits,
    unpack,
)
from convt_trace.links.settings import MOST_TYPED, QUESTION, RECIPES, Fill, Settings

VERSION = 1
#: Characters in a link's query; common servers and proxies take 16 kB in all.
LONGEST = 15_000
#: Every parameter, in the order in which a link has them; the last checks the others.
NAMES = (
    *("v", "page", "order", "show", "step", "unit", "cell", "hide", "views"),
    *("dims", "batch", "in_channels", "out_channels", "groups", "size", "kernel", "stride"),
    *("padding", "output_padding", "dilation", "dtype", "bias", "x", "weight", "offset", "sum"),
)
_PICKS = ("groups", "in_local", "out_local")
_MOST_PICKED = 1024
_MOST_STEP = 2**53
_MOST_SEED = 2**32
#: Numbers are written out up to this many characters, even if packing is shorter.
_READABLE = 64
_NUMBER = re.compile(r"-?(\d{1,20}(\.\d{0,25})?|\.\d{1,25})(e-?\d{1,3})?|nan|-?inf")
_PLACEHOLDER = Fill("ones")


class LinkError(Unreadable):
    """A link that cannot be made or opened; the message is one sentence for the reader."""


@dataclass(frozen=True)
class Linked(Moment):
    """What a link holds: a case, what of it is shown, and the moment at which it opens.

    Attributes
    ----------
    case : Case
        The case; if the link's own is not possible, the nearest possible one.
    settings : Settings or None
        What sets the playground's controls to it; None if they cannot show it.
    view : View
    page : str
        The page's name in lower-case letters, digits and dashes.
    problems : tuple of str
        A sentence for each thing that could not be read; empty for an unchanged link.
    """

    case: Case
    settings: Settings | None
    view: View = View()
    page: str = "playground"
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The first problem, and how many more there are; empty if there is none."""
        if not self.problems:
            return ""
        more = len(self.problems) - 1
        return self.problems[0] + (f" (And {more} more of its settings.)" if more else "")


def to_link(
    case: Case | Settings,
    *,
    view: View | None = None,
    moment: Moment | None = None,
    page: str = "playground",
    **at: Any,
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
    moment : Moment, optional
        Where the player stands; the beginning by default.
    page : str
        The page to open.
    **at
        ``step``, ``unit``, ``selected``, ``hidden`` or ``views``, instead of the moment's.

    Raises
    ------
    LinkError
        If it does not fit into `LONGEST` characters, or is larger than a link may be.

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
    view, moment = view or View(), Moment.of(moment, at)
    state = {
        "v": str(VERSION),
        "page": page,
        "order": view.order,
        "show": _show(view),
        "step": str(moment.step),
        "unit": moment.unit.replace(" ", "-"),
        "cell": str(moment.selected or "no"),
        "hide": "no" if moment.hidden is None else str(moment.hidden),
        **({"views": ",".join(moment.views)} if moment.views else {}),
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

    What cannot be read is named in ``problems`` and replaced; the rest is read.

    Raises
    ------
    LinkError
        If nothing can be read: it is not a link, too long, or of a later version.

    Examples
    --------
    >>> linked = from_link(to_link(QUESTION, step=5).replace("stride=1", "stride=0"))
    >>> linked.settings == QUESTION, linked.step
    (True, 5)
    >>> from_link("stride=2").case.layer.stride
    (2,)
    >>> print(linked.sentence)
    The layer of this link is not possible; the nearest that is, is shown: non-positive stride is not
    supported. stride is (0,): use 1 or more.
    """
    reader = _Reader(_with_the_rest(_parameters(query)))
    reader.check_version()
    try:
        return _read(reader)
    except (ValueError, TypeError, OverflowError, MemoryError):
        # No text is known that leads here. If one does, it is a link that cannot be read.
        raise LinkError("This link cannot be read.") from None


# -- writing --------------------------------------------------------------------------------------


def _commas(values: Sequence[int] | None, otherwise: str = "") -> str:
    return otherwise if values is None else ",".join(map(str, values))


def _show(view: View) -> str:
    """Return the batch item, and the groups and channels if some are picked."""
    picks = [getattr(view, name) for name in _PICKS]
    picked = [_commas(pick, "auto") for pick in picks] if picks != [None] * len(_PICKS) else []
    return "_".join([str(view.n), *picked])


def _each(values: Ints) -> str:
    """Return one number where all are equal: it stands for every axis."""
    return _commas(values[:1] if len(set(values)) == 1 else values)


def _layer(layer: Layer, batch: int | None, size: Ints, dtype: str) -> dict[str, str]:
    return {
        "dims": f"{layer.dims}d",
        "batch": "no" if batch is None else str(batch),
        "in_channels": str(layer.in_channels),
        "out_channels": str(layer.out_channels),
        "groups": str(layer.groups),
        "size": _each(size),
        "kernel": _each(layer.kernel_size),
        **{name: _each(getattr(layer, name)) for name in PER_DIMENSION},
        "dtype": dtype,
    }


def _of_settings(settings: Settings) -> dict[str, str]:
    layer = settings.layer()
    _check_openable(settings.batch, layer, settings.size)
    tensors = {"x": _written(settings.x), "weight": _written(settings.weight)}
    if settings.bias:
        tensors["offset"] = _written(settings.offset)
    for name, text in tensors.items():
        _check_readable(name, text)
    return {
        **_layer(layer, settings.batch, settings.size, "float32"),
        "bias": "yes" if settings.bias else "no",
        **tensors,
    }


def _check_readable(name: str, text: str) -> None:
    try:
        _read_fill(text)
    except Unreadable as error:
        raise LinkError(f"The recipe of {name} does not fit into a link: {error}.") from None


def _of_case(case: Case) -> dict[str, str]:
    geometry = case.geometry
    batch = None if case.unbatched else geometry.batch
    _check_openable(batch, case.layer, geometry.input_size)
    return {
        **_layer(case.layer, batch, geometry.input_size, case.x.dtype.name),
        "bias": "no" if case.bias is None else "yes",
        "x": _tensor(case.x),
        "weight": _tensor(case.weight),
        **({} if case.bias is None else {"offset": _tensor(case.bias)}),
    }


def _check_openable(batch: int | None, layer: Layer, size: Ints) -> None:
    try:
        check_bounds(batch, layer, size)
    except Unreadable as error:
        raise LinkError(f"This case is too large for a link: {error}.") from None


def _written(fill: Fill) -> str:
    if fill.recipe == "numbers":
        return f"numbers:{_numbers(fill.numbers)}"
    return rules.write_fill(fill)


def _numbers(numbers: Sequence[float]) -> str:
    """Return numbers as text, or packed if that is much shorter or text would lose a bit."""
    # No plus sign: in a query it means a space.
    text = rules.write_numbers(numbers).replace(", ", ",").replace("e+", "e")
    if len(text) <= _READABLE and _same(_parsed(text), numbers):
        return text
    packed = pack(np.array(numbers, dtype=np.float64))
    return text if len(text) <= len(packed) and _same(_parsed(text), numbers) else packed


def _same(a: Sequence[float], b: Sequence[float]) -> bool:
    return np.array(a, dtype=np.float64).tobytes() == np.array(b, dtype=np.float64).tobytes()


def _tensor(tensor: np.ndarray) -> str:
    """Return a tensor as a recipe that gives the same bits, if one is found, or packed."""
    written = next((_written(fill) for fill in _guesses(tensor) if _is(fill, tensor)), None)
    if written is not None and len(written) <= _READABLE:
        return written
    try:
        packed = f"raw:{pack(tensor, LONGEST)}"
    except TooLong:
        raise LinkError(
            f"This case holds {tensor.size:,} numbers, which take more than the {LONGEST:,} "
            "characters of a link. Save it as a file instead."
        ) from None
    return packed if written is None or len(written) > len(packed) else written


def _guesses(tensor: np.ndarray) -> Iterator[Fill]:
    """Yield recipes that begin as a tensor does: working out a large one to the end is dear."""
    flat = tensor.reshape(-1)
    for fill in map(Fill, ("ones", "counting")):
        if same_bits(_filled(fill, flat[:_READABLE].shape, tensor.dtype), flat[:_READABLE]):
            yield fill
    if np.count_nonzero(flat) == 1:
        yield Fill("impulse")
    period = _period(flat)
    if period:
        with np.errstate(all="ignore"):
            yield Fill("numbers", tuple(map(float, flat[:period])))
    if tensor.ndim > 2 and _is(Fill("bilinear"), tensor[:1, :1]):
        yield Fill("bilinear")


def _period(flat: np.ndarray) -> int:
    """Return after how many numbers a tensor repeats itself; 0 if none or too many."""
    bits = flat.view(f"u{flat.dtype.itemsize}")
    first = bits[: 64 * _READABLE]
    for period in range(1, min(len(bits), _READABLE) + 1):
        if all(np.array_equal(some[period:], some[:-period]) for some in (first, bits)):
            return period
    return 0


def _is(fill: Fill, tensor: np.ndarray) -> bool:
    return same_bits(_filled(fill, tensor.shape, tensor.dtype), tensor)


def _filled(fill: Fill, shape: Ints, dtype: np.dtype) -> np.ndarray:
    with np.errstate(all="ignore"):
        return fill.tensor(shape).astype(dtype)


def _sum(parts: Mapping[str, str]) -> str:
    text = "&".join(f"{name}={parts[name]}" for name in NAMES[:-1] if name in parts)
    return urlsafe_b64encode(zlib.crc32(text.encode()).to_bytes(4, "big")).decode().rstrip("=")


# -- reading --------------------------------------------------------------------------------------


def _parameters(query: str | Mapping[str, str]) -> dict[str, str]:
    """Return our own parameters; those that mail programs and trackers add are left out."""
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


def _with_the_rest(parts: dict[str, str]) -> dict[str, str]:
    """Complete an address typed by hand, such as "?stride=2", with the question's parameters.

    A link that we made begins with a version and ends with a checksum: an address without either
    was typed by hand, not cut off.
    """
    if not parts or "v" in parts or "sum" in parts:
        return parts
    return {**dict(parse_qsl(to_link(QUESTION))), "sum": "none", **parts}


@dataclass
class _Reader:
    """Reads parameters one by one, and lists those that it cannot read."""

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
            raise LinkError("This is not a link of convt-trace: it has none of its parameters.")
        if said != str(VERSION):
            self.problems.append(f"This link does not say its version; it is read as v={VERSION}.")

    def check_sum(self) -> None:
        """Say that a link was changed, unless another problem has shown it already."""
        said = re.sub(r"[^\w-]+$", "", self.parts.get("sum", ""))
        if self.problems or said == "none":
            return
        if not said:
            self.problems.append("The end of this link is missing; the rest of it is shown.")
        elif said != _sum(self.parts):
            self.problems.append(
                "This link was changed after it was made; it is shown as it is now."
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
        if said is not None and said in choices:
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

    def no_or_whole(self, name: str, high: int, otherwise: int | None) -> int | None:
        said = self.parts.get(name, "")
        if said == "no":
            return None
        if re.fullmatch(r"\d{1,18}", said, re.ASCII) and int(said) <= high:
            return int(said)
        self.miss(name, "no or a whole number", "no" if otherwise is None else otherwise)
        return otherwise

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
    """Return the beginning of a text, without the characters that mean something in Markdown or HTML."""
    return re.sub(r"[^A-Za-z0-9.,-]", "·", text[:16]) + ("…" if len(text) > 16 else "")


def _whole_numbers(text: str, most: int) -> Ints | None:
    words = text.split(",")
    if len(words) > most or not all(re.fullmatch(r"-?\d{1,10}", word, re.ASCII) for word in words):
        return None
    return tuple(map(int, words))


def _read(reader: _Reader) -> Linked:
    order = reader.choice("order", list(ORDERS), "scatter")
    units = [unit.replace(" ", "-") for unit in ORDERS[order].units]
    view = _view(reader, order)
    step = reader.whole("step", 0, _MOST_STEP, 0)
    unit = reader.choice("unit", units, "MAC").replace("-", " ")
    selected = _selected(reader)
    page = reader.text("page", "[a-z0-9-]{1,32}", "playground", "a page's name")
    hidden = reader.no_or_whole("hide", _MOST_STEP, None)
    views = _views(reader)
    case, settings = _Layer(reader).read()
    reader.check_sum()
    return Linked(
        case,
        settings,
        view,
        page,
        tuple(reader.problems),
        step=step,
        unit=unit,
        selected=selected,
        hidden=hidden,
        views=views,
    )


def _view(reader: _Reader, order: str) -> View:
    item, *words = reader.parts.get("show", "").split("_")
    words = words or ["auto"] * len(_PICKS)
    picks = [None if word == "auto" else _whole_numbers(word, _MOST_PICKED) for word in words]
    fine = all(pick is not None or word == "auto" for pick, word in zip(picks, words))
    if not fine or len(picks) != len(_PICKS) or not re.fullmatch(r"\d{1,9}", item, re.ASCII):
        reader.miss("show", "a batch item and the channels to show", "0")
        return View(order)
    return View(order, int(item), *picks)


def _views(reader: _Reader) -> tuple[str, ...]:
    """Read which linked views are open; a link that does not say so has none."""
    if "views" not in reader.parts:
        return ()
    said = reader.text("views", "[a-z]{1,16}(,[a-z]{1,16}){0,15}", "", "the names of views")
    return tuple(said.split(",")) if said else ()


def _selected(reader: _Reader) -> Cell | None:
    said = reader.parts.get("cell")
    if said == "no":
        return None
    cell = Cell.read(said or "")
    if cell is None:
        reader.miss("cell", "a cell such as output:0,0,1", "no")
    return cell


class _Layer:
    """Reads the layer and its numbers, into a case, and into settings if the controls can show it."""

    def __init__(self, reader: _Reader):
        self.reader = reader
        likely = f"{self._longest_list}d"
        self.dims = int(reader.choice("dims", ["1d", "2d", "3d"], likely)[0])
        many = LARGEST["cells"]
        self.batch = reader.no_or_whole("batch", many, 1)
        self.in_channels = reader.whole("in_channels", 1, many, QUESTION.in_channels)
        self.out_channels = reader.whole("out_channels", 1, many, QUESTION.out_channels)
        self.groups = reader.whole("groups", 1, many, 1)
        self.along = {
            name: reader.along(
                name,
                self.dims,
                many if name in ("size", "kernel") else LARGEST_PARAMETER,
                {"size": 3, "kernel": 3, **DEFAULTS}[name],
            )
            for name in rules.PER_AXIS
        }
        self.dtype = DTYPES[reader.choice("dtype", list(DTYPES), "float32")]
        self.bias = reader.choice("bias", ["yes", "no"], "no") == "yes"

    @property
    def _longest_list(self) -> int:
        """The likely number of axes of a link that does not state it."""
        lists = [self.reader.parts.get(name, "").count(",") + 1 for name in rules.PER_AXIS]
        return min(3, max(lists))

    def read(self) -> tuple[Case, Settings | None]:
        try:
            layer = self._layer()
            check_bounds(self.batch, layer, self.along["size"])
            return self._read(layer)
        except (LayerError, Unreadable) as error:
            end = "" if str(error).endswith(".") else "."
            self.reader.problems.append(
                f"The layer of this link is not possible; the nearest that is, is shown: {error}{end}"
            )
            return self._nearest()

    def _layer(self) -> Layer:
        """Return the layer; raises `LayerError` for what torch refuses."""
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

    def _read(self, layer: Layer) -> tuple[Case, Settings | None]:
        items = () if self.batch is None else (self.batch,)
        shapes = {
            "x": (*items, self.in_channels, *self.along["size"]),
            "weight": layer.weight_shape,
            "offset": (self.out_channels,),
        }
        if not self.bias:
            del shapes["offset"]
        # A layer without an output is refused before anything is unpacked.
        Geometry(layer, 1, self.along["size"])
        found = {name: self._numbers(name, shape) for name, shape in shapes.items()}
        tensors = {
            name: _filled(value, shapes[name], self.dtype) if isinstance(value, Fill) else value
            for name, value in found.items()
        }
        case = Case.of(
            tensors["x"],
            tensors["weight"],
            tensors.get("offset"),
            **{name: value for name, value in self.along.items() if name not in ("size", "kernel")},
            groups=self.groups,
            origin="link",
        )
        fills = {name: value for name, value in found.items() if isinstance(value, Fill)}
        plain = self.dtype == np.float32 and self.batch is not None and len(fills) == len(found)
        settings = self._settings(fills) if plain else None
        return case, settings if settings and _controllable(settings) else None

    def _nearest(self) -> tuple[Case, Settings]:
        """Return the nearest layer that the controls can show."""
        fills = {name: self._fill(name) for name in ("x", "weight", "offset")}
        settings = rules.settable(self._settings(fills))
        try:
            check_bounds(settings.batch, settings.layer(), settings.size)
        except Unreadable:
            settings = QUESTION
        with np.errstate(all="ignore"):
            return settings.case(origin="link"), settings

    def _settings(self, fills: Mapping[str, Fill]) -> Settings:
        return Settings(
            batch=1 if self.batch is None else self.batch,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            groups=self.groups,
            **self.along,
            bias=self.bias,
            x=fills["x"],
            weight=fills["weight"],
            offset=fills.get("offset", QUESTION.offset),
        )

    def _fill(self, name: str) -> Fill:
        """Return a tensor's recipe, or ones if it has none; its problem is listed already."""
        try:
            return _read_fill(self.reader.parts.get(name, ""))
        except Unreadable:
            return QUESTION.offset if name == "offset" else _PLACEHOLDER

    def _numbers(self, name: str, shape: Ints) -> Fill | np.ndarray:
        said = self.reader.parts.get(name)
        try:
            if said is None:
                raise Unreadable("they are missing")
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
    if recipe in rules.SEEDED:
        if not re.fullmatch(r"\d{1,10}", argument, re.ASCII) or int(argument) > _MOST_SEED:
            raise Unreadable(f"its seed is not a whole number up to {_MOST_SEED:,}")
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


def _controllable(settings: Settings) -> bool:
    """Tell whether the playground's controls can show these settings."""
    settable = rules.written(rules.settable(settings)) == rules.written(settings)
    return settable and "bilinear" not in (settings.x.recipe, settings.offset.recipe)

"""Text made by the reader: ``str``, ``repr``, f-strings, ``str.format`` and ``%``.

No format string of a text reaches Python's own formatter: fields name arguments, never attributes
or items, and widths are bounded.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import ItemsView, KeysView, ValuesView
from string import Formatter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet import values
from convt_trace.snippet.errors import Refused

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

WIDEST = 400
_SPEC = re.compile(
    r"(?:.?[<>=^])?[-+ ]?z?#?0?(\d{0,9})[,_]?(?:\.(\d{1,9}))?[bcdeEfFgGnosxX%]?", re.S
)
_PERCENT = re.compile(r"%(?:\((\w*)\))?([#0\- +]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?(.)", re.S)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+\b")
_DEEPEST = 30

#: Host values whose own repr is short and harmless.
_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type(...), range, slice,
    torch.dtype, torch.device, torch.memory_format, torch.layout, torch.Tensor,
    np.generic, np.ndarray, np.dtype, torch.finfo, torch.iinfo, BaseException,
)  # fmt: skip


def to_str(reader: Reader, value: Any) -> str:
    """Return ``str(value)``."""
    if isinstance(value, str):
        return value
    if isinstance(value, values.Instance | values.TextError | torch.nn.Module):
        found = reader.special(value, "__str__") or reader.special(value, "__repr__")
        if found is not None:
            return _text(reader.call(found, (), {}))
    if isinstance(value, values.TextError):
        return str(value.args[0]) if len(value.args) == 1 else to_repr(reader, value.args)
    if isinstance(value, BaseException):
        return str(value)
    if isinstance(value, (np.ndarray, np.generic, np.dtype, torch.device, torch.Tensor)):
        _bound_array(reader, value)
        return str(value)
    return to_repr(reader, value)


def to_repr(reader: Reader, value: Any, depth: int = 0) -> str:
    """Return ``repr(value)``; containers are written by the reader, item by item."""
    reader.budget.step()
    if depth > _DEEPEST:
        raise Refused("a list nested too deeply to print", "Print its parts.")
    if isinstance(value, torch.nn.Module):
        return _module(reader, value)
    if type(value).__name__ == "_IncompatibleKeys" or type(value) is torch.Size:
        return repr(value)
    if isinstance(value, (bool, int, float, str, type(None))):
        return repr(value)
    if isinstance(value, (list, tuple, dict, set, frozenset, deque)):
        text = _container(reader, value, depth)
        reader.budget.made(len(text) // 8)
        return text
    if isinstance(value, (KeysView, ValuesView, ItemsView)):
        return f"{type(value).__name__}({to_repr(reader, list(value), depth)})"
    if isinstance(value, _PLAIN):
        _bound_array(reader, value)
        return repr(value)
    return _own(reader, value)


def _bound_array(reader: Reader, value: Any) -> None:
    """Refuse to write out an array that would not fit; torch shortens those above 1000 elements."""
    if not isinstance(value, (torch.Tensor, np.ndarray)):
        return
    count = value.numel() if isinstance(value, torch.Tensor) else value.size
    threshold = reader.print_threshold[isinstance(value, np.ndarray)]
    if min(count, threshold) * 6 > reader.budget.limits.text_chars:
        raise Refused(f"printing {count:,} numbers", "Print a slice or the shape.")
    reader.budget.clock()


def _module(reader: Reader, module: torch.nn.Module) -> str:
    """Return a module's repr as torch writes it; names of the text's classes included."""
    found = reader.special(module, "__repr__")
    if found is not None:
        return _text(reader.call(found, (), {}))
    own = ("__repr__", "extra_repr")
    if not any(reader.special(one, name) for one in module.modules() for name in own):
        return repr(module)
    if isinstance(module, torch.nn.ModuleList):
        return repr(module)  # its own form, which folds equal layers
    found = reader.special(module, "extra_repr")
    extra = _text(reader.call(found, (), {})) if found is not None else module.extra_repr()
    lines = extra.split("\n") if extra else []
    single = len(lines) == 1 and not module._modules
    for name, child in module._modules.items():
        text = "None" if child is None else _module(reader, child)
        lines.append(f"({name}): " + text.replace("\n", "\n  "))
    inside = lines[0] if single else "\n  " + "\n  ".join(lines) + "\n" if lines else ""
    reader.budget.made(len(inside) // 8)
    return f"{reader.type_name(module)}({inside})"


def _container(reader: Reader, value: Any, depth: int) -> str:
    def inside(one: Any) -> str:
        return to_repr(reader, one, depth + 1)

    if isinstance(value, dict):
        text = "{" + ", ".join(f"{inside(k)}: {inside(v)}" for k, v in value.items()) + "}"
        if isinstance(value, defaultdict):
            return f"defaultdict({inside(value.default_factory)}, {text})"
        if isinstance(value, Counter):
            most = ", ".join(f"{inside(k)}: {inside(v)}" for k, v in value.most_common())
            return f"Counter({{{most}}})" if value else "Counter()"
        if isinstance(value, OrderedDict):
            held = text if sys.version_info >= (3, 12) else inside(list(value.items()))
            return f"OrderedDict({held})" if value else "OrderedDict()"
        return text
    items = [inside(one) for one in value]
    if isinstance(value, tuple):
        if type(value) is not tuple and type(value).__module__ == "torch.return_types":
            return repr(value)
        fields = getattr(type(value), "_fields", None)
        if fields is not None:
            pairs = (f"{name}={item}" for name, item in zip(fields, items))
            return f"{type(value).__name__}({', '.join(pairs)})"
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    if isinstance(value, deque):
        return f"deque([{', '.join(items)}])"
    return f"{{{', '.join(items)}}}" if items else "set()"


def _own(reader: Reader, value: Any) -> str:
    """Return a repr for one of the reader's own objects."""
    if isinstance(value, values.Type):
        return value.shown
    if isinstance(value, values.UserClass):
        return f"<class '__main__.{value.name}'>"
    if isinstance(value, values.Instance):
        found = reader.special(value, "__repr__")
        if found is not None:
            return _text(reader.call(found, (), {}))
        if value.cls.fields is not None:
            pairs = (f"{n}={to_repr(reader, value.names.get(n), 1)}" for n, _ in value.cls.fields)
            return f"{value.cls.name}({', '.join(pairs)})"
        return f"<__main__.{value.cls.name} object at 0x7f0000000000>"
    if isinstance(value, values.UserFunction):
        return f"<function {value.name} at 0x7f0000000000>"
    if isinstance(value, values.Function):
        return f"<built-in function {value.name.rsplit('.', 1)[-1]}>"
    if isinstance(value, values.Namespace):
        return f"<module '{value.path}'>"
    if isinstance(value, values.Missing):
        raise Refused(
            f"{value.path} is not read", "Leave it out, or write its numbers into the text."
        )
    if isinstance(value, torch.autograd.graph.Node):
        return f"<{value.name()} object at 0x7f0000000000>"
    return f"<{type(value).__name__} object at 0x7f0000000000>"


def has_address(text: str) -> bool:
    """Whether a repr names a place in memory: it says nothing, and differs at each run.

    >>> has_address("<function f at 0x7f0000000000>"), has_address("tensor([1.])")
    (True, False)
    """
    return _ADDRESS.search(text) is not None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"__str__ returned non-string (type {type(value).__name__})")
    return value


# -- formatting -----------------------------------------------------------------------------------


def format_value(reader: Reader, value: Any, spec: str) -> str:
    """Return ``format(value, spec)`` for a bounded spec."""
    if not spec:
        if isinstance(value, torch.Tensor) and value.dim() == 0 and not value.is_meta:
            return format(value, "")
        if isinstance(value, np.generic):
            return format(value, "")  # a float32 has more digits here than str() gives it
        return to_str(reader, value)
    match = _SPEC.fullmatch(spec)
    if match and any(int(part or 0) > WIDEST for part in match.groups()):
        raise Refused(f"a format wider than {WIDEST}", "Use a smaller width.")
    if isinstance(value, (bool, int, float, complex, str, np.generic)):
        if match is None:
            raise ValueError("Invalid format specifier")
        return format(value, spec)
    if isinstance(value, torch.Tensor):
        return format(value, spec)  # torch: numbers of no dimension, an error otherwise
    raise TypeError(f"unsupported format string passed to {reader.type_name(value)}.__format__")


def converted(reader: Reader, value: Any, conversion: str | None) -> Any:
    """Return a value after ``!r``, ``!s`` or ``!a``."""
    if conversion == "r":
        return to_repr(reader, value)
    if conversion == "s":
        return to_str(reader, value)
    if conversion == "a":
        return ascii(to_repr(reader, value))[1:-1]
    return value


def format_text(reader: Reader, text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return ``text.format(*args, **kwargs)``; fields are plain names or numbers."""
    parts, automatic = [], 0
    for literal, name, spec, conversion in Formatter().parse(text):
        parts.append(literal)
        if name is None:
            continue
        if name == "":
            name, automatic = str(automatic), automatic + 1
        if not re.fullmatch(r"\w+", name):
            raise Refused(
                f"the format field {{{name[:40]}}}",
                "Pass the value itself: fields are plain names.",
            )
        value = args[_place(name, args)] if name.isdigit() else kwargs[name]
        if spec and "{" in spec:
            spec = format_text(reader, spec, args[automatic:], kwargs)
            automatic += 1
        parts.append(format_value(reader, converted(reader, value, conversion), spec or ""))
        reader.budget.made(len(parts[-1]) // 8)
    return "".join(parts)


def _place(name: str, args: tuple[Any, ...]) -> int:
    if len(name) > 6 or int(name) >= len(args):
        raise IndexError(
            "Replacement index " + name[:6] + " out of range for positional args tuple"
        )
    return int(name)


def percent(reader: Reader, text: str, given: Any) -> str:
    """Return ``text % given``."""
    todo = list(given) if isinstance(given, tuple) else [given]
    named = isinstance(given, dict)
    used = 0

    def following() -> Any:
        nonlocal used
        used += 1
        if used > len(todo):
            raise TypeError("not enough arguments for format string")
        return todo[used - 1]

    def one(match: re.Match[str]) -> str:
        key, flags, width, precision, kind = match.groups()
        if kind == "%":
            return "%"
        width = str(int(following())) if width == "*" else width
        precision = str(int(following())) if precision == "*" else precision
        if max(len(width or ""), len(precision or "")) > 3 or int(width or 0) > WIDEST:
            raise Refused(f"a format wider than {WIDEST}", "Use a smaller width.")
        value = given[key] if key is not None else following()
        form = f"%{flags}{width or ''}{'.' + precision if precision is not None else ''}"
        if kind in "sra":
            return (form + "s") % converted(reader, value, kind)
        if kind not in "diouxXeEfFgGc":
            raise ValueError(f"unsupported format character {kind!r}")
        if isinstance(value, (torch.Tensor, np.ndarray)):
            value = value.item()
        if not isinstance(value, (int, float, str, np.number)):
            raise TypeError(
                f"%{kind} format: a real number is required, not {reader.type_name(value)}"
            )
        return (form + kind) % value

    result = _PERCENT.sub(one, text)
    if not named and used < len(todo):
        raise TypeError("not all arguments converted during string formatting")
    return result

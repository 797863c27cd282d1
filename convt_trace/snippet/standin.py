"""What stands for a name that is not here: it takes calls, items and operators, and yields itself."""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Iterator
from typing import Any

import torch


class StandIn:
    """Stands for something from elsewhere.

    Parameters
    ----------
    name : str
        What it stands for, such as "pytorch_lightning.LightningModule".

    Examples
    --------
    >>> StandIn("elsewhere").load("a")[0] + 1
    <elsewhere is not here>
    """

    def __init__(self, name: str):
        self.__dict__["standin_for"] = name

    def __repr__(self) -> str:
        return f"<{self.standin_for} is not here>"

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"{self.standin_for} is not here: it has no {name}")
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return itself; as a decorator, what it decorates."""
        if len(args) == 3 and isinstance(args[0], str) and isinstance(args[2], dict):
            return type(*args)  # it stands for a metaclass
        decorates = len(args) == 1 and not kwargs
        if decorates and isinstance(args[0], (types.FunctionType, type)):
            return args[0]
        return self

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        others = [one for one in bases if not isinstance(one, StandIn)]
        first = next(one for one in bases if isinstance(one, StandIn)) is self
        if any(isinstance(one, type) and issubclass(one, torch.nn.Module) for one in others):
            return (_Mixin,) if first else ()
        return (FromElsewhere,) if first else ()

    def __instancecheck__(self, one: Any) -> bool:
        return False

    __subclasscheck__ = __instancecheck__

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.standin_for} is not here: no numbers stand for it")

    def __iter__(self) -> Iterator[StandIn]:
        return iter([self] * _asked_for(sys._getframe(1)))

    def __getitem__(self, item: Any) -> StandIn:
        return self

    def __setitem__(self, item: Any, value: Any) -> None:
        pass

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __contains__(self, item: Any) -> bool:
        return True

    def __len__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _itself(self, *others: Any) -> StandIn:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _itself
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _itself
    __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _itself
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _itself
    __neg__ = __pos__ = __invert__ = __abs__ = _itself
    __lt__ = __le__ = __gt__ = __ge__ = _itself

    def __fspath__(self) -> str:
        return repr(self)

    def __index__(self) -> int:
        raise TypeError(f"{self.standin_for} is not here: no number stands for it")

    __int__ = __index__

    def __float__(self) -> float:
        raise TypeError(f"{self.standin_for} is not here: no number stands for it")

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> StandIn:
        found = standin_among((args, kwargs))
        assert found is not None, "torch asks it because it is among the arguments"
        return found


class _Mixin:
    """A base that is not here, beside one that is a module."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()


class FromElsewhere(_Mixin, torch.nn.Module):
    """The base of a class whose own base is not here: a module that takes whatever it is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__"):
                raise
            return StandIn(f"{type(self).__name__}.{name}")


def _asked_for(frame: types.FrameType) -> int:
    """Return how many items the code that iterates takes: as many as it unpacks into, else one."""
    name, count = (
        dis.opname[frame.f_code.co_code[frame.f_lasti]],
        frame.f_code.co_code[frame.f_lasti + 1],
    )
    return count if name == "UNPACK_SEQUENCE" else 1


def standin_among(value: Any, depth: int = 3) -> StandIn | None:
    """Return the first stand-in in arguments that are nested a little."""
    if isinstance(value, StandIn):
        return value
    if depth and isinstance(value, (tuple, list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            if (found := standin_among(one, depth - 1)) is not None:
                return found
    return None


class Missing(types.ModuleType):
    """Stands for a module that is not here.

    Parameters
    ----------
    name : str
    own : dict
        The text's own names: one that it has defined is not overwritten by an import.
    known : dict
        What is put in place of some of its names, such as a progress bar.
    """

    def __init__(self, name: str, own: dict[str, Any], known: dict[str, Any]):
        super().__init__(name)
        self.__dict__.update(known, __path__=[], __all__=[], _own=own)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        held = self.__dict__["_own"].get(name)
        made_here = getattr(held, "__module__", None) == "__main__"
        if made_here and isinstance(held, (type, types.FunctionType)):
            return held
        # The same one each time: `a.B is a.B`.
        return self.__dict__.setdefault(name, StandIn(f"{self.__name__}.{name}"))

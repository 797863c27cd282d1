"""numpy's functions and array methods that a text may use, each with the bound of its result."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from convt_trace.snippet import values
from convt_trace.snippet.bounds import broadcast, handed, leaves, shape_of, size_of, tensors_in
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.torch_names import (
    Bound,
    chosen,
    contraction,
    counted,
    cubic,
    expanded,
    first_sized,
    grid,
    leaf_sized,
    like_inputs,
    listed,
    listing,
    multiplied,
    outer,
    pieces,
    product,
    repeated,
    squared,
    steps,
    tally,
    tensordot,
    together,
)
from convt_trace.snippet.values import Action, Args, Kwargs, names_in

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader


def lists_too(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Elementwise, but numpy takes nested lists where torch wants tensors."""
    reader.budget.tensor(broadcast([shape_of(one) for one in [*args, *kwargs.values()]]), 8)
    leaf_sized(reader, args, {})


def np_padded(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``np.pad``: every side by at most the largest number."""
    widths = np.abs(np.asarray(args[1] if len(args) > 1 else kwargs.get("pad_width", 0)))
    extra = 2 * int(widths.max()) if widths.size else 0
    reader.budget.size([one + extra for one in shape_of(args[0])], 8)


def np_action(function: Callable[..., Any], bound: Bound) -> Action:
    """Return a table entry that checks its arguments, counts the result and calls numpy."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        args = tuple(handed(reader, one) for one in args)
        kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
        for name in ("out", "where", "like"):
            if name in kwargs:
                raise Refused(f"the argument {name}=", "Assign the result instead.")
        for one in [*args, *kwargs.values()]:
            if one is object or (
                isinstance(one, str) and one.strip("<>=|@") in ("O", "object", "V")
            ):
                raise Refused("an array of objects", "Use numbers.")
        bound(reader, args, kwargs)
        result = function(*args, **kwargs)
        if isinstance(result, np.ndarray) and result.dtype.kind in "OVUSMm":
            if result.dtype.kind in "OV":
                raise ValueError(
                    "setting an array element with a sequence. The requested array has an "
                    "inhomogeneous shape"
                )
            raise Refused("an array of texts", "Use numbers.")
        return result

    return act


_LIKE = names_in("""
abs absolute add all allclose amax amin any arccos arcsin arctan arctan2 argmax argmin argsort
array_equal around average bitwise_and bitwise_or ceil clip copy cos cosh cumprod cumsum diff divide
equal exp expm1 fabs flip fliplr flipud floor floor_divide fmod full_like greater greater_equal
hypot
imag invert isclose isfinite isinf isnan isscalar less less_equal log log10 log1p log2 logical_and
logical_not logical_or max maximum mean median min minimum mod moveaxis multiply nan_to_num
nanmax nanmean nanmin nansum ndim negative not_equal ones_like percentile power prod ptp quantile
ravel
real reciprocal remainder reshape rint roll rollaxis rot90 round shape sign sin sinh size sort sqrt
square squeeze std subtract sum swapaxes take tan tanh trace transpose tril triu true_divide trunc
unique var where zeros_like empty_like expand_dims ascontiguousarray array asarray matrix
flatnonzero interp trapezoid float32 sinc deg2rad rad2deg heaviside ediff1d
""")

_NUMPY: dict[str, Bound] = {
    **dict.fromkeys(_LIKE, lists_too),
    **dict.fromkeys(names_in("array asarray ascontiguousarray asfortranarray"), leaf_sized),
    **dict.fromkeys(
        names_in("""concatenate stack vstack hstack dstack column_stack append atleast_1d atleast_2d
        atleast_3d"""),
        leaf_sized,
    ),
    **dict.fromkeys(names_in("zeros ones full empty"), first_sized),
    **dict.fromkeys(names_in("split array_split vsplit hsplit"), pieces),
    "arange": counted, "linspace": steps, "logspace": steps, "eye": squared, "identity": squared,
    "diag": squared, "repeat": repeated, "tile": multiplied, "outer": outer, "kron": outer,
    "meshgrid": grid, "broadcast_to": expanded, "matmul": product, "dot": product, "inner": product,
    "vdot": product, "einsum": contraction, "tensordot": tensordot, "pad": np_padded,
    "nonzero": listing, "argwhere": listing, "bincount": tally, "convolve": outer,
    "correlate": outer,
    "cross": lists_too, "take_along_axis": chosen, "insert": together, "delete": lists_too,
    "indices": first_sized,
}  # fmt: skip

_METHODS: dict[str, Bound] = {
    **dict.fromkeys(
        names_in("""all any argmax argmin argsort astype clip copy cumsum cumprod diagonal fill flatten item
        max mean min nonzero prod ravel reshape round sort squeeze std sum swapaxes take
        trace transpose var ptp conj"""),
        like_inputs,
    ),
    "dot": product, "repeat": repeated, "tolist": listed,
}  # fmt: skip

ARRAY_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "shape": lambda x: x.shape,
    "dtype": lambda x: x.dtype,
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.size,
    "T": lambda x: x.T,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "nbytes": lambda x: x.nbytes,
    "itemsize": lambda x: x.itemsize,
    "flat": lambda x: x.reshape(-1),
    "strides": lambda x: x.strides,
}

_SCALARS = names_in("""float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64
complex128""")


def array_methods() -> dict[str, Action]:
    """Return the methods of an array, by name."""
    return {
        name: np_action(getattr(np.ndarray, name), bound)
        for name, bound in _METHODS.items()
        if hasattr(np.ndarray, name)
    }


def generator_methods() -> dict[str, Action]:
    """Return the methods of ``np.random.default_rng()``."""
    names = names_in("random standard_normal normal uniform integers choice permutation")
    return {name: np_action(getattr(np.random.Generator, name), drawn_size) for name in names}


def drawn_size(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Whatever integers or tuples stand among the arguments may be the size."""
    sizes = [
        prod(abs(n) for n in one if isinstance(n, int))
        for one in [*args, *kwargs.values()]
        if isinstance(one, (tuple, list))
    ]
    whole = [
        abs(int(one)) for one in [*args, *kwargs.values()] if isinstance(one, (int, np.integer))
    ]
    sizes.append(kwargs["size"] if isinstance(kwargs.get("size"), int) else 0)
    sizes.append(min(max(whole, default=1), reader.budget.limits.tensor_elements))
    found = tensors_in(args)
    reader.budget.tensor(max([*sizes, *map(size_of, found)]), 8)


def _drawn(name: str, bound: Bound) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        args = tuple(handed(reader, one) for one in args)
        kwargs = {key: handed(reader, one) for key, one in kwargs.items()}
        bound(reader, args, kwargs)
        reader.random.drew("numpy")
        return _RANDOM_FUNCTIONS[name](reader.random.numpy)(*args, **kwargs)

    return act


_RANDOM_FUNCTIONS: dict[str, Callable[[np.random.RandomState], Callable[..., Any]]] = {
    "rand": lambda r: r.rand,
    "randn": lambda r: r.randn,
    "random": lambda r: r.random_sample,
    "random_sample": lambda r: r.random_sample,
    "randint": lambda r: r.randint,
    "uniform": lambda r: r.uniform,
    "normal": lambda r: r.normal,
    "standard_normal": lambda r: r.standard_normal,
    "choice": lambda r: r.choice,
    "permutation": lambda r: r.permutation,
    "shuffle": lambda r: r.shuffle,
}


def all_sized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``np.random.rand(2, 3)``: the arguments are the sizes."""
    if args:
        reader.budget.size([int(one) for one in args if isinstance(one, (int, np.integer))], 8)


def last_sized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``uniform(low, high, size)``: the size is last, or named."""
    size = kwargs.get("size", args[-1] if args else 1)
    if isinstance(size, (tuple, list)):
        reader.budget.size([int(one) for one in size], 8)
    elif isinstance(size, (int, np.integer)):
        reader.budget.tensor(abs(int(size)) if "size" in kwargs or len(args) != 2 else 1, 8)
    for one in tensors_in(args):
        reader.budget.tensor(size_of(one), 8)


def _permuted(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    sizes = [abs(one) for one in args if isinstance(one, int)] + [leaves(one) for one in args]
    reader.budget.tensor(max(sizes, default=1), 8)


def _seed(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    reader.random.numpy.seed(*(handed(reader, one) for one in args))
    reader.random.seeded.add("numpy")


def _default_rng(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    if not args:
        reader.random.drew("numpy generator")
        args = (0,)
    return np.random.default_rng(handed(reader, args[0]))


def _set_printoptions(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    allowed = {"precision": 30, "threshold": 100_000, "edgeitems": 100, "linewidth": 1000,
               "suppress": 1}  # fmt: skip
    kwargs.update(zip(["precision", "threshold", "edgeitems", "linewidth", "suppress"], args))
    for name, value in kwargs.items():
        if name not in allowed:
            raise Refused(f"np.set_printoptions({name}=)", "Leave it out.")
        if isinstance(value, float) and value == float("inf"):
            kwargs[name] = allowed[name]
        elif not isinstance(value, (int, bool)) or not 0 <= value <= 2**31:
            raise Refused(f"np.set_printoptions({name}=) of such a value", "Use a smaller number.")
        else:
            kwargs[name] = min(value, allowed[name]) if name != "suppress" else bool(value)
    if "threshold" in kwargs:
        reader.print_threshold[1] = kwargs["threshold"]
    np.set_printoptions(**kwargs)


def _ndindex(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    shape = handed(reader, args[0] if len(args) == 1 else args)
    sizes = [int(one) for one in (shape if isinstance(shape, (tuple, list)) else [shape])]
    reader.budget.made(sum(abs(one) for one in sizes))
    return itertools.product(*map(range, sizes))


def _ndenumerate(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    array = np.asarray(handed(reader, args[0]))
    return ((place, array[place]) for place in np.ndindex(array.shape))


def _array_text(reader: Reader, args: Args, kwargs: Kwargs) -> str:
    """``np.array2string`` with plain settings, of an array that may be printed."""
    from convt_trace.snippet.formatting import to_str

    allowed = {"precision", "separator", "suppress_small", "prefix", "max_line_width"}
    if not isinstance(args[0], np.ndarray) or len(args) > 1 or not set(kwargs) <= allowed:
        raise Refused("np.array2string with such arguments", "Use print().")
    to_str(reader, args[0])  # counts what is to be written
    given: dict[str, Any] = {name: handed(reader, one) for name, one in kwargs.items()}
    if not all(one is None or len(str(one)) < 20 for one in given.values()):
        raise Refused("np.array2string with such arguments", "Use print().")
    given["precision"] = min(given.get("precision") or 8, 30)
    return np.array2string(args[0], **given)


def numpy_table() -> dict[str, Any]:
    """Return the dotted names of numpy's functions, types and constants."""
    table: dict[str, Any] = {}
    # Memory is not shown to texts.
    blank: dict[str, Callable[..., Any]] = {"empty": np.zeros, "empty_like": np.zeros_like}
    for name, bound in _NUMPY.items():
        if hasattr(np, name):
            function = blank.get(name) or getattr(np, name)
            table[f"numpy.{name}"] = values.Function(f"numpy.{name}", np_action(function, bound))
    for name in _SCALARS:
        scalar = getattr(np, name)
        table[f"numpy.{name}"] = values.Type(
            f"numpy.{name}", np_action(scalar, lists_too), (scalar,), f"<class 'numpy.{name}'>"
        )
    for alias, name in {
        "float_": "float64",
        "int_": "int64",
        "double": "float64",
        "single": "float32",
        "half": "float16",
        "bool_": "bool",
    }.items():
        if f"numpy.{name}" in table:
            table[f"numpy.{alias}"] = table[f"numpy.{name}"]
    table["numpy.bool_"] = table["numpy.bool"] = values.Type(
        "numpy.bool", np_action(np.bool_, lists_too), (np.bool_,), "<class 'numpy.bool'>"
    )
    table["numpy.ndarray"] = values.Type(
        "numpy.ndarray", _no_ndarray, (np.ndarray,), "<class 'numpy.ndarray'>"
    )
    table["numpy.dtype"] = values.Function("numpy.dtype", np_action(np.dtype, like_inputs))
    for name in ("pi", "e", "inf", "nan", "newaxis"):
        table[f"numpy.{name}"] = getattr(np, name)
    table["numpy.ndindex"] = values.Function("numpy.ndindex", _ndindex)
    table["numpy.ndenumerate"] = values.Function("numpy.ndenumerate", _ndenumerate)
    table["numpy.array2string"] = values.Function("numpy.array2string", _array_text)
    table["numpy.set_printoptions"] = values.Function("numpy.set_printoptions", _set_printoptions)
    table["numpy.random.seed"] = values.Function("numpy.random.seed", _seed)
    table["numpy.random.default_rng"] = values.Function("numpy.random.default_rng", _default_rng)
    bounds: dict[str, Bound] = {
        "rand": all_sized, "randn": all_sized, "random": last_sized, "random_sample": last_sized,
        "randint": last_sized, "uniform": last_sized, "normal": last_sized,
        "standard_normal": last_sized, "choice": last_sized, "permutation": _permuted,
        "shuffle": _permuted,
    }  # fmt: skip
    for name, bound in bounds.items():
        path = f"numpy.random.{name}"
        table[path] = values.Function(path, _drawn(name, bound))
    for name in ("norm", "inv", "det", "pinv", "matrix_rank", "solve"):
        path = f"numpy.linalg.{name}"
        table[path] = values.Function(path, np_action(getattr(np.linalg, name), cubic))
    for name in (
        "assert_allclose",
        "assert_array_equal",
        "assert_almost_equal",
        "assert_array_almost_equal",
    ):
        path = f"numpy.testing.{name}"
        table[path] = values.Function(path, np_action(getattr(np.testing, name), lists_too))
    table["numpy.ogrid"] = _Grid(False)
    table["numpy.mgrid"] = _Grid(True)
    return table


def _no_ndarray(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    raise Refused("np.ndarray(...)", "Use np.zeros or np.array.")


class _Grid(values.Indexed):
    """``np.ogrid`` and ``np.mgrid``: indexed by slices."""

    def __init__(self, dense: bool):
        self.dense = dense

    def at(self, reader: Reader, place: Any) -> Any:
        """Return the grid for a slice, or a tuple of them."""
        counts = []
        for one in place if isinstance(place, tuple) else (place,):
            if not isinstance(one, slice) or one.stop is None:
                raise Refused("a grid without slices", "Use np.arange.")
            start, step = one.start or 0, one.step or 1
            if isinstance(step, complex):
                counts.append(int(abs(step)) + 1)
            else:
                counts.append(int(abs(min((one.stop - start) / step, 1e9))) + 1)
        reader.budget.tensor((prod(counts) if self.dense else sum(counts)) * len(counts), 8)
        return (np.mgrid if self.dense else np.ogrid)[handed_slices(reader, place)]


def handed_slices(reader: Reader, place: Any) -> Any:
    """Return slices whose parts are plain numbers."""
    if isinstance(place, tuple):
        return tuple(handed_slices(reader, one) for one in place)
    return slice(*(handed(reader, part) for part in (place.start, place.stop, place.step)))

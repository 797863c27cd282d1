"""The table: every dotted name that a text may use, and what it stands for here.

A name from a text is looked up in it as one string. Imports create no objects; they only bind
aliases to places in the table, or to a placeholder for what is not read.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import grad

from convt_trace.snippet import values
from convt_trace.snippet.bounds import handed
from convt_trace.snippet.classes import as_dict, as_tuple, dataclass, field, fields, replaced
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.layers import HOOK_METHODS, Hook, layer_types
from convt_trace.snippet.library_names import PARSER_METHODS, Parser, library_table
from convt_trace.snippet.numpy_names import (
    ARRAY_PROPERTIES,
    array_methods,
    generator_methods,
    numpy_table,
)
from convt_trace.snippet.optimizers import METHODS as OPTIMIZER_METHODS
from convt_trace.snippet.optimizers import (
    SCHEDULE_METHODS,
    Optimizer,
    Schedule,
    optimizers,
    schedules,
)
from convt_trace.snippet.python_names import (
    ERRORS,
    NEVER,
    error_type,
    method_tables,
    plain,
    python_table,
)
from convt_trace.snippet.recording import FUNCTIONS, arguments
from convt_trace.snippet.torch_names import (
    TENSOR_PROPERTIES,
    action,
    leaf_sized,
    like_inputs,
    outer,
    tensor_methods,
    torch_table,
)
from convt_trace.snippet.values import Action, Args, Kwargs, Scope, names_in

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: Packages whose calls are passed over: plots, progress bars, warnings, type hints.
HARMLESS = frozenset(
    names_in("""matplotlib pylab seaborn plotly tqdm warnings typing typing_extensions IPython logging abc
    __future__ torchsummary torchinfo torchviz tensorboard tensorboardX gc wandb rich pprint
    torch.utils.tensorboard torch.utils.checkpoint types numbers""")
)

#: Aliases that are understood when the import line was not pasted.
_ASSUMED = {
    "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "np": "numpy", "math": "math",
    "numpy": "numpy", "plt": "matplotlib.pyplot",
}  # fmt: skip
_CANONICAL = {"torch": "torch", "nn": "torch.nn", "np": "numpy", "numpy": "numpy"}

#: Of spectral_norm's power iteration, which runs at each call.
_MOST_ITERATIONS = 50
#: Random functions of torch: reading them counts as a draw.
_DRAWING = names_in("""rand randn randint randperm normal bernoulli multinomial rand_like randn_like
dropout""")


# -- special functions of torch -------------------------------------------------------------------


def _convolution(function: Any, op: str, path: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        args = tuple(handed(reader, one) for one in args)
        kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
        given = arguments(op, args, kwargs)
        reader.recorder.tries(reader, op, given)
        return reader.recorder.call(reader, op, path, lambda: function(*args, **kwargs), given)

    return act


def _input_gradient(op: str, path: str) -> Action:
    """``torch.nn.grad.conv2d_input``: the gradient of a conv, a transposed one."""
    function = getattr(grad, f"{op}_input")
    names = ("input_size", "weight", "grad_output", "stride", "padding", "dilation", "groups")

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        args = tuple(handed(reader, one) for one in args)
        kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
        given: Kwargs = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        given |= {**dict(zip(names, args)), **kwargs}
        above: Any = given.get("grad_output")
        weight: Any = given.get("weight")
        size = given.get("input_size", ())
        reader.budget.size(
            [abs(int(one)) for one in size] if isinstance(size, (tuple, list)) else [1]
        )
        if isinstance(above, torch.Tensor) and isinstance(weight, torch.Tensor):
            reader.budget.multiply(above.numel() * max(weight[0].numel(), 1) if weight.dim() else 1)
        result = function(*args, **kwargs)
        reader.recorder.record_gradient(reader, op, path, given, weight, above, result)
        return result

    return act


def _weight_gradient(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    raise Refused("the gradient of a convolution's weight", "Use backward() and .grad.")


def _grad(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    args = tuple(handed(reader, one) for one in args)
    kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
    inputs = args[1] if len(args) > 1 else kwargs.get("inputs", ())
    inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    return reader.recorder.differentiate(
        reader, lambda: torch.autograd.grad(*args, **kwargs), inputs
    )


def _manual_seed(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    seed = handed(reader, args[0] if args else kwargs["seed"])
    reader.random.seeded.add("torch")
    return torch.random.manual_seed(seed)


def _fresh_seed(reader: Reader, args: Args, kwargs: Kwargs) -> int:
    reader.random.seeded.discard("torch")
    torch.manual_seed(0)
    return 0


def _generator(reader: Reader, args: Args, kwargs: Kwargs) -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _seed_generator(reader: Reader, args: Args, kwargs: Kwargs) -> torch.Generator:
    return args[0].manual_seed(handed(reader, args[1]))


def _device(reader: Reader, args: Args, kwargs: Kwargs) -> torch.device:
    name = args[0] if args else kwargs.get("type", "cpu")
    if isinstance(name, torch.device):
        return name
    return torch.device(handed(reader, name if isinstance(name, str) else "cuda"))


def _size(reader: Reader, args: Args, kwargs: Kwargs) -> torch.Size:
    return torch.Size([int(one) for one in reader.iterate(args[0] if args else ())])


def _parameter(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    args = tuple(handed(reader, one) for one in args)
    return nn.Parameter(*args, **{name: handed(reader, one) for name, one in kwargs.items()})


def _set_dtype(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    wanted = args[0]
    if isinstance(wanted, (values.Type, str)):
        from convt_trace.snippet.torch_names import LEGACY

        wanted = LEGACY.get(wanted.name if isinstance(wanted, values.Type) else wanted)
    torch.set_default_dtype(handed(reader, wanted))


def _set_printoptions(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    allowed = {"precision": 20, "threshold": 100_000, "edgeitems": 100, "linewidth": 1000}
    kwargs = {**dict(zip(["precision", "threshold", "edgeitems", "linewidth"], args)), **kwargs}
    for name, value in list(kwargs.items()):
        if name == "sci_mode" and (value is None or isinstance(value, bool)):
            continue
        if name == "profile" and value in ("default", "short", "full"):
            if value == "full":
                reader.print_threshold[0] = 10**9
            continue
        if name not in allowed or not isinstance(value, (int, float)) or not value >= 0:
            raise Refused(f"torch.set_printoptions({name}=)", "Leave it out.")
        kwargs[name] = int(min(value, allowed[name]))
    reader.print_threshold[0] = kwargs.get("threshold", reader.print_threshold[0])
    torch.set_printoptions(**kwargs)


def _grad_mode(name: str, enabled: bool) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        switch = name == "set_grad_enabled"  # works from where it is called, with or without with
        on = reader.truth(args[0] if args else kwargs.get("mode")) if switch else enabled
        called = torch.is_grad_enabled()

        def enter() -> bool:
            before = called if switch else torch.is_grad_enabled()
            torch.set_grad_enabled(on)
            return before

        def leave(before: bool) -> None:
            torch.set_grad_enabled(before)

        context = values.Context(name, enter, leave)
        if switch:
            torch.set_grad_enabled(on)
        elif args and isinstance(args[0], values.UserFunction):
            args[0].wrappers = (context, *args[0].wrappers)
            return args[0]
        return context

    return act


def _nothing(name: str, note: str) -> Action:
    """Return a call that does nothing here, with a note."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        if note:
            reader.note(f"{name} {note}")
        return values.Context(name, lambda: None, lambda held: None)

    return act


def _weight_norm(function: Callable[..., Any]) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        from convt_trace.snippet.layers import CONVOLUTIONS, is_shell

        layer = args[0]
        if not isinstance(layer, (*CONVOLUTIONS, nn.Linear)) or is_shell(layer):
            raise Refused(f"{function.__name__} of this layer", "Use it on a convolution.")
        reader.budget.tensor(layer.weight.numel() * 2)
        rest = tuple(handed(reader, one) for one in args[1:])
        named = {name: handed(reader, one) for name, one in kwargs.items()}
        if any(isinstance(one, int) and one > _MOST_ITERATIONS for one in [*rest, *named.values()]):
            raise Refused(f"{function.__name__} of so many iterations", "Use fewer.")
        reader.recorder.budget.steps += 1
        return function(layer, *rest, **named)

    return act


def _as_it_is(name: str) -> Action:
    """Return a call that gives back the model it gets: compiled or not, it computes the same."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        reader.note(f"{name} is passed over: what it gets runs as it is")
        return args[0] if args else values.Function(name, act)

    return act


def _fork_rng(reader: Reader, args: Args, kwargs: Kwargs) -> values.Context:
    return values.Context("fork_rng", torch.get_rng_state, torch.set_rng_state)


def _vector(function: Callable[..., Any]) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        tensors = [handed(reader, one) for one in reader.iterate(args[0])]
        rest = tuple(handed(reader, one) for one in args[1:])
        return function(tensors, *rest, **{k: handed(reader, v) for k, v in kwargs.items()})

    return act


def _drawing(inside: Action) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        if not isinstance(kwargs.get("generator"), torch.Generator):
            reader.random.drew("torch")
        return inside(reader, args, kwargs)

    return act


def _info(kind: Callable[..., Any]) -> Action:
    return lambda reader, args, kwargs: kind(handed(reader, args[0]))


_INIT = names_in("""uniform_ normal_ constant_ ones_ zeros_ eye_ dirac_ xavier_uniform_ xavier_normal_
kaiming_uniform_ kaiming_normal_ trunc_normal_ orthogonal_""")


def _specials() -> dict[str, Any]:
    """Return the entries of torch that are more than a bounded function."""
    table: dict[str, Any] = {}
    for function, op in FUNCTIONS.items():
        for path in (f"torch.{op}", f"torch.nn.functional.{op}"):
            table[path] = values.Function(path, _convolution(function, op, path))
    for dims in (1, 2, 3):
        path = f"torch.nn.grad.conv{dims}d_input"
        table[path] = values.Function(path, _input_gradient(f"conv{dims}d", path))
        table[f"torch.nn.grad.conv{dims}d_weight"] = values.Function(path, _weight_gradient)
    for name in _INIT:
        bound = outer if name in ("orthogonal_",) else like_inputs
        inside = action(getattr(nn.init, name), bound)
        draws = name not in ("constant_", "ones_", "zeros_", "eye_", "dirac_")
        for alias in (name, name.rstrip("_")):
            path = f"torch.nn.init.{alias}"
            table[path] = values.Function(path, _drawing(inside) if draws else inside)
    table["torch.nn.init.calculate_gain"] = values.Function(
        "calculate_gain", action(nn.init.calculate_gain, like_inputs)
    )
    functions: dict[str, Action] = {
        **optimizers(), **schedules(),
        "torch.autograd.grad": _grad,
        "torch.manual_seed": _manual_seed, "torch.random.manual_seed": _manual_seed,
        "torch.seed": _fresh_seed,
        "torch.get_default_dtype": lambda r, a, k: torch.get_default_dtype(),
        "torch.set_default_dtype": _set_dtype, "torch.set_default_tensor_type": _set_dtype,
        "torch.set_printoptions": _set_printoptions,
        "torch.is_grad_enabled": lambda r, a, k: torch.is_grad_enabled(),
        "torch.no_grad": _grad_mode("no_grad", False),
        "torch.enable_grad": _grad_mode("enable_grad", True),
        "torch.inference_mode": _grad_mode("inference_mode", False),
        "torch.set_grad_enabled": _grad_mode("set_grad_enabled", True),
        "torch.cuda.is_available": lambda r, a, k: False,
        "torch.backends.mps.is_available": lambda r, a, k: False,
        "torch.cuda.device_count": lambda r, a, k: 0,
        "torch.nn.utils.weight_norm": _weight_norm(torch.nn.utils.weight_norm),
        "torch.nn.utils.parametrizations.weight_norm": _weight_norm(
            torch.nn.utils.parametrizations.weight_norm
        ),
        "torch.nn.utils.remove_weight_norm": _weight_norm(torch.nn.utils.remove_weight_norm),
        "torch.nn.utils.spectral_norm": _drawing(_weight_norm(torch.nn.utils.spectral_norm)),
        "torch.nn.utils.parametrizations.spectral_norm": _drawing(
            _weight_norm(torch.nn.utils.parametrizations.spectral_norm)
        ),
        "torch.nn.utils.remove_spectral_norm": _weight_norm(torch.nn.utils.remove_spectral_norm),
        "torch.random.fork_rng": _fork_rng,
        **{f"torch.{name}": _as_it_is(f"torch.{name}")
           for name in ("compile", "jit.script", "jit.trace", "jit.ignore", "jit.unused")},
        "torch.nn.utils.parameters_to_vector": _vector(torch.nn.utils.parameters_to_vector),
        "torch.nn.utils.clip_grad_norm_": _vector(torch.nn.utils.clip_grad_norm_),
        "torch.autograd.Variable": action(torch.autograd.Variable, like_inputs),
        "torch.finfo": _info(torch.finfo), "torch.iinfo": _info(torch.iinfo),
        "torch.testing.assert_close": action(torch.testing.assert_close, leaf_sized),
        "torch.get_num_threads": lambda r, a, k: 2,
        "dataclasses.dataclass": dataclass, "dataclasses.field": field,
        "dataclasses.asdict": as_dict, "dataclasses.astuple": as_tuple,
        "dataclasses.replace": replaced, "dataclasses.fields": fields,
        "tqdm.auto.tqdm": lambda r, a, k: a[0],
    }  # fmt: skip
    for name in names_in(
        "torch.cuda.manual_seed torch.cuda.manual_seed_all torch.cuda.synchronize "
        "torch.cuda.empty_cache torch.cuda.set_device torch.use_deterministic_algorithms "
        "torch.set_num_threads torch.autograd.set_detect_anomaly "
        "torch.set_float32_matmul_precision "
        "torch.autocast torch.cuda.amp.autocast torch.amp.autocast torch.set_default_device"
    ):
        note = "" if "manual_seed" in name else "does nothing here"
        functions[name] = _nothing(name, note)
    table.update((name, values.Function(name, one)) for name, one in functions.items())
    types: dict[str, tuple[Action, tuple[type, ...]]] = {
        "torch.Generator": (_generator, (torch.Generator,)),
        "torch.device": (_device, (torch.device,)),
        "torch.Size": (_size, (torch.Size,)),
        "torch.dtype": (_no_type, (torch.dtype,)),
        "torch.nn.Parameter": (_parameter, (nn.Parameter,)),
    }
    for name, (made, kinds) in types.items():
        shown = {"torch.nn.Parameter": "torch.nn.parameter.Parameter"}.get(name, name)
        table[name] = values.Type(name, made, kinds, f"<class '{shown}'>")
    table["torch.__version__"] = str(torch.__version__)
    table["numpy.__version__"] = np.__version__
    table["torch.version.cuda"] = None
    return table


def _no_type(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    raise TypeError("cannot create such an object")


#: The same things under the module paths that imports spell out.
_SAME = {
    "torch.nn.modules": "torch.nn", "torch.nn.modules.conv": "torch.nn",
    "torch.nn.modules.linear": "torch.nn", "torch.nn.modules.batchnorm": "torch.nn",
    "torch.nn.modules.activation": "torch.nn", "torch.nn.modules.container": "torch.nn",
    "torch.nn.modules.module": "torch.nn", "torch.nn.parameter": "torch.nn",
    "torch.nn.utils.weight_norm": "torch.nn.utils", "torch.autograd.variable": "torch.autograd",
    "torch.functional": "torch",
}  # fmt: skip


@cache
def table() -> dict[str, Any]:
    """Return the whole table."""
    names: dict[str, Any] = {**python_table(), **library_table(), **torch_table(), **numpy_table()}
    names.update(layer_types())
    names.update(_specials())
    for name in _DRAWING:
        for path in (f"torch.{name}", f"torch.nn.functional.{name}"):
            if path in names:
                names[path] = values.Function(path, _drawing(names[path].action))
    return names


@cache
def modules() -> frozenset[str]:
    """Return the dotted names that are modules of the table."""
    found = {name.rsplit(".", 1)[0] for name in table()}
    found |= {one.rsplit(".", 1)[0] for one in found if "." in one}
    found |= set(_SAME) | {"torch.backends", "torch.backends.cudnn", "torch.version", "torch.optim",
                           "torch.utils"}  # fmt: skip
    return frozenset(found - {"builtins", "torch.Tensor"} - set(table()))


def _resolved(path: str) -> str:
    head, _, tail = path.rpartition(".")
    return f"{_SAME[head]}.{tail}" if head in _SAME else path


# -- looking up -----------------------------------------------------------------------------------


def member(reader: Reader, path: str, name: str) -> Any:
    """Return ``path.name`` for a module of the table."""
    dotted = f"{path}.{name}"
    names = table()
    if dotted in names:
        return names[dotted]
    if _resolved(dotted) in names:
        return names[_resolved(dotted)]
    if dotted in modules():
        return values.Namespace(dotted)
    if dotted in ("torch.backends", "torch.backends.cudnn"):
        return values.Namespace(dotted)
    owner = names.get(path)
    if isinstance(owner, values.Type) and owner.types and name in methods_of_type(owner.types[0]):
        return values.Function(dotted, methods_of_type(owner.types[0])[name])
    near = [one for one in names if one.startswith(path + ".")]
    close = difflib.get_close_matches(dotted[:80], near, 1, 0.8)
    hint = (
        f"The nearest that is: {close[0]}."
        if close
        else ("Use the functions that docs/snippets.md lists, or write the value into the text.")
    )
    raise Refused(f"{dotted[:100]} is not on the reader's list", hint)


def builtin(reader: Reader, name: str) -> Any:
    """Return what a name means that the text did not bind."""
    names = table()
    if f"builtins.{name}" in names:
        return names[f"builtins.{name}"]
    if name in NEVER:
        raise Refused(f"{name} is not read", NEVER[name])
    if name in _ASSUMED:
        if name not in reader.assumed:
            reader.assumed.add(name)
            reader.note(f"{name} was not imported: read as {_ASSUMED[name]}")
        path = _ASSUMED[name]
        return values.Namespace(path) if path in modules() else values.Missing(path, True)
    raise NameError(f"name '{name[:60]}' is not defined")


def _is_harmless(path: str) -> bool:
    parts = path.split(".")
    return any(".".join(parts[: place + 1]) in HARMLESS for place in range(len(parts)))


def _refuse_import(reader: Reader, path: str) -> None:
    """Raise as Python does where a text says what to do without a package."""
    top = path.split(".")[0]
    known = path in modules() or _is_harmless(path) or top in sys.stdlib_module_names
    if reader.has_fallback and top and not known and top not in ("torch", "numpy"):
        reader.note(f"{top} is not here: read with what the text does without it")
        raise ModuleNotFoundError(f"No module named '{top}'")


def import_module(reader: Reader, path: str, alias: str | None, scope: Scope) -> None:
    """Do ``import path as alias``."""
    top = path.split(".")[0]
    known = path in modules()
    _refuse_import(reader, path)
    if alias is None:
        target: Any = (
            values.Namespace(top) if top in modules() else values.Missing(top, _is_harmless(path))
        )
        _bind_import(reader, top, target, scope)
    else:
        target = values.Namespace(path) if known else values.Missing(path, _is_harmless(path))
        _bind_import(reader, alias, target, scope)
    if not known and top not in ("torch", "numpy"):
        reader.note(f"the import of {path} is passed over")


def import_name(reader: Reader, path: str, name: str, alias: str | None, scope: Scope) -> None:
    """Do ``from path import name as alias``."""
    _refuse_import(reader, path)
    if name == "*":
        _import_all(reader, path, scope)
        return
    dotted = f"{path}.{name}"
    names = table()
    found: Any
    if dotted in names or _resolved(dotted) in names:
        found = names.get(dotted, names.get(_resolved(dotted)))
    elif dotted in modules():
        found = values.Namespace(dotted)
    else:
        found = values.Missing(dotted, _is_harmless(dotted))
        reader.note(f"the import of {dotted} is passed over")
    _bind_import(reader, alias or name, found, scope)


def _import_all(reader: Reader, path: str, scope: Scope) -> None:
    if path not in modules():
        reader.note(f"the import of everything in {path} is passed over")
        return
    for dotted, one in table().items():
        head, _, tail = dotted.rpartition(".")
        if head == path and tail not in values.RESERVED and not tail.startswith("_"):
            scope.names[tail] = one


def _bind_import(reader: Reader, name: str, found: Any, scope: Scope) -> None:
    """Bind an import; a name that stands for a library may stand for no other."""
    path = found.path if isinstance(found, values.Namespace) else None
    if name in _CANONICAL and path != _CANONICAL[name]:
        raise Refused(f"binding the name {name} to something else", "Choose another name.")
    if name in reader.reserved:
        held = scope.find(name)
        bound = held.names[name] if held is not None else None
        if isinstance(bound, values.Namespace) and bound.path != path:
            raise Refused(f"binding the name {name} a second time", "Choose another name.")
    elif path is None or path.split(".")[0] not in ("torch", "numpy"):
        reader.store(name, found, scope)
        return
    reader.reserved.add(name)
    scope.names[name] = found


# -- types and methods ----------------------------------------------------------------------------


def type_of(reader: Reader, value: Any) -> Any:
    """Return ``type(value)`` as an object of the reader's."""
    if isinstance(value, values.Instance):
        return value.cls
    if isinstance(value, values.TextError):
        return value.cls
    if isinstance(value, nn.Module):
        cls = getattr(value, "user_class", None)
        return cls if cls is not None else _types().get(type(value), _plain_type(type(value)))
    if isinstance(value, values.Partial):
        return table()["functools.partial"]
    if isinstance(value, values.Own):
        name = reader.type_name(value)
        return values.Type(name, _no_type, (), f"<class '{name}'>")
    return _types().get(type(value)) or _plain_type(type(value))


def _plain_type(kind: type) -> values.Type:
    shown = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    if issubclass(kind, BaseException) and kind in ERRORS:
        return error_type(kind)
    return values.Type(kind.__name__, _no_type, (kind,), f"<class '{shown}'>")


@cache
def _types() -> dict[type, values.Type]:
    found = {
        one.types[0]: one for one in table().values() if isinstance(one, values.Type) and one.types
    }
    found[torch.Tensor] = table()["torch.Tensor"]
    return found


@cache
def _method_tables() -> list[tuple[Any, dict[str, Action]]]:
    tensors = tensor_methods()
    for name in names_in(
        "uniform_ normal_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_"
    ):
        if name in tensors:
            tensors[name] = _drawing(tensors[name])
    return [
        (torch.Tensor, tensors),
        (np.ndarray, array_methods()),
        (
            np.generic,
            {name: one for name, one in array_methods().items() if name in _SCALAR_METHODS},
        ),
        (np.random.Generator, generator_methods()),
        (Optimizer, OPTIMIZER_METHODS),
        (Hook, HOOK_METHODS),
        (Schedule, SCHEDULE_METHODS),
        (Parser, PARSER_METHODS),
        (torch.Generator, {"manual_seed": _seed_generator}),
        (torch.Size, {"numel": lambda r, a, k: a[0].numel(), "index": plain(_size_index)}),
        (torch.autograd.graph.Node, {"name": lambda r, a, k: a[0].name()}),
        *method_tables(),
    ]


_SCALAR_METHODS = frozenset(names_in("item astype round sum mean max min tolist"))


def _size_index(reader: Reader, owner: Any, value: Any) -> int:
    return owner.index(value)


@cache
def methods_of_type(kind: type) -> dict[str, Action]:
    """Return the methods of a host type."""
    for types, methods in _method_tables():
        if issubclass(kind, types):
            return methods
    return {}


def methods_of(value: Any) -> dict[str, Action]:
    """Return the methods of a host value."""
    kind: type = type(value)
    return methods_of_type(kind)


PROPERTIES: list[tuple[Any, dict[str, Callable[[Any], Any]]]] = [
    (torch.Tensor, TENSOR_PROPERTIES),
    (np.ndarray, ARRAY_PROPERTIES),
    (
        np.generic,
        {
            "dtype": lambda x: x.dtype,
            "shape": lambda x: x.shape,
            "ndim": lambda x: x.ndim,
            "size": lambda x: x.size,
            "real": lambda x: x.real,
            "T": lambda x: x,
        },
    ),
    (
        torch.dtype,
        {
            "is_floating_point": lambda x: x.is_floating_point,
            "is_complex": lambda x: x.is_complex,
            "itemsize": lambda x: x.itemsize,
        },
    ),
    (
        np.dtype,
        {"name": lambda x: x.name, "itemsize": lambda x: x.itemsize, "kind": lambda x: x.kind},
    ),
    (torch.device, {"type": lambda x: x.type, "index": lambda x: x.index}),
    (
        (torch.finfo, torch.iinfo),
        {
            "max": lambda x: x.max,
            "min": lambda x: x.min,
            "bits": lambda x: x.bits,
            "eps": lambda x: x.eps,
            "tiny": lambda x: x.tiny,
        },
    ),
    ((int, float, complex), {"real": lambda x: x.real, "imag": lambda x: x.imag}),
    (range, {"start": lambda x: x.start, "stop": lambda x: x.stop, "step": lambda x: x.step}),
    (slice, {"start": lambda x: x.start, "stop": lambda x: x.stop, "step": lambda x: x.step}),
    (BaseException, {"args": lambda x: x.args, "message": lambda x: str(x)}),
    (torch.autograd.graph.Node, {"next_functions": lambda x: ()}),
    (Optimizer, {"param_groups": lambda x: x.groups}),
    (
        values.Partial,
        {
            "func": lambda x: x.function,
            "args": lambda x: x.args,
            "keywords": lambda x: dict(x.kwargs),
        },
    ),
]

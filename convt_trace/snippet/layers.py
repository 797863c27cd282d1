"""torch's layers: which there are, what they cost, and classes of the text built on them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from convt_trace.snippet import values
from convt_trace.snippet.bounds import handed, itemsize_of, shape_of, size_of, tensors_in
from convt_trace.snippet.classes import bound, set_property
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.recording import ORDER
from convt_trace.snippet.torch_names import grown, padded, patches, pool
from convt_trace.snippet.values import Action, Args, Kwargs, names_in

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

CONVOLUTIONS = (nn.modules.conv._ConvNd,)

#: Layers that a text may make.
LAYERS = names_in("""
Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear Bilinear Identity
ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign Softshrink Hardshrink Hardtanh
Hardswish Hardsigmoid LogSigmoid Sigmoid Tanh Tanhshrink Threshold PReLU RReLU GLU Softmax Softmin
Softmax2d LogSoftmax BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d
InstanceNorm3d
GroupNorm LayerNorm RMSNorm LocalResponseNorm Dropout Dropout1d Dropout2d Dropout3d AlphaDropout
MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d
AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d Flatten Unflatten
Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle PixelUnshuffle ChannelShuffle
ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d
ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CircularPad1d
CircularPad2d CircularPad3d Fold Unfold Embedding CosineSimilarity LSTM GRU RNN LSTMCell GRUCell
MultiheadAttention MSELoss L1Loss SmoothL1Loss HuberLoss CrossEntropyLoss NLLLoss BCELoss
BCEWithLogitsLoss KLDivLoss
""")

#: Plain attributes of layers that a text may read; those marked may also be set.
_READ = names_in("""in_channels out_channels kernel_size stride padding output_padding dilation groups
padding_mode in_features out_features num_features eps momentum affine track_running_stats p inplace
negative_slope normalized_shape num_groups num_channels size scale_factor mode align_corners
output_size start_dim end_dim upscale_factor num_embeddings embedding_dim hidden_size input_size
num_layers batch_first bidirectional training dim transposed reduction alpha value
ceil_mode""")
_SET = set(
    names_in("""stride padding output_padding dilation groups eps momentum p inplace negative_slope training
    kernel_size padding_mode in_channels out_channels""")
)
_LARGEST_ARGUMENT = 2**20
_MOST_LAYERS_INSIDE = 32


class Shell:
    """Mixed into a torch module class for objects of the text's classes.

    The object holds real parameters and submodules; its methods are the text's and are only ever
    run by the reader.
    """

    user_class: values.UserClass

    def _get_name(self) -> str:
        return self.user_class.name


@cache
def _shell_type(base: type) -> type[nn.Module]:
    made: type[nn.Module] = type(f"Shell{base.__name__}", (Shell, base), {})
    return made


def new_shell(cls: values.UserClass) -> nn.Module:
    """Return an object of a class of the text before its ``__init__``."""
    assert cls.module is not None
    shell = _shell_type(cls.module)
    made = shell.__new__(shell)
    made.__dict__["user_class"], made.__dict__["own"] = cls, {}
    return made


def is_shell(module: nn.Module) -> bool:
    """Whether a module's class is the text's."""
    return isinstance(module, Shell)


def _torch_class(module: nn.Module) -> type[nn.Module]:
    """Return the torch class of a module."""
    return module.user_class.module if isinstance(module, Shell) else type(module)  # type: ignore[return-value]


# -- making ---------------------------------------------------------------------------------------


def make_layer(reader: Reader, cls: type[nn.Module], args: Args, kwargs: Kwargs) -> nn.Module:
    """Make a layer of torch's, after measuring it without memory."""
    if issubclass(cls, _HOLDERS):
        made = cls()
        _fill(reader, made, args, kwargs)
        return made
    args, kwargs = _layer_arguments(reader, cls, args, kwargs)
    with _tried(reader, cls, args, kwargs):
        _measure(reader, cls, args, kwargs)
        return cls(*args, **kwargs)


def init_base(reader: Reader, made: nn.Module, args: Args, kwargs: Kwargs) -> None:
    """Run the constructor of the torch class under a class of the text."""
    cls = _torch_class(made)
    if cls is nn.Module:
        nn.Module.__init__(made)
    elif issubclass(cls, _HOLDERS):
        start: Callable[..., None] = cls.__init__
        start(made)
        _fill(reader, made, args, kwargs)
    else:
        args, kwargs = _layer_arguments(reader, cls, args, kwargs)
        with _tried(reader, cls, args, kwargs):
            _measure(reader, cls, args, kwargs)
            cls.__init__(made, *args, **kwargs)


_CONSTRUCTOR = {
    False: names_in("in_channels out_channels kernel_size stride padding dilation groups bias padding_mode"),
    True: names_in("in_channels out_channels kernel_size stride padding output_padding groups bias "
                   "dilation padding_mode"),
}  # fmt: skip


def _op(cls: type[nn.Module]) -> str:
    """Return the function that a convolution layer calls: conv_transpose2d of ConvTranspose2d."""
    return cls.__name__.replace("ConvTranspose", "conv_transpose").replace("Conv", "conv")


@contextmanager
def _tried(reader: Reader, cls: type[nn.Module], args: Args, kwargs: Kwargs) -> Iterator[None]:
    """Say what a convolution layer's constructor is given, for the error that it may end in."""
    if not issubclass(cls, CONVOLUTIONS):
        yield
        return
    order = _CONSTRUCTOR["Transpose" in cls.__name__]
    reader.recorder.tries(reader, _op(cls), {}, {**dict(zip(order, args)), **kwargs})
    yield
    reader.recorder.succeeded()


def _call_tried(
    reader: Reader, cls: type[nn.Module], module: Any, args: Args, kwargs: Kwargs
) -> None:
    """Say what a convolution layer is called with, for the error that it may end in."""
    transposed = "Transpose" in cls.__name__
    layer = {name: getattr(module, name, None) for name in _CONSTRUCTOR[transposed]}
    given = dict(zip(("input", "output_size"), args)) | kwargs
    given |= {name: getattr(module, name, None) for name in ("weight", "bias")}
    given |= {name: layer[name] for name in ORDER[transposed] if name in layer and name != "bias"}
    layer["bias"] = layer["bias"] is not None
    reader.recorder.tries(reader, _op(cls), given, layer)


_HOLDERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def _fill(reader: Reader, made: nn.Module, args: Args, kwargs: Kwargs) -> None:
    """Put submodules into a container."""
    given = args[0] if args else kwargs.get("modules", ())
    if isinstance(made, nn.Sequential):
        if len(args) == 1 and isinstance(given, dict):
            for name, one in given.items():
                add_module(reader, made, name, one)
        else:
            for place, one in enumerate(args):
                add_module(reader, made, str(place), one)
    elif isinstance(made, nn.ModuleDict):
        if isinstance(given, dict):
            given = list(given.items())
        for pair in reader.iterate(given):
            name, one = reader.iterate(pair)
            add_module(reader, made, name, one)
    elif isinstance(made, nn.ModuleList):
        for place, one in enumerate(reader.iterate(given or ())):
            add_module(reader, made, str(place), one)
    else:
        made.extend([handed(reader, one) for one in reader.iterate(given)])  # type: ignore[operator]


def add_module(reader: Reader, owner: nn.Module, name: Any, module: Any) -> None:
    """Register a submodule as torch does."""
    if module is not None and not isinstance(module, nn.Module):
        raise TypeError(f"{_full_name(reader, module)} is not a Module subclass")
    if not isinstance(name, str):
        raise TypeError(f"module name should be a string. Got {reader.type_name(name)}")
    if "." in name or not name:
        raise KeyError(
            f'module name can\'t contain ".", got: {name}'
            if name
            else 'module name can\'t be empty string ""'
        )
    owner._modules[name] = module


def _full_name(reader: Reader, value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return "torch.FloatTensor"
    if isinstance(value, values.UserFunction):
        return "builtins.function"
    return reader.type_name(value)


def _layer_arguments(reader: Reader, cls: type, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    args = tuple(handed(reader, one) for one in args)
    kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
    for one in [*args, *kwargs.values()]:
        for number in one if isinstance(one, (tuple, list)) else (one,):
            if isinstance(number, int) and abs(number) > _LARGEST_ARGUMENT:
                raise Refused(f"an argument of {cls.__name__} that large", "Use a smaller number.")
    layers = kwargs.get("num_layers", args[2] if len(args) > 2 and cls in _RECURRENT else 1)
    if isinstance(layers, int) and layers > _MOST_LAYERS_INSIDE:
        raise Refused(f"{layers} recurrent layers", "Use fewer.")
    return args, kwargs


_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


def _measure(reader: Reader, cls: type[nn.Module], args: Args, kwargs: Kwargs) -> None:
    """Count a layer's parameters from a copy without memory; it draws no random numbers."""
    if cls in _BARE:
        return
    if cls is nn.Embedding:  # its initialisation on "meta" imports half a compiler
        sizes = [*args[:2], kwargs.get("num_embeddings", 1), kwargs.get("embedding_dim", 1)]
        reader.budget.size(one for one in sizes if isinstance(one, int))
        reader.random.drew("torch")
        return
    plan: nn.Module
    if issubclass(cls, CONVOLUTIONS) and "device" not in kwargs:
        plan = cls(*args, **{**kwargs, "device": "meta"})
    else:
        with torch.device("meta"):
            plan = cls(*args, **{k: v for k, v in kwargs.items() if k != "device"})
    for one in [*plan.parameters(), *plan.buffers()]:
        reader.budget.tensor(one.numel(), one.element_size())
        if one.is_floating_point() and _draws(cls):
            reader.random.drew("torch")


_BARE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.Dropout, nn.MaxPool2d, nn.Identity)


def _draws(cls: type) -> bool:
    return not issubclass(
        cls, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.PReLU)
    )


# -- calling --------------------------------------------------------------------------------------


def call_module(reader: Reader, module: nn.Module, args: Args, kwargs: Kwargs) -> Any:
    """Call a module with its hooks: all of them are functions of the text, run by the reader."""
    hooks = module.__dict__.get(_HOOKS)
    if not hooks:
        return _call_forward(reader, module, args, kwargs)
    for kind, function in list(hooks.values()):
        if kind == "pre":
            changed = reader.call(function, (module, args), {})
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    result = _call_forward(reader, module, args, kwargs)
    for kind, function in list(hooks.values()):
        if kind == "post":
            changed = reader.call(function, (module, args, result), {})
            result = result if changed is None else changed
    return result


def _call_forward(reader: Reader, module: nn.Module, args: Args, kwargs: Kwargs) -> Any:
    """Call a module: the text's ``forward`` by the reader, torch's own layers by torch."""
    reader.recorder.called(module)
    if isinstance(module, Shell):
        for name in ("__call__", "forward"):
            found = module.user_class.find(name)
            if found is not None:
                return reader.call(bound(reader, found[0], module), args, kwargs)
    return call_base(reader, module, args, kwargs)


def call_base(reader: Reader, module: nn.Module, args: Args, kwargs: Kwargs) -> Any:
    """Call the torch layer, under a class of the text or not."""
    reader.recorder.called(module)  # layer.forward(x) comes straight here
    cls = _torch_class(module)
    if "_modules" not in module.__dict__:
        raise AttributeError(f"'{reader.type_name(module)}' object has no attribute '_modules'")
    if issubclass(cls, nn.Sequential):
        return _call_in_turn(reader, module, args, kwargs)
    if cls is nn.Module or issubclass(cls, _HOLDERS):
        raise NotImplementedError(
            f'Module [{reader.type_name(module)}] is missing the required "forward" function'
        )
    args = tuple(handed(reader, one) for one in args)
    kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
    if issubclass(cls, CONVOLUTIONS):
        _call_tried(reader, cls, module, args, kwargs)
        with reader.recorder.watch(reader, f"nn.{cls.__name__}"):
            return _run(module, args, kwargs)
    _bound_layer(reader, module, args, kwargs)
    if isinstance(module, nn.modules.dropout._DropoutNd) and module.training:
        reader.random.drew("torch")
    return _run(module, args, kwargs)


def _run(module: nn.Module, args: Args, kwargs: Kwargs) -> Any:
    # The only hooks that torch sees here are those of its own weight_norm.
    return module(*args, **kwargs)


def _call_in_turn(reader: Reader, module: nn.Module, args: Args, kwargs: Kwargs) -> Any:
    if len(args) + len(kwargs) != 1:
        count = len(args) + 1
        raise TypeError(
            f"Sequential.forward() takes 2 positional arguments but {count} were given"
            if count != 1
            else "Sequential.forward() missing 1 required positional argument: 'input'"
        )
    value = args[0] if args else kwargs["input"]
    for child in module._modules.values():
        value = call_module(reader, child, (value,), {})  # type: ignore[arg-type]
    return value


def _one(value: Any) -> list[int]:
    return [int(one) for one in value] if isinstance(value, (tuple, list)) else [int(value)]


def _bound_layer(reader: Reader, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
    """Count a layer's output before it runs; the default is a layer that keeps its input's size."""
    found = tensors_in([*args, *kwargs.values()])
    if not found:
        return
    x = found[0]
    for cls, measure in _COSTS:
        if isinstance(module, cls):
            measure(reader, module, x)
            return
    reader.budget.tensor(max(map(size_of, found)), itemsize_of(*found))


def _linear(reader: Reader, module: Any, x: Any) -> None:
    rows = size_of(x) // max(shape_of(x)[-1] if x.dim() else 1, 1)
    reader.budget.tensor(rows * module.weight.shape[0], itemsize_of(x))
    reader.budget.multiply(size_of(x) * module.weight.shape[0])


def _pooling(reader: Reader, module: Any, x: Any) -> None:
    window = _one(module.kernel_size)
    stride = _one(module.stride if module.stride is not None else window)
    pool(reader, x, window, stride, _one(module.padding))


def _recurrent(reader: Reader, module: Any, x: Any) -> None:
    count = sum(one.numel() for one in module.parameters())
    rows = size_of(x) // max(shape_of(x)[-1], 1)
    reader.budget.multiply(count * rows)
    reader.budget.tensor(rows * module.hidden_size * 8, 4)


def _attention(reader: Reader, module: Any, x: Any) -> None:
    reader.budget.tensor(size_of(x) * max(shape_of(x)) * 2, 4)
    reader.budget.multiply(size_of(x) * (max(shape_of(x)) + 4 * module.embed_dim))


_COSTS: list[tuple[Any, Callable[[Reader, Any, Any], None]]] = [
    (nn.Linear, _linear),
    (nn.Bilinear, lambda r, m, x: r.budget.multiply(size_of(x) * m.weight.numel())),
    ((nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd), _pooling),
    (
        (nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd),
        lambda r, m, x: grown(r, x, list(_one_or_none(m.output_size)), None),
    ),
    (nn.Upsample, lambda r, m, x: grown(r, x, m.size, m.scale_factor)),
    (
        (nn.modules.padding._ConstantPadNd, nn.modules.padding._ReflectionPadNd,
         nn.modules.padding._ReplicationPadNd, nn.modules.padding._CircularPadNd),
        lambda r, m, x: padded(r, (x, m.padding), {}),
    ),
    (nn.Unfold, lambda r, m, x: patches(r, (x, m.kernel_size, 1, m.padding), {})),
    (nn.Fold, lambda r, m, x: r.budget.size([*shape_of(x)[:-1], *_one(m.output_size)])),
    (nn.Embedding, lambda r, m, x: r.budget.tensor(size_of(x) * m.embedding_dim)),
    ((nn.RNNBase,), _recurrent),
    (nn.MultiheadAttention, _attention),
]  # fmt: skip


def _one_or_none(value: Any) -> list[int]:
    sizes = value if isinstance(value, (tuple, list)) else [value]
    return [one if one is not None else 1 for one in sizes]


# -- attributes -----------------------------------------------------------------------------------


def module_attribute(reader: Reader, module: nn.Module, name: str) -> Any:
    """Return ``module.name``."""
    held = module.__dict__
    found = module.user_class.find(name) if isinstance(module, Shell) else None
    if found is not None and isinstance(found[0], values.Decorated) and found[0].kind == "property":
        return bound(reader, found[0], module)
    own = held.get("own", {})
    if name in own:
        return own[name]
    if found is not None and name != "__fields__":
        return bound(reader, found[0], module)
    for group in ("_parameters", "_buffers", "_modules"):
        if name in held.get(group, {}):
            return held[group][name]
    return base_attribute(reader, module, name)


def base_attribute(reader: Reader, module: nn.Module, name: str) -> Any:
    """Return what torch's own class gives for ``module.name``."""
    if name == "__class__":
        from convt_trace.snippet.names import type_of

        return type_of(reader, module)
    if name in _METHODS:
        return values.Method(module, name, _METHODS[name])
    for cls, table in _CONTAINER_METHODS:
        if isinstance(module, cls) and name in table:
            return values.Method(module, name, table[name])
    if name in ("forward", "__call__") and _torch_class(module) is not nn.Module:
        return values.Method(module, name, lambda r, a, k: call_base(r, a[0], a[1:], k))
    if name in ("weight", "bias") and hasattr(module, "parametrizations"):
        return operator.attrgetter(name)(module)
    if name in _READ or name == "weight":
        if name in module.__dict__:
            return module.__dict__[name]
        if name == "training":
            return True
    if name in ("_modules", "_parameters", "_buffers"):
        raise Refused(
            f"a module's {name}", f"Use named_{name.strip('_').replace('modules', 'children')}()."
        )
    if name == "__dict__":
        raise Refused("a module's __dict__", "Use named_parameters().")
    raise AttributeError(f"'{reader.type_name(module)}' object has no attribute '{name}'")


def put_attribute(reader: Reader, module: nn.Module, name: str, value: Any) -> None:
    """Do ``module.name = value`` as torch does: tensors and submodules are registered."""
    held = module.__dict__
    ready = "_parameters" in held
    if isinstance(value, (nn.Parameter, nn.Module)) and not ready:
        kind = "parameters" if isinstance(value, nn.Parameter) else "module"
        raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
    if isinstance(module, Shell):
        found = module.user_class.find(name)
        if (
            found is not None
            and isinstance(found[0], values.Decorated)
            and found[0].kind == "property"
        ):
            set_property(reader, found[0], module, module.user_class.name, name, value)
            return
    own = held.setdefault("own", {})
    if isinstance(value, nn.Parameter):
        _forget(module, name, "_parameters")
        if name in ("weight", "bias"):
            held.pop(name, None)
        held["_parameters"][name] = value
    elif ready and name in held["_parameters"]:
        if value is not None:
            raise TypeError(
                f"cannot assign '{_tensor_name(reader, value)}' as parameter '{name}' "
                "(torch.nn.Parameter or None expected)"
            )
        held["_parameters"][name] = None
    elif isinstance(value, nn.Module):
        _forget(module, name, "_modules")
        held["_modules"][name] = value
    elif ready and name in held["_modules"]:
        if value is not None:
            raise TypeError(
                f"cannot assign '{_tensor_name(reader, value)}' as child module '{name}' "
                "(torch.nn.Module or None expected)"
            )
        held["_modules"][name] = None
    elif ready and name in held["_buffers"] and (value is None or isinstance(value, torch.Tensor)):
        held["_buffers"][name] = value
    elif name in _SET and not (isinstance(module, Shell) and _torch_class(module) is nn.Module):
        held[name] = handed(reader, value)
    elif name in ("forward", "__call__") and not isinstance(module, Shell):
        raise Refused("replacing a layer's forward", "Write a class with a forward of its own.")
    else:
        own[name] = value


def _tensor_name(reader: Reader, value: Any) -> str:
    return value.type() if isinstance(value, torch.Tensor) else reader.type_name(value)


def _forget(module: nn.Module, name: str, keep: str) -> None:
    """Take a name out of every group but one, so that it means one thing."""
    for group in ("_parameters", "_buffers", "_modules", "own"):
        if group != keep:
            module.__dict__.get(group, {}).pop(name, None)


def delete_attribute(module: nn.Module, name: str) -> None:
    """Do ``del module.name``."""
    for group in ("own", "_parameters", "_buffers", "_modules"):
        if name in module.__dict__.get(group, {}):
            del module.__dict__[group][name]
            return
    raise AttributeError(f"'{type(module).__name__}' object has no attribute '{name}'")


# -- methods --------------------------------------------------------------------------------------


def _passed(method: Callable[..., Any], listing: bool = False) -> Action:
    """Return an entry that hands plain arguments to a method of ``nn.Module``."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        module, rest = args[0], tuple(handed(reader, one) for one in args[1:])
        result = method(
            module, *rest, **{name: handed(reader, one) for name, one in kwargs.items()}
        )
        return iter(list(result)) if listing else result

    return act


def _apply(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``module.apply(fn)``: children first, walked by the reader."""
    module, function = args
    for child in module.children():
        _apply(reader, (child, function), {})
    reader.call(function, (module,), {})
    return module


def _converted(method: Callable[..., Any]) -> Action:
    """Return an entry for ``to``, ``double`` and their like: parameters are copied."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        module = args[0]
        for one in [*module.parameters(), *module.buffers()]:
            reader.budget.tensor(one.numel(), 8)
        method(
            module,
            *(handed(reader, one) for one in args[1:]),
            **{name: handed(reader, one) for name, one in kwargs.items()},
        )
        return module

    return act


def _stays(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    reader.note("there is no GPU here: the layer stays on the CPU")
    return args[0]


_HOOKS = "hooks_of_the_text"


class Hook(values.Own):
    """What ``register_forward_hook`` returns: it can be taken off again."""

    def __init__(self, hooks: dict[Any, Any]):
        self.hooks = hooks


def _hook(kind: str) -> Action:
    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Hook:
        if kwargs:
            raise Refused(f"a hook with {next(iter(kwargs))}=", "Leave that argument out.")
        module, function = args
        hooks = module.__dict__.setdefault(_HOOKS, {})
        hook = Hook(hooks)
        hooks[hook] = (kind, function)
        return hook

    return act


def _remove_hook(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    args[0].hooks.pop(args[0], None)


HOOK_METHODS: dict[str, Action] = {"remove": _remove_hook}


def _refuse_hook(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    raise Refused(
        "a hook on the backward pass", "Call backward() and print the .grad of what is of interest."
    )


def _walked(group: str, what: str) -> Action:
    """Return an entry for ``get_submodule("a.b")`` and its like: names are looked up in tables."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        owner, target = args[0], args[1] if len(args) > 1 else kwargs["target"]
        if not isinstance(target, str):
            raise TypeError("the target must be a string")
        *path, last = target.split(".")
        for step in path:
            if step not in owner._modules:
                raise AttributeError(f"{owner._get_name()} has no attribute `{step[:60]}`")
            owner = owner._modules[step]
        if not target and group == "_modules":
            return owner
        if last not in owner.__dict__[group]:
            raise AttributeError(f"{owner._get_name()} has no {what} `{last[:60]}`")
        return owner.__dict__[group][last]

    return act


def _register_buffer(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    module, name = args[0], args[1] if len(args) > 1 else kwargs["name"]
    tensor = args[2] if len(args) > 2 else kwargs.get("tensor")
    persistent = args[3] if len(args) > 3 else kwargs.get("persistent", True)
    _register(reader, module, "_buffers", name, tensor)
    if not persistent:
        module._non_persistent_buffers_set.add(name)


def _register(reader: Reader, module: nn.Module, group: str, name: Any, tensor: Any) -> None:
    if "_buffers" not in module.__dict__:
        raise AttributeError("cannot assign buffer before Module.__init__() call")
    if not isinstance(name, str) or "." in name or not name:
        raise KeyError("a name without dots is needed")
    if tensor is not None and not isinstance(tensor, torch.Tensor):
        raise TypeError(
            f"cannot assign '{reader.type_name(tensor)}' object to buffer '{name}' "
            "(torch Tensor or None required)"
        )
    module.__dict__[group][name] = tensor


def _register_parameter(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    module, name, value = args[0], args[1], args[2] if len(args) > 2 else kwargs.get("param")
    if value is not None and not isinstance(value, nn.Parameter):
        raise TypeError(
            f"cannot assign '{reader.type_name(value)}' object to parameter '{name}' "
            "(torch.nn.Parameter or None required)"
        )
    _register(reader, module, "_parameters", name, value)


def _add_module(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    add_module(reader, args[0], *args[1:], **kwargs)


def _load(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    state = args[1] if len(args) > 1 else kwargs["state_dict"]
    if not isinstance(state, dict):
        raise TypeError(f"Expected state_dict to be dict-like, got {reader.type_name(state)}.")
    if not all(isinstance(one, (torch.Tensor, dict)) for one in state.values()):
        raise Refused("a state_dict with other things than tensors", "Keep tensors only.")
    reader.budget.tensor(sum(one.numel() for one in args[0].parameters()) // 8)
    strict = args[2] if len(args) > 2 else kwargs.get("strict", True)
    return nn.Module.load_state_dict(args[0], state, strict=bool(strict))


def _reset(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    module = args[0]
    if not hasattr(_torch_class(module), "reset_parameters"):
        raise AttributeError(
            f"'{reader.type_name(module)}' object has no attribute 'reset_parameters'"
        )
    reader.random.drew("torch")
    module.reset_parameters()


_METHODS: dict[str, Action] = {
    **{
        name: _passed(getattr(nn.Module, name), listing=True)
        for name in names_in("""parameters named_parameters children named_children modules named_modules
        buffers named_buffers""")
    },
    **{
        name: _passed(getattr(nn.Module, name))
        for name in names_in("eval train requires_grad_ zero_grad state_dict cpu")
    },
    **{
        name: _converted(getattr(nn.Module, name))
        for name in names_in("to float double half bfloat16 type")
    },
    "extra_repr": lambda reader, args, kwargs: _torch_class(args[0]).extra_repr(args[0]),
    "cuda": _stays,
    "apply": _apply,
    "register_buffer": _register_buffer,
    "register_parameter": _register_parameter,
    "add_module": _add_module,
    "register_module": _add_module,
    "load_state_dict": _load,
    "register_forward_hook": _hook("post"),
    "register_forward_pre_hook": _hook("pre"),
    "register_backward_hook": _refuse_hook,
    "register_full_backward_hook": _refuse_hook,
    "get_submodule": _walked("_modules", "attribute"),
    "get_parameter": _walked("_parameters", "attribute"),
    "get_buffer": _walked("_buffers", "attribute"),
    "_get_name": lambda reader, args, kwargs: reader.type_name(args[0]),
    "__init__": lambda reader, args, kwargs: init_base(reader, args[0], args[1:], kwargs),
    "__len__": lambda reader, args, kwargs: len(args[0]._modules),
}


def _append(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    add_module(reader, args[0], str(len(args[0]._modules)), args[1])
    return args[0]


def _extend(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    for one in reader.iterate(args[1]):
        _append(reader, (args[0], one), {})
    return args[0]


def _insert(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    owner, place, module = args
    place = operator.index(place)
    children = list(owner._modules.values())
    children.insert(place, module)
    owner._modules.clear()
    for number, one in enumerate(children):
        add_module(reader, owner, str(number), one)


def _update(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    owner, more = args
    if isinstance(more, nn.ModuleDict):
        more = more._modules
    pairs = (
        more.items()
        if isinstance(more, dict)
        else map(tuple, map(reader.iterate, reader.iterate(more)))
    )
    for name, one in pairs:
        add_module(reader, owner, name, one)


def _pop(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    owner, place = args
    if not isinstance(place, int):
        raise Refused("pop of several layers", "Use del.")
    held = owner[place]
    del owner[place]
    return held


_CONTAINER_METHODS: list[tuple[Any, dict[str, Action]]] = [
    (
        (nn.Sequential, nn.ModuleList),
        {"append": _append, "extend": _extend, "insert": _insert, "pop": _pop},
    ),
    (
        nn.ModuleDict,
        {
            "update": _update,
            "pop": lambda r, a, k: a[0]._modules.pop(a[1]),
            "keys": lambda r, a, k: list(a[0]._modules),
            "values": lambda r, a, k: list(a[0]._modules.values()),
            "items": lambda r, a, k: list(a[0]._modules.items()),
        },
    ),
    (
        (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.Embedding),
        {"reset_parameters": _reset},
    ),
    (nn.ParameterList, {"append": lambda r, a, k: a[0].append(handed(r, a[1]))}),
]


def layer_types() -> dict[str, values.Type]:
    """Return the layers as types of the table, by dotted name."""
    table: dict[str, values.Type] = {}

    def make(cls: type[nn.Module]) -> Action:
        return lambda reader, args, kwargs: make_layer(reader, cls, args, kwargs)

    holders = ["Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList"]
    for name in [*LAYERS, *holders]:
        cls = getattr(nn, name, None)
        if cls is not None:
            shown = f"<class '{cls.__module__}.{name}'>"
            table[f"torch.nn.{name}"] = values.Type(f"torch.nn.{name}", make(cls), (cls,), shown)
    return table

"""torch's functions and tensor methods that a text may use, each with the bound of its result.

The names stand in this file; a name from a text is only ever looked up in the tables made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from convt_trace.snippet import values
from convt_trace.snippet.bounds import (
    broadcast,
    handed,
    itemsize_of,
    leaves,
    matmul,
    shape_of,
    size_of,
    tensors_in,
)
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.values import Action, Args, Kwargs, names_in

if TYPE_CHECKING:
    from convt_trace.snippet.interpreter import Reader

#: Counts what a call will make, before it is made.
Bound = Callable[["Reader", Args, Kwargs], None]

_REFUSED_KEYWORDS = {"out": "Assign the result instead.", "names": "Leave the names out."}


def action(function: Callable[..., Any], bound: Bound, method: bool = False) -> Action:
    """Return a table entry that checks its arguments, counts the result and calls torch."""

    def act(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
        args = tuple(handed(reader, one) for one in args)
        kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
        for name, hint in _REFUSED_KEYWORDS.items():
            if kwargs.get(name) is not None:
                raise Refused(f"the argument {name}=", hint)
        bound(reader, args, kwargs)
        return function(*args, **kwargs)

    return act


def _arg(args: Args, kwargs: Kwargs, place: int, name: str, default: Any = None) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _ints(value: Any) -> list[int]:
    """Return sizes as plain ints; what is no size counts as 1 and is left for torch to refuse."""
    if isinstance(value, (list, tuple, torch.Size)):
        return [one for part in value for one in _ints(part)]
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return [int(value)] if size_of(value) == 1 else []
    return [int(value)] if isinstance(value, (int, np.integer)) else []


def _sizes(args: Args) -> list[int]:
    return _ints(list(args))


# -- bounds ---------------------------------------------------------------------------------------


def like_inputs(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a result that is no larger than the arguments, broadcast."""
    found = tensors_in([*args, *kwargs.values()])
    reader.budget.tensor(broadcast(map(shape_of, found)), itemsize_of(*found))


def pieces(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``unbind``, ``split``: views, as many as the longest side at most."""
    found = tensors_in(args)
    if found:
        reader.budget.made(max(shape_of(found[0]), default=1))
        reader.budget.tensor(size_of(found[0]), 0)


def listed(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``tolist``: a list element per number."""
    reader.budget.made(size_of(args[0]))


def together(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a result that holds all arguments side by side."""
    found = tensors_in([*args, *kwargs.values()])
    reader.budget.tensor(sum(map(size_of, found)), itemsize_of(*found))


def sized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count sizes that are the integer arguments (``torch.zeros(2, 3)``, ``size=(2, 3)``)."""
    sizes = _sizes(args) if args else _ints(kwargs.get("size", kwargs.get("shape", 0)))
    reader.budget.size(sizes, 8)


def first_sized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a size that is the first argument (``torch.full``)."""
    reader.budget.size(_ints(_arg(args, kwargs, 0, "size", kwargs.get("shape", 0))), 8)


def leaf_sized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count the tensor that a nested list becomes."""
    reader.budget.tensor(sum(leaves(one) for one in [*args, *kwargs.values()]), 8)


def legacy(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``torch.Tensor(2, 3)`` is a size, ``torch.Tensor([2, 3])`` are values."""
    if args and all(isinstance(one, (int, np.integer)) for one in args):
        sized(reader, args, kwargs)
    elif args and isinstance(args[0], torch.Size):
        reader.budget.size(args[0], 8)
    else:
        leaf_sized(reader, args, kwargs)


def counted(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``arange`` and ``range``."""
    numbers = [float(one) for one in args if isinstance(one, (int, float, np.number, torch.Tensor))]
    start = float(kwargs.get("start", numbers[0] if len(numbers) > 1 else 0))
    last = numbers[1] if len(numbers) > 1 else (numbers[0] if numbers else 0)
    end_given: Any = kwargs.get("end", kwargs.get("stop", last))
    end = float(end_given)
    step = float(kwargs.get("step", numbers[2] if len(numbers) > 2 else 1)) or 1.0
    count = abs((end - start) / step)
    reader.budget.tensor(int(count) + 2 if count < 1e18 else 10**18, 8)


def steps(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``linspace`` and its like: the third argument counts."""
    count = _ints(_arg(args, kwargs, 2, "steps", kwargs.get("num", 50)))
    reader.budget.size([max(one, 0) for one in count] or [100], 8)


def squared(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``eye``, ``diag``, windows: at most the product of the sizes, or the square of one."""
    sizes = _sizes(args) or _ints(kwargs.get("n", kwargs.get("N", 0)))
    found = tensors_in(args)
    if found:
        extra = sum(abs(one) for one in sizes)
        last = max([*shape_of(found[0]), 1])
        reader.budget.tensor(size_of(found[0]) * (last + extra) + (last + extra) ** 2, 8)
    else:
        rows = sizes[:2]
        reader.budget.size(rows if len(rows) == 2 else [*rows, *rows], 8)


def multiplied(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``repeat``, ``tile``, ``expand``: at most the tensor times every number."""
    numbers = [max(abs(one), 1) for one in _sizes(args[1:]) + _ints(list(kwargs.values()))]
    reader.budget.tensor(size_of(args[0]) * prod(numbers), itemsize_of(args[0]))


def expanded(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``expand`` and ``broadcast_to``: the sizes given, -1 meaning as it is."""
    sizes = [abs(one) for one in _sizes(args[1:]) + _ints(list(kwargs.values()))]
    reader.budget.tensor(prod(sizes) * max(1, size_of(args[0]) if 1 in sizes else 1), 0)


def repeated(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``repeat_interleave``: a number, or one per element."""
    times = _arg(args, kwargs, 1, "repeats", 1)
    total = int(times.max()) if isinstance(times, torch.Tensor) and times.numel() else None
    numbers = [total] if total is not None else _ints(times)
    reader.budget.tensor(size_of(args[0]) * max([1, *map(abs, numbers)]), itemsize_of(args[0]))


def outer(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Every element against every element."""
    found = tensors_in([*args, *kwargs.values()])
    reader.budget.tensor(prod(map(size_of, found)), itemsize_of(*found))


def grid(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``meshgrid``: a grid for each of its axes."""
    found = tensors_in(args)
    reader.budget.tensor(prod(map(size_of, found)) * max(len(found), 1), itemsize_of(*found))


def product(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a matrix product of the last two tensors."""
    found = tensors_in([*args, *kwargs.values()])[-2:]
    if len(found) == 2:
        matmul(reader, *found)


def linear(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``F.linear``."""
    x, weight = _arg(args, kwargs, 0, "input"), _arg(args, kwargs, 1, "weight")
    if isinstance(x, torch.Tensor) and isinstance(weight, torch.Tensor) and x.dim():
        rows = size_of(x) // max(x.shape[-1], 1)
        reader.budget.tensor(rows * weight.shape[0], itemsize_of(x))
        reader.budget.multiply(size_of(x) * weight.shape[0])


def contraction(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``einsum``: every letter's size, multiplied."""
    found = tensors_in(args[1:])
    equation = args[0] if args and isinstance(args[0], str) else ""
    sizes: dict[str, int] = {}
    inputs = equation.replace(" ", "").split("->")[0].split(",")
    if "." in equation or len(inputs) != len(found):
        total = prod(map(size_of, found))
    else:
        for letters, one in zip(inputs, found):
            sizes.update(
                (letter, max(size, sizes.get(letter, 1)))
                for letter, size in zip(letters, shape_of(one))
            )
        total = prod(sizes.values())
    result = equation.replace(" ", "").split("->")[1] if "->" in equation else ""
    kept = prod(sizes.get(letter, 1) for letter in result)
    reader.budget.multiply(total)
    reader.budget.tensor(min(total, 2**24) if not result else kept, 4)


def tensordot(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """At most every element of one with every element of the other."""
    found = tensors_in(args[:2])
    dims = _arg(args, kwargs, 2, "dims", kwargs.get("axes", 2))
    if len(found) == 2 and isinstance(dims, int):
        inner = prod(shape_of(found[1])[: max(dims, 0)])
        reader.budget.tensor(prod(map(size_of, found)) // max(inner, 1) ** 2, itemsize_of(*found))
    elif len(found) == 2:
        axes = _ints(dims[0]) if isinstance(dims, (list, tuple)) and dims else []
        shape = shape_of(found[0])
        inner = prod(shape[a] for a in axes if -len(shape) <= a < len(shape))
        reader.budget.tensor(prod(map(size_of, found)) // max(inner, 1) ** 2, itemsize_of(*found))
    reader.budget.multiply(prod(map(size_of, found)))


def gathered(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a row for each index."""
    found = tensors_in([*args, *kwargs.values()])
    if len(found) > 1:
        rows = [size_of(one) // max(min(shape_of(one), default=1), 1) for one in found]
        reader.budget.tensor(
            max(size_of(found[-1]) * rows[0], size_of(found[0]) * rows[-1], *map(size_of, found)), 4
        )


def chosen(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``gather`` and ``scatter``: no larger than the largest argument."""
    found = tensors_in([*args, *kwargs.values()])
    reader.budget.tensor(max(map(size_of, found), default=0), 8)


def padded(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``F.pad``: two numbers per dimension, the last one first."""
    x, pad = _arg(args, kwargs, 0, "input"), _ints(_arg(args, kwargs, 1, "pad", ()))
    shape = list(shape_of(x))
    for place in range(0, len(pad) - 1, 2):
        if place // 2 < len(shape):
            shape[-1 - place // 2] += max(pad[place], 0) + max(pad[place + 1], 0)
    reader.budget.size(shape, itemsize_of(x))


def resized(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``interpolate``: a size, or a factor."""
    x = _arg(args, kwargs, 0, "input")
    size, factor = _arg(args, kwargs, 1, "size"), _arg(args, kwargs, 2, "scale_factor")
    grown(reader, x, size, factor)


def grown(reader: Reader, x: Any, size: Any, factor: Any) -> None:
    """Count a tensor whose spatial sizes become ``size`` or grow by ``factor``."""
    shape = shape_of(x)
    dims = max(len(shape) - 2, 1)
    if size is not None:
        sizes = _ints(size)
        reader.budget.size([*shape[:2], *(sizes if len(sizes) > 1 else sizes * dims)], 4)
    elif factor is not None:
        factors = list(factor) if isinstance(factor, (list, tuple)) else [factor] * dims
        scale = prod(max(float(one), 1.0) for one in factors)
        reader.budget.tensor(int(min(size_of(x) * scale, 1e18)) + 1, 4)


def pooled(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Pooling: no larger than the padded input; the work is the output times the window."""
    x = _arg(args, kwargs, 0, "input")
    window = [abs(one) for one in _ints(_arg(args, kwargs, 1, "kernel_size", 1))] or [1]
    stride = [abs(one) for one in _ints(_arg(args, kwargs, 2, "stride", window))] or window
    padding = [abs(one) for one in _ints(_arg(args, kwargs, 3, "padding", 0))] or [0]
    pool(reader, x, window, stride, padding)


def pool(reader: Reader, x: Any, window: list[int], stride: list[int], padding: list[int]) -> None:
    """Count a pooling from its numbers."""
    if max(*window, *stride, *padding, 1) > reader.budget.limits.parameter:
        raise Refused("a pooling window, stride or padding that large", "Use a smaller one.")
    shape = list(shape_of(x))
    dims = max(len(shape) - 2, 1)
    per = [one * dims if len(one) == 1 else one for one in (window, stride, padding)]
    for place in range(1, min(dims, len(shape), *map(len, per)) + 1):
        k, s, p = (one[-place] for one in per)
        shape[-place] = (shape[-place] + 2 * p) // max(s, 1) + 1
    reader.budget.size(shape, 4)
    reader.budget.multiply(prod(shape) * prod(per[0]) // 4)


def to_size(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Adaptive pooling: the spatial sizes are the second argument."""
    grown(reader, _arg(args, kwargs, 0, "input"), _arg(args, kwargs, 1, "output_size", 1), None)


def patches(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``F.unfold``: at most the input times the kernel's taps."""
    taps = [abs(one) for one in _ints(_arg(args, kwargs, 1, "kernel_size", 1))]
    x = _arg(args, kwargs, 0, "input")
    padding = [abs(one) for one in _ints(_arg(args, kwargs, 3, "padding", 0))] or [0]
    shape = list(shape_of(x))
    around = [size + 2 * padding[-1] for size in shape[-2:]]
    taps = taps * 2 if len(taps) == 1 else taps
    reader.budget.size([*shape[:-2], *around, *taps], itemsize_of(x))


def folded(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``F.fold``: channels times the output size, padding included."""
    x = _arg(args, kwargs, 0, "input")
    sizes = _ints(_arg(args, kwargs, 1, "output_size", 1))
    padding = max([abs(one) for one in _ints(_arg(args, kwargs, 4, "padding", 0))], default=0)
    sizes = [abs(one) + 2 * padding for one in (sizes * 2 if len(sizes) == 1 else sizes)]
    reader.budget.size([*shape_of(x)[:-1], *sizes], itemsize_of(x))


def hot(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``one_hot``: as many classes as said, or as the largest index."""
    x = args[0]
    classes = _ints(_arg(args, kwargs, 1, "num_classes", -1)) or [1]
    top = int(x.max()) + 1 if isinstance(x, torch.Tensor) and x.numel() else 1
    reader.budget.tensor(size_of(x) * max(classes[0], top), 8)


def tally(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``bincount``, ``histc``: as many bins as said, or as the largest value."""
    found = tensors_in(args)
    top = int(found[0].max()) if found and size_of(found[0]) else 0
    reader.budget.tensor(
        max([abs(top) + 1, *map(abs, _ints(list(args[1:]) + list(kwargs.values())))]), 8
    )


def listing(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``nonzero``, ``argwhere``, ``where`` with one argument: an index per dimension."""
    found = tensors_in([*args, *kwargs.values()])
    reader.budget.tensor(
        max(1, len(shape_of(found[0])) if found else 1) * broadcast(map(shape_of, found)), 8
    )


def windows(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``Tensor.unfold``: overlapping views; whatever copies them is counted by their size."""
    size = _ints(_arg(args, kwargs, 2, "size", 1)) or [1]
    reader.budget.tensor(size_of(args[0]) * max(abs(size[0]), 1), 0)


def sampled(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``grid_sample``: channels times the grid."""
    x, positions = _arg(args, kwargs, 0, "input"), _arg(args, kwargs, 1, "grid")
    reader.budget.tensor(prod(shape_of(x)[:2]) * size_of(positions), 4)


def drawn(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count every integer in a size: ``normal``, ``multinomial``, ``randint``."""
    size = kwargs.get("size")
    for one in args:
        if isinstance(one, (tuple, list, torch.Size)):
            size = one
    found = tensors_in(args)
    reader.budget.tensor(
        max(broadcast(map(shape_of, found)), prod(abs(one) for one in _ints(size or 1))), 8
    )


def samples(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Count a result of as many elements as the largest integer says."""
    sizes = [abs(one) for one in _ints(list(args) + list(kwargs.values()))]
    found = tensors_in(args)
    reader.budget.tensor(max([1, *sizes]) * max(1, broadcast(map(shape_of, found))), 8)


def transformed(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """``torch.fft``: the sizes given, or twice the input's at most."""
    x = _arg(args, kwargs, 0, "input")
    sizes = [max(one, 1) for one in _ints(_arg(args, kwargs, 1, "n", kwargs.get("s")))]
    if isinstance(x, torch.Tensor):
        rest = sorted(shape_of(x))[len(sizes) :] if sizes else [2, *shape_of(x)]
        count = max(prod(sizes) * prod(rest), size_of(x))
        reader.budget.tensor(count, 16)
        reader.budget.multiply(count * 40)


def cubic(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    """Factorisations: cubic in the matrix."""
    found = tensors_in(args)
    side = max(shape_of(found[0]), default=1) if found else 1
    reader.budget.multiply(size_of(found[0]) * side * 20 if found else 1)
    reader.budget.tensor(side * side + (size_of(found[0]) if found else 0), 8)


# -- functions ------------------------------------------------------------------------------------

_LIKE = names_in("""
abs absolute acos arccos acosh add addcdiv addcmul all allclose amax amin aminmax angle any argmax
argmin argsort asin asinh atan atan2 arctan baddbmm bernoulli bitwise_and bitwise_not bitwise_or
bitwise_xor bucketize ceil celu chunk clamp clip clamp_max clamp_min clone complex conj copysign cos
cosh count_nonzero cummax cummin cumprod cumsum deg2rad detach diagonal diff div divide dist
dropout empty_like eq equal erf erfc erfinv exp exp2 expm1 flatten flip fliplr flipud float_power
floor floor_divide fmod frac full_like gcd ge greater greater_equal gt heaviside hypot imag isclose
isfinite isinf isnan isreal is_floating_point is_tensor is_complex is_nonzero kthvalue lcm le ldexp
lerp less less_equal lgamma log log10 log1p log2 logaddexp logcumsumexp logical_and logical_not
logical_or logical_xor logit logsumexp lt masked_fill masked_select max maximum mean median min
minimum mode moveaxis movedim mul multiply mvlgamma nan_to_num nanmean nanmedian nansum narrow ne
neg
negative norm not_equal numel ones_like permute pow positive prod quantile rad2deg rand_like
randn_like
ravel real reciprocal relu relu_ remainder renorm reshape roll rot90 round rsqrt rsub searchsorted
select sgn sigmoid sign signbit sin sinc sinh softmax log_softmax sort split sqrt square squeeze std
std_mean sub subtract sum swapaxes swapdims t take tan tanh tensor_split topk trace transpose tril
triu true_divide trunc fix unbind unflatten unique unique_consecutive unsqueeze var var_mean
view_as_complex view_as_real vsplit hsplit where xlogy zeros_like result_type can_cast
""")
_CAT = names_in("""cat concat concatenate stack hstack vstack dstack column_stack row_stack block_diag
atleast_1d atleast_2d atleast_3d""")
_SIZED = names_in("zeros ones empty rand randn")
_TORCH: dict[str, Bound] = {
    **dict.fromkeys(_LIKE, like_inputs),
    **dict.fromkeys(_CAT, together),
    **dict.fromkeys(_SIZED, sized),
    **dict.fromkeys(names_in("chunk split tensor_split unbind vsplit hsplit"), pieces),
    "block_diag": outer,
    "randint": drawn, "normal": drawn, "full": first_sized, "randperm": samples,
    "multinomial": samples, "combinations": outer, "cartesian_prod": grid,
    "tensor": leaf_sized, "as_tensor": leaf_sized, "asarray": leaf_sized,
    "scalar_tensor": leaf_sized,
    "arange": counted, "linspace": steps, "logspace": steps, "eye": squared, "diag": squared,
    "diagflat": squared, "diag_embed": squared, "tril_indices": squared, "triu_indices": squared,
    "repeat_interleave": repeated, "tile": multiplied, "broadcast_to": expanded,
    "outer": outer, "ger": outer, "kron": outer, "cdist": outer, "meshgrid": grid,
    "broadcast_tensors": grid,
    "matmul": product, "mm": product, "bmm": product, "mv": product, "dot": product,
    "inner": product, "vdot": product, "addmm": product, "addmv": product, "baddbmm": product,
    "einsum": contraction, "tensordot": tensordot,
    "index_select": gathered, "gather": chosen, "take_along_dim": chosen, "scatter": chosen,
    "scatter_add": chosen, "index_add": chosen, "index_fill": like_inputs,
    "nonzero": listing, "argwhere": listing, "where": listing, "bincount": tally, "histc": tally,
    "hann_window": squared, "hamming_window": squared,
    "inverse": cubic, "det": cubic, "pinverse": cubic, "svd": cubic, "qr": cubic,
    "trapz": like_inputs,
    "from_numpy": like_inputs, "cosine_similarity": like_inputs, "pixel_shuffle": like_inputs,
    "channel_shuffle": like_inputs, "layer_norm": like_inputs, "batch_norm": like_inputs,
    "cross": like_inputs,
}  # fmt: skip

_LINALG: dict[str, Bound] = {
    "norm": like_inputs, "vector_norm": like_inputs, "matrix_norm": cubic, "inv": cubic,
    "pinv": cubic,
    "det": cubic, "matrix_rank": cubic, "svd": cubic, "qr": cubic, "solve": cubic, "lstsq": cubic,
    "eigvals": cubic, "eigh": cubic, "cond": cubic,
}  # fmt: skip

_FFT: dict[str, Bound] = {
    **dict.fromkeys(names_in("fft ifft rfft irfft hfft ihfft"), transformed),
    **dict.fromkeys(names_in("fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn"), transformed),
    "fftshift": like_inputs, "ifftshift": like_inputs, "fftfreq": samples, "rfftfreq": samples,
}  # fmt: skip

_FUNCTIONAL: dict[str, Bound] = {
    **dict.fromkeys(
        names_in("""relu relu_ relu6 leaky_relu leaky_relu_ elu selu celu gelu silu mish softplus softsign
        hardtanh hardswish hardsigmoid logsigmoid sigmoid tanh tanhshrink softshrink hardshrink
        softmax softmin log_softmax gumbel_softmax threshold prelu rrelu glu dropout dropout1d
        dropout2d dropout3d alpha_dropout feature_alpha_dropout batch_norm layer_norm instance_norm
        group_norm normalize mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy nll_loss
        binary_cross_entropy binary_cross_entropy_with_logits kl_div cosine_similarity
        pairwise_distance pixel_shuffle pixel_unshuffle local_response_norm rms_norm
        cosine_embedding_loss hinge_embedding_loss margin_ranking_loss soft_margin_loss
        poisson_nll_loss gaussian_nll_loss triplet_margin_loss channel_shuffle"""),
        like_inputs,
    ),
    **dict.fromkeys(
        names_in("""max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d
        lp_pool2d"""),
        pooled,
    ),
    **dict.fromkeys(
        names_in("""adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
        adaptive_max_pool2d adaptive_max_pool3d"""),
        to_size,
    ),
    "pad": padded, "interpolate": resized, "upsample": resized, "linear": linear, "unfold": patches,
    "fold": folded, "one_hot": hot, "embedding": gathered, "grid_sample": sampled,
}  # fmt: skip

_METHODS: dict[str, Bound] = {
    **dict.fromkeys(
        names_in("""abs abs_ acos acosh add add_ addcdiv_ addcmul addcmul_ all allclose amax amin aminmax
        angle any argmax argmin argsort asin asinh atan atan2 bernoulli bernoulli_ bfloat16
        bitwise_and
        bitwise_not bitwise_or bool byte ceil ceil_ char chunk clamp clamp_ clamp_max clamp_min
        clamp_max_
        clamp_min_ clip clip_ clone conj contiguous copy_ cos cosh count_nonzero cpu cummax cummin
        cumprod cumsum detach detach_ diagonal diff dim dist div div_ divide double
        element_size eq equal erf exp exp_ expm1 fill_ fill_diagonal_ flatten flip fliplr flipud
        float
        floor floor_ floor_divide fmod fmod_ frac ge get_device gt half hypot int is_complex
        is_contiguous is_floating_point is_nonzero isclose isfinite isinf isnan isreal
        item kthvalue le lerp lerp_ log log10 log1p log2 log_ log_softmax logical_and logical_not
        logical_or logical_xor logsumexp long lt masked_fill masked_fill_ masked_select
        max maximum mean median min minimum mode moveaxis movedim mul mul_ multiply nan_to_num
        nanmean nansum narrow ndimension ne neg neg_ nelement norm normal_ numel
        permute pow pow_ prod quantile random_ ravel reciprocal relu relu_ remainder renorm
        requires_grad_ reshape reshape_as retain_grad roll rot90 round round_ rsqrt select short
        sigmoid
        sigmoid_ sign sin sinh size softmax sort split split_with_sizes sqrt sqrt_ square squeeze
        squeeze_ std stride storage_offset sub sub_ subtract sum swapaxes swapdims t t_ take tan
        tanh tanh_ tensor_split to tolist topk trace transpose transpose_ tril tril_ triu triu_
        trunc
        true_divide trunc_ type_as unbind unflatten uniform_ unique unique_consecutive unsqueeze
        unsqueeze_ var view view_as where xlogy zero_ ldexp_ exponential_ geometric_ cauchy_
        log_normal_ logit square_ masked_scatter_ floor_divide_ remainder_ heaviside
        hardshrink is_signed conj_physical adjoint"""),
        like_inputs,
    ),
    **dict.fromkeys(names_in("chunk split tensor_split unbind split_with_sizes"), pieces),
    "tolist": listed,
    "expand": expanded, "expand_as": like_inputs, "broadcast_to": expanded, "repeat": multiplied,
    "tile": multiplied, "repeat_interleave": repeated, "unfold": windows,
    "new_zeros": lambda r, a, k: sized(r, a[1:], k), "new_ones": lambda r, a, k: sized(r, a[1:], k),
    "new_empty": lambda r, a, k: sized(r, a[1:], k),
    "new_full": lambda r, a, k: first_sized(r, a[1:], k),
    "new_tensor": lambda r, a, k: leaf_sized(r, a[1:], k),
    "matmul": product, "mm": product, "bmm": product, "mv": product, "dot": product,
    "inner": product, "addmm": product, "baddbmm": product, "outer": outer, "ger": outer,
    "index_select": gathered, "gather": chosen, "scatter": chosen, "scatter_": chosen,
    "scatter_add": chosen, "scatter_add_": chosen, "index_add_": chosen, "index_add": chosen,
    "index_copy_": chosen, "index_fill_": like_inputs, "index_fill": like_inputs,
    "take_along_dim": chosen, "nonzero": listing, "argwhere": listing, "bincount": tally,
    "histc": tally, "multinomial": samples, "diag": squared, "diag_embed": squared,
    "diagflat": squared, "kron": outer, "inverse": cubic, "det": cubic, "svd": cubic, "qr": cubic,
}  # fmt: skip


def tensor_methods() -> dict[str, Action]:
    """Return the methods of a tensor, by name."""
    table = {
        name: action(getattr(torch.Tensor, name), bound)
        for name, bound in _METHODS.items()
        if hasattr(torch.Tensor, name)
    }
    table["new_empty"] = table["new_zeros"]  # memory is not shown to texts
    table["numpy"] = action(_numpy, like_inputs)
    table["__len__"] = action(torch.Tensor.__len__, like_inputs)
    table["type"] = _type_method
    table["cuda"] = _stays
    table["pin_memory"] = _stays
    table["share_memory_"] = _stays
    table["backward"] = _backward
    table["register_hook"] = _refuse_hook
    return table


def _numpy(x: torch.Tensor, force: bool = False) -> np.ndarray:
    return x.numpy(force=force)


def _type_method(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    """``x.type()`` names the type, ``x.type(torch.LongTensor)`` converts."""
    x, wanted = args[0], _arg(args, kwargs, 1, "dtype")
    if wanted is None:
        return x.type()
    if isinstance(wanted, values.Type) and wanted.name in LEGACY:
        wanted = LEGACY[wanted.name]
    if isinstance(wanted, str):
        wanted = LEGACY.get(wanted, wanted)
    reader.budget.tensor(size_of(x), 8)
    return x.type(handed(reader, wanted))


def _stays(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    reader.note("there is no GPU here: tensors stay on the CPU")
    return args[0]


def _refuse_hook(reader: Reader, args: Args, kwargs: Kwargs) -> Any:
    raise Refused(
        "a hook on the backward pass", "Call retain_grad(), then backward(), and print the .grad."
    )


def _backward(reader: Reader, args: Args, kwargs: Kwargs) -> None:
    args = tuple(handed(reader, one) for one in args)
    kwargs = {name: handed(reader, one) for name, one in kwargs.items()}
    reader.recorder.differentiate(reader, lambda: torch.Tensor.backward(*args, **kwargs))


#: torch's old tensor types, and the dtypes they stand for.
LEGACY = {
    "torch.Tensor": torch.float32, "torch.FloatTensor": torch.float32,
    "torch.DoubleTensor": torch.float64, "torch.HalfTensor": torch.float16,
    "torch.LongTensor": torch.int64, "torch.IntTensor": torch.int32,
    "torch.ShortTensor": torch.int16,
    "torch.CharTensor": torch.int8, "torch.ByteTensor": torch.uint8, "torch.BoolTensor": torch.bool,
    "torch.cuda.FloatTensor": torch.float32, "torch.cuda.LongTensor": torch.int64,
    "torch.BFloat16Tensor": torch.bfloat16,
}  # fmt: skip

TENSOR_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "shape": lambda x: x.shape,
    "dtype": lambda x: x.dtype,
    "device": lambda x: x.device,
    "data": lambda x: x.data,
    "grad": lambda x: x.grad,
    "grad_fn": lambda x: x.grad_fn,
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "H": lambda x: x.H,
    "ndim": lambda x: x.ndim,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "requires_grad": lambda x: x.requires_grad,
    "is_leaf": lambda x: x.is_leaf,
    "is_cuda": lambda x: False,
    "itemsize": lambda x: x.element_size(),
    "nbytes": lambda x: x.nbytes,
    "layout": lambda x: x.layout,
    "name": lambda x: None,
}

_DTYPES = names_in("""float float16 float32 float64 half double bfloat16 int int8 int16 int32 int64
long short uint8 bool complex64 complex128 cfloat cdouble""")
_CONSTANTS = names_in(
    "pi e inf nan contiguous_format channels_last channels_last_3d preserve_format strided"
)


def torch_table() -> dict[str, Any]:
    """Return the dotted names of torch's plain functions, types and constants."""
    table: dict[str, Any] = {}
    # Memory is not shown to texts.
    blank: dict[str, Callable[..., Any]] = {"empty": torch.zeros, "empty_like": torch.zeros_like}

    def put(prefix: str, names: dict[str, Bound], module: Any) -> None:
        for name, bound in names.items():
            if hasattr(module, name):
                path = f"{prefix}.{name}"
                table[path] = values.Function(
                    path, action(blank.get(name) or getattr(module, name), bound)
                )

    put("torch", _TORCH, torch)
    put("torch.linalg", _LINALG, torch.linalg)
    put("torch.fft", _FFT, torch.fft)
    put("torch.nn.functional", _FUNCTIONAL, F)
    table["torch.nn.functional.upsample"] = values.Function(
        "torch.nn.functional.upsample", action(F.interpolate, resized)
    )
    table.update((f"torch.{name}", getattr(torch, name)) for name in [*_DTYPES, *_CONSTANTS])
    for name, dtype in LEGACY.items():
        table[name] = values.Type(
            name,
            _legacy(dtype),
            types=(torch.Tensor,),
            shown=f"<class '{name}'>",
        )
    return table


def _legacy(dtype: torch.dtype) -> Action:
    """Return the action of ``torch.FloatTensor(...)``: sizes, or values."""

    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        if len(args) == 1 and isinstance(args[0], torch.Size):
            return torch.zeros(args[0], dtype=dtype)
        if args and all(isinstance(one, (int, np.integer)) for one in args):
            return torch.zeros(*args, dtype=dtype)
        if not args:
            return torch.zeros(0, dtype=dtype)
        if isinstance(args[0], torch.Tensor):
            return args[0].to(dtype)
        return torch.tensor(args[0], dtype=dtype, **kwargs)

    return action(make, legacy)

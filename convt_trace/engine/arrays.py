"""Tensors as they come in (numpy, torch, nested lists), as numpy arrays of torch's dtypes.

torch itself is not imported: a torch tensor is known by its methods.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_FLOATS = (np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64))

#: torch's names for scalar types, as its error messages use them.
_SCALAR_TYPES = {
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
}


def as_array(tensor: ArrayLike | Any, name: str, like: np.dtype | None = None) -> np.ndarray:
    """Return ``tensor`` as a numpy array; later changes to the tensor do not change it.

    Parameters
    ----------
    tensor : array_like or torch.Tensor
        Numbers in any shape. Nested lists have no dtype of their own and take ``like``'s.
    name : str
        What the tensor is called in an error.
    like : dtype, optional
        The dtype for nested lists; without it torch's rule (all whole: int64, else float32).

    Raises
    ------
    TypeError
        If it is ragged, or not of a float or integer dtype.

    Examples
    --------
    >>> as_array([[1, 2], [3, 4]], "x").dtype
    dtype('int64')
    >>> as_array([1.5, 2], "x").dtype
    dtype('float32')
    """
    if hasattr(tensor, "detach"):
        array = _from_torch(tensor)
    elif isinstance(tensor, (np.ndarray, np.generic)):
        array = np.array(tensor, dtype=tensor.dtype.newbyteorder("="))
    else:
        array = _from_list(tensor, name, like)
    if array.dtype not in _FLOATS and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has dtype {array.dtype}, which is not traced. "
            "Use float16, bfloat16, float32, float64 or an integer dtype."
        )
    array.flags.writeable = False
    return array


def _from_torch(tensor: Any) -> np.ndarray:
    plain = tensor.detach().cpu()
    if str(plain.dtype) == "torch.bfloat16":
        return plain.float().numpy().astype(BFLOAT16)
    return plain.numpy().copy()


def _from_list(tensor: ArrayLike, name: str, like: np.dtype | None) -> np.ndarray:
    try:
        array = np.array(tensor)
    except (ValueError, OverflowError) as error:
        raise TypeError(
            f"{name} is not a regular table of numbers ({error}). Give every row the same length."
        ) from None
    if array.dtype.kind not in "iuf":
        return array
    usual: dict[str, np.dtype] = {"float64": np.dtype(np.float32), "uint64": np.dtype(np.int64)}
    dtype = like if like is not None else usual.get(array.dtype.name, array.dtype)
    if dtype.kind in "iu":
        if array.dtype.kind == "f":
            return array.astype(np.float32)  # not rounded: the caller refuses the mixture
        limits = np.iinfo(dtype)
        if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
            raise TypeError(f"{name} holds numbers that do not fit {dtype}. Use a wider dtype.")
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def scalar_type(dtype: np.dtype) -> str:
    """Return torch's name of a dtype, as in ``expected scalar type Long but found Float``.

    >>> scalar_type(np.dtype("int64"))
    'Long'
    """
    return _SCALAR_TYPES.get(dtype.name, dtype.name)


def wide(array: np.ndarray) -> np.ndarray:
    """Return the array, in C order, in the dtype that the trace adds in: int64 for integers, else float64.

    It is the array itself where that is so already.

    >>> wide(np.ones(2, dtype=np.float16)).dtype, wide(np.ones(2, dtype=np.int8)).dtype
    (dtype('float64'), dtype('int64'))
    """
    with np.errstate(invalid="ignore"):  # a NaN of any bits is one
        dtype = np.int64 if array.dtype.kind in "iu" else np.float64
        return array.astype(dtype, order="C", copy=False)


def range_in_words(dtype: np.dtype) -> str:
    """Return a float dtype's range as a sentence names it.

    >>> range_in_words(np.dtype("float16")), range_in_words(np.dtype("float32"))
    ("float16's range, which ends at 65,504", "float32's range, which ends at 3.4e+38")
    """
    end = float(ml_dtypes.finfo(dtype).max)
    return f"{dtype.name}'s range, which ends at {f'{end:,.0f}' if end < 1e6 else f'{end:.2g}'}"

"""From PyTorch to elsewhere: every framework that a case is translated to."""

from __future__ import annotations

from collections.abc import Callable

from convt_trace.elsewhere.in_jax import to_flax, to_jax, to_lax_general
from convt_trace.elsewhere.in_keras import to_keras
from convt_trace.elsewhere.in_onnx import to_onnx
from convt_trace.elsewhere.translation import Translation
from convt_trace.engine.case import Case

#: Each by its name, with its title, in the order in which they are offered.
FRAMEWORKS: dict[str, tuple[str, Callable[[Case], Translation]]] = {
    "keras": ("Keras", to_keras),
    "jax": ("JAX: lax.conv_transpose", to_jax),
    "general": ("JAX: lax.conv_general_dilated", to_lax_general),
    "flax": ("flax", to_flax),
    "onnx": ("ONNX", to_onnx),
}


def translate(case: Case, name: str) -> Translation:
    """Return a case as a program of another framework.

    Parameters
    ----------
    case : Case
    name : str
        One of `FRAMEWORKS`.

    Raises
    ------
    ValueError
        If there is no framework of this name.

    Examples
    --------
    >>> case = Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=1)
    >>> for name in FRAMEWORKS:
    ...     print(translate(case, name).line)
    layers.Conv1DTranspose(1, 3, padding="same", use_bias=False)
    lax.conv_transpose(x, kernel, (1,), "SAME", transpose_kernel=True)
    lax.conv_general_dilated(x, kernel, (1,), [(1, 1)], lhs_dilation=(1,))
    nn.ConvTranspose(features=1, kernel_size=(3,), padding="SAME", transpose_kernel=True, use_bias=False)
    helper.make_node("ConvTranspose", ["x", "weight"], ["y"], pads=[1, 1])
    """
    if name not in FRAMEWORKS:
        raise ValueError(f"There is no framework {name!r}. There are: {', '.join(FRAMEWORKS)}.")
    return FRAMEWORKS[name][1](case)

"""The gradients of a convolution, caught where autograd makes them.

That of a plain convolution's input is a transposed convolution, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from convt_trace.engine.layer import output_length

Gradients = tuple["torch.Tensor | None", ...]


def on_input_gradient(
    output: torch.Tensor,
    x: torch.Tensor,
    dims: int,
    then: Callable[[torch.Tensor, torch.Tensor], None],
) -> None:
    """Call ``then(gradient of the output, gradient of x)`` when a backward pass has made both.

    Parameters
    ----------
    output : Tensor
        What a plain convolution gave for ``x``.
    x : Tensor
    dims : int
        Spatial dimensions.
    then : callable

    Examples
    --------
    >>> x = torch.ones(1, 1, 3, requires_grad=True)
    >>> y = torch.conv1d(x, torch.tensor([[[1., 2.]]]))
    >>> on_input_gradient(y, x, 1, lambda above, mine: print(above.tolist(), mine.tolist()))
    >>> y.sum().backward()
    [[[1.0, 1.0]]] [[[1.0, 3.0, 2.0]]]
    """
    if not (output.requires_grad and x.requires_grad):
        return

    def pick(above: torch.Tensor, into: Gradients) -> None:
        if into[0] is not None:
            then(above, into[0])

    on_gradients(output, x, dims, pick)


def on_gradients(
    output: torch.Tensor,
    x: torch.Tensor,
    dims: int,
    then: Callable[[torch.Tensor, Gradients], None],
) -> None:
    """Call ``then(gradient of the output, those of x, weight and bias)`` when a backward pass has them.

    Parameters
    ----------
    output : Tensor
        What a convolution, plain or transposed, gave for ``x``.
    x : Tensor
    dims : int
        Spatial dimensions.
    then : callable
        A gradient that nobody asks for is None.

    Examples
    --------
    >>> x, w = torch.ones(1, 1, 3), torch.tensor([[[1., 2.]]], requires_grad=True)
    >>> y = torch.conv_transpose1d(x, w)
    >>> on_gradients(y, x, 1, lambda above, into: print([one is not None for one in into], into[1]))
    >>> y.sum().backward()
    [False, True, False] tensor([[[3., 3.]]])
    """
    node: Any = output.grad_fn
    unbatched = x.dim() == dims + 1
    if unbatched and node is not None:
        node = node.next_functions[0][0]
    if node is None or "Convolution" not in node.name():
        return

    def listen(into: Any, from_above: Any) -> None:
        if from_above[0] is None:
            return
        above = from_above[0].detach()
        mine, *others = (None if one is None else one.detach() for one in into)
        if unbatched:
            above = above.reshape(above.shape[-dims - 1 :])
            mine = None if mine is None else mine.reshape(x.shape)
        then(above, (mine, *others))

    node.register_hook(listen)


def output_padding_of(
    weight: torch.Tensor,
    above: torch.Tensor,
    result: torch.Tensor,
    sizes: Mapping[str, Sequence[int]],
) -> list[int]:
    """Return the output_padding with which a transposed convolution has the gradient's size.

    Parameters
    ----------
    weight : Tensor
    above, result : Tensor
        The gradients of the output and of x.
    sizes : mapping
        The plain convolution's stride, padding and dilation, one number per spatial dimension.
    """
    dims = weight.dim() - 2
    lengths = zip(
        above.shape[-dims:], result.shape[-dims:], weight.shape[2:], sizes["stride"], sizes["padding"],
        sizes["dilation"],
    )  # fmt: skip
    return [made - output_length(n, k, s, p, 0, d) for n, made, k, s, p, d in lengths]

"""The one error a caller meets when a layer, or what is fed to it, does not fit."""

from __future__ import annotations


class LayerError(RuntimeError, ValueError):
    """A layer that torch refuses too: torch's own words, then what to change.

    ``torch.nn.functional`` raises `RuntimeError` for these and the constructors of ``torch.nn``
    raise `ValueError`; this is both, so code written for either catches it.

    Parameters
    ----------
    message : str
        What is wrong, worded as torch words it.
    hint : str
        One sentence that says what to change.

    Examples
    --------
    >>> error = LayerError("non-positive stride is not supported", "Use a stride of 1 or more.")
    >>> print(error)
    non-positive stride is not supported. Use a stride of 1 or more.
    >>> error.hint
    'Use a stride of 1 or more.'
    """

    def __init__(self, message: str, hint: str):
        super().__init__(f"{message.rstrip('.')}. {hint}")
        self.message = message
        self.hint = hint

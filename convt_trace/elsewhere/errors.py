"""The one error of translations: what a framework refuses, and what a line does not say."""

from __future__ import annotations


class RefusedError(ValueError):
    """A size or a parameter that a framework refuses; the message is one sentence.

    Parameters
    ----------
    framework : str
        Who refuses, as a sentence names it.
    parameter : str
        What is refused, by its name in that framework.
    sentence : str
        What is wrong with it, and what to give instead.

    Examples
    --------
    >>> error = RefusedError("Keras", "output_padding", "it must be less than strides: give 0 or 1.")
    >>> print(error)
    Keras refuses output_padding: it must be less than strides: give 0 or 1.
    >>> error.parameter
    'output_padding'
    """

    def __init__(self, framework: str, parameter: str, sentence: str):
        super().__init__(f"{framework} refuses {parameter}: {sentence}")
        self.framework = framework
        self.parameter = parameter


class UnreadableError(ValueError):
    """A pasted line that cannot be read; the message is one sentence that says what in it."""


def refuse_unless(fine: bool, framework: str, parameter: str, sentence: str) -> None:
    """Raise `RefusedError` where something is not fine."""
    if not fine:
        raise RefusedError(framework, parameter, sentence)

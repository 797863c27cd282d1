"""A case as the playground's settings, where it can be put so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from convt_trace.case import Case
from convt_trace.settings import (
    MOST_BATCH,
    MOST_CHANNELS,
    MOST_GROUPS,
    MOST_TYPED,
    PER_AXIS,
    Fill,
    Settings,
    SettingsError,
    axis_range,
    channel_choices,
    to_query,
)

#: Characters of a link; proxies and mail programs cut longer ones.
MOST_QUERY = 8000


def settings_of(case: Case) -> Settings:
    """Return settings that make the same case.

    The playground counts in float32 and has a batch axis: a case of integers or without that axis
    is the same layer on the same numbers.

    Raises
    ------
    SettingsError
        With the reason, in one sentence, where the playground cannot show it.

    Examples
    --------
    >>> settings = settings_of(Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2))
    >>> settings.padding, settings.weight
    ((2,), Fill(recipe='numbers', numbers=(1.0, 1.0, 5.0), seed=0))
    >>> settings.case().trace().output.tolist()
    [[[12.0, 9.0]]]
    """
    layer, geometry = case.layer, case.geometry
    settings = Settings(
        batch=geometry.batch,
        in_channels=layer.in_channels,
        out_channels=layer.out_channels,
        groups=layer.groups,
        size=geometry.input_size,
        kernel=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        output_padding=layer.output_padding,
        dilation=layer.dilation,
        bias=case.bias is not None,
        x=Fill(),
        weight=Fill(),
        offset=Fill(),
    )
    for problem in _out_of_range(settings):
        raise SettingsError(problem)
    found = replace(
        settings,
        x=_fill(case.x, "The input"),
        weight=_fill(case.weight, "The weight"),
        offset=settings.offset if case.bias is None else _fill(case.bias, "The bias"),
    )
    length = sum(map(len, to_query(found).values()))
    if length > MOST_QUERY:
        raise SettingsError(
            f"Its numbers would make a link of {length:,} characters; the playground takes "
            f"{MOST_QUERY:,}."
        )
    return found


def _out_of_range(settings: Settings) -> Iterator[str]:
    """Yield a sentence for every setting that the playground's controls do not reach."""
    for name, most in (("batch", MOST_BATCH), ("groups", MOST_GROUPS)):
        if not 1 <= (value := getattr(settings, name)) <= most:
            yield f"It has {name}={value:,}; the playground goes from 1 to {most}."
    choices = channel_choices(settings.groups)
    for name in ("in_channels", "out_channels"):
        if (value := getattr(settings, name)) not in choices:
            yield (
                f"It has {name}={value:,}; the playground has 1 to 8 channels a group, then powers "
                f"of two, up to {MOST_CHANNELS:,}."
            )
    for name in PER_AXIS:
        low, high = axis_range(name, settings.dims)
        for value in getattr(settings, name):
            if not low <= value <= high:
                yield f"It has {name}={value:,}; the playground goes from {low} to {high}."


def _fill(tensor: np.ndarray, what: str) -> Fill:
    """Return the typed numbers that fill a tensor, as short as they repeat."""
    flat = np.asarray(tensor).reshape(-1)
    with np.errstate(all="ignore"):
        numbers = flat.astype(np.float32)
    short = numbers[: _period(numbers)]
    if len(short) > MOST_TYPED:
        raise SettingsError(
            f"{what} holds {prod(tensor.shape):,} numbers; the playground takes up to "
            f"{MOST_TYPED:,} typed ones."
        )
    # By way of text: the shortest that stands for the same float32.
    return Fill("numbers", tuple(float(str(number)) for number in short))


def _period(numbers: np.ndarray) -> int:
    """Return after how many numbers they repeat, up to the end.

    >>> _period(np.array([1, 1, 2, 1, 1, 2, 1])), _period(np.array([1, 2, 3]))
    (3, 3)
    """
    bits = numbers.view(np.int32) if numbers.dtype == np.float32 else numbers
    for period in range(1, min(len(bits), MOST_TYPED + 1)):
        if bits[period] == bits[0] and np.array_equal(bits[period:], bits[:-period]):
            return period
    return len(bits)

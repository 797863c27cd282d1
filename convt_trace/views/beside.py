"""Conv beside ConvTranspose: one signal and one kernel through both, at the same output cell."""

from __future__ import annotations

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.views.collect import (
    collected,
    convolving,
    in_local,
    lit_rearranged,
    lit_stuffed,
    rearranged,
    rearranged_weight,
    rearranging,
    slide,
    stuffed,
    stuffed_input,
    stuffing,
)
from convt_trace.views.tensors import (
    LinkedView,
    Tensor,
    cropped_of,
    lit_output,
    output_of,
    places,
    program,
    refuse_large,
)


def beside(case: Case) -> LinkedView:
    """Return the view of a plain convolution and the layer on the same signal, in step."""
    shape = case.geometry.output_shape
    return LinkedView(
        name="beside",
        sentence=(
            "The same signal and the same kernel through both. At each output cell both look at the "
            "same window: the plain convolution reads the kernel forwards, f[j] = w[j]; ConvTranspose "
            "reads it backwards, v[j] = w[K-1-j]. Where a kernel reads the same both ways, nothing tells "
            "them apart."
        ),
        tensors=(
            stuffed(case, line="The signal: x with its zeros"),
            rearranged(case, flip=False, line="conv reads the kernel forwards"),
            Tensor(
                name="c",
                title="what conv makes",
                letter="c",
                shape=shape,
                axes="nc" + "s" * case.dims,
                values=lambda *at: _conv_cells(case, *at),
                cropped=cropped_of(case),
                unbatched=case.unbatched,
            ),
            rearranged(case, line="ConvTranspose reads it backwards"),
            output_of(case),
        ),
        lit=lambda macs: {
            "z": lit_stuffed(case, macs),
            "v": lit_rearranged(case, macs),
            # At the same place of the window, the kernel that is not flipped has its other tap.
            "f": places(
                macs.out_channel,
                in_local(case, macs),
                np.array(case.layer.kernel_size) - 1 - macs.k,
            ),
            "c": lit_output(macs),
            "y": lit_output(macs),
        },
        equation="conv: {c} += {z} * {f} = {z=} * {f=}; ConvTranspose: {y} += {z} * {v} = {z=} * {v=}",
        code=program(
            case,
            *stuffing(case),
            *rearranging(case),
            convolving(case, "f", into="conv") + "  # forwards: another result",
            convolving(case, "v") + "  # backwards: ConvTranspose",
        ),
        result=lambda: collected(case),
        notes=lambda: [_note(case)],
    )


def unflipped(case: Case) -> np.ndarray:
    """Return what a plain convolution makes of the same padded signal, wide: (N, C_out, *L_out).

    >>> unflipped(Case.of([[[2, 1, 1, 3]]], [[[1, 1, 5]]], padding=2)).tolist()
    [[[8, 17]]]
    """
    return slide(case, stuffed_input(case), rearranged_weight(case, flip=False))


def _conv_cells(case: Case, *at: np.ndarray) -> np.ndarray:
    refuse_large(case)
    return unflipped(case)[at]


def _note(case: Case) -> str:
    refuse_large(case)
    ours, theirs = case.trace().output_sums, unflipped(case)
    differ = int((ours != theirs).sum())
    if not differ:
        return "On these numbers both make the same."
    return f"They differ in {differ:,} of {ours.size:,} output cells (the bias apart)."

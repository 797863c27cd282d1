"""The trace: every column against nested loops, every way of reading against every other."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import asdict, fields
from importlib import import_module
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, INTEGERS, Drawn, Row, conv_transpose, layers, loop, moderate, spoil

import convt_trace
from convt_trace import Mac, Macs
from convt_trace.engine import blocks
from convt_trace.engine.blocks import add_up

ORDERS = ("scatter", "gather")
FIELDS = tuple(field.name for field in fields(Mac))
either_order = pytest.mark.parametrize("order", ORDERS)


def table(rows: list[Row] | list[Mac]) -> dict[str, np.ndarray]:
    """Some rows as columns."""
    return {name: np.array([getattr(row, name) for row in rows]) for name in FIELDS}


def minus_zeros(column: np.ndarray) -> list[bool]:
    return (np.signbit(column) & (column == 0)).tolist()


def assert_same(macs: Macs, rows: list[Row]) -> None:
    """Every value of every column, without any tolerance; NaN equals NaN, and 0 is not -0."""
    assert len(macs) == len(rows)
    if rows:
        for name, column in table(rows).items():
            np.testing.assert_array_equal(getattr(macs, name), column, err_msg=name)
            if column.dtype.kind == "f":
                assert minus_zeros(getattr(macs, name)) == minus_zeros(column), name


def assert_equal(a: Macs, b: Macs) -> None:
    """The same values in the same dtypes, without any tolerance."""
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name, strict=True)


# -- against the loop ---------------------------------------------------------------------------


@either_order
@moderate
@given(drawn=layers(dtypes=FLOATS + INTEGERS))
def test_every_column_is_that_of_the_nested_loop(drawn: Drawn, order: str):
    t, rows = drawn.trace(order), loop(drawn, order)
    assert len(t) == len(rows)
    assert_same(t[:], rows)
    assert_same(t.take(np.arange(len(t))), rows)
    assert_same(t._whole_blocks(0, len(t)), rows)


@either_order
@moderate
@given(drawn=layers(dtypes=(torch.float32, torch.float64)), seed=st.integers(0, 999))
def test_nan_and_inf_run_through_every_column_as_in_the_loop(drawn: Drawn, order: str, seed: int):
    spoil(drawn, seed)
    t, rows = drawn.trace(order), loop(drawn, order)
    assert_same(t[:], rows)
    assert_same(t._whole_blocks(0, len(t)), rows)
    # Not oneDNN's kernel, which puts NaN into cells that no MAC reaches: it adds 0 * inf in gaps.
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        ours, theirs = t.output, drawn.torch().numpy()
    for same in (np.isnan, np.isposinf, np.isneginf):
        assert same(ours).tolist() == same(theirs).tolist()


@moderate
@given(layers())
def test_both_orders_are_the_same_macs(drawn: Drawn):
    def multiset(order):
        macs = drawn.trace(order)[:]
        columns = [getattr(macs, name) for name in FIELDS if name not in ("i", "k", "o")]
        columns += [*macs.i.T, *macs.k.T, *macs.o.T]
        return Counter(zip(*(column.tolist() for column in columns)))

    # The running sums too: both orders add a cell's terms by input channel, then by position.
    assert multiset("scatter") == multiset("gather")


@either_order
@moderate
@given(drawn=layers())
def test_a_cells_running_sum_starts_at_zero_and_ends_at_the_output(drawn: Drawn, order: str):
    held, size = {}, drawn.torch().shape[-drawn.dims :]
    for mac in drawn.trace(order)[:]:
        cell = (mac.n, mac.out_channel, mac.o)
        assert mac.before == held.get(cell, 0)
        assert mac.kept == all(0 <= o < length for o, length in zip(mac.o, size))
        held[cell] = mac.after
    sums = drawn.trace(order).output_sums
    for cell, total in np.ndenumerate(sums):
        assert total == held.get((*cell[:2], cell[2:]), 0)
    assert sums.shape[2:] == size


# -- ways of reading ----------------------------------------------------------------------------


@either_order
@moderate
@given(drawn=layers(), data=st.data())
def test_a_row_is_the_same_however_it_is_read(drawn: Drawn, order: str, data: st.DataObject):
    t = drawn.trace(order)
    everything = t[:]
    a = data.draw(st.integers(0, len(t) - 1))
    b = data.draw(st.integers(a + 1, len(t)))
    window = t[a:b]
    assert_equal(window, Macs(*(getattr(everything, name)[a:b] for name in FIELDS)))
    assert_equal(window, t._whole_blocks(a, b))
    for place in (a, (a + b) // 2 if a + b < 2 * len(t) else a, b - 1):
        assert repr(t[place]) == repr(everything[place]) == repr(t[place - len(t)])
        if a <= place < b:
            assert repr(window[place - a]) == repr(t[place])


@either_order
@moderate
@given(drawn=layers(), slices=st.data())
def test_any_slice_is_that_slice_of_the_list_of_rows(drawn: Drawn, order: str, slices):
    t = drawn.trace(order)
    chosen = slices.draw(st.slices(len(t)))
    rows = loop(drawn, order)[chosen]
    assert_same(t[chosen], rows)


@either_order
@moderate
@given(drawn=layers(dtypes=(torch.float64,)), at_once=st.sampled_from([1, 7, 64, 1000]))
def test_blocks_read_piece_by_piece_are_the_same_rows(drawn: Drawn, order: str, at_once: int):
    t, rows = drawn.trace(order), loop(drawn, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_AT_ONCE", at_once)
        assert_same(t._whole_blocks(0, len(t)), rows)
        pieces = t.output_sums.tolist()
    assert pieces == drawn.trace(order).output_sums.tolist()


@either_order
@pytest.mark.parametrize("worth_a_call", [0, 10**9])
@moderate
@given(drawn=layers(dtypes=(torch.float64,)), at_once=st.sampled_from([1, 7, 64]))
def test_sums_added_piece_by_piece_or_side_by_side_are_the_same(
    drawn: Drawn, order: str, worth_a_call: int, at_once: int
):
    t, rows = drawn.trace(order), loop(drawn, order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("convt_trace.engine.trace"), "TERMS_AT_ONCE", at_once)
        patch.setattr(blocks, "_WORTH_A_CALL", worth_a_call)
        assert_same(t.take(np.arange(len(t))), rows)
        assert_same(t._whole_blocks(0, len(t)), rows)


@either_order
@pytest.mark.parametrize(
    "size, kernel, parameters",
    [
        ((900,), (3,), {"stride": 2, "padding": 40}),
        ((900,), (2,), {"dilation": 350}),
        ((5,), (2,), {"dilation": 900, "stride": 3}),
        ((400,), (3,), {"stride": 7, "dilation": 2}),
        ((1, 300), (3, 2), {"stride": (1, 4), "padding": (0, 5)}),
        ((300, 1), (2, 1), {"stride": 3, "padding": (2, 0)}),
        ((2, 90, 1), (2, 3, 2), {"dilation": (1, 2, 1)}),
    ],
    ids=str,
)
def test_long_stretches_of_like_cells_are_the_same_rows(order, size, kernel, parameters):
    random = np.random.default_rng(0)
    t = convt_trace.trace(
        random.normal(size=(2, 4, *size)), random.normal(size=(4, 1, *kernel)), groups=2,
        order=order, **parameters,
    )  # fmt: skip
    expected = t.take(np.arange(len(t)))
    for at_once in (50, 300, 2**16):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "_AT_ONCE", at_once)
            assert_equal(t._whole_blocks(0, len(t)), expected)


@either_order
@pytest.mark.parametrize("cut", [slice(None), slice(7, -9), slice(9_000, None)])
def test_a_long_window_is_read_by_whole_blocks_with_the_same_rows(order, cut):
    random = np.random.default_rng(0)
    t = convt_trace.trace(
        random.normal(size=(2, 6, 9, 7)), random.normal(size=(6, 2, 3, 4)), groups=2,
        stride=(2, 1), padding=(1, 2), dilation=(1, 2), output_padding=(1, 0), order=order,
    )  # fmt: skip
    start, stop, _ = cut.indices(len(t))
    assert t._worth_whole_blocks(start, stop)
    assert_equal(t[cut], t.take(np.arange(start, stop)))


@either_order
def test_numbers_outside_are_index_errors_and_other_keys_type_errors(order):
    t = convt_trace.trace(np.ones((1, 2, 3)), np.ones((2, 1, 2)), padding=1, order=order)
    assert len(t) == 12
    for number in (12, -13, 10**20):
        with pytest.raises(IndexError, match=str(number)):
            t[number]
    for key in ("3", 1.5, None, (0, 1)):
        with pytest.raises(TypeError):
            t[key]
    assert t[np.int64(3)] == t[3] == list(t)[3]
    assert len(t[12:]) == len(t[5:5]) == len(t[8:2]) == 0


def test_a_mac_is_plain_python():
    mac = convt_trace.trace(
        torch.ones(2, 3, 3, dtype=torch.bfloat16),
        torch.ones(2, 1, 2, 2, dtype=torch.bfloat16),
        padding=1,
    )[0]
    assert FIELDS == ("n", "group", "in_channel", "out_channel", "i", "k", "o", "kept",
                      "x", "w", "product", "before", "after")  # fmt: skip
    types = {name: type(value) for name, value in asdict(mac).items()}
    assert types == {
        **dict.fromkeys(("n", "group", "in_channel", "out_channel"), int),
        **dict.fromkeys(("i", "k", "o"), tuple),
        "kept": bool,
        **dict.fromkeys(("x", "w", "product", "before", "after"), float),
    }
    assert mac.o == (-1, -1) and not mac.kept


@either_order
def test_an_order_is_a_choice_of_two_and_an_empty_batch_has_no_macs(order):
    with pytest.raises(ValueError, match="'scatter' or 'gather'"):
        convt_trace.trace([[[1]]], [[[1]]], order=order.upper())
    x, weight = torch.ones(0, 4, 5), torch.ones(4, 2, 3)
    t = convt_trace.trace(x, weight, order=order)
    assert t.output.shape == conv_transpose(1)(x, weight).shape
    assert len(t) == len(t[:]) == len(t.to_frame()) == t.kept_macs == 0
    with pytest.raises(IndexError):
        t[0]


# -- cells --------------------------------------------------------------------------------------


@either_order
@moderate
@given(drawn=layers())
def test_of_output_is_the_filter_over_all_macs_for_every_cell_of_the_canvas(
    drawn: Drawn, order: str
):
    t, rows = drawn.trace(order), loop(drawn, order)
    geometry, cells = t.geometry, {}
    for row in rows:
        cells.setdefault((row.n, row.out_channel, *row.o), []).append(row)
    reach = [range(-a.padding, max(a.outputs, a.canvas - a.padding)) for a in geometry.axes]
    n, c = geometry.batch - 1, geometry.layer.out_channels - 1
    assert {cell[2:] for cell in cells} <= set(product(*reach))
    for position in product(*reach):
        assert_same(t.of_output(n, c, *position), cells.get((n, c, *position), []))


@pytest.mark.parametrize(
    "cell",
    [(1, 0, 0), (-1, 0, 0), (0, 2, 0), (0, -1, 0), (0, 0, -2), (0, 0, 6), (0, 0), (0, 0, 1, 1)],
)
def test_a_cell_that_is_not_on_the_canvas_is_an_index_error(cell):
    t = convt_trace.trace(np.ones((1, 2, 3)), np.ones((2, 2, 3)), stride=2, padding=1)
    assert [len(t.of_output(0, 0, o)) for o in range(-1, 6)] == [2, 2, 4, 2, 4, 2, 2]
    with pytest.raises(IndexError):
        t.of_output(*cell)


@moderate
@given(layers())
def test_sums_are_what_the_last_mac_of_each_cell_leaves(drawn: Drawn):
    t, last = drawn.trace(), {}
    for row in loop(drawn):
        last[row.n, row.out_channel, row.o] = row.after
    cells = list(product(range(len(drawn.batched)), range(t.geometry.layer.out_channels),
                         product(*map(range, t.geometry.canvas_size))))  # fmt: skip
    padding = drawn.parameters["padding"]
    expected = [
        last.get((n, c, tuple(place - p for place, p in zip(canvas, padding))), 0)
        for n, c, canvas in cells
    ]
    n, c, canvas = zip(*cells)
    assert t.sums(n, c, list(zip(*canvas))).tolist() == expected


@either_order
@moderate
@given(drawn=layers(), data=st.data())
def test_sums_before_are_what_cells_hold_when_a_mac_is_next(
    drawn: Drawn, order: str, data: st.DataObject
):
    t = drawn.trace(order)
    if data.draw(st.booleans()):
        t = t.pick(*data.draw(picks(t)))
    number = data.draw(st.integers(0, len(t)))
    held = {(mac.n, mac.out_channel, mac.o): mac.after for mac in t[:number]}
    seen = sorted({(mac.n, mac.out_channel, mac.o) for mac in t[:]})
    n, c, positions = zip(*seen)
    canvas = [
        [o + p for o in along] for along, p in zip(zip(*positions), drawn.parameters["padding"])
    ]
    later = {(mac.n, mac.out_channel, mac.o) for mac in t[number:]}
    sums, reached, finished = t.sums_before(number, n, c, canvas)
    assert reached.tolist() == [cell in held for cell in seen]
    assert finished.tolist() == [cell not in later for cell in seen]
    assert sums.tolist() == [held.get(cell, 0) for cell in seen]


# -- some of it ---------------------------------------------------------------------------------


@st.composite
def picks(draw: st.DrawFn, t: convt_trace.Trace) -> list[list[int] | None]:
    """Which batch items, groups and channels to pick, in any order; None for all."""
    layer = t.geometry.layer
    counts = (t.geometry.batch, layer.groups, layer.in_per_group, layer.out_per_group)
    return [
        draw(st.none() | st.lists(st.integers(0, count - 1), min_size=1, unique=True))
        for count in counts
    ]


@either_order
@moderate
@given(drawn=layers(), data=st.data())
def test_the_rows_of_a_pick_are_rows_of_the_full_trace_in_its_order(
    drawn: Drawn, order: str, data: st.DataObject
):
    t = drawn.trace(order)
    chosen = data.draw(picks(t))
    picked, layer = t.pick(*chosen), t.geometry.layer
    expected = [
        row
        for row in loop(drawn, order)
        for places in [(row.n, row.group, row.in_channel % layer.in_per_group,
                        row.out_channel % layer.out_per_group)]
        if all(some is None or place in some for some, place in zip(chosen, places))
    ]  # fmt: skip
    assert len(picked) == len(expected)
    assert_same(picked[:], expected)
    other = ORDERS[order == "scatter"]
    assert Counter(map(repr, picked.in_order(other)[:])) == Counter(map(repr, picked[:]))


@either_order
@moderate
@given(drawn=layers())
def test_macs_are_counted_by_reading_them(drawn: Drawn, order: str):
    t = drawn.trace(order)
    kept = t[:].kept
    assert (t.macs, t.kept_macs, t.cropped_macs) == (kept.size, kept.sum(), (~kept).sum())
    assert len(t) == t.macs


@either_order
def test_the_frame_has_a_column_per_number_and_the_macs_numbers_as_its_index(order):
    t = convt_trace.trace(np.arange(24.0).reshape(2, 3, 4), np.ones((2, 2, 2, 2)), order=order)
    frame, window = t.to_frame(5, 25), t[5:25]
    assert list(frame.columns) == [
        "n", "group", "in_channel", "out_channel", "i0", "i1", "k0", "k1", "o0", "o1", "kept",
        "x", "w", "product", "before", "after",
    ]  # fmt: skip
    assert frame.index.tolist() == list(range(5, 25))
    for name in FIELDS:
        columns = [column for column in frame if column.rstrip("01") == name]
        assert frame[columns].to_numpy().reshape(20, -1).tolist() == (
            getattr(window, name).reshape(20, -1).tolist()
        )
    assert len(t.to_frame()) == len(t)
    assert t.to_frame(90, -2).index.tolist() == list(range(90, len(t) - 2))
    assert window.nbytes == sum(getattr(window, name).nbytes for name in FIELDS)


# -- the output ---------------------------------------------------------------------------------


def bound(drawn: Drawn) -> torch.Tensor:
    """How far from the exact sum any order of adding in the dtype may end, per output cell.

    m terms with unit roundoff u stay within m*u times their magnitudes (and a little); this is
    twice that for two such sums, with room for the bias, the products and the storing.
    """
    info = torch.finfo(drawn.x.dtype)
    tensors = [None if t is None else t.double().abs() for t in (drawn.x, drawn.weight, drawn.bias)]
    magnitude = conv_transpose(drawn.dims)(*tensors, **drawn.parameters)
    ones = [None if t is None else torch.ones_like(t) for t in tensors]
    terms = conv_transpose(drawn.dims)(*ones, **drawn.parameters)
    return (terms + 3) * info.eps * magnitude + (terms + 1) * info.smallest_normal


@moderate
@given(layers(dtypes=INTEGERS))
def test_integers_equal_torch_exactly_in_its_dtype_and_shape(drawn: Drawn):
    output, expected = drawn.trace().output, drawn.torch()
    np.testing.assert_array_equal(output, expected.numpy(), strict=True)


def test_small_integers_wrap_around_as_torchs_do():
    x, weight = torch.full((1, 3, 2), 100, dtype=torch.int8), torch.ones(3, 1, 1, dtype=torch.int8)
    expected = conv_transpose(1)(x.long(), weight.long()).to(torch.int8)
    assert expected[0, 0, 0] == 300 - 256
    np.testing.assert_array_equal(
        convt_trace.trace(x, weight).output, expected.numpy(), strict=True
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@moderate
@given(data=st.data())
def test_floats_equal_torch_within_their_rounding_in_its_dtype_and_shape(dtype, data):
    drawn = data.draw(layers(dtypes=(dtype,), whole=False))
    output, expected = drawn.trace().output, drawn.torch()
    assert (f"torch.{output.dtype.name}", output.shape) == (str(expected.dtype), expected.shape)
    apart = torch.from_numpy(output.astype(np.float64)) - expected.double()
    assert bool((apart.abs() <= bound(drawn)).all())


@moderate
@given(layers())
def test_both_orders_have_the_same_output(drawn: Drawn):
    t = drawn.trace()
    assert t.in_order("gather").output.tolist() == t.output.tolist()


@moderate
@given(layers())
def test_add_up_is_the_sum_in_order_and_for_integers_to_the_last_bit(drawn: Drawn):
    t, last, magnitude = drawn.trace(), {}, Counter()
    for row in loop(drawn):
        cell = (row.n, row.out_channel, *map(sum, zip(row.o, drawn.parameters["padding"])))
        last[cell] = row.after
        magnitude[cell] += abs(row.product)
    canvas = add_up(t.geometry, t._x, t._weight)
    for cell, total in np.ndenumerate(canvas):
        apart = abs(total - last.get(cell, 0))
        slack = 0 if t._x.dtype.kind == "i" else len(last) * 2**-52 * magnitude[cell]
        assert apart <= slack


def test_a_layer_too_large_to_add_in_order_still_equals_torch(monkeypatch):
    x, weight = torch.randint(-9, 9, (2, 4, 5, 6)), torch.randint(-9, 9, (4, 3, 3, 2))
    parameters = {"groups": 2, "stride": (2, 3), "padding": (2, 1), "dilation": (1, 3)}
    # The module: `convt_trace.trace` is its function.
    monkeypatch.setattr(import_module("convt_trace.engine.trace"), "SEQUENTIAL_MACS", 0)
    t = convt_trace.trace(x, weight, **parameters)
    np.testing.assert_array_equal(t.output, conv_transpose(2)(x, weight, **parameters), strict=True)


# -- what comes in ------------------------------------------------------------------------------

PARAMETERS = {"stride": 2, "padding": 1, "groups": 2}


def numbers(dtype: torch.dtype) -> list[torch.Tensor]:
    """An input, a weight and a bias of whole numbers."""
    return [
        torch.arange(-6, 6, dtype=torch.float64).reshape(1, 4, 3).to(dtype),
        torch.arange(12, dtype=torch.float64).reshape(4, 1, 3).to(dtype),
        torch.tensor([7, -7]).to(dtype),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_nested_lists_arrays_and_tensors_are_the_same_trace(dtype):
    tensors = numbers(dtype)
    lists = [tensor.tolist() for tensor in tensors]
    arrays = [tensor.numpy() for tensor in tensors]
    expected = convt_trace.trace(*tensors, **PARAMETERS)
    for given_as in (lists, arrays, [lists[0], *tensors[1:]], [tensors[0], *lists[1:]]):
        t = convt_trace.trace(*given_as, **PARAMETERS)
        np.testing.assert_array_equal(t.output, expected.output, strict=True)
        assert_equal(t[:], expected[:])
    theirs = conv_transpose(1)(*map(torch.tensor, lists), **PARAMETERS)
    np.testing.assert_array_equal(expected.output, theirs.numpy(), strict=True)


def test_a_list_of_whole_numbers_beside_one_of_fractions_is_float_as_both():
    t = convt_trace.trace([[[1, 2]]], [[[0.5, 1]]], [1])
    expected = conv_transpose(1)(
        torch.tensor([[[1.0, 2]]]), torch.tensor([[[0.5, 1]]]), torch.tensor([1.0])
    )
    np.testing.assert_array_equal(t.output, expected.numpy(), strict=True)


def test_tensors_are_taken_in_any_memory_layout():
    x = torch.arange(24.0).reshape(4, 3, 2).permute(2, 0, 1)
    weight = torch.arange(24.0).reshape(3, 2, 4).permute(2, 1, 0).requires_grad_()
    swapped = x.numpy().astype(">f4")
    expected = conv_transpose(1)(x, weight).detach().numpy()
    for given_as in (x, x.numpy(), swapped, np.asfortranarray(x.numpy())):
        output = convt_trace.trace(given_as, weight).output
        np.testing.assert_array_equal(output, expected, strict=True)


@pytest.mark.parametrize("as_given", [lambda t: t, lambda t: t.numpy()], ids=["torch", "numpy"])
def test_changing_the_callers_tensors_later_does_not_change_the_trace(as_given):
    tensors = numbers(torch.float32)
    t = convt_trace.trace(*map(as_given, tensors), **PARAMETERS)
    expected = convt_trace.trace(*(tensor.tolist() for tensor in tensors), **PARAMETERS)
    for tensor in tensors:
        tensor.fill_(99)
    assert_equal(t[:], expected[:])
    np.testing.assert_array_equal(t.output, expected.output, strict=True)
    with pytest.raises(ValueError, match="read-only"):
        t.case.x[:] = 0


# -- the gigantic -------------------------------------------------------------------------------


class Dcgan:
    """ConvTranspose2d(512, 256, 4, 2, 1) on 16x16, and its cells by brute force."""

    ins, outs, size, taps, stride, padding = 512, 256, 16, 4, 2, 1
    macs = ins * outs * size**2 * taps**2

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(7)
        self.x = torch.randn(1, self.ins, self.size, self.size, generator=random)
        self.weight = torch.randn(self.ins, self.outs, self.taps, self.taps, generator=random)

    def trace(self, order: str) -> convt_trace.Trace:
        return convt_trace.trace(
            self.x, self.weight, stride=self.stride, padding=self.padding, order=order
        )

    def along(self, canvas: int) -> list[tuple[int, int]]:
        """The (i, k) of one axis that land on a canvas position."""
        return [
            (i, k)
            for i in range(self.size)
            for k in range(self.taps)
            if i * self.stride + k == canvas
        ]

    def cell(self, c: int, o: tuple[int, int]) -> list[Row]:
        """Every MAC of a cell, in order."""
        down, right = (self.along(place + self.padding) for place in o)
        kept = all(0 <= place < 2 * self.size for place in o)
        total, rows = 0.0, []
        for ci, (iy, ky), (ix, kx) in product(range(self.ins), down, right):
            x, w = self.x[0, ci, iy, ix].item(), self.weight[ci, c, ky, kx].item()
            before, total = total, total + x * w
            rows.append(Row(0, 0, ci, c, (iy, ix), (ky, kx), o, kept, x, w, x * w, before, total))
        return rows


@pytest.fixture(scope="module")
def dcgan() -> Dcgan:
    return Dcgan()


@either_order
@pytest.mark.parametrize("o", [(13, 17), (0, 31), (-1, 5), (32, 32)])
def test_a_cell_of_a_gigantic_layer_is_that_of_the_loop(dcgan: Dcgan, order: str, o):
    assert_same(dcgan.trace(order).of_output(0, 200, *o), dcgan.cell(200, o))


def test_rows_and_windows_far_inside_a_gigantic_scatter_trace_are_those_of_the_loop(dcgan: Dcgan):
    t = dcgan.trace("scatter")
    assert len(t) == dcgan.macs == 536_870_912
    start = 400_000_123
    expected = []
    for number in range(start, start + 40):
        rest, kx = divmod(number, 4)
        rest, ky = divmod(rest, 4)
        rest, c = divmod(rest, 256)
        rest, ix = divmod(rest, 16)
        ci, iy = divmod(rest, 16)
        rows = dcgan.cell(c, (iy * 2 + ky - 1, ix * 2 + kx - 1))
        expected += [row for row in rows if (row.in_channel, row.i) == (ci, (iy, ix))]
    assert_same(t[start : start + 40], expected)
    assert [t[start + 7], t[start - len(t) + 30]] == [Mac(*expected[7]), Mac(*expected[30])]


def test_rows_and_windows_far_inside_a_gigantic_gather_trace_are_those_of_the_loop(dcgan: Dcgan):
    t, (c, o) = dcgan.trace("gather"), (200, (13, 17))
    counts = [len(dcgan.along(canvas)) for canvas in range(34)]
    y, x = (place + 1 for place in o)
    cells_before = sum(counts[:y]) * sum(counts) + counts[y] * sum(counts[:x])
    start = dcgan.ins * (c * sum(counts) ** 2 + cells_before)
    rows = dcgan.cell(c, o)
    assert start > 400_000_000 and len(rows) == 2048
    assert_same(t[start : start + 2048], rows)
    assert [t[start + 7], t[start + 2047]] == [Mac(*rows[7]), Mac(*rows[-1])]
    neighbour = dcgan.cell(c, (13, 18))
    assert_same(t[start + 2000 : start + 2100], rows[2000:] + neighbour[:52])


@either_order
def test_reading_a_gigantic_layer_allocates_little_more_than_its_tensors(dcgan: Dcgan, order: str):
    tracemalloc.start()
    try:
        t = dcgan.trace(order)
        t[500_000_000]
        assert len(t[300_000_000 : 300_000_000 + 4096]) == 4096
        t.of_output(0, 17, 5, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6  # its columns would take 80 GB


@either_order
def test_a_whole_read_allocates_little_more_than_its_columns_however_empty_the_canvas(order: str):
    t = convt_trace.trace(np.ones((1, 64, 16, 16)), np.ones((64, 2, 1, 1)), stride=16, order=order)
    tracemalloc.start()
    try:
        everything = t[:]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * everything.nbytes


def test_counting_a_gigantic_layer_is_what_an_all_ones_layer_of_torch_adds_up_to(dcgan: Dcgan):
    ones = conv_transpose(2)(
        torch.ones(1, 1, 16, 16), torch.ones(1, 1, 4, 4), stride=2, padding=1
    ).sum()
    t = dcgan.trace("scatter")
    assert t.kept_macs == int(ones) * dcgan.ins * dcgan.outs
    assert t.cropped_macs == dcgan.macs - t.kept_macs

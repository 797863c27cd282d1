"""Links: the round trip, bit for bit, and what becomes of links that somebody or something changed."""

from __future__ import annotations

import doctest
import string
import zlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bit_cases, layers, moderate

from convt_trace import Case
from convt_trace.engine.orders import ORDERS
from convt_trace.engine.view import TENSORS, View
from convt_trace.links import link
from convt_trace.links import settings as rules
from convt_trace.links.link import LONGEST, NAMES, Cell, Linked, LinkError, from_link, to_link
from convt_trace.links.packed import DTYPES, Unreadable, pack, unpack
from convt_trace.links.settings import PRESETS, QUESTION, Fill, Settings

# -- strategies -----------------------------------------------------------------------------------

places = st.integers(0, 1023)
picks = st.none() | st.lists(places, min_size=1, max_size=8, unique=True).map(tuple)


@st.composite
def states(draw) -> dict:
    order = draw(st.sampled_from(list(ORDERS)))
    index = st.lists(st.integers(-99, 999), min_size=1, max_size=5).map(tuple)
    return {
        "view": View(order, draw(places), draw(picks), draw(picks), draw(picks)),
        "step": draw(st.integers(0, 2**53)),
        "unit": draw(st.sampled_from(ORDERS[order].units)),
        "selected": draw(st.none() | st.builds(Cell, st.sampled_from(TENSORS), index)),
        "page": draw(st.sampled_from(["playground", "lesson", "a-b-3"])),
        "hidden": draw(st.none() | st.integers(0, 2**53)),
    }


numbers = st.lists(st.floats(width=64), min_size=1, max_size=40).map(tuple)
fills = st.one_of(
    st.builds(Fill, st.just("numbers"), numbers),
    st.builds(Fill, st.sampled_from(["integers", "normal"]), seed=st.integers(0, 9999)),
    st.builds(Fill, st.sampled_from(["ones", "counting", "impulse"])),
)


@st.composite
def all_settings(draw) -> Settings:
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 4))

    def along(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    bias = draw(st.booleans())
    return Settings(
        batch=draw(st.integers(1, 2)),
        in_channels=groups * draw(st.integers(1, 3)),
        out_channels=groups * draw(st.integers(1, 3)),
        groups=groups,
        size=along(1, 4),
        kernel=along(1, 3),
        stride=along(1, 3),
        padding=(0,) * dims,
        output_padding=(0,) * dims,
        dilation=along(1, 2),
        bias=bias,
        x=draw(fills),
        weight=draw(fills | st.just(Fill("bilinear"))),
        # What fills a bias that is off does not travel.
        offset=draw(fills) if bias else QUESTION.offset,
    )


def state_of(linked: Linked) -> dict:
    names = ("view", "step", "unit", "selected", "page", "hidden")
    return {name: getattr(linked, name) for name in names}


# -- the round trip -------------------------------------------------------------------------------


@moderate
@given(layers(), states())
def test_a_case_comes_back_with_its_state(drawn, state):
    case = drawn.case()
    linked = from_link(to_link(case, **state))
    assert linked.case == case
    assert state_of(linked) == state
    assert linked.problems == ()


@moderate
@given(bit_cases())
def test_a_case_comes_back_bit_for_bit(case):
    back = from_link(to_link(case)).case
    assert back == case
    for name in ("x", "weight", "bias"):
        sent, came = getattr(case, name), getattr(back, name)
        assert (sent is None) == (came is None)
        if sent is not None:
            assert (came.dtype, came.shape) == (sent.dtype, sent.shape)
            assert came.tobytes() == sent.tobytes()


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@moderate
@given(all_settings(), states())
def test_settings_come_back_as_their_recipes(settings, state):
    linked = from_link(to_link(settings, **state))
    assert repr(linked.settings) == repr(settings)  # by their text: nan != nan
    assert linked.case == settings.case()
    assert state_of(linked) == state
    assert linked.problems == ()


@pytest.mark.parametrize("key", PRESETS)
def test_presets_come_back(key):
    settings = PRESETS[key].settings
    linked = from_link(to_link(settings))
    assert linked.settings == settings
    assert linked.case == settings.case()


@pytest.mark.parametrize(
    "dress", ["{}", "?{}", "https://a.example/lesson?{}", "{}&utm_source=mail"]
)
def test_a_link_is_read_however_it_comes(dress):
    linked = from_link(dress.format(to_link(QUESTION, step=3)))
    assert (linked.settings, linked.step, linked.problems) == (QUESTION, 3, ())


def test_a_link_is_read_percent_encoded_by_name_and_with_a_full_stop():
    made = to_link(QUESTION, selected=("output", (0, 1, -2)))
    for query in (quote(made, safe="=&"), dict(parse_qsl(made)), f"{made}."):
        linked = from_link(query)
        assert (linked.settings, linked.selected) == (QUESTION, Cell("output", (0, 1, -2)))
        assert linked.problems == ()


def test_every_parameter_is_named_always():
    for case in (QUESTION, QUESTION.case(), PRESETS["volume"].settings):
        assert tuple(dict(parse_qsl(to_link(case)))) == tuple(
            name for name in NAMES if name not in ("offset", "views")
        )
    full = to_link(PRESETS["output_padding"].settings, views=["groups", "matrix"])
    assert tuple(dict(parse_qsl(full))) == NAMES


def test_the_open_views_travel():
    made = to_link(QUESTION, views=["groups", "matrix"])
    assert from_link(made).views == ("groups", "matrix")
    assert from_link(to_link(QUESTION)).views == ()
    damaged = from_link(made.replace("groups,matrix", "groups,<b>"))
    assert damaged.views == () and "views" in damaged.sentence


def test_a_link_is_made_of_characters_that_need_no_escape():
    rng = np.random.default_rng(0)
    case = Case.of(rng.normal(size=(1, 2, 9)), rng.normal(size=(2, 2, 3)))
    for made in (to_link(case), to_link(QUESTION, unit="input value", step=10**15)):
        assert set(made) <= set(string.ascii_letters + string.digits + "=&.,:_-")
    fill = Fill("numbers", (1e300, -1.5e-7, float("nan"), float("-inf"), 1e22))
    assert set(to_link(replace(QUESTION, x=fill))) <= set(
        string.ascii_letters + string.digits + "=&.,:_-"
    )


# -- length ---------------------------------------------------------------------------------------


def test_the_questions_link_takes_at_most_300_characters():
    host = "http://localhost:8501/?"
    for case in (QUESTION, QUESTION.case()):
        assert len(host + to_link(case)) <= 300
        assert len(to_link(case, step=72, selected=("output", (0, 3, 0)))) <= 300


@pytest.mark.parametrize("low, high", [(-4, 5), (-128, 127), (-999, 999)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bfloat16"])
def test_four_channels_of_8_by_8_integers_take_at_most_1500(low, high, dtype):
    rng = np.random.default_rng(1)
    x = rng.integers(low, high, (1, 4, 8, 8), endpoint=True).astype(DTYPES[dtype])
    weight = rng.integers(low, high, (4, 4, 3, 3), endpoint=True).astype(DTYPES[dtype])
    case = Case.of(x, weight, padding=1)
    made = to_link(case, step=9216, unit="stamp")
    assert len(made) <= 1500
    assert from_link(made).case == case


def test_a_case_too_long_for_a_link_is_refused_with_the_limit():
    rng = np.random.default_rng(2)
    case = Case.of(rng.normal(size=(1, 4, 32, 32)), rng.normal(size=(4, 4, 3, 3)))
    with pytest.raises(
        LinkError, match="4,096 numbers, which take more than the 15,000 char.* file"
    ):
        to_link(case)


def test_what_no_link_would_open_is_not_made():
    huge = replace(QUESTION, in_channels=512, out_channels=512, groups=1, size=(64,), kernel=(16,))
    assert from_link(to_link(huge)).problems == ()
    with pytest.raises(LinkError, match="too large for a link: it has 17,179,869,184 MACs"):
        to_link(replace(huge, batch=64))
    with pytest.raises(LinkError, match="recipe of x does not fit"):
        to_link(replace(QUESTION, x=Fill("integers", seed=2**40)))


# -- what is wrong with a link --------------------------------------------------------------------


def changed(old: str, new: str, **state) -> str:
    made = to_link(QUESTION, step=7, page="lesson", **state)
    assert old in made
    return made.replace(old, new)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("stride=1", "stride=abc", "stride reads “abc”, where a number up to 32,768 was expected"),
        ("stride=1", "stride=99999", "stride reads “99999”, where a number up to 32,768"),
        ("&padding=2", "", "padding is missing"),
        ("stride=1", "stride=0", "non-positive stride is not supported"),
        ("groups=2", "groups=3", "Given groups=3"),
        ("padding=2", "padding=9", "Output size is too small"),
        (
            "weight=numbers:1,1,2",
            "weight=numbers:1,x,2",
            "numbers of weight in this link cannot be",
        ),
        ("x=numbers", "x=rumbers", "numbers of x in this link cannot be read: its recipe is not"),
        ("x=numbers:1", "x=raw:int8.z.AAAA", "numbers of x in this link cannot be read"),
        ("size=3", "size=99999999", "size reads"),
        (
            "size=3",
            "size=9999999",
            "it has 40,000,020 numbers in its input and weight; at most 10,000,000 are opened",
        ),
        ("step=7", "step=-7", "step reads “-7”, where a whole number from 0 to"),
        ("unit=MAC", "unit=mile", "unit reads “mile”, where one of MAC, tap-row"),
        ("cell=no&", "cell=output:x&", "cell reads “output·x”"),
        ("dtype=float32", "dtype=complex64", "dtype reads “complex64”"),
        ("step=7", "step=8", "This link was changed after it was made"),
        ("bias=no", "bias=yes", "numbers of offset in this link cannot be read: they are missing"),
        ("v=1&", "", "This link does not say its version"),
    ],
)
def test_one_sentence_says_what_is_wrong_and_the_rest_is_kept(old, new, said):
    linked = from_link(changed(old, new))
    assert said in linked.problems[0]
    assert linked.sentence.startswith(linked.problems[0]) and linked.sentence.endswith((".", ".)"))
    assert linked.page == "lesson"
    assert linked.case.trace().output.size
    if "step" not in old:
        assert linked.step == 7


def test_a_layer_that_torch_refuses_becomes_the_nearest_that_it_takes():
    linked = from_link(changed("padding=2", "padding=9"))
    assert linked.settings == QUESTION
    assert linked.case == QUESTION.case()
    linked = from_link(changed("groups=2", "groups=3"))
    assert (linked.settings.groups, linked.settings.in_channels) == (3, 3)
    assert linked.settings.x == QUESTION.x


def test_a_damaged_tensor_does_not_take_the_others_with_it():
    rng = np.random.default_rng(3)
    case = Case.of(rng.normal(size=(1, 2, 9)), rng.normal(size=(2, 2, 3)))
    made = to_link(case)
    x = made[made.index("&x=") + 3 : made.index("&weight=")]
    at = len(x) // 2
    bad = x[:at] + ("A" if x[at] != "A" else "B") + x[at + 1 :]
    linked = from_link(made.replace(x, bad))
    assert linked.problems == (
        "The numbers of x in this link cannot be read: its checksum is not right, so a number in it "
        "has changed; they are shown as ones.",
    )
    assert np.array_equal(linked.case.weight, case.weight)
    assert np.array_equal(linked.case.x, np.ones_like(case.x))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_a_link_cut_off_says_so_and_keeps_its_beginning(share):
    made = to_link(QUESTION, step=7)
    linked = from_link(made[: int(share * len(made))])
    assert linked.problems
    assert linked.step == 7


def test_a_link_without_its_check_says_that_its_end_is_missing():
    made = to_link(QUESTION)
    assert "end of this link is missing" in from_link(made[: made.index("&sum")]).sentence
    by_hand = made[: made.index("&sum")].replace("stride=1", "stride=2") + "&sum=none"
    assert from_link(by_hand).settings == replace(QUESTION, stride=(2,))
    assert from_link(by_hand).problems == ()


@pytest.mark.parametrize(
    "query, said",
    [
        ("", "not a link of convt-trace"),
        ("utm_source=mail", "not a link of convt-trace"),
        ("v=1", "not a link of convt-trace"),
        ("&".join(f"a{n}=1" for n in range(200)), "cannot be taken apart"),
        (to_link(QUESTION).replace("v=1", "v=2"), r"later version \(v=2\)"),
        ("v=1&order=scatter&x=" + "1," * LONGEST, "too long: 30,"),
        ("v=1&" + "a" * 10 * LONGEST, "too long: 150,"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused(query, said):
    with pytest.raises(LinkError, match=said):
        from_link(query)


def test_a_strangers_text_is_never_shown_as_it_is():
    hostile = "<script>alert(1)</script>![](https://evil.example/x.png)$\\LaTeX$:material/home:"
    for name in NAMES[:-1]:
        parts = dict(parse_qsl(to_link(QUESTION)))
        try:
            sentences = " ".join(from_link({**parts, name: hostile}).problems)
        except LinkError as error:
            sentences = str(error)
        assert not set(sentences) & set("<>!$\\`*|")
        assert "](" not in sentences and ":material" not in sentences


# -- bombs ----------------------------------------------------------------------------------------


def bomb(count: int) -> str:
    """Zeros, deflated, with a checksum that is right."""
    raw = bytes(count)
    deflater = zlib.compressobj(9, wbits=-15)
    data = zlib.crc32(raw, zlib.crc32(b"int8")).to_bytes(4, "little")
    data += deflater.compress(raw) + deflater.flush()
    return "int8.z." + urlsafe_b64encode(data).decode().rstrip("=")


def test_a_bomb_is_not_inflated(monkeypatch):
    inflated = []
    inflate = link.unpack.__globals__["_inflate"]

    def counting(data: bytes, most: int) -> bytes:
        inflated.append(len(inflate(data, most)))
        return inflate(data, most)

    monkeypatch.setitem(link.unpack.__globals__, "_inflate", counting)
    packed = bomb(8_000_000)
    assert len(packed) < LONGEST
    linked = from_link(changed("x=numbers:1,1,1,1,1,1,1,1,2,1,1,2", f"x=raw:{packed}"))
    assert "does not hold as many numbers as its shape says" in linked.problems[0]
    typed = from_link(changed("x=numbers:1,1,1,1,1,1,1,1,2,1,1,2", f"x=numbers:{packed}"))
    assert "numbers of x" in typed.problems[0]
    assert max(inflated) <= rules.MOST_TYPED + 1


def test_what_a_link_may_hold_is_read():
    assert unpack(bomb(1000), np.dtype(np.float64), 1000).tolist() == [0.0] * 1000
    with pytest.raises(Unreadable, match="more than the 10 that can be read"):
        unpack(bomb(1000), np.dtype(np.float64), 1000, most=10)


@pytest.mark.parametrize(
    "parts",
    [
        {"size": "16000000"},
        {"kernel": "16000000"},
        {"in_channels": "16000000", "out_channels": "16000000"},
        {"batch": "16000000"},
        {"batch": "0", "size": "9999999", "stride": "32768"},
        {"size": "30000", "kernel": "30000"},
        {
            "size": "30000",
            "kernel": "30000",
            "in_channels": "1",
            "out_channels": "1",
            "groups": "1",
        },
        {"dims": "3d", "stride": "32768"},
    ],
)
def test_a_layer_too_large_is_refused_before_it_is_made(parts, monkeypatch):
    made = []
    of = Case.of
    monkeypatch.setattr(
        Case, "of", lambda *args, **kwargs: made.append(of(*args, **kwargs)) or made[0]
    )
    linked = from_link({**dict(parse_qsl(to_link(QUESTION, step=7))), **parts})
    assert [case.trace().macs < 10**6 for case in made] == [True]
    assert linked.step == 7
    assert "not possible" in linked.problems[0]


# -- thousands of broken links --------------------------------------------------------------------

ALPHABET = np.array(list(string.ascii_letters + string.digits + "=&.,:_-%+ \x00é#?"))


def mutated(made: str, rng: np.random.Generator) -> str:
    """A link with a few characters changed, lost, doubled or cut off, as mail and people do."""
    letters = list(made)
    for _ in range(rng.integers(1, 6)):
        at, to = sorted(rng.integers(0, len(letters) + 1, 2))
        kind = rng.integers(7)
        if kind <= 2 and at < len(letters):
            letters[at] = str(rng.choice(ALPHABET))
        elif kind == 3:
            letters.insert(at, str(rng.choice(ALPHABET)))
        elif kind == 4:
            del letters[at : at + 3]
        elif kind == 5:
            letters[at:at] = letters[at : min(to, at + 20)]
        elif rng.integers(4) == 0:
            del letters[at:]
        letters = letters or ["v"]
    return "".join(letters)


def test_thousands_of_mutated_links_raise_nothing_else():
    rng = np.random.default_rng(4)
    rest = Case.of(rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 1, 2, 2)), groups=2)
    made = [
        to_link(QUESTION, step=5, selected=("input", (0, 0, 1)), hidden=3),
        to_link(PRESETS["volume"].settings, view=View("gather", 0, (0,), (0, 1), None)),
        to_link(rest, unit="stamp"),
        to_link(Case.of(rng.integers(-9, 9, (1, 4, 8, 8)), rng.integers(-9, 9, (4, 4, 3, 3)))),
    ]
    read = refused = 0
    for number in range(4000):
        query = mutated(made[number % len(made)], rng)
        try:
            linked = from_link(query)
        except LinkError as error:
            refused += 1
            assert str(error) != "This link cannot be read.", query
            continue
        read += 1
        assert linked.problems or from_link(query) == linked
        assert all(problem.endswith(".") for problem in linked.problems), query
        assert len(linked.case.trace()) == linked.case.geometry.macs
    assert read > 3000 and refused > 0


@moderate
@given(st.text(max_size=200) | st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_text_is_a_link_or_a_link_error(query):
    try:
        from_link(query)
    except LinkError as error:
        assert str(error) != "This link cannot be read."


# -- for ever -------------------------------------------------------------------------------------

#: Links made by this version: every later one has to open them as they were.
GOLDEN = {
    "v=1&page=playground&order=scatter&show=0&step=0&unit=MAC&cell=no&hide=no&dims=1d&batch=1"
    "&in_channels=4&out_channels=4&groups=2&size=3&kernel=3&stride=1&padding=2&output_padding"
    "=0&dilation=1&dtype=float32&bias=no&x=numbers:1,1,1,1,1,1,1,1,2,1,1,2&weight=numbers:1,1"
    ",2&sum=m-wQDw": [8.0, 8.0, 10.0, 10.0],
    "v=1&page=lesson-2&order=gather&show=0_0_0_1&step=9&unit=output-cell&cell=output:0,1,2,3&"
    "hide=9&dims=2d&batch=1&in_channels=1&out_channels=2&groups=1&size=2,3&kernel=2&stride=2,"
    "1&padding=0&output_padding=1,0&dilation=1&dtype=float64&bias=yes&x=raw:float64.z.RdnJemN"
    "gAIEf9gwQcABCcTgwoIAL9n9WfrzkmxRgDwA&weight=numbers:-3,-2,-1,0,1,2,3,4&offset=numbers:0."
    "5,-7&sum=ZVIhMQ": [
        -4.0,
        3.5,
        -4.5,
        -5.5,
        -1.0,
        2.5,
        -2.5,
        0.5,
        0.5,
        -0.25,
        -0.0030000000000000027,
        0.498,
        0.5,
        0.25,
        0.499,
        0.5,
        0.5,
        0.5,
        0.5,
        0.5,
        -5.5,
        -6.0,
        -8.0,
        -1.0,
        -2.5,
        -7.0,
        -6.0,
        5.0,
        -7.0,
        -6.75,
        -6.499,
        -6.998,
        -7.0,
        -6.25,
        -5.997,
        -6.996,
        -7.0,
        -7.0,
        -7.0,
        -7.0,
    ],
}


@pytest.mark.parametrize("query", GOLDEN)
def test_links_of_version_1_open_as_they_did(query):
    linked = from_link(query)
    assert linked.problems == ()
    assert linked.case.trace().output.ravel().tolist() == GOLDEN[query]
    if linked.page != "playground":
        assert state_of(linked) == {
            "view": View("gather", 0, (0,), (0,), (1,)),
            "step": 9,
            "unit": "output cell",
            "selected": Cell("output", (0, 1, 2, 3)),
            "page": "lesson-2",
            "hidden": 9,
        }


def test_seeded_numbers_are_those_that_version_1_drew():
    assert Fill("integers", seed=1).tensor((6,)).tolist() == [0, 1, 3, 5, -4, -3]
    assert Fill("normal", seed=1).tensor((3,)).tobytes().hex() == "4453dd3f90d7b6bf248d833f"


@pytest.mark.parametrize("page", ["links.md", "case-file.md", "export.md", "sizes.md"])
def test_the_programs_in_the_docs_say_the_truth(page):
    path = Path(__file__).parents[2] / "docs" / page
    failed, tried = doctest.testfile(str(path), module_relative=False)
    assert tried and not failed


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_packed_as_short_as_they_are_exact(dtype):
    small = np.array([1, 2, 3, 100]).astype(DTYPES[dtype])
    assert pack(small).startswith(("int8.", f"{dtype}."))
    assert len(pack(small)) <= 7 + len(dtype) + 11
    assert unpack(pack(small), DTYPES[dtype], 4).tobytes() == small.tobytes()

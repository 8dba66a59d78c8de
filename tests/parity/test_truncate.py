"""Truncation: within the limit, honest about what is missing, and the same from both backends."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from vectors import truncate_oracle

_core = pytest.importorskip("maxstage._core")
STRATEGIES = ["head", "tail", "both", "head_lines", "tail_lines", "summary"]
MARKER = re.compile(
    rb"--- \[([\d,]+) bytes?(?: \(([\d,]+) lines?\))? truncated(?:; whole output: (.*))?\] ---\n"
)

lines = st.one_of(
    st.text(max_size=60).map(str.encode),
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"error: broken",
            b'  File "x.py", line 3',
            b"WARNING: careful",
            b"E   assert 1 == 2",
            b"0 errors",
            b'{"a": 1, "b": [2]}',
            "héllo wörld 👩‍👩‍👧‍👦 é".encode(),
            b"x" * 500,
            b"",
            b"\x80\x80\x80\x80\x80",
        ]
    ),
)
texts = st.builds(
    lambda parts, ending, last: ending.join(parts) + last,
    st.lists(lines, max_size=60),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\n"]),
)
hints = st.none() | st.just("max retrieve max:a1b2c3d4")
limits = st.integers(0, 700)


def facts(cut) -> tuple:
    return cut.content, cut.original_size, cut.truncated, cut.dropped_bytes, cut.dropped_lines


def both(data: bytes, *limit):
    ours, theirs = (core.truncate(data, *limit) for core in (_core, _pure))
    assert facts(ours) == facts(theirs)
    return ours


def count(data: bytes) -> int:
    return data.count(b"\n") + (data[-1:] not in (b"", b"\n"))


@examples(300)
@given(texts, st.sampled_from(STRATEGIES), limits, st.integers(0, 30), hints)
def test_never_over_the_limit_and_honest(data, strategy, max_bytes, max_lines, hint):
    cut = both(data, strategy, max_bytes, max_lines, hint)
    assert len(cut.content) <= max_bytes
    assert cut.original_size == len(data)
    fits = len(data) <= max_bytes and (not strategy.endswith("_lines") or count(data) <= max(max_lines, 1))
    assert cut.truncated is not fits
    if fits:
        assert (cut.content, cut.dropped_bytes, cut.dropped_lines) == (data, 0, 0)
    elif strategy != "summary":
        check_pieces(data, cut, strategy, max_lines, hint)
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    cut.content.decode()


def check_pieces(data, cut, strategy, max_lines, hint):
    """The kept head is a prefix, the kept tail a suffix, and the numbers add up."""
    found = [
        match
        for match in MARKER.finditer(cut.content)
        if match[1].replace(b",", b"") == b"%d" % cut.dropped_bytes
    ]
    if found:
        match = found[0]
        head, tail = cut.content[: match.start()], cut.content[match.end() :]
        if not data.startswith(head):
            head = head.removesuffix(b"\n")
        assert (match[3] or b"").decode() == (hint or "")
        assert int((match[2] or b"0").replace(b",", b"")) == cut.dropped_lines
    elif strategy.startswith("tail"):
        head, tail = b"", cut.content
    elif strategy == "both":
        assert len(cut.content) == len(data) - cut.dropped_bytes
        return
    else:
        head, tail = cut.content, b""
    assert data.startswith(head)
    assert data.endswith(tail)
    # A newline put before the marker may also be one of the text.
    assert len(head) + len(tail) + cut.dropped_bytes in (len(data), len(data) + 1)
    kept = head.count(b"\n") + count(tail)
    assert kept + cut.dropped_lines in (count(data), count(data) + 1)
    if strategy.endswith("_lines"):
        assert count(head) <= max(max_lines, 1)
        assert count(tail) <= max(max_lines, 1)


@examples(300)
@given(texts, st.sampled_from(STRATEGIES), limits, st.integers(0, 9), st.integers(1, 97), limits)
def test_streams_are_cut_like_the_whole(data, strategy, max_bytes, max_lines, step, smaller):
    whole = _core.truncate(data, strategy, max_bytes, max_lines, "here")
    for core in (_core, _pure):
        truncator = core.Truncator(strategy, max_bytes, max_lines)
        for at in range(0, len(data), step):
            truncator.feed(data[at : at + step])
        assert truncator.size == len(data)
        assert truncator.is_over == whole.truncated
        assert facts(truncator.render(max_bytes, "here")) == facts(whole)
        assert len(truncator.render(smaller).content) <= smaller


@examples(300)
@given(texts, st.sampled_from(STRATEGIES[:-1]), limits, st.integers(0, 9))
def test_the_ends_are_enough(data, strategy, max_bytes, max_lines):
    ends = data[: max_bytes + 4], data[max(0, len(data) - max_bytes - 4) :], len(data), count(data)
    for core in (_core, _pure):
        cut = core.truncate_ends(*ends, strategy, max_bytes, max_lines, None)
        assert facts(cut) == facts(core.truncate(data, strategy, max_bytes, max_lines, None))


@pytest.mark.parametrize("max_bytes", range(201))
def test_small_limits(max_bytes):
    combining = "e\u0301\u0323" * 80
    for text in (combining, "👩‍👩‍👧‍👦" * 30, "a\r\n" * 90, "\0" * 300, "one line " * 60, "ÿ" * 201):
        for strategy in STRATEGIES:
            cut = both(text.encode(), strategy, max_bytes, 3, "max retrieve max:a1b2c3d4")
            assert len(cut.content) <= max_bytes
            cut.content.decode()


def test_one_line_of_100_mb():
    data = b"x" * 100_000_000
    for strategy in STRATEGIES:
        cut = _core.truncate(data, strategy, 1000, 10, None)
        assert len(cut.content) <= 1000
        assert cut.dropped_bytes > 99_999_000


@pytest.mark.parametrize("core", [_core, _pure])
def test_bad_arguments(core):
    with pytest.raises(ValueError, match="'middle' is not a strategy; use one of: head, tail"):
        core.truncate(b"x", "middle", 1, 1)
    with pytest.raises(OverflowError):
        core.truncate(b"x", "head", -1, 1)
    with pytest.raises(ValueError, match="needs all"):
        core.truncate_ends(b"", b"", 0, 0, "summary", 1, 1)


VECTORS = json.loads(truncate_oracle.VECTORS.read_text())


def test_the_vectors_are_what_the_oracle_makes():
    assert truncate_oracle.VECTORS.read_text() == truncate_oracle.make()


@examples(300)
@given(texts, st.sampled_from(STRATEGIES[:-1]), limits, st.integers(1, 30), hints)
def test_texts_are_cut_as_the_oracle_cuts_them(data, strategy, max_bytes, max_lines, hint):
    cut = both(data, strategy, max_bytes, max_lines, hint)
    expected = truncate_oracle.truncate(data, strategy, max_bytes, max_lines, hint)
    assert (cut.content, cut.dropped_bytes, cut.dropped_lines) == expected


@pytest.mark.parametrize("core", [_core, _pure])
def test_golden_vectors(core):
    """What a limit gives does not change by accident: texts that were cut once are cut the same for ever."""
    for case in VECTORS["cases"]:
        data = VECTORS["texts"][case["text"]].encode("latin-1")
        cut = core.truncate(data, case["strategy"], case["max_bytes"], case["max_lines"], case["hint"])
        got = cut.content.decode("latin-1"), cut.dropped_bytes, cut.dropped_lines
        assert got == (case["content"], case["dropped_bytes"], case["dropped_lines"]), case

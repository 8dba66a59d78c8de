"""Cutting and counting 256 MiB of text that is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

import maxstage
from conftest import OURS
from maxstage._backend import core

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Measure

KEPT_BYTES = 65536
KEPT_LINES = 1000
BOUND = 1 << 20
"""Bytes at most where lines are kept: so many that the lines decide."""
SLICE = "decode and slice, bytes.count"
SPLIT = "splitlines, slice and join"


class Cut(NamedTuple):
    """What a peer keeps, and how many lines it cuts."""

    content: bytes
    dropped_lines: int


def keep_head(data: bytes) -> Cut:
    """Keep the first characters."""
    content = data.decode("utf-8", "replace")[:KEPT_BYTES].encode()
    return Cut(content, data.count(b"\n", len(content)))


def keep_tail(data: bytes) -> Cut:
    """Keep the last characters."""
    content = data.decode("utf-8", "replace")[-KEPT_BYTES:].encode()
    return Cut(content, data.count(b"\n", 0, len(data) - len(content)))


def keep_both(data: bytes) -> Cut:
    """Keep the first and the last characters."""
    text = data.decode("utf-8", "replace")
    head, tail = text[: KEPT_BYTES // 2].encode(), text[-(KEPT_BYTES // 2) :].encode()
    return Cut(head + tail, data.count(b"\n", len(head), len(data) - len(tail)))


def keep_head_lines(data: bytes) -> Cut:
    """Keep the first lines."""
    lines = data.splitlines(keepends=True)
    return Cut(b"".join(lines[:KEPT_LINES]), len(lines[KEPT_LINES:]))


def keep_tail_lines(data: bytes) -> Cut:
    """Keep the last lines."""
    lines = data.splitlines(keepends=True)
    return Cut(b"".join(lines[-KEPT_LINES:]), len(lines[:-KEPT_LINES]))


PEERS: dict[str, Callable[[bytes], Cut]] = {
    "head": keep_head,
    "tail": keep_tail,
    "both": keep_both,
    "head_lines": keep_head_lines,
    "tail_lines": keep_tail_lines,
}


@pytest.fixture(scope="module")
def text(text_file: Path) -> bytes:
    """256 MiB of records, times the scale."""
    return text_file.read_bytes()


@pytest.mark.parametrize("impl", [OURS, SLICE])
@pytest.mark.parametrize("strategy", ["head", "tail", "both"])
def test_bytes(impl: str, strategy: str, measure: Measure, text: bytes) -> None:
    check(impl, strategy, KEPT_BYTES, measure, text)


@pytest.mark.parametrize("impl", [OURS, SPLIT])
@pytest.mark.parametrize("strategy", ["head_lines", "tail_lines"])
def test_lines(impl: str, strategy: str, measure: Measure, text: bytes) -> None:
    check(impl, strategy, BOUND, measure, text)


def check(impl: str, strategy: str, max_bytes: int, measure: Measure, text: bytes) -> None:
    """Measure one strategy, and check what it keeps."""
    group = f"truncate {len(text) >> 20} MiB, {strategy}"
    if impl == OURS:
        cut = measure(group, lambda: maxstage.truncate(text, max_bytes, strategy, max_lines=KEPT_LINES))
        assert cut.original_size == len(text)
    else:
        cut = measure(group, PEERS[strategy], args=(text,))
    assert len(cut.content) <= max_bytes
    if not strategy.startswith("tail"):
        assert cut.content[:1000] == text[:1000]
    if not strategy.startswith("head"):
        assert cut.content[-1000:] == text[-1000:]
    # The line at a cut may count as kept and as dropped, and our marker adds up to two newlines.
    assert abs(cut.content.count(b"\n") + cut.dropped_lines - text.count(b"\n")) <= 3


@pytest.mark.parametrize("impl", [OURS, "bytes.count"])
def test_count(impl: str, measure: Measure, text: bytes) -> None:
    group = f"count the lines of {len(text) >> 20} MiB"
    function = core.count_newlines if impl == OURS else (lambda data: data.count(b"\n"))
    assert measure(group, function, args=(text,)) == len(text.splitlines())

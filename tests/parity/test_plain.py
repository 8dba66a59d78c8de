"""Plain text: without what only a terminal understands, the same from both backends, however the data is cut."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure

_core = pytest.importorskip("maxstage._core")

PARTS = [
    b"\x1b[31m", b"\x1b[0m", b"\x1b[", b"\x1b", b"\x1b]0;", b"\x1b]8;;http://x\x1b\\", b"\x07", b"\x1b\\", b"\x1b(B",
    b"\x1b[1;2", b"m", b"K", b" ", b"\r", b"\n", b"\r\n", b"\x08", b"50%", "é€".encode(), b"\x80", b"\xff",
    b"x" * 70_000,
    b"y" * 65536, b"\x1b]" + b"t" * 4096, b"\x1b[" + b"1" * 129, b"\x1bP", b"text",
]  # fmt: skip
texts = st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=30)


def plain(core, chunks):
    made = core.Plain()
    return b"".join(map(made.feed, chunks)) + made.finish()


@examples(300)
@given(texts, st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_both_backends_agree_and_chunks_do_not_matter(parts, sizes):
    data = b"".join(parts)
    wanted = plain(_core, [data])
    assert plain(_pure, [data]) == wanted
    chunks, at = [], 0
    while at < len(data):
        size = sizes[len(chunks) % len(sizes)] * (1 if len(data) < 1000 else 1009)
        chunks.append(data[at : at + size])
        at += size
    for core in (_core, _pure):
        assert plain(core, chunks) == wanted
    if b"\x1b" not in data and b"\r" not in data and b"\x08" not in data:
        assert wanted == data


@pytest.mark.parametrize("core", [_core, _pure], ids=["rust", "python"])
def test_what_is_shown_is_plain_and_what_is_kept_is_as_it_came(core, tmp_path):
    text = (
        b"".join(b"\x1b[32m%d%%\x1b[0m\r" % (number % 101) for number in range(20_000))
        + b"\n\x1b[1mdone\x1b[m\n"
    )
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    limits = core.StreamLimits("tail", 100, 1000, 50_000, plain=True)
    capture = core.Capture(reader, -1, -1, limits, limits, 1000)
    with (tmp_path / "whole").open("wb") as file:
        kept, at = None, 0
        while at < len(text):
            at += os.write(writer, text[at : at + 4096])
            event = capture.pump(0)
            if event == core.Event.KEEP_STDOUT:
                kept = core.Writer(file.fileno(), "whole")
                capture.keep(0, kept)
        os.close(writer)
        while capture.pump(1000) != core.Event.END:
            pass
        kept.finish()
    os.close(reader)
    cut = capture.render(0, 100)
    assert (cut.content, cut.truncated) == (b"%d%%\ndone\n" % (19_999 % 101), False)
    assert capture.size(0) == len(text)
    assert (tmp_path / "whole").read_bytes() == text


@pytest.mark.parametrize("core", [_core, _pure], ids=["rust", "python"])
def test_what_is_cut_only_at_its_end_is_kept(core):
    # The last line is held back: that it is too long shows before the end is told.
    reader, writer = os.pipe()
    os.write(writer, b"x" * 300)
    os.close(writer)
    limits = core.StreamLimits("tail", 100, 1000, 50_000, plain=True)
    capture = core.Capture(reader, -1, -1, limits, limits, 1000)
    assert capture.pump(1000) == core.Event.KEEP_STDOUT
    capture.never_keep(0)
    assert capture.pump(1000) == core.Event.END
    assert capture.render(0, 100).truncated
    os.close(reader)

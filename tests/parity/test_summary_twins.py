"""The summary: tables that are the same on both sides, and a text that is cut the same however it comes."""

import json
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from maxstage._pure.summary import rating, signals

_core = pytest.importorskip("maxstage._core")
ROOT = Path(__file__).parents[2]
RUST = (ROOT / "rust" / "src" / "summary" / "signals.rs").read_text()
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def strings_of(name: str) -> list[str]:
    """Return the strings of a table of the Rust module."""
    table = re.search(rf"const {name}: [^=]*= (.*?\n?)\];\n", RUST, re.DOTALL)[1]
    return [json.loads(f'"{text}"') for text in STRING.findall(table)]


@pytest.mark.parametrize(
    "name", ["SIGNALS", "STEMS", "COUNTED", "NEGATIONS", "LEVELS", "LIBRARIES", "DOMAINS", "DETAILS", "TOLD"]
)
def test_the_tables_are_the_same(name):
    table = getattr(signals, name)
    ours = [text for texts in table.values() for text in texts] if isinstance(table, dict) else list(table)
    assert strings_of(name) == ours


def test_each_pattern_has_a_stem_by_which_its_line_is_found():
    stems = [stem.lower() for stem in signals.STEMS]
    assert min(len(stem.encode()) for stem in stems) >= 4
    for patterns in signals.SIGNALS.values():
        for pattern in patterns:
            text = "\n" * pattern.startswith("^") + pattern.strip("^~").lower()
            assert any(stem in text for stem in stems), pattern


@pytest.mark.parametrize("word", [word for word in signals.COUNTED if word.startswith(("err", "fail"))])
def test_none_of_what_is_counted_is_no_error(word):
    for line in (f"0 {word}", f"no {word}", f"{word}: 0", f"{word}=0", f"# {word} 0", f"{word}(s): 0, fine"):
        assert rating.rate(rating.kinds_of(line.encode()))[0] < signals.WARNING, line
    for line in (f"10 {word}", f"{word}: 10", f"# {word} 10", f"0 {word}, 3 {word}"):
        assert rating.rate(rating.kinds_of(line.encode()))[:2] >= (signals.MAYBE, True), line


SHAPES = json.loads((ROOT / "tests" / "vectors" / "summary_shapes.json").read_text())
LINES = [
    line.replace("{n}", "7")
    for shape in SHAPES.values()
    for part in shape["text"]
    for line in ([part] if isinstance(part, str) else part["lines"])
]
WORDS = [
    *(pattern.strip("^~") for patterns in signals.SIGNALS.values() for pattern in patterns),
    *(word for words in signals.LEVELS.values() for word in words),
    *signals.COUNTED,
    *signals.NEGATIONS,
    *[
        "1",
        "10",
        "007",
        "INFO",
        "ERROR",
        "a.py:12",
        "x.com:80",
        "f.rs(3,4)",
        'File "x.py", line 3',
        "at a.b(c.java:1)",
        "error TS2322:",
        "'x'",
        "`y'",
        "\u2018z\u2019",
        "\u2018\u2019\u2019",
    ],
    *[
        "from x.rb:3:in",
        "E401",
        "null",
        "{}",
        "(s)",
        "é",
        "word",
        "\x1b[31m",
        "\x1b[0m",
        "\x1b]0;x\x07",
        "\r",
        "|",
    ],
    *["- ", "+", ";", "{", "\\", "\t", "    "],
]
words = st.sampled_from(WORDS).map(str.encode)
loose = st.lists(
    st.tuples(words, st.sampled_from([b"", b" ", b" ", b": ", b"=", b"[", b'"'])), min_size=1, max_size=8
)
names = st.sampled_from(["level", "msg", "pad", "err_trace", "n", 'x\\"y', "uri"]).map(str.encode)
values = st.one_of(
    words.map(lambda word: b'"' + word + b'"'), st.sampled_from([b"1", b"[1]", b'{"code":7', b'"'])
)
lines = st.one_of(
    st.lists(st.tuples(names, values), min_size=1, max_size=25).map(
        lambda fields: b"{" + b",".join(b'"' + name + b'":' + value for name, value in fields) + b"}"
    ),
    st.sampled_from(LINES).map(str.encode),
    loose.map(lambda pairs: b"".join(part for pair in pairs for part in pair)),
    st.lists(words, min_size=1, max_size=5).map(b" 40%\r".join),
    st.tuples(words, st.integers(400, 900)).map(lambda pair: b" ".join([pair[0]] * pair[1])),
    st.binary(max_size=40),
)
texts = st.tuples(
    st.lists(lines, max_size=90), st.sampled_from([b"\n", b"\n", b"\r\n"]), st.sampled_from([b"", b"\n"])
).map(lambda parts: parts[1].join(parts[0]) + parts[2])


def facts(cut) -> tuple:
    return cut.content, cut.original_size, cut.truncated, cut.dropped_bytes, cut.dropped_lines


def stream(core, data, max_bytes, step):
    truncator = core.Truncator("summary", max_bytes, 1)
    for at in range(0, len(data), step):
        truncator.feed(data[at : at + step])
        if at == 0:
            truncator.render(max_bytes)  # It looks, and changes nothing.
    return truncator.render(max_bytes, "here")


@examples(100)
@given(texts, st.one_of(st.integers(0, 400), st.integers(0, 65536)), st.integers(1, 5000))
def test_twins_and_streams_agree(data, max_bytes, step):
    cut = _core.truncate(data, "summary", max_bytes, 1, "here")
    assert len(cut.content) <= max_bytes
    assert 0 <= cut.dropped_bytes <= len(data)
    assert 0 <= cut.dropped_lines <= data.count(b"\n") + 1
    for core in (_core, _pure):
        assert facts(stream(core, data, max_bytes, step)) == facts(cut)
    if len(data) > max_bytes:
        assert b"\x1b[" not in cut.content
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    cut.content.decode()


@examples(2)
@given(st.lists(lines, min_size=40, max_size=40), st.integers(0, 2**32), st.integers(100, 20_000))
def test_texts_of_many_blocks_are_cut_the_same(some, seed, max_bytes):
    data = b"\n".join(Random(seed).choices(some, k=40_000))[:2_600_000]
    cut = facts(_core.truncate(data, "summary", max_bytes, 1, "here"))
    assert facts(_pure.truncate(data, "summary", max_bytes, 1, "here")) == cut
    assert facts(stream(_core, data, max_bytes, 99_991)) == cut

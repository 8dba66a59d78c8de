"""What data looks like: the same to both backends, and right by the standard library's JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from maxstage._pure.detect import BLANK

_core = pytest.importorskip("maxstage._core")

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
documents = st.builds(
    lambda value, indent, ascii_only: json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(),
    values,
    st.sampled_from([None, 1]),
    st.booleans(),
)
almost_json = st.text(alphabet='{}[]",:\\ u0aeE+-.19tfrulsn\n\t', max_size=40).map(str.encode)
mutated = st.builds(
    lambda text, at, byte: text[: at % (len(text) + 1)] + byte + text[at % (len(text) + 1) + 1 :],
    documents,
    st.integers(0, 500),
    st.binary(max_size=1),
)
texts = st.lists(st.one_of(documents, almost_json, mutated, st.just(b""), st.binary(max_size=20))).map(
    b"\n".join
)


def facts(data: bytes) -> dict:
    rest = data.rstrip(BLANK)
    lines = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    return {"lines": lines, "last_nonblank": rest[-1] if rest else None}


def both(prefix: bytes, *, whole: bool, lines: int, last_nonblank: int | None) -> str:
    results = {
        core.content_type(prefix, whole=whole, lines=lines, last_nonblank=last_nonblank)
        for core in (_core, _pure)
    }
    assert len(results) == 1, (prefix, results)
    return results.pop()


def is_container(text: bytes) -> bool:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        # Bytes that are not UTF-8 are taken as they come inside strings.
        return isinstance(json.loads(text.decode("latin-1"), parse_constant=refuse), dict | list)
    except ValueError:
        return False


@examples(200)
@given(data=texts)
def test_whole_data(data):
    kind = both(data, whole=True, **facts(data))
    lines = [line for line in data.split(b"\n") if line.strip(BLANK)]
    if facts(data)["lines"] >= 2 and lines and all(map(is_container, lines[:2])):
        assert kind == "ndjson"
    else:
        assert kind == ("json" if is_container(data) else "text")


@examples(200)
@given(data=texts, cut=st.integers(0, 300))
def test_a_cut_prefix(data, cut):
    kind = both(data[:cut], whole=cut >= len(data), **facts(data))
    if is_container(data) and data[:cut].strip(BLANK):
        assert kind in {"json", "ndjson"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "text"),
        (b"\n\n", "text"),
        (b"plain\n", "text"),
        (b'{"a":1}', "json"),
        (b'{"a":1}\n', "json"),
        (b'{"a":1}\n{"a":2}\n', "ndjson"),
        (b'\n{"a":1}\n', "ndjson"),
        (b"[1,\n 2]\n", "json"),
        (b'{"a":1}\nnot json\n', "text"),
        (b"1\n2\n", "text"),
        (b'"a"\n', "text"),
        (b'{"a":1}\r\n[]\r\n', "ndjson"),
        (b'{"a":NaN}\n', "text"),
        (b'\xef\xbb\xbf{"a":1}', "text"),
        (b'{"a":"\xff"}', "json"),
        (b"[" * 5000 + b"]" * 5000, "json"),
    ],
)
def test_examples(data, kind):
    assert both(data, whole=True, **facts(data)) == kind

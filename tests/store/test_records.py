"""Records of JSON, NDJSON, CSV and lines, one by one."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage.store.records import (
    NotRecords,
    count_elements,
    count_lines,
    lines_of,
    open_text,
    read_records,
)


def records(data, kind):
    """Return all records."""
    return list(read_records(open_text(io.BytesIO(data), kind), kind, "data"))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("lines", b"", []),
        ("lines", b"a\r\nb\rc\x0c\n\nd", ["a", "b\rc\x0c", "", "d"]),
        ("lines", "a\u2028b\n".encode(), ["a\u2028b"]),
        ("lines", b"\xff\n", ["\udcff"]),
        ("json_lines", b'{"a": 1}\n\n \t\n[2]\nnull\n', [{"a": 1}, [2], None]),
        ("json", b"", NotRecords),
        ("json", b" [1, [2], {}] \n", [1, [2], {}]),
        ("json", b"[]", []),
        ("json", b'{"a": [1]}', [{"a": [1]}]),
        ("json", b"[1, 2", NotRecords),
        ("json", b"[1,]", NotRecords),
        ("json", b"[1] 2", NotRecords),
        ("json_lines", b"1\nx\n", NotRecords),
        ("csv", b'a,b\n1,"x\ny"\n2\n', [{"a": "1", "b": "x\ny"}, {"a": "2", "b": None}]),
        ("csv", b'a\n"x', NotRecords),
    ],
)
def test_formats(kind, data, expected):
    if expected is NotRecords:
        with pytest.raises(NotRecords, match=r"^data"):
            records(data, kind)
    else:
        assert records(data, kind) == expected


@examples(40)
@given(st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists)))
def test_an_array_has_as_many_records_as_elements(values):
    data = json.dumps(values).encode()
    assert records(data, "json") == values
    assert count_elements(open_text(io.BytesIO(data), "json"), "data") == len(values)


def test_a_large_array_is_not_held():
    class Counting(io.BytesIO):
        taken = 0

        def read1(self, size=-1):
            found = super().read1(size)
            self.taken += len(found)
            return found

    raw = Counting(b"[" + b",\n".join(b'"%060d"' % number for number in range(50_000)) + b"]")
    items = read_records(open_text(raw, "json"), "json", "data")
    assert [next(items) for _ in range(3)] == [f"{number:060d}" for number in range(3)]
    assert raw.taken < 500_000
    items.close()
    assert raw.closed


@pytest.mark.parametrize("data", [b"", b"1\n2\n", b"{}", b"[1,", b"x[1]"])
def test_what_is_no_array(data):
    assert count_elements(open_text(io.BytesIO(data), "json"), "data") is None


@pytest.mark.parametrize(("data", "count"), [(b"", 0), (b"\n\n", 0), (b"a\n\nb\n\n", 3), (b"a", 1)])
def test_blank_lines_at_the_end_are_not_counted(data, count):
    assert count_lines(open_text(io.BytesIO(data), "lines"), "data") == count


@examples(100)
@given(st.text(st.sampled_from("ab\r\n\x0c")))
def test_lines_are_those_of_the_reader(text):
    assert lines_of(text) == records(text.encode(), "lines")


def test_a_table_loses_no_field():
    assert records(b"\xef\xbb\xbfa,b\n1,2\n", "csv") == [{"a": "1", "b": "2"}]
    with pytest.raises(NotRecords, match="data, line 3 has more fields than there are columns"):
        records(b"a,b\n1,2\n1,2,3\n", "csv")
    with pytest.raises(NotRecords, match="data has two columns named 'a'"):
        records(b"a,a\n1,2\n", "csv")


@pytest.mark.parametrize("kind", ["lines", "json_lines", "csv"])
def test_a_record_has_a_bound(kind, monkeypatch):
    monkeypatch.setattr("maxstage.store.records._MOST", 1000)
    with pytest.raises(NotRecords, match="data, line 2 is longer than 1,000 characters"):
        records(b"1\n" + b"0" * 100_000, kind)

"""``max schema``: what the records have, told as an oracle tells it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage._backend import core
from maxstage.query.inputs import open_inputs
from maxstage.query.plan import Plan
from maxstage.query.schema import Field, describe
from maxstage.query.search import Looked, Query

values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1e300]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
TYPES = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", dict: "object"}


def expected(records) -> dict:
    """Return the fields with the counts of their types, and with the values that differ."""
    fields: dict = {}

    def take(name, value):
        types, seen = fields.setdefault(name, ({}, set()))
        kind = TYPES.get(type(value), "array")
        types[kind] = types.get(kind, 0) + 1
        if kind in {"boolean", "number", "string"}:
            seen.add((kind, value))
        for key, inner in value.items() if kind == "object" else ():
            take(f"{name}.{key}".lstrip("."), inner)

    for record in records:
        take("", record)
    return fields


def described(data: bytes) -> list[Field]:
    scan = core.Scan(Plan(wanted="shapes"))
    scan.feed(data)
    scan.finish()
    more, rows = scan.take_shapes()
    assert not more
    return [Field(*row, scan.matched) for row in rows]


@examples(300)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3) | values, max_size=12))
def test_fields_are_what_an_oracle_says(records):
    fields = described(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    oracle = expected(records)
    assert [field.name for field in fields] == (list(oracle) or [""] * len(fields))
    for field in fields:
        types, seen = oracle.get(field.name, ({}, set()))
        assert field.types == types
        assert (field.distinct, field.is_exact) == (len(seen), True)
        numbers = sorted(value for kind, value in seen if kind == "number")
        texts = sorted((value for kind, value in seen if kind == "string"), key=str.encode)
        if numbers:
            assert (float(field.least), float(field.greatest)) == (numbers[0], numbers[-1])
        else:
            assert (field.least, field.greatest) == ((texts[0], texts[-1]) if texts else (None, None))


def test_many_values_are_estimated():
    for count in (256, 257, 5_000, 200_000):
        data = b"".join(
            b'{"a": %d, "b": "%d", "c": %d}\n' % (number, number, number % 7) for number in range(count)
        )
        _, a, b, c = described(data * 2)
        assert c.distinct == 7
        for field in (a, b):
            assert field.is_exact == (count <= 256)
            assert abs(field.distinct - count) <= 0.06 * count
            assert field.present == 2 * count


def test_no_more_values_differ_than_there_are():
    for count in (1000, 1001, 1100, 1500, 2000, 3000):
        fields = described(b"".join(b'{"a": %d, "b": null}\n' % number for number in range(count)))
        assert fields[1].distinct <= count, count


def test_a_field_that_no_record_has_is_none(program):
    token = program.stage(b'{"a": {"b": 1}, "a": 3}\n')
    said = json.loads(program.text("schema", token, "-o", "json"))
    assert [field["name"] for field in said["fields"]] == ["a"]


def test_equal_keys_and_nesting():
    fields = {
        field.name: field
        for field in described(b'{"a": {"b": 1}, "a": {"c": 2}}\n{"a": 1, "a": {"b": "x"}}\n')
    }
    assert {name: field.types for name, field in fields.items()} == {
        "": {"object": 2},
        "a": {"object": 2},
        "a.b": {"string": 1},
        "a.c": {"number": 1},
    }
    deep = described(b'{"a":' * 500 + b"1" + b"}" * 500)
    assert len(deep) == 17
    assert deep[-1].types == {"object": 1}
    assert [field.name for field in described(b'{"a b": {"": 1, "c.d": 2}}')] == [
        "",
        '"a b"',
        '"a b".""',
        '"a b"."c.d"',
    ]


def test_too_many_fields_are_told():
    scan = core.Scan(Plan(wanted="shapes"))
    scan.feed(b"".join(b'{"f%d": 1}\n' % number for number in range(1500)))
    more, rows = scan.take_shapes()
    assert more
    assert len(rows) == 1001


def test_inputs_of_all_kinds_are_one(store, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,\n2,b\n")
    item = store.stage(b'{"x": 1}\n{"x": 2.50, "z": null}\nbad\n', content_type="ndjson")

    def look(*names, **options):
        inputs, _ = open_inputs([str(name) for name in names], lambda: store)
        looked = Looked()
        found = describe(inputs, Query(), looked, **options)
        return found, looked

    found, looked = look(item.token, tmp_path / "a.csv")
    assert (found.records, looked.bad) == (4, 1)
    x, z, y = found.fields
    assert (x.name, x.types, x.share, x.least, x.greatest) == (
        "x",
        {"number": 2, "string": 2},
        1,
        "1",
        "2.50",
    )
    assert (y.name, y.share, y.least, z.types) == ("y", 0.5, "", {"null": 1})
    assert x.examples == ["1", "2.50", '"1"']
    found, _ = look(item.token, sample=1)
    assert (found.records, [field.name for field in found.fields]) == (1, ["x"])
    lines = store.stage(b"one\ntwo\n")
    found, _ = look(lines.token)
    assert [(field.name, field.greatest) for field in found.fields] == [("line", "two")]


def test_the_command(program):
    token = program.stage(
        b'{"id": 1, "a": {"b": "x\\u001b[1m"}}\n{"id": 2.5, "a": null}\n{"id": 1e400}\n[1]\n'
    )
    text = program.text("schema", token)
    rows = [line.split() for line in text.splitlines()[2:]]
    assert text.startswith("4 records\n\nfield")
    assert [row[:3] for row in rows[1:]] == [
        ["(record)", "object|array", "100%"],
        ["id", "number", "75.0%"],
        ["a", "object?", "50.0%"],
        ["a.b", "string", "25.0%"],
    ]
    assert "\x1b" not in text
    told = json.loads(program.text("schema", token, "-o", "json"))
    assert told["records"] == 4
    assert told["fields"][1] == {
        "name": "id",
        "types": {"number": 3},
        "present": 3,
        "share": 0.75,
        "distinct": 3,
        "distinctIsExact": True,
        "min": 1,
        "max": "1e400",
        "examples": [1, 2.5, "1e400"],
    }
    assert program.text("schema", token, "-f", "id = 1").startswith("1 record\n")
    assert "nothing to describe" in program.fails("schema", code=2)


@pytest.mark.parametrize("codec", [False, "gzip"])
def test_large_data_is_described_on_all_cores(store, codec):
    rows = b"".join(b'{"n": %d, "s": "%d", "f%d": 1}\n' % (n, n % 300, n // 30_000) for n in range(120_000))
    item = store.stage(rows, compress=codec)
    inputs, _ = open_inputs([item.token], lambda: store)
    found = describe(inputs, Query(), Looked())
    assert [field.name for field in found.fields] == ["n", "s", "f0", "f1", "f2", "f3"]
    n, s, *others = found.fields
    assert (n.least, n.greatest, n.examples) == ("0", "119999", ["0", "1", "2"])
    assert (s.least, s.greatest, s.present) == ("0", "99", 120_000)
    assert [field.present for field in others] == [30_000] * 4

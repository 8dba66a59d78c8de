"""SQL: what a query sees is what was staged; it reads what it names, and changes nothing."""

import json
import os
import random

import pytest

from maxstage.errors import Error
from maxstage.query.inputs import names_something
from maxstage.query.sources import Sources
from maxstage.query.sql.database import Database
from maxstage.query.sql.tables import Tables

duckdb = pytest.importorskip("duckdb", reason="max sql needs DuckDB")

ROWS = [
    {"id": 1, "amount": 1, "owner": {"name": "Ada"}, "tags": ["p"], "at": "2024-03-01T10:00:00Z"},
    {"id": 2, "amount": 2.5, "owner": {"name": "Ben", "city": "Oslo"}, "tags": []},
    {"id": 3, "amount": 4, "owner": None, "tags": ["p", "q"]},
]


def ndjson(rows) -> bytes:
    return b"".join([json.dumps(row).encode() + b"\n" for row in rows])


def ask(store, query: str, notes=None, meanwhile=lambda: None):
    """Return the rows that a query gives."""
    sources = Sources(dict, lambda: store)
    with Database(store.layout.base) as database, Tables(lambda: store, sources, store.layout.base) as tables:
        database.add(tables, database.names(query), lambda name: sources.has(name) or names_something(name))
        if notes is not None:
            notes += tables.notes
        meanwhile()
        return [json.loads(row) for batch in database.rows(query) for row in batch]


def value(store, query: str):
    [row] = ask(store, query)
    [only] = row.values()
    return only


def bare(value):
    """Return a value without what is null, since a table has each column in each row."""
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items() if one is not None}
    return [bare(one) for one in value] if isinstance(value, list) else value


def stage(store, data, **options) -> str:
    return store.stage(data, **options).token


@pytest.fixture
def token(store) -> str:
    return stage(store, ndjson(ROWS))


def test_tokens_are_tables_however_they_are_kept(store):
    rows = ROWS[1:]
    tokens = [
        stage(store, ndjson(rows)),
        stage(store, ndjson(rows), compress="gzip"),
        stage(store, ndjson(rows), compress="zstd"),
        stage(store, json.dumps(rows).encode()),
    ]
    for token in tokens:
        assert [bare(row) for row in ask(store, f"FROM '{token}'")] == bare(rows), token
        assert value(store, f"SELECT sum(amount) FROM '{token.upper()[4:]}'") == 6.5
    text = stage(store, b"hello\n\nw\xff\n")
    assert ask(store, f"FROM '{text}'") == [{"line": "hello"}, {"line": ""}, {"line": "w\ufffd"}]
    assert ask(store, f"SELECT count(*) n FROM '{stage(store, b'')}'") == [{"n": 0}]


def test_files_are_tables(store, token, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's [1].csv").write_text("id,what\n1,x\n3,y\n")
    query = f"SELECT what, amount FROM '{token}' JOIN \"it's [1].csv\" USING (id) ORDER BY id"
    assert ask(store, query) == [{"what": "x", "amount": 1.0}, {"what": "y", "amount": 4.0}]
    duckdb.sql("SELECT 7 AS seven").write_parquet("seven.parquet")
    assert value(store, "FROM 'seven.parquet'") == 7
    assert value(store, "SELECT count(*) FROM files WHERE extension = 'parquet'") == 1
    assert value(store, "WITH files AS (SELECT 5) FROM files") == 5


def test_what_is_deleted_meanwhile_is_read_all_the_same(store, token):
    assert len(ask(store, f"FROM '{token}'", meanwhile=lambda: store.unstage(token))) == 3
    assert [name for name in os.listdir(store.layout.base) if name.startswith(".sql")] == []


FIRST = 21_000
"""More records than DuckDB looks at to guess what they have."""


def test_what_comes_late_is_what_it_is(store):
    """DuckDB alone, which guesses from the first records, makes 2 of 1.5 and null of 5."""
    cases = [
        (1, 1.5),
        (1, 2**63),
        (1, 10**37),
        (None, 5),
        (None, {"b": 1}),
        ([1], [1.5]),
        ([], [None, "x"]),
        ({"b": 1}, {"c": [True]}),
        ("2024-03-01", "soon"),
        ("x", "😀\x00\n"),
        ({"b": 1}, "x"),
        ([1], {"b": 1}),
        ([1, {"b": 2}], [[3]]),
    ]
    first = {f"c{number}": case[0] for number, case in enumerate(cases)}
    last = {f"c{number}": case[1] for number, case in enumerate(cases)} | {"new": 7}
    token = stage(store, ndjson([first]) * FIRST + ndjson([last]))
    assert [bare(row) for row in ask(store, f"FROM '{token}' WHERE new = 7")] == [bare(last)]
    assert value(store, f"SELECT count(*) FROM '{token}' WHERE new IS NULL") == FIRST


def test_scalars_of_several_kinds_are_text(store):
    rows = [{"a": "7"}, {"a": 7}, {"a": True}, {"a": "x"}]
    token = stage(store, ndjson(rows) + b'{"a": 1e400}\n')
    assert value(store, f"SELECT list(a) FROM '{token}'") == ["7", "7", "true", "x", "1e400"]


def test_dates_and_times_are_ones(store):
    rows = [{"d": "2024-02-29", "t": "2024-03-01 10:00", "z": "2024-03-01T10:00:00.5+05:30"}]
    token = stage(store, ndjson(rows * 2))
    query = f"SELECT DISTINCT year(d) y, dayname(t) name, z AT TIME ZONE 'UTC' AS z FROM '{token}'"
    assert ask(store, query) == [{"y": 2024, "name": "Friday", "z": "2024-03-01 04:30:00.5"}]


def test_random_records_are_what_they_are(store):
    draw = random.Random(1)
    makers = {
        "int": lambda: draw.randrange(-(2**63), 2**63),
        "float": lambda: draw.choice([draw.random(), draw.randrange(100), 1e-300]),
        "text": lambda: draw.choice(["", "a\\u0041", '"', "é😀", "null", "1", "\t"]),
        "bool": lambda: draw.random() < 0.5,
        "list": lambda: [draw.randrange(9) for _ in range(draw.randrange(3))],
        "object": lambda: {name: draw.randrange(9) for name in draw.sample(["x", "y z", "\u00e9"], 2)},
        "nested": lambda: [{"deep": [{"er": draw.random()}]}],
        "any": lambda: draw.choice([[1, "x"], {"q": None}, [], [[2]]]),
    }
    rows = [
        {f"{name} '\"": make() if draw.random() < 0.9 else None for name, make in makers.items()}
        for _ in range(500)
    ]
    rows = [dict(draw.sample(list(row.items()), draw.randrange(len(row) + 1))) for row in rows]
    token = stage(store, ndjson(rows))
    assert [bare(row) for row in ask(store, f"FROM '{token}'")] == bare(rows)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'{"a":1,"a":2}\n{"a":3}\n', [{"a": 2}, {"a": 3}]),
        (
            b'{"a":"\xff"}\n{"a":"\\ud800"}\n{"a":"\\\\ud800"}\n',
            [{"a": "\ufffd"}, {"a": "\ufffd"}, {"a": "\\ud800"}],
        ),
        (b'{"a":1}\r\n\r\n{"a":2}\r\n', [{"a": 1}, {"a": 2}]),
        (b'\xef\xbb\xbf{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\n[2]\n3\n', [{"json": {"a": 1}}, {"json": [2]}, {"json": 3}]),
        (b'{"a":1,"A":2}\n{"a":3}\n', [{"json": {"a": 1, "A": 2}}, {"json": {"a": 3}}]),
        (b'{"":1}\n{"b":3}\n', [{"json": {"": 1}}, {"json": {"b": 3}}]),
        (b'{"a":{"x":1,"x":2}}\n{"b":1}\n', [{"a": {"x": 2}, "b": None}, {"a": None, "b": 1}]),
    ],
)
def test_odd_data(store, data, rows):
    token = stage(store, data, content_type="ndjson")
    assert ask(store, f"FROM '{token}'") == rows


def test_deep_nesting(store):
    token = stage(store, b'{"a":' + b"[" * 9000 + b"]" * 9000 + b',"b":1}\n{"b":2}\n')
    assert value(store, f"SELECT sum(b) FROM '{token}'") == 3


def test_what_is_no_json_is_left_out_and_told(store):
    token, notes = stage(store, b'{"a":1}\noops\n{"a":3}\n', content_type="ndjson"), []
    assert ask(store, f"SELECT sum(a) s FROM '{token}'", notes) == [{"s": 4}]
    assert notes == [f"1 record is not JSON and left out (the first: {token}, line 2)"]


def test_names_of_columns_that_come_twice(store):
    assert ask(store, "SELECT 1 AS t, 3 AS t") == [{"t": 1, "t_1": 3}]


# Locked


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'x'",
        "COPY (FROM 'TOKEN') TO 'x'",
        "WITH x AS (COPY (SELECT 1) TO 'x') FROM x",
        "WITH x AS (COPY (SELECT 1) TO '/dev/fd/3') FROM x, 'TOKEN'",
        "WITH x AS (INSERT INTO 'TOKEN' VALUES (1) RETURNING 1) FROM x",
        "SELECT 1) AS t; COPY (SELECT 1",
        "SELECT 1; COPY (SELECT 1) TO 'x'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "CREATE TABLE x AS SELECT 1",
        "FROM read_csv('secret.csv')",
        "FROM read_text('/proc/self/environ')",
        "FROM read_text('/dev/fd/3')",
        "FROM glob('*')",
        "FROM sniff_csv('secret.csv')",
        "SELECT (SELECT content FROM read_text('secret.csv')) FROM 'TOKEN'",
        "FROM query('FROM read_text(''secret.csv'')')",
        "FROM 'https://example.com/x.csv'",
        "FROM 's3://x/y.parquet'",
    ],
)
def test_a_query_reads_what_it_names_and_changes_nothing(store, token, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a\nhidden\n")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(Error, match=r"^SQL: ") as raised:
        ask(store, query.replace("TOKEN", token))
    assert "hidden" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_an_allowed_file_can_only_be_read(store, token):
    """A path that a query may read is one that DuckDB would also write."""
    size = len(ndjson(ROWS))
    for fd in range(3, 40):
        for query in (
            f"WITH x AS (COPY (SELECT 1) TO '/dev/fd/{fd}' (USE_TMP_FILE false)) SELECT 1 FROM x, '{token}'",
            f"FROM '{token}', (WITH x AS (COPY (SELECT 1) TO '/dev/fd/{fd}' (USE_TMP_FILE false)) FROM x)",
        ):
            with pytest.raises(Error, match="COPY"):
                ask(store, query)
    with store.open(token) as file:
        assert file.read() == ndjson(ROWS)
    assert store.info(token).byte_size == size

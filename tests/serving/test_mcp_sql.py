"""The tool `sql`: queries over items, and over nothing else that the machine has."""

import json
import os

import pytest

from helpers import PATIENCE, wait_until
from maxstage.errors import Error
from maxstage.mcp.asking import ask

pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install --group test")

PEOPLE = "".join(
    json.dumps({"name": f"n{at}", "team": "ab"[at % 2], "score": at}) + "\n" for at in range(1000)
)


@pytest.fixture
def people(wire):
    return wire.stage(PEOPLE)


def test_a_query(wire, people):
    told = wire.call("sql", query=f"SELECT team, sum(score) AS s FROM '{people}' GROUP BY ALL ORDER BY team")
    assert told == '{"team":"a","s":249500}\n{"team":"b","s":250000}\n[rows 1-2 of 2]'
    two = wire.stage("one\ntwo\n")
    assert wire.call(
        "sql", query=f"SELECT count(*) AS n FROM '{people}', '{two.removeprefix('max:')}'"
    ).startswith('{"n":2000}')
    assert wire.call("sql", query=f"FROM '{people}' WHERE score < 0") == "[no rows]"
    assert wire.call("sql", query="SELECT 'NaN'::DOUBLE AS x").startswith('{"x":null}')
    wire.end()


def test_an_answer_is_bounded(connect):
    wire = connect("--max-bytes", "2KiB")
    people = wire.stage(PEOPLE)
    told = wire.call("sql", query=f"FROM '{people}' ORDER BY score")
    assert len(told.encode()) <= 2048
    *rows, last = told.split("\n")
    assert [json.loads(row)["score"] for row in rows] == [*range(len(rows))]
    assert last == f"[rows 1-{len(rows)} of more; go on with LIMIT and OFFSET in the query]"
    told = wire.call("sql", query=f"FROM '{people}'", limit=2)
    assert told.endswith("[rows 1-2 of more; go on with LIMIT and OFFSET in the query]")
    told = wire.call("sql", query="SELECT repeat('é', 100000) AS x")
    assert len(told.encode()) <= 2048
    assert "it is cut: it has 200,008 bytes" in told
    wire.end()


def test_what_is_damaged_is_told(wire):
    token = wire.stage('{"a": 1}\n{"a": \n{"a": 3}\n', type="ndjson")
    told = wire.call("sql", query=f"SELECT sum(a) AS a FROM '{token}'")
    assert told.startswith('{"a":4}\n[rows 1-1 of 1; ')
    assert "1 record" in told


def test_nothing_else_can_be_read(program, connect, store, monkeypatch):
    """Neither files, nor what another client has, nor the descriptors of the server; and nothing is written."""
    (program.folder / "secret.csv").write_text("a,b\n1,SECRET\n")
    hidden = store.stage(b'{"s": "SECRET"}\n{"s": 2}\n')
    path = store.path(hidden.token)
    mine = store.stage(PEOPLE.encode(), labels={"who": "me"}).token
    monkeypatch.chdir(program.folder)
    for query in (
        f"FROM '{hidden.token}'",
        f"FROM '{hidden.id}'",
        f"FROM '{path}'",
        f"FROM '{mine}', '{path}'",
        "FROM 'secret.csv'",
        "FROM secret",
        "FROM '-'",
        "FROM read_csv('secret.csv')",
        f"FROM read_text('{path}')",
        f"SELECT * FROM '{mine}' LIMIT (SELECT count(*) FROM read_text('{path}'))",
        f"FROM query('SELECT * FROM read_text(''{path}'')')",
        f"FROM query_table('{path}')",
        "FROM query_table(['secret.csv'])",
        "FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''secret.csv'')'))",
        "WITH x AS (WITH \"secret.csv\" AS (SELECT 1) SELECT 1) SELECT * FROM x, 'secret.csv'",
        "FROM glob('*')",
        "FROM sniff_csv('secret.csv')",
        "FROM parquet_metadata('secret.csv')",
        "FROM read_blob('/proc/self/environ')",
        *(f"FROM read_blob('/dev/fd/{fd}')" for fd in (0, 3, 7)),
        "FROM read_csv('http://127.0.0.1:1/')",
        "FROM pandas_scan()",
        "FROM duckdb_extensions()",
        "SELECT getenv('HOME')",
        "COPY (SELECT 1) TO 'written'",
        "ATTACH 'written'",
        "EXPORT DATABASE 'written'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "CREATE TABLE written AS SELECT 1",
        "SELECT 1; SELECT 2",
        "PRAGMA database_list",
        "CALL enable_logging()",
        "EXPLAIN ANALYZE SELECT 1",
        "",
    ):
        with pytest.raises((Error, OSError)) as told:
            ask(query, 50, 16384, str(program.folder), {"who": "me"})
        assert "SECRET" not in str(told.value), query
    wire = connect("--scope", "who=me")
    for query in (f"FROM '{hidden.token}'", "FROM read_csv('secret.csv')", "COPY (SELECT 1) TO 'written'"):
        assert "SECRET" not in wire.fails("sql", query=query)
    assert wire.call("sql", query=f"SELECT count(*) AS n FROM '{mine}'").startswith('{"n":1000}')
    assert not (program.folder / "written").exists()
    assert sorted(os.listdir(program.folder)) == [".max", "secret.csv"]
    wire.end()


def test_a_query_that_takes_all_memory(wire):
    """It ends, and the server goes on."""
    told = wire.fails("sql", query="SELECT repeat('x', 3000000000) AS x")
    assert "emory" in told
    assert wire.call("sql", query="SELECT 1 AS x").startswith('{"x":1}')


def test_cancelling_a_query(wire, program):
    endless = (
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range) = hash(b.range + 1)"
    )
    asked = wire.send("tools/call", name="sql", arguments={"query": endless})
    waiting = wire.send("tools/call", name="sql", arguments={"query": endless})
    children = f"/proc/{wire.process.pid}/task"
    wait_until(lambda: _children(children), "the process of the query")
    for request in (waiting, asked):
        wire.tell("notifications/cancelled", requestId=request)
    wait_until(lambda: not _children(children), "the end of that process")
    assert wire.call("sql", query="SELECT 1 AS x").startswith('{"x":1}')
    wire.send("tools/call", name="sql", arguments={"query": endless})
    wait_until(lambda: _children(children))
    wire.process.terminate()
    assert wire.process.wait(PATIENCE) == 143


def _children(folder):
    """Return the processes that a process has started, whichever thread did."""
    found = ""
    for task in os.listdir(folder):
        try:
            with open(f"{folder}/{task}/children") as file:
                found += file.read()
        except OSError:
            continue
    return found


def test_without_duckdb_it_is_not_there(program):
    code = (
        "import sys; from maxstage.mcp.tools.sql import SQL\n"
        "print(SQL.is_there); sys.meta_path[:] = [one for one in sys.meta_path if 'Path' not in repr(one)]\n"
        "print(SQL.is_there, 'duckdb' in sys.modules)"
    )
    assert program.python(code).stdout == b"True\nFalse False\n"

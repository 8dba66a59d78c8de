"""``max sql`` as a command: its pages and forms, its errors, and signals."""

import json
import os
import signal
import subprocess

import pytest

from helpers import PATIENCE, wait_until

pytest.importorskip("duckdb", reason="max sql needs DuckDB")

ROWS = [
    {"id": 1, "amount": 1, "owner": {"name": "Ada"}, "tags": ["p"]},
    {"id": 2, "amount": 2.5, "owner": {"name": "Ben", "city": "Oslo"}, "tags": []},
    {"id": 3, "amount": 4, "owner": None, "tags": ["p", "q"]},
]


def ndjson(rows) -> bytes:
    return b"".join([json.dumps(row).encode() + b"\n" for row in rows])


@pytest.fixture
def token(program) -> str:
    return program.stage(ndjson(ROWS))


def test_standard_input_and_what_is_no_json(program):
    done = program(
        "sql", "SELECT a.id FROM '-' a JOIN '-' b USING (id)", "-o", "csv", stdin=ndjson(ROWS[:1]) + b"oops\n"
    )
    assert (done.stdout, done.stderr) == (
        b"id\n1\n",
        b"1 record is not JSON and left out (the first: -, line 2)\n",
    )
    assert "line 2 is not JSON" in program.fails(
        "sql", "FROM '-'", "--strict", stdin=ndjson(ROWS[:1]) + b"oops\n"
    )


def test_a_page_and_all(program, token):
    many = program.stage(ndjson([{"n": number} for number in range(120)]))
    page = program("sql", f"FROM '{many}' ORDER BY n DESC")
    assert page.stdout.split(b"\n")[:3] == [b"Results 1-50 of more", b"n", b"119"]
    assert page.stderr.startswith(b"More results than 50. Give --limit N, --all or --stage")
    shown = json.loads(program.text("sql", f"FROM '{many}'", "--limit", "2", "-o", "json"))
    assert shown == {
        "pagination": {"offset": 0, "limit": 2, "total": None, "hasMore": True},
        "data": [{"n": 0}, {"n": 1}],
    }
    exact = json.loads(program.text("sql", f"FROM '{many}'", "--limit", "120", "-o", "json"))
    assert exact["pagination"] == {"offset": 0, "limit": 120, "total": 120, "hasMore": False}
    assert len(json.loads(program.text("sql", f"FROM '{many}'", "--all", "-o", "json"))) == 120
    assert program.text("sql", f"FROM '{many}' WHERE n < 0") == "No results\n"
    assert program.text("sql", f"FROM '{many}' WHERE n < 0", "-o", "csv") == "n\n"
    assert program.text("sql", f"SELECT owner, tags[1] t FROM '{token}' WHERE id = 1", "-o", "csv") == (
        'owner,t\n"{""name"": ""Ada"", ""city"": null}",p\n'
    )
    assert program.text("sql", f"SELECT id, owner.name AS who FROM '{token}'") == (
        "Results 1-3 of 3\nid  who\n1   Ada\n2   Ben\n3   null\n"
    )


def test_numbers_that_json_does_not_have_are_null(program):
    done = program("sql", "SELECT 'nan'::DOUBLE a, '-inf'::DOUBLE b, 'NaN' c", "-o", "ndjson")
    assert json.loads(done.stdout) == {"a": None, "b": None, "c": "NaN"}
    # What stands beside them stays as it was.
    query = """SELECT '"NaN\\' a, ['-inf'::DOUBLE, 1] b, 1.12345678901234567890::DECIMAL(38, 20) c"""
    assert program.text("sql", query, "-o", "ndjson") == (
        '{"a":"\\"NaN\\\\","b":[null,1.0],"c":1.12345678901234567890}\n'
    )


def test_results_can_be_staged(program, token):
    query = f"SELECT id FROM '{token}' WHERE amount > 2"
    staged = program.text("sql", query, "--stage").strip()
    assert program("retrieve", staged).stdout == b'{"id":2}\n{"id":3}\n'
    info = json.loads(program.text("stage", "info", staged, "-o", "json"))
    assert info["source"] == token
    assert info["derivedFrom"] == {"from": [token], "query": {"sql": query}}
    assert info["contentType"] == "ndjson"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("", "one query is expected"),
        ("FROM nobody", "nobody does not exist"),
        ("SELECT nothing FROM 'TOKEN'", 'column "nothing" not found'),
    ],
)
def test_mistakes_are_told(program, token, query, says):
    said = program.fails("sql", query.replace("TOKEN", token), code=2)
    assert says in said
    assert "\n" not in said


def test_what_is_not_there_is_told(program):
    assert program.fails("sql", "FROM 'max:zz'", code=2).startswith("Invalid token: max:zz")
    assert program.fails("sql", "FROM 'max:00000000'").startswith("Staged data not found")
    for name in ("gone.csv", "gone.ndjson", "gone/a b.parquet"):
        assert program.fails("sql", f"FROM '{name}'") == (
            f"No such file or directory: {name}; name a token, a file or a source"
        )


def test_without_a_project(program_in, tmp_path_factory):
    (folder := tmp_path_factory.mktemp("bare")).joinpath("a.ndjson").write_bytes(ndjson(ROWS))
    done = program_in(folder)("sql", "SELECT count(*) n FROM 'a.ndjson'", "-o", "ndjson")
    assert done.stdout == b'{"n":3}\n'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_query_and_leaves_nothing(program, number):
    endless = "SELECT count(*) FROM range(1000000000000) t(x) WHERE x % 7 = sqrt(x)"
    process = program.start("sql", endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # The query runs in a thread of its own, and DuckDB's threads begin with it.
    threads = f"/proc/{process.pid}/task"
    wait_until(lambda: len(os.listdir(threads)) > 2, "the query has begun")
    process.send_signal(number)
    shown, said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, shown, said) == (128 + number, b"", b"")
    assert not [name for name in os.listdir(program.folder / ".max") if name.startswith(".sql")]

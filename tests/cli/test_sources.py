"""Sources: files, and programs that print records."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPORTER = """
import json, sys
open("calls", "a").write(sys.argv[1] + "\\n")
for number, name in enumerate(["Ada", "Ben", "Cleo"]):
    print(json.dumps({"id": number, "firstName": name, "kind": sys.argv[1]}))
"""


def configure(program, text: str) -> None:
    (program.folder / ".max" / "config.toml").write_text(text)


def command(*words: str) -> str:
    return json.dumps([sys.executable, *words])


def test_the_example_of_the_seeds_runs_as_it_stands(program):
    (program.folder / "exporter.py").write_text(EXPORTER)
    configure(program, f"[sources.hubspot]\ncommand = {command('exporter.py', '{type}')}\n")
    names = program(
        "search", "hubspot", "--type=contact", "--all", "--fields", "firstName", "-o", "ndjson"
    ).stdout
    assert names == b'{"firstName": "Ada"}\n{"firstName": "Ben"}\n{"firstName": "Cleo"}\n'
    token = program.stage(names)
    assert program("retrieve", token).stdout == names
    assert program.text("count", "hubspot", "-t", "deal", "-f", "kind = deal and id > 0") == "2\n"
    assert program.fails("count", "hubspot") == "source hubspot needs --type: its command has {type}"
    page = program("search", "hubspot", "-t", "x", "--limit", "1")
    assert page.stderr == b"More results (1 of 3). Continue: --offset 1\n"
    assert "hubspot" in program.text("sources")
    assert [row["name"] for row in json.loads(program.text("sources", "-o", "json"))] == ["files", "hubspot"]


EXAMPLES = Path(__file__).parents[2] / "examples" / "hubspot"


@pytest.fixture
def crm(program):
    """The example's exporter as a source, and its server, with 250 contacts."""
    server = subprocess.Popen(
        [sys.executable, EXAMPLES / "server.py", "250"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = server.stdout.readline().strip()
        configure(
            program,
            f"[sources.hubspot]\ncommand = {command(str(EXAMPLES / 'exporter.py'), '{type}', url)}\n"
            'type = "contact"\ncache_minutes = 15\n'
            f"[sources.gdrive]\ncommand = {command('drive.py')}\n",
        )
        (program.folder / "drive.py").write_text(
            "for name in ('John.pdf', 'Ada.pdf', 'old John'): print('{\"name\": \"%s\"}' % name)"
        )
        yield url
    finally:
        server.kill()
        server.communicate()


def test_what_the_plan_of_staging_shows_runs(program, crm):
    """Each line is one of the documents that this program began with; only the paths of the programs are ours."""
    script = """
        set -euo pipefail
        max() { "$PYTHON" -P -m maxstage "$@"; }
        TOKEN=$(max search hubspot --type=contact --all --fields firstName -o ndjson | max stage)
        max retrieve $TOKEN | head -1
        max search hubspot --type=contact -o ndjson 3>meta.json | wc -l
        max count $TOKEN --by firstName --top 10
        CONTACTS=$(max search hubspot --all -o ndjson | max stage --source hubspot/contact)
        max stage list -o json --source hubspot/contact | grep -c '"recordCount": 250'
        max search gdrive --filter "name~=*John*" --all -o ndjson
        STATE=$(max search hubspot --type=contact --limit 200 -o ndjson 2>&1 >/dev/null | sed 's/.*--state=//')
        max search --state=$STATE -o ndjson | wc -l
        max unstage $TOKEN
    """
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=program.folder,
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stdout.decode().splitlines()
    assert lines[0] == '{"firstName": "Ada"}'
    assert lines[1] == "50"
    assert lines[2] == "106  Ève"
    assert sum(int(line.split()[0]) for line in lines[2:7]) == 250
    # What the source gave is kept as an item, too.
    assert lines[7:10] == ["2", '{"name": "John.pdf"}', '{"name": "old John"}']
    assert lines[10] == "50"
    assert lines[11].startswith("Unstaged: max:")
    assert done.stderr.decode().splitlines()[-1] == "Complete (250 results)."


def test_an_exporter_that_is_refused_says_so(program, crm):
    done = program("count", "hubspot", "--type", "nothing", check=1)
    assert b"HTTP Error 404" in done.stderr
    assert b"source hubspot: its command exited with 1" in done.stderr


def test_what_is_staged_names_the_type(program):
    (program.folder / "exporter.py").write_text(EXPORTER)
    configure(program, f"[sources.h]\ncommand = {command('exporter.py', '{type}')}\n")
    for verb in (["search", "h"], ["sql", "FROM h"]):
        token = program.text(*verb, "-t", "deal", "--stage").strip()
        info = json.loads(program.text("stage", "info", token, "-o", "json"))
        assert (info["source"], info["derivedFrom"]["from"]) == ("h/deal", ["h/deal"]), verb


def test_a_command_with_a_nul_byte_is_told(program):
    for more in ("", "cache_minutes = 5\n"):
        configure(program, f'[sources.h]\ncommand = ["a\\u0000b"]\n{more}')
        assert program.fails("count", "h") == "source h: its command can't be started: embedded null byte"


def test_an_answer_is_kept(program):
    (program.folder / "exporter.py").write_text(EXPORTER)
    configure(program, f"[sources.h]\ncommand = {command('exporter.py', '{type}')}\ncache_minutes = 15\n")
    for kind in ("a", "b", "a", "a"):
        assert program.text("count", "h", "-t", kind, "-f", f"kind = {kind}") == "3\n"
    assert (program.folder / "calls").read_text().split() == ["a", "b"]
    kept = json.loads(program.text("stage", "list", "-o", "json"))
    assert sorted(item["source"] for item in kept) == ["h/a", "h/b"]
    done = program("search", "h", "-t", "a", "--limit", "2")
    state = done.stderr.decode().rpartition("--state=")[2].strip()
    assert b'"id": 2' in program("search", "--state", state).stdout
    program("unstage", "--all", "--yes")
    assert program.text("count", "h", "-t", "a") == "3\n"
    assert (program.folder / "calls").read_text().split() == ["a", "b", "a"]


@pytest.mark.parametrize("cached", ["", "cache_minutes = 5\n"])
@pytest.mark.parametrize(
    ("words", "more", "says"),
    [
        (["-c", "print('{}'); import sys; sys.exit(3)"], "", "source s: its command exited with 3"),
        (["-c", "import os; os.kill(os.getpid(), 9)"], "", "source s: its command was ended by signal 9"),
        (
            ["-c", "import time; time.sleep(600)"],
            "timeout_seconds = 0.3\n",
            "source s: its command printed nothing for 0.3 s",
        ),
    ],
)
def test_a_source_that_fails_says_which_it_is(program, words, more, says, cached):
    configure(program, f"[sources.s]\ncommand = {command(*words)}\n{more}{cached}")
    assert says in program.fails("count", "s")
    assert program.text("stage", "list", "-q") == ""


def test_a_program_that_is_not_there(program):
    configure(program, '[sources.s]\ncommand = ["/no/such/program"]\n')
    assert (
        program.fails("count", "s")
        == "source s: /no/such/program can't be started: No such file or directory"
    )


def test_nonsense_is_told(program):
    configure(program, f"[sources.s]\ncommand = {command('-c', 'print(1); print(chr(123))')}\n")
    assert program("count", "s").stderr == b"1 record is not JSON and left out (the first: s, line 2)\n"


def test_what_is_enough_ends_the_program(program):
    # Like most programs it says nothing of a pipe that is closed; what it says would be shown.
    quiet = "import itertools, signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)"
    endless = f"{quiet}\nfor n in itertools.count(): print('{{\"n\": %d}}' % n)"
    configure(program, f"[sources.s]\ncommand = {command('-c', endless)}\n")
    process = program.start("search", "s", "--all", "-o", "ndjson")
    assert json.loads(process.stdout.readline()) == {"n": 0}
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sources]\na = 1\n", "config.toml:2: sources.a must be a table"),
        ("[sources.a]\ncommand = 'x'\n", "config.toml:2: sources.a.command must be a list of words"),
        ("[sources.a]\ncommand = ['x']\ncache = 1\n", "config.toml:3: sources.a: unknown setting 'cache'"),
        (
            "[sources.a]\ncommand = ['x']\ncache_minutes = 'x'\n",
            "config.toml:3: sources.a.cache_minutes must be a number",
        ),
        ("[sources.a]\ncommand = ['x']\ncache_minutes = 0.5\n", "must be a number from 1 to"),
        ("[sources.files]\ncommand = ['x']\n", "config.toml:1: a source can't be named 'files'"),
        ("[sources.'max:a1b2c3d4']\ncommand = ['x']\n", "can't be named 'max:a1b2c3d4'"),
        ('[sources."a\\u001b[31m"]\ncommand = ["x"]\n', "a source can't be named"),
    ],
)
def test_settings_that_are_no_good(program, text, says):
    configure(program, text)
    assert says in program.fails("stage", "list")


def test_files_are_records(program):
    folder = program.folder
    (folder / "docs").mkdir()
    (folder / "docs" / "a.PDF").write_bytes(b"x" * 2000)
    (folder / "b.txt").write_bytes(b"")
    os.utime(folder / "b.txt", (0, 0))
    (folder / "link").symlink_to("docs")
    rows = [
        json.loads(line) for line in program.text("search", "files", "--all", "-o", "ndjson").splitlines()
    ]
    assert [row["path"] for row in rows] == [".max", "b.txt", "docs", "docs/a.PDF", "link"]
    assert rows[1] == {
        "path": "b.txt",
        "name": "b.txt",
        "extension": "txt",
        "size": 0,
        "modified": "1970-01-01T00:00:00Z",
        "type": "file",
    }
    assert [row["type"] for row in rows] == ["directory", "file", "directory", "file", "link"]
    assert program.text("count", "files", "-f", "extension = pdf and size > 1kb") == "1\n"
    assert program.text("count", "files", "-t", "file") == "2\n"


def test_a_query_of_ones_own_is_a_source(program):
    duckdb = pytest.importorskip("duckdb", reason="sources by SQL need DuckDB")
    target = program.folder / "sales.parquet"
    duckdb.sql("SELECT x AS id, x * 1.5 AS amount FROM range(3000) t(x)").write_parquet(str(target))
    configure(
        program,
        "[sources.sales]\nsql = \"SELECT * FROM 'sales.parquet' ORDER BY id\"\n[sources.bad]\nsql = 'SELECT'\n",
    )
    assert program.text("count", "sales", "-f", "amount > 4490") == "6\n"
    assert program.text("search", "sales", "--limit", "1", "-o", "ndjson") == '{"id":0,"amount":0.0}\n'
    assert program.text("sql", "SELECT sum(id) s FROM sales", "-o", "ndjson") == '{"s":4498500}\n'
    assert "SELECT * FROM 'sales.parquet' ORDER BY id" in program.text("sources")
    assert program.fails("count", "bad", code=1).startswith("source bad: SQL: Parser Error")
    # A query names it, and has no more rights for that.
    assert "reads what FROM names" in program.fails("sql", "FROM sales, read_parquet('sales.parquet')")


@pytest.mark.parametrize(
    "said", ["command = ['true']\nsql = 'x'", "sql = 1", "command = ['true']\ntype = 1", "cache_minutes = 5"]
)
def test_a_source_is_a_command_or_a_query(program, said):
    configure(program, f"[sources.x]\n{said}\n")
    assert "sources.x" in program.fails("sources")


PACKAGE = """
def records(kind):
    yield {"id": 1, "kind": kind}
    yield '{"id": 2}'
    if kind == "bad":
        raise RuntimeError("no such thing")
    yield b'{"id": 3}\\n'
"""


def test_a_package_adds_a_source(program, monkeypatch):
    where = program.folder / "packages"
    (about := where / "crm-1.0.dist-info").mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crm\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[maxstage.sources]\ncrm = crm:records\nlost = crm:nothing\n")
    (where / "crm.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(where), os.environ.get("PYTHONPATH", "")]))
    assert program.text("count", "crm") == "3\n"
    assert (
        program.text("search", "crm", "-t", "x", "-f", "kind = x", "-o", "ndjson")
        == '{"id": 1, "kind": "x"}\n'
    )
    assert "crm  crm:records" in program.text("sources")
    names = [row["name"] for row in json.loads(program.text("sources", "-o", "json"))]
    assert names == ["files", "crm", "lost"]
    assert (
        program.fails("count", "crm", "-t", "bad")
        == "source crm, of crm:records: RuntimeError: no such thing"
    )
    assert program.fails("count", "lost").startswith("source lost, of crm:nothing: AttributeError")
    # A file of that name comes first.
    (program.folder / "crm").write_text("one line\n")
    assert program.text("count", "crm") == "1\n"

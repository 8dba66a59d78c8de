"""The shapes of JSON: one document a command, or lines where a command does one thing after another."""

import json

import pytest

FLOW = """\
name: small
version: 1
tasks:
  a: {script: {content: "true"}}
"""


@pytest.fixture
def filled(program):
    """A project with three items, one of them damaged, and two runs."""
    for data in (b"1\n", b"2\n", b"3\n"):
        token = program.stage(data)
    (program.staging / f"{token.removeprefix('max:')}.txt").write_bytes(b"4\n")
    (program.folder / "flow.yaml").write_text(FLOW)
    for _ in range(2):
        program("run", "flow.yaml")
    (program.folder / "bad.yaml").write_text(FLOW + "  b: {scrpt: 1}\nnope: 2\n")
    return program


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (["stage", "list"], 3),
        (["stage", "verify"], 3),
        (["runs"], 2),
        (["template", "--list"], 3),
        (["validate", "bad.yaml"], 3),
        (["validate", "flow.yaml"], 0),
        (["stage", "list", "--source", "none"], 0),
    ],
)
def test_arrays(filled, args, count):
    array = filled(*args, "-o", "json", check=None).stdout
    lines = filled(*args, "-o", "ndjson", check=None).stdout
    assert len(json.loads(array)) == count
    assert [json.loads(line) for line in lines.splitlines()] == json.loads(array)


@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_lines(filled, output):
    (filled.folder / "x.txt").write_bytes(b"x")
    tokens = []
    for args in (["stage", "./x.txt", "./x.txt"], ["stage", "--split", "2", "./x.txt"]):
        items = [json.loads(line) for line in filled.text(*args, "-o", output).splitlines()]
        assert len(items) == 2
        tokens += [item["ref"] for item in items]
    for verb in (["stage", "renew"], ["stage", "pin"], ["stage", "unpin"], ["unstage"]):
        items = [json.loads(line) for line in filled.text(*verb, *tokens, "-o", output).splitlines()]
        assert [item["ref"] for item in items] == tokens
    gone = [
        json.loads(line) for line in filled.text("runs", "clean", "--all", "-y", "-o", output).splitlines()
    ]
    assert len(gone) == 2


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("nosuch", 127, "No such file or directory: nosuch"),
        ("", 127, "The name of the command is empty"),
        ("./folder", 126, "Permission denied: ./folder"),
        ("./text", 126, "Permission denied: ./text"),
        ("./noformat", 126, "Exec format error: ./noformat"),
        ("./text/below", 126, "Not a directory: ./text/below"),
    ],
)
@pytest.mark.parametrize("long", [[], ["--combine"]])
def test_a_command_that_can_not_be_started(program, name, code, error, long):
    (program.folder / "folder").mkdir()
    (program.folder / "text").write_text("text")
    (program.folder / "noformat").write_text("text")
    (program.folder / "noformat").chmod(0o755)
    assert program.fails("exec", *long, "--", name, code=code) == error
    done = program("exec", "-o", "json", *long, "--", name, check=code)
    told = json.loads(done.stdout)
    assert (told["exit_code"], told["error"], told["content"]) == (code, error, "")
    assert done.stderr.decode() == f"{error}\n"
    ran = json.loads(program("exec", "-o", "json", *long, "--", "true").stdout)
    assert ran["error"] is None
    assert ran.keys() == told.keys()

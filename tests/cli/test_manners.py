"""Command manners: what is printed, and what is said of mistakes."""

import json
import os
import pty
import subprocess

import pytest

from helpers import PATIENCE
from maxstage import Store
from maxstage.cli.app import COMMANDS, app


def test_an_item_as_json_is_the_same_everywhere(program):
    big = b"x\n" * 3_000_000
    (one,) = (json.loads(line) for line in program.text("stage", "-o", "json", stdin=big).splitlines())
    token = one["ref"]
    (listed,) = json.loads(program.text("stage", "list", "-o", "json"))
    info = json.loads(program.text("stage", "info", token, "-o", "json"))
    renewed = json.loads(program.text("stage", "renew", token, "-o", "json"))
    for item in (one, listed, info, renewed):
        assert item["ref"] == f"max:{item['token']}" == token
        assert isinstance(item["createdNs"], str)
        assert "lineIndex" not in item
        assert list(item)[:2] == ["token", "ref"]
    meta = json.loads((program.staging / f"{one['token']}.meta.json").read_text())
    assert one["createdNs"] == meta["createdNs"]
    assert "lineIndex" in meta
    whole = json.loads(program.text("stage", "info", token, "-o", "json", "--all"))
    assert whole["lineIndex"] == meta["lineIndex"]


def test_json_of_a_name_that_is_not_utf8_is_json(program):
    done = program("retrieve", "a1b2c3d4", check=1)  # as ever
    assert done.stdout == b""
    from maxstage.cli import printing

    read, write = os.pipe()
    saved = os.dup(1)
    os.dup2(write, 1)
    try:
        printing.print_json({"name": "a\udcff", "half": "\ud83d"})
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(write)
    with open(read, "rb") as file:
        # Strict readers refuse half of a surrogate pair, as an escape too.
        assert json.loads(file.read()) == {"name": "a\ufffd", "half": "\ufffd"}


def test_one_of_a_kind_is_singular(program):
    store = Store.open(program.folder)
    token = program.stage(b"x")
    assert "1 record " in program.text("stage", "list")
    assert repr(store.info(token)).startswith(f"<Item {token}: 1 record, 1 byte")
    path = program.staging / f"{token.removeprefix('max:')}.meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": "2024-01-01T00:00:00Z"}))
    assert b"(unknown, 1 record);" in program("retrieve", token, check=1).stderr
    token = program.stage(b"xy")
    (program.staging / f"{token.removeprefix('max:')}.txt").write_bytes(b"x")
    assert b"its data file has 1 byte, not 2" in program("retrieve", token, check=1).stderr


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_verify_says_is_in_words(program, output):
    token = program.stage(b"data\n")
    (program.staging / f"{token.removeprefix('max:')}.txt").unlink()
    os.mkdir(program.staging / f"{token.removeprefix('max:')}.txt")
    done = program("stage", "verify", "-o", output, check=1)
    assert b"Errno" not in done.stderr + done.stdout
    assert done.stderr.count(b"\n") == 1
    assert token.encode() in done.stderr
    if output == "json":
        (one,) = json.loads(done.stdout)
        assert (one["token"], one["ref"], one["ok"]) == (token.removeprefix("max:"), token, False)


def answer(program, text: bytes, *args: str):
    """Run the program on a terminal where this is typed; return its exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*program.command, *args],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=program.folder,
    )
    os.close(theirs)
    os.write(ours, text)
    _, shown = child.communicate(timeout=PATIENCE)
    os.close(ours)
    return child.returncode, shown.decode()


@pytest.mark.parametrize(
    ("typed", "code"),
    [(b"n\n", 1), (b"\n", 1), (b"No\n", 1), (b"\x04", 1), (b"what\nno\n", 1), (b"YES\n", 0)],
)
def test_an_answer(program, typed, code):
    program.stage(b"1")
    found, shown = answer(program, typed, "unstage", "--all")
    assert found == code, shown
    assert shown.startswith("Delete 1 staged item? [y/N]: ")
    assert shown.endswith("Aborted: nothing was deleted\n") == bool(code)
    assert len(program.text("stage", "list", "-q").split()) == code


def test_unstage_by_label(program):
    one = program.stage(b"1", "--label", "job=1", "--source", "a/x")
    two = program.stage(b"2", "--label", "job=2", "--source", "a/x")
    three = program.stage(b"3", "--label", "job=2", "--source", "b/x")
    assert program.text("unstage", "--label", "job=1", "--yes") == f"Unstaged: {one}\n"
    assert program.text("unstage", "--label", "job", "--source", "a/*", "-y") == f"Unstaged: {two}\n"
    assert program.text("unstage", "--label", "other", "--yes") == "Nothing to unstage.\n"
    assert b"--yes" in program("unstage", "--label", "job", check=2).stderr
    assert b"one of" in program("unstage", three, "--label", "job", check=2).stderr
    assert program.text("stage", "list", "-q").split() == [three]


def lines(text: str) -> list:
    return [json.loads(line) for line in text.splitlines()]


def test_json_of_the_store(program):
    one, two = program.stage(b"1\n"), program.stage(b"2\n")
    refs = [{"token": token.removeprefix("max:"), "ref": token} for token in (one, two)]
    for verb in ("renew", "pin", "unpin"):
        shown = lines(program.text("stage", verb, one, two, "-o", "json"))
        assert [{key: item[key] for key in ("token", "ref")} for item in shown] == refs
    assert json.loads(program.text("stage", "verify", one, two, "-o", "json")) == [
        ref | {"ok": True, "problem": None} for ref in refs
    ]
    path = program.staging / f"{refs[0]['token']}.meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": "2024-01-01T00:00:00Z"}))
    swept = json.loads(program.text("stage", "gc", "-o", "json"))
    assert (swept["expired"], swept["dryRun"], swept["freedBytes"]) == ([refs[0]], False, 2)
    done = program("unstage", two, one, "-o", "json", check=1)
    assert lines(done.stdout.decode()) == [refs[1] | {"unstaged": True}, refs[0] | {"unstaged": False}]
    assert done.stderr.decode() == f"Staged data not found: {one}\n"
    assert program.text("unstage", "--all", "--yes", "-o", "json") == ""


def test_json_of_the_others(program):
    assert json.loads(program.text("init", "-o", "json")) == {"project": str(program.folder), "made": False}
    new = json.loads(program.text("init", "new", "-o", "json"))
    assert new == {"project": str(program.folder / "new"), "made": True}
    names = [entry["name"] for entry in json.loads(program.text("template", "--list", "-o", "json"))]
    assert "starter" in names
    assert (
        json.loads(program.text("template", "-o", "json"))["text"].strip() == program.text("template").strip()
    )
    cut = json.loads(program.text("truncate", "--max-bytes", "1KiB", "-o", "json", stdin=b"x\n" * 5000))
    assert (cut["truncated"], cut["original_size"], cut["ref"]) == (True, 10_000, cut["token"])
    assert program("retrieve", cut["ref"]).stdout == b"x\n" * 5000


def test_json_of_runs(program):
    (program.folder / "flow.yaml").write_text(
        "name: f\nversion: '1'\ntasks:\n  a: {script: {language: bash, content: echo hello}}\n"
    )
    done = json.loads(program.text("run", "flow.yaml", "-o", "json"))
    run = done["run"]
    assert "ref" in done["tasks"]["a"]
    assert done["tasks"]["a"]["ref"] == done["tasks"]["a"]["token"]
    exported = program.text("runs", "export", run, "-o", "json")
    assert json.loads(exported)
    (program.folder / "state.json").write_text(exported)
    report = json.loads(program.text("runs", "report", run, "--html", "r.html", "-o", "json"))
    assert report == {"run": run, "file": "r.html"}
    pruned = json.loads(program.text("runs", "prune", run, "--keep", "1", "-o", "json"))
    assert (pruned["run"], pruned["dropped"], pruned["freedBytes"]) == (run, 0, 0)
    program("runs", "clean", run)
    assert json.loads(program.text("runs", "import", "state.json", "-o", "json"))["run"]
    (cleaned,) = lines(program.text("runs", "clean", "--all", "--yes", "-o", "json"))
    assert cleaned["outputs"] == 0


def test_every_command_takes_o_json():
    import click

    context = click.Context(app)
    # What `mcp` and its gateway print are messages, which are JSON anyway.
    for name in COMMANDS.keys() - {"help", "mcp", "mcp wrap"}:
        command = app.get_command(context, name)
        options = [one for param in command.params for one in param.opts]
        assert {"-o", "--output"} <= set(options), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_and_is_found_by_both_ways(program, name):
    text = program.text("help", *name.split())
    assert f"max {name}" in text.split("Example", 1)[1]
    assert program.text(*name.split(), "--help") == text


def test_help_without_a_name(program):
    assert program.text("help") == program.text("--help")
    assert b"No such command: 'nope'" in program("help", "nope", check=2).stderr


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (["retreive", "x"], "retrieve"),
        (["RETRIEVE", "x"], "retrieve"),
        (["lst"], "stage list"),
        (["gc"], "stage gc"),
        (["stage", "lst"], "stage list"),
        (["stage", "verfy", "max:a1b2c3d4"], "stage verify"),
        (["stage", "renw", "max:a1b2c3d4", "--ttl", "5"], "stage renew"),
        (["runs", "shw", "x"], "runs show"),
        (["help", "runs", "shw"], "runs show"),
    ],
)
def test_did_you_mean(program, args, meant):
    line = program(*args, check=2).stderr.decode()
    assert f'. Did you mean "python -m maxstage {meant}"? See "' in line
    assert line.count("\n") == 1


def test_nothing_near_suggests_nothing(program):
    for args in (["zzzzzz"], ["stage", "--zzzzz"], ["runs", "zzzzz"]):
        assert b"Did you mean" not in program(*args, check=2).stderr
    assert b"there are show, output, report" in program("runs", "zzzzz", check=2).stderr
    line = program("stage", "--tpye", "text", check=2).stderr
    assert line.startswith(b"No such option '--tpye'. Did you mean '--type'? See ")
    # What may well be a file is an error about a file.
    assert (
        program("stage", "info.json", "--ttl", "5", check=1).stderr
        == b"No such file or directory: info.json\n"
    )


def test_a_file_named_almost_like_a_verb_is_staged(program):
    (program.folder / "lst").write_bytes(b"data\n")
    assert program("retrieve", program.stage(b"", "lst")).stdout == b"data\n"
    (program.folder / "-").write_bytes(b"dash\n")
    assert program("retrieve", program.stage(b"stdin\n", "./-")).stdout == b"dash\n"
    assert program("retrieve", program.stage(b"stdin\n", "-")).stdout == b"stdin\n"
    (program.folder / "--all").write_bytes(b"dashes\n")
    assert program("retrieve", program.stage(b"", "--", "--all")).stdout == b"dashes\n"


@pytest.mark.parametrize("name", [b"bad\xff\xfe.txt", b"-\xff"])
def test_names_that_are_not_utf8(program, name):
    folder = os.fsencode(program.folder)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"data\n")
    run = [*map(os.fsencode, program.command), b"stage", b"--", name]
    token = subprocess.run(run, cwd=program.folder, capture_output=True, check=True).stdout.decode().strip()
    assert program("retrieve", token).stdout == b"data\n"
    run[-1] = b"gone" + name
    done = subprocess.run(run, cwd=program.folder, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.startswith(b"No such file or directory: gone")
    assert done.stderr.count(b"\n") == 1


def test_no_colour_where_it_is_not_wanted(program):
    (program.folder / "flow.yaml").write_text(
        "name: f\nversion: '1'\ntasks:\n  a: {script: {language: bash, content: 'false'}}\n"
    )
    environment = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    for args in (["run", "flow.yaml"], ["stage", "--help"], ["nope"], ["validate", "flow.yaml"]):
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [*program.command, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=program.folder,
            env=environment,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:
                break  # the other end is closed
        child.wait()
        os.close(ours)
        assert shown
        import re

        assert not re.search(rb"\x1b\[[0-9;]*(3[0-7]|4[0-7]|9[0-7])m", shown), args

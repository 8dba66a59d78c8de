"""Intents through the program: planned, looked at, executed, taken back; and what is said where that can't be."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest

import markup
from helpers import wait_until
from maxstage import Error, Intent, Store

TOKEN = re.compile(r"max:intent:[0-9a-f]{8}\n")


@pytest.fixture
def files(program):
    for name in "abc":
        (program.folder / f"{name}.pdf").write_text(f"text of {name}\n")
    return program.folder


def plan(program, *args: str, stdin: bytes = b"") -> str:
    return program.text("intent", *args, stdin=stdin).strip()


def test_the_whole_way(program, files):
    found = program("search", "files", "-f", "extension = pdf", "--all", "-o", "ndjson").stdout
    printed = program.text(
        "intent", "move", "--from", "{path}", "--to", "pdf/{modified:%Y}/{name}", stdin=found
    )
    assert TOKEN.fullmatch(printed)
    token = printed.strip()
    year = program.text("preview", token).split("→ pdf/")[1][:4]
    done = program("execute", token)
    assert done.stderr == b"3 done\n"
    result = done.stdout.decode().strip()
    assert re.fullmatch(r"max:result:[0-9a-f]{8}", result)
    assert sorted(os.listdir(files / "pdf" / year)) == ["a.pdf", "b.pdf", "c.pdf"]
    lines = [json.loads(line) for line in program.text("retrieve", result).splitlines()]
    assert [(line["op"], line["status"], line["to"]) for line in lines] == [
        ("move", "succeeded", f"pdf/{year}/{name}.pdf") for name in "abc"
    ]
    info = json.loads(program.text("stage", "info", result, "-o", "json"))
    assert info["statuses"] == {"succeeded": 3, "failed": 0, "skipped": 0, "unknown": 0}
    assert "Statuses:   3 succeeded, 0 failed" in program.text("stage", "info", result)
    assert program.text("count", result, "-f", "status = succeeded") == "3\n"
    assert program("undo", result).stderr == b"3 taken back\n"
    assert sorted(os.listdir(files)) == [".max", "a.pdf", "b.pdf", "c.pdf"]
    assert program("undo", result).stderr.endswith(b"has taken it back before; nothing was done\n")


def test_records_of_tokens_files_and_lines(program, files):
    token = program.stage(b'{"n": "a"}\n{"n": "b"}\n')
    (files / "list.txt").write_text("c.pdf\r\n")
    (files / "list.csv").write_text("n,to\nb,x\n")
    assert plan(program, "delete", token, "--from", "{n}.pdf", "-f", "n = a")
    assert plan(program, "delete", "list.txt", "--from", "{line}")
    assert plan(program, "copy", "list.csv", "--from", "{n}.pdf", "--to", "{to}")
    rows = json.loads(program.text("intent", "list", "-o", "json"))
    assert [(row["kind"], row["count"], row["state"]) for row in rows] == [
        ("copy", 1, "planned"),
        ("delete", 1, "planned"),
        ("delete", 1, "planned"),
    ]
    for row in rows[1:]:
        program("execute", row["intent"])
    assert sorted(path.name for path in files.glob("*.pdf")) == ["b.pdf"]


def test_run(program, files):
    token = plan(
        program, "run", "-", "--", "sh", "-c", 'echo "$1"', "_", "{n}", stdin=b'{"n": "$(touch x)"}\n'
    )
    assert "run sh -c 'echo \"$1\"' _ '$(touch x)'" in program.text("preview", token)
    result = program.text("execute", token).strip()
    assert json.loads(program.text("retrieve", result))["output"] == "$(touch x)\n"
    assert not (files / "x").exists()


@pytest.mark.parametrize(
    ("args", "stdin", "code", "words"),
    [
        (["copy", "--from", "{a}", "--to", "{"], b"", 2, "column 1 of '{' is neither a placeholder"),
        (
            ["copy", "--from", "{a}", "--to", "{b}"],
            b'{"a": 1}\n',
            1,
            "record 1 has no value for {b}; it has: a",
        ),
        (["copy", "--from", "{a}", "--to", "{a}"], b'{"a": 1}\n[', 1, "is not JSON"),
        (["copy", "--from", "a", "--to", "b"], b"", 1, "no records"),
        (["copy", "--from", "a", "--to", "b", "--root", "nowhere"], b"{}\n", 1, "nowhere"),
        (["copy", "no-such-file", "--from", "a", "--to", "b"], b"", 1, "no-such-file"),
        (["run", "-"], b"{}\n", 2, "name the command after --"),
        (["run", "-", "--", "sh", "-c", "echo {a}"], b"{}\n", 2, "would read 'echo {a}' as code"),
        (["rename"], b"", 2, "No such command: 'intent rename'"),
        (["show", "max:a1b2c3d4x"], b"", 2, "Invalid intent"),
        (["show", "max:intent:a1b2c3d4"], b"", 1, "No such intent: max:intent:a1b2c3d4"),
        (["cancel", "max:result:a1b2c3d4"], b"", 2, "is a result, not an intent"),
    ],
)
def test_what_is_wrong_is_said(program, args, stdin, code, words):
    assert words in program.fails("intent", *args, stdin=stdin, code=code)
    assert program.text("intent", "list") == "No intents.\n"
    assert sorted(os.listdir(program.folder / ".max" / "intents")) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--rate", "0"], "is no rate"),
        (["--rate", "5/x"], "is no rate"),
        (["--rate", "nan"], "is no rate"),
        (["--retry", "often"], "is neither a number up to 999 nor one of: failed, unknown"),
        (["--jobs", "0"], "--jobs"),
        (["--on-conflict", "ask"], "--on-conflict"),
    ],
)
def test_options_of_execute(program, args, words):
    assert words in program.fails("execute", "max:intent:a1b2c3d4", *args, code=2)


def test_problems_and_where_it_stops(program, files):
    records = b'{"n": "a"}\n{"n": "x"}\n{"n": "c"}\n'
    token = plan(program, "move", "--from", "{n}.pdf", "--to", "to/{n}.pdf", stdin=records)
    shown = program.text("preview", token, check=1)
    assert "1 problem:\n  1 has no source\n    2: x.pdf is missing\n" in shown
    assert shown.index("1 problem") < shown.index("The first:")
    found = json.loads(program.text("preview", token, "-o", "json", check=1))
    assert found["problems"] == [{"number": 2, "kind": "missing", "text": "x.pdf is missing"}]
    assert (found["count"], found["operations"], found["bytes"]) == (3, {"move": 3}, {"move": 20})
    done = program("execute", token, check=1)
    assert done.stderr == (
        b"1 done, 1 failed, 1 not reached\nmove 2: x.pdf is missing; to pass over what fails: --keep-going\n"
    )
    assert "1 operation done before" in program.text("preview", token, check=1)
    done = program("execute", token, "--keep-going", "-o", "json", check=1)
    assert json.loads(done.stdout)["statuses"] == {"succeeded": 2, "failed": 1, "skipped": 0, "unknown": 0}
    assert sorted(os.listdir(files / "to")) == ["a.pdf", "c.pdf"]


def test_a_preview_of_writes_has_a_diff(program, files):
    records = b'{"n": "a.pdf", "t": "text of a\\nmore\\n"}\n{"n": "new", "t": "<b>\\u001b[31m\\n"}\n'
    token = plan(program, "write", "--to", "{n}", "--content", "{t}", stdin=records)
    shown = program.text("preview", token, "--on-conflict", "overwrite")
    assert "1 would be overwritten" in shown
    assert "     text of a\n    +more\n" in shown
    assert "\x1b" not in shown
    program("preview", token, "--on-conflict", "overwrite", "--html", "page.html")
    page = (files / "page.html").read_text()
    markup.check(page)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_cancel(program, files):
    token = plan(program, "delete", "--from", "{n}.pdf", stdin=b'{"n": "a"}\n{"n": "x"}\n')
    program("execute", token, check=1)
    assert "to take back what it has done" in program.text("intent", "cancel", token)
    assert "was cancelled" in program.fails("execute", token)
    program("undo", token)
    assert (files / "a.pdf").exists()
    other = plan(program, "delete", "--from", "a.pdf", stdin=b"{}\n")
    assert program.text("intent", "cancel", other) == f"Cancelled: {other}\n"
    assert "No such intent" in program.fails("preview", other)


def test_an_intent_expires_and_its_trash_goes_with_its_result(program, files):
    token = plan(program, "delete", "--from", "a.pdf", "--ttl", "1", stdin=b"{}\n")
    late = plan(program, "delete", "--from", "b.pdf", "--ttl", "1", stdin=b"{}\n")
    result = program.text("execute", token, "--ttl", "10").strip()
    trash = files / ".max" / "trash" / token.removeprefix("max:intent:")
    program.later(300, "stage", "list")
    assert [path.read_text() for path in trash.iterdir()] == ["text of a\n"]
    assert not (files / ".max" / "intents" / f"{late.removeprefix('max:intent:')}.db").exists()
    program.later(1200, "stage", "list")
    assert not trash.exists()
    assert "No such intent" in program.fails("intent", "show", token)
    assert "expired" in program.fails("undo", result) or "not found" in program.fails("undo", result)


def at_terminal(program, *args: str, answer: str) -> tuple[int, str]:
    """Run the program at a terminal, and answer its question; return the exit code and what was shown."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PAGER": "cat", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "maxstage", *args],
        cwd=program.folder, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    answered = False

    def read() -> bool:
        nonlocal shown, answered
        poll = select.poll()  # `select` takes no descriptor above 1023
        poll.register(ours, select.POLLIN)
        if poll.poll(50):
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end is closed
                return True
        if not answered and b"[y/N]" in shown:
            answered = True
            os.write(ours, answer.encode() + b"\n")
        return False

    wait_until(read, "the program does not end")
    os.close(ours)
    return process.wait(), shown.decode()


def test_approval(program, files):
    (files / ".max" / "config.toml").write_text("require_approval = true\n")
    token = plan(program, "delete", "--from", "{n}.pdf", stdin=b'{"n": "a"}\n{"n": "b"}\n')
    assert f"max intent approve {token}" in program.fails("execute", token)
    assert "only a person" in program.fails("intent", "approve", token, code=2)
    code, shown = at_terminal(program, "intent", "approve", token, answer="n")
    assert (code, "2 deletions" in shown) == (1, True)
    assert "needs approval" in program.fails("execute", token)
    code, shown = at_terminal(program, "intent", "approve", token, answer="y")
    assert (code, f"Approved: {token}" in shown, "\x1b[" in shown) == (0, True, True)
    assert "was approved for --on-conflict fail" in program.fails("execute", token, "--on-conflict", "skip")
    (files / "b.pdf").rename(files / "elsewhere")
    assert "than when it was approved" in program.fails("execute", token)
    (files / "elsewhere").rename(files / "b.pdf")
    result = program.text("execute", token).strip()
    # Taking back is an intent, too.
    assert "needs approval" in program.fails("undo", result)


def test_what_changes_while_a_person_looks_is_not_approved(program, files):
    """Neither then nor by a second try to execute it; the same for a file that is to be overwritten."""
    store = Store.open(files)
    intent = Intent.plan(store, "move", [{}], root=files, from_="a.pdf", to="new.pdf")
    seen = intent.preview(on_conflict="overwrite")
    (files / "new.pdf").write_text("appeared")
    assert not intent.preview(on_conflict="overwrite").has_problems
    with pytest.raises(Error, match="changed meanwhile; look again"):
        intent.approve(on_conflict="overwrite", seen=seen)
    assert not intent.is_approved()
    intent.approve(on_conflict="overwrite", seen=intent.preview(on_conflict="overwrite"))
    (files / "new.pdf").write_text("somebody's work of an hour")
    line = program.fails("execute", intent.token, "--on-conflict", "overwrite")
    assert "other files in its way, than when it was approved" in line
    assert (files / "new.pdf").read_text() == "somebody's work of an hour"


def test_what_replaced_a_file_is_one_that_is_taken_back(program, files):
    token = plan(program, "write", "--to", "a.pdf", "--content", "new", stdin=b"{}\n")
    assert program("execute", token, "--on-conflict", "overwrite").stderr == b"1 done\n"
    assert program("undo", token).stderr == b"1 taken back\n"
    assert (files / "a.pdf").read_text() == "text of a\n"


def test_undo_by_a_plan(program, files):
    token = plan(program, "delete", "--from", "a.pdf", stdin=b"{}\n")
    result = program.text("execute", token).strip()
    back = program.text("undo", result, "--plan").strip()
    assert "1 restoration" in program.text("preview", back)
    assert not (files / "a.pdf").exists()
    program("execute", back)
    assert (files / "a.pdf").exists()
    assert "taken back" in program.text("intent", "show", token)


def test_an_item_is_no_intent(program):
    token = program.stage(b"x\n")
    assert "is not the result of an intent" in program.fails("undo", token)


def test_a_damaged_file(program, files):
    token = plan(program, "delete", "--from", "a.pdf", stdin=b"{}\n")
    path = files / ".max" / "intents" / f"{token.removeprefix('max:intent:')}.db"
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    for verb in ("preview", "execute", "undo"):
        assert path.name in program.fails(verb, token)
    assert program.text("intent", "list") == "No intents.\n"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "is not a file of yours" in program.fails("preview", token)


def test_where_nothing_can_be_written(program, files):
    token = plan(program, "delete", "--from", "a.pdf", stdin=b"{}\n")
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    before = os.listdir(files / ".max" / "intents")
    line = program.fails("intent", "delete", "--from", "a.pdf", stdin=b"{}\n", preexec_fn=limit)
    assert "no intent was made" in line
    assert os.listdir(files / ".max" / "intents") == before
    line = program.fails("execute", token, preexec_fn=limit)
    assert "nothing was lost" in line or "File too large" in line
    assert (files / "a.pdf").exists()
    program("execute", token)
    assert not (files / "a.pdf").exists()

"""``max run --rerun``, ``--from`` and ``--resume-or-start``, and ``max runs output``, through the real program."""

import json
import os
import pty
import re

import pytest

FLOW = """\
name: f
version: 1
limits: {max_stdout_bytes: 2KiB}
tasks:
  big: {script: {content: "echo err >&2; seq 30000"}}
  try:
    script: {content: "echo attempt >> tries; echo try $(wc -l < tries); test $(wc -l < tries) -ge 2"}
    on_error: {retry: 1}
  use: {script: {content: "echo got; test -e go"}, depends_on: [big, try]}
  no: {script: {content: echo never}, condition: {type: never}}
"""


@pytest.fixture
def run_id(program):
    """A run that failed."""
    (program.folder / "flow.yaml").write_text(FLOW)
    failed = program("run", "flow.yaml", check=1)
    (program.folder / "go").touch()
    hint = failed.stderr.decode().splitlines()[-1]
    assert hint.startswith("To resume where it failed: max run flow.yaml --run-id ")
    return hint.split()[-1]


def test_what_a_task_printed(program, run_id):
    whole = "".join(f"{number}\n" for number in range(1, 30001))
    assert program.text("runs", "output", run_id, "big") == whole
    assert program.text("runs", "output", run_id, "big", "--stderr") == "err\n"
    excerpt = program.text("runs", "output", run_id, "big", "--excerpt")
    assert "bytes (" in excerpt
    assert len(excerpt) <= 2048
    assert program.text("runs", "output", run_id, "try") == "try 2\n"
    assert program.text("runs", "output", run_id, "try", "--attempt", "1") == "try 1\n"
    assert program.text("runs", "output", run_id, "use", "--stderr") == ""
    found = json.loads(program.text("runs", "output", run_id, "try", "--attempt", "1", "-o", "json"))
    assert (found["attempt"], found["status"], found["output"]["content"]) == (1, "failed", "try 1\n")
    assert json.loads(program.text("runs", "output", run_id, "try", "-o", "json"))["attempt"] == 2


def test_what_it_did_not(program, run_id):
    def fails(*args, **options):
        return program.fails("runs", "output", run_id, *args, **options)

    assert fails("bgi") == f"no task 'bgi' has ended in run {run_id}; did you mean 'big'?"
    assert fails("no") == "task 'no' has no output: it was skipped"
    assert fails("try", "--attempt", "3") == "task 'try' was not done 3 times, but 2 times"
    assert fails("\x1b[2J\n") == f"no task '\\x1b[2J ' has ended in run {run_id}"
    assert program.fails("runs", "output", "nope", "big") == 'There is no run nope; "max runs" lists the runs'
    big = json.loads(program.text("runs", "output", run_id, "big", "-o", "json"))
    program("unstage", big["output"]["token"])
    gone = fails("big")
    assert gone.startswith("the full output of task 'big' is missing (")
    assert gone.endswith("do it again with --rerun big")
    assert "bytes (" in program.text("runs", "output", run_id, "big", "--excerpt")


def test_on_a_terminal_it_is_bounded(program, run_id):
    (program.folder / "long.yaml").write_text(
        "name: l\nversion: 1\ntasks: {a: {script: {content: seq 100000}}}\n"
    )
    done = program("run", "long.yaml")
    other = re.search(r"run (\S+) completed", done.stdout.decode())[1]
    ours, theirs = pty.openpty()
    child = program.start("runs", "output", other, "a", stdout=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 1 << 16):
            shown += data
    except OSError:  # what Linux says at the end
        pass
    _, told = child.communicate()
    os.close(ours)
    assert shown.startswith(b"1\r\n2\r\n")
    assert shown.endswith(b"100000\r\n")
    assert len(shown.replace(b"\r", b"")) <= 64 * 1024
    assert told == b"588.9 KB in all; in a pipe, all of it is printed\n"


def test_doing_it_again(program, run_id):
    done = program("run", "flow.yaml", "--rerun", "big,try", "--from", "use")
    assert f"run {run_id} completed".encode() in done.stdout
    assert b"(earlier)" not in done.stderr.replace(b"no (earlier)", b"")
    assert program.text("runs", "output", run_id, "try", "--attempt", "2") == "try 2\n"
    assert program.text("runs", "output", run_id, "try") == "try 3\n"
    assert program.fails("run", "flow.yaml", "--rerun", "bgi").endswith("in flow.yaml; did you mean 'big'?")
    assert b"it names no task" in program("run", "flow.yaml", "--rerun", "big,", check=2).stderr
    assert (
        b"--dry-run and --graph" in program("run", "flow.yaml", "--rerun", "big", "--dry-run", check=2).stderr
    )
    assert b"start one then: --resume-or-start" in program("run", "flow.yaml", "--resume", check=1).stderr
    assert run_id.encode() not in program("run", "flow.yaml", "--resume-or-start").stdout


def test_an_output_that_is_gone_ends_in_the_command_that_helps(program):
    (program.folder / "flow.yaml").write_text(
        "name: f\nversion: 1\ntasks:\n  a: {script: {content: seq 3000}, limits: {max_stdout_bytes: 1KiB}}\n"
        "  b: {script: {content: test -e go}, depends_on: [a]}\n"
        "  c: {command: {executable: wc, args: [-l]}, stdin_from: a, depends_on: [b]}\n"
    )
    program("run", "flow.yaml", check=1)
    program("unstage", "--all", "--yes")
    (program.folder / "go").touch()
    failed = program("run", "flow.yaml", "--resume", check=1)
    hint = failed.stderr.decode().splitlines()[-1]
    assert hint.startswith("To do it again, and what depends on it: max run flow.yaml --run-id ")
    assert hint.endswith(" --rerun a")
    assert b" completed" in program(*hint.partition("max ")[2].split()).stdout

"""``max run --live``: what tasks print, as it comes, each line after the name of its task."""

import json
import os
import pty
import re
import subprocess

import pytest

from helpers import Gate

SECRET = "correct-horse-battery"


def flow(program, tasks, **root):
    (program.folder / "flow.yaml").write_text(
        json.dumps({"name": "n", "version": "1", "tasks": tasks, **root})
    )


def script(text, **more):
    return {"script": {"content": text}, **more}


def lines_of(text, task):
    """Return the lines of a task, without its name."""
    return [
        line.partition(" | ")[2] for line in text.splitlines() if re.match(rf"{re.escape(task)} *\|", line)
    ]


def test_all_of_it_comes_in_whole_lines(program):
    tasks = {name: script(f"seq 30000 | sed 's/^/{name}-/'") for name in ("one", "two", "three")}
    tasks["err"] = script("printf 'to stderr, without an end' >&2; exit 3", on_error={"continue": True})
    tasks["loop"] = script(
        "echo item {{ item }}", loop={"for_each": {"collection": {"type": "range", "end": 3}}}
    )
    flow(program, tasks)
    done = program("run", "flow.yaml", "--live", "--jobs", "3")
    seen = done.stderr.decode()
    for name in ("one", "two", "three"):
        assert lines_of(seen, name) == [f"{name}-{number}" for number in range(1, 30001)]
    assert lines_of(seen, "err") == ["to stderr, without an end"]
    assert lines_of(seen, "loop[2]") == ["item 2"]
    # What it printed comes before its end.
    assert seen.index("without an end") < seen.index("failed     err")
    assert "one-30000" not in done.stdout.decode()


def test_a_line_is_shown_as_soon_as_it_ends(program):
    gate = Gate(program.folder)
    flow(program, {"slow": script(f"echo begun; {gate.wait}; echo over")})
    with program.start("run", "flow.yaml", "--live") as process:
        seen = b""
        while b"| begun\n" not in seen:
            seen += os.read(process.stderr.fileno(), 4096)
        assert b"over" not in seen
        gate.open()
        assert lines_of(process.communicate()[1].decode(), "slow") == ["over"]


def test_what_is_kept_is_the_same(program):
    limits = {"max_stdout_bytes": "2KiB"}
    flow(program, {"t": script("seq 5000; echo e >&2", limits=limits)})
    kept = []
    for options in ([], ["--live"]):
        done = json.loads(program("run", "flow.yaml", "-o", "json", "--show-task-outputs", *options).stdout)
        output = done["tasks"]["t"]["output"]
        kept.append((output["content"].replace(output["token"], "T"), output["stderr"]["content"]))
    assert kept[0] == kept[1]


def test_json_stays_json(program):
    flow(program, {"t": script("echo '{'")})
    done = program("run", "flow.yaml", "--live", "-o", "json")
    assert json.loads(done.stdout)["status"] == "completed"
    assert done.stderr == b"t | {\n"
    done = program("run", "flow.yaml", "--live", "--events")
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-1] == "run_finished"
    assert done.stderr == b"t | {\n"


def test_secrets_are_masked(program, monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    text = f"printf {SECRET[:7]}; sleep 0.05; echo {SECRET[7:]}; echo $TOKEN >&2"
    flow(program, {"t": script(text)}, secrets=["TOKEN"])
    seen = program("run", "flow.yaml", "--live").stderr.decode()
    assert lines_of(seen, "t").count("***") == 2
    assert SECRET not in seen


def test_who_stops_reading_does_not_stop_the_run(program):
    gate = Gate(program.folder)
    flow(program, {"t": script(f"echo first; {gate.wait}; seq 100000; echo done > end")})
    with program.start("run", "flow.yaml", "--live") as process:
        gate.reached()
        process.stderr.close()
        gate.open()
        assert b"completed" in process.stdout.read()
        assert process.wait() == 0
    assert (program.folder / "end").exists()


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_a_line_can_do_nothing_but_be_coloured(program, environment):
    text = "printf ' 1%%\\r99%%\\n\\033[2J\\033]0;title\\007\\033[1;31mred\\n'; printf 'plain\\n' >&2"
    flow(program, {"a-name-that-is-longer-than-there-is-room": script(text)})
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [*program.command, "run", "flow.yaml", "--live"],
        cwd=program.folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**env, "TERM": "xterm", **environment},
    )
    os.close(theirs)
    seen = b""
    with pytest.raises(OSError, match="Input/output error"):  # so a terminal ends
        while True:
            seen += os.read(ours, 65536)
    assert process.wait() == 0
    os.close(ours)
    assert b"99%" in seen
    assert b" 1%" not in seen
    assert b"\\x1b[2J\\x1b]0;title\\x07\x1b[1;31mred\x1b[0m\r\n" in seen
    assert seen.replace(b"\x1b[1;31mred\x1b[0m", b"").count(b"\x1b") == (0 if environment else 8)

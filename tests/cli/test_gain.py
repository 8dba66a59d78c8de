"""``max gain``: what was kept out of prompts, counted without recording it."""

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time

import pytest

from helpers import PATIENCE, beside
from maxstage import Limits, Store
from maxstage.humanize import cells
from maxstage.output.bound import bound, spooled
from maxstage.output.gained import note
from maxstage.store.gain import MOST_LOG, WORTH_MOVING, note_again, note_cut
from maxstage.store.gain_book import Book

LONG = b"a line of a build\n" * 10_000
SECRET = b"the password is hunter2\n"


def gain(program, *args, **options):
    return json.loads(program.text("gain", "-o", "json", *args, **options))


def files(program):
    """Return the names of what counts."""
    return sorted(name for name in os.listdir(program.folder / ".max") if name.startswith("gain."))


def test_nothing_was_cut(program):
    assert program.text("gain") == "Nothing was cut, so nothing was kept out of prompts.\n"
    assert gain(program)["outputs"] == 0
    program("exec", "--", "echo", "short")
    token = program.stage(b"x", "--source", "here")
    program("retrieve", token)
    assert gain(program)["outputs"] == 0


def test_what_was_cut_is_counted(program):
    done = json.loads(program.text("truncate", "--max-bytes", "1KiB", "-o", "json", stdin=LONG + SECRET))
    code = "print('x' * 5000)"
    environment = os.environ | {"CLAUDECODE": "1"}
    program("exec", "--max-stdout-bytes", "1KiB", "--", sys.executable, "-c", code, env=environment)
    found = gain(program)
    assert found["outputs"] == 2
    assert found["originalBytes"] == len(LONG + SECRET) + 5001
    assert found["keptOutBytes"] == found["originalBytes"] - found["shownBytes"]
    assert 1500 < found["shownBytes"] <= 2048
    assert found["estimatedTokens"] == -(-found["keptOutBytes"] // 4)
    assert found["readAgain"] == found["readAgainBytes"] == 0
    assert {one["command"]: one["outputs"] for one in found["by"]["command"]} == {"truncate": 1, "exec": 1}
    assert {one["client"]: one["outputs"] for one in found["by"]["client"]} == {"-": 1, "claude": 1}
    assert {one["source"] for one in found["by"]["source"]} == {"truncate", os.path.basename(sys.executable)}
    assert [one["day"] for one in found["by"]["day"]] == [time.strftime("%Y-%m-%d")]
    # Twice by the same reader is one output that was read again.
    program("retrieve", done["token"])
    program("retrieve", done["token"], "--head", "1")
    found = gain(program)
    assert found["readAgain"] == 1
    assert found["readAgainBytes"] == len(LONG + SECRET) + len(b"a line of a build\n")
    text = program.text("gain", "--days", "1")
    assert text.startswith("Kept out of prompts in the last 1 day: ")
    assert "\nRead again: 1 of them, 180.0 KB.\n" in text
    for name in files(program):
        assert b"hunter2" not in (program.folder / ".max" / name).read_bytes()
        assert (program.folder / ".max" / name).stat().st_mode & 0o77 == 0


def test_both_streams(program):
    code = "import sys; print('x' * 5000); print('y' * 7000, file=sys.stderr)"
    limits = ["--max-stdout-bytes", "1KiB", "--max-stderr-bytes", "1KiB"]
    program("exec", *limits, "--", sys.executable, "-c", code)
    assert gain(program)["originalBytes"] == 12_002


@pytest.mark.parametrize("how", ["setting", "variable"])
def test_turned_off(program, monkeypatch, how):
    if how == "setting":
        (program.folder / ".max" / "config.toml").write_text("gain = false\n")
    else:
        monkeypatch.setenv("MAX_GAIN", "0")
    done = json.loads(program.text("truncate", "--max-bytes", "1KiB", "-o", "json", stdin=LONG))
    program("retrieve", done["token"])
    assert files(program) == []


def test_what_was_not_kept_counts_nothing(program):
    program("truncate", "--max-bytes", "1KiB", "--keep", "never", stdin=LONG)
    assert gain(program)["outputs"] == 0


def test_a_log_that_is_not_ours_is_passed_over(program):
    note_cut(str(program.folder), "exec", "a\tb\nc\x1b[31m" + "x" * 1000, 100, 10, "a1b2c3d4")
    with (program.folder / ".max" / "gain.log").open("ab") as log:
        log.write(
            b"\n\xff\xfe\t\t\n1\tcut\n9\tcut\tx\t-1\t5\ta\tb\tc\n"
            + b"1" * 30
            + b"\tagain\tx\t1\n1\tagain\ta1b2c3d4\t7"
        )
    found = gain(program)
    assert (found["outputs"], found["keptOutBytes"], found["readAgainBytes"]) == (1, 90, 7)
    assert "\x1b" not in program.text("gain")


def test_damaged_counters_are_told(program):
    note_cut(str(program.folder), "exec", "a", 100, 10, "a1b2c3d4")
    (program.folder / ".max" / "gain.sqlite3").write_bytes(b"no database " * 1000)
    assert "delete it to start anew" in program.fails("gain")
    program("truncate", "--max-bytes", "1KiB", stdin=LONG)
    program("stage", "gc")


def test_a_log_that_cannot_be_written_harms_nothing(program):
    (program.folder / ".max" / "gain.log").mkdir()
    done = json.loads(program.text("truncate", "--max-bytes", "1KiB", "-o", "json", stdin=LONG))
    assert program("retrieve", done["token"]).stdout == LONG


def test_a_link_is_not_followed(program, tmp_path):
    (program.folder / ".max" / "gain.log").symlink_to(tmp_path / "elsewhere")
    program("truncate", "--max-bytes", "1KiB", stdin=LONG)
    assert not (tmp_path / "elsewhere").exists()


def test_the_log_is_bounded(program):
    log = program.folder / ".max" / "gain.log"
    with log.open("wb") as file:
        file.truncate(MOST_LOG)
    note_cut(str(program.folder), "exec", "a", 100, 10, "a1b2c3d4")
    assert log.stat().st_size == MOST_LOG


def test_a_sweep_moves_a_large_log(program):
    store = Store.open(program.folder)
    while not (program.folder / ".max" / "gain.log").exists() or (
        (program.folder / ".max" / "gain.log").stat().st_size < WORTH_MOVING
    ):
        note_again(store.layout.project, "a1b2c3d4", 1)
    program("stage", "gc")
    assert files(program) == ["gain.lock", "gain.sqlite3"]


KILLED = """
import os, sys
from maxstage.store import gain_book
left = int(sys.argv[2])
def trace(frame, event, arg):
    global left
    if frame.f_code.co_name in {"_move", "_count"}:
        left -= event == "line"
        if left < 0:
            os.kill(os.getpid(), 9)
        return trace
sys.settrace(trace)
gain_book.Book(sys.argv[1]).move()
"""
"""Counts, and is killed at the given line of what moves the log."""


def test_killed_while_counting_nothing_is_counted_twice(program):
    base = program.folder / ".max"
    at, ended = 0, None
    while ended != 0:
        for path in base.glob("gain.*"):
            path.unlink()
        note_cut(str(program.folder), "exec", "a", 100, 10, "a1b2c3d4")
        ended = subprocess.run([sys.executable, "-c", KILLED, str(base), str(at)]).returncode
        note_cut(str(program.folder), "exec", "a", 100, 10, "a1b2c3d5")
        assert Book(str(base)).sums(())[0][0] == 2
        at += 1
    assert at > 15


def test_many_write_while_one_counts(program):
    base = str(program.folder / ".max")
    code = (
        "import sys; from maxstage.store.gain import note_cut\n"
        "for n in range(2000): note_cut(sys.argv[1], 'exec', 'a', 100, 10, f'{n:08x}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(program.folder)]) for _ in range(3)]
    with beside(lambda: [writer.wait(PATIENCE) for writer in writers]):
        counted = [Book(base).sums(()) for _ in range(5)]
    assert counted == sorted(counted)
    # A line that is written in the very moment in which the log is deleted may be missed.
    assert 5990 <= Book(base).sums(())[0][0] <= 6000


def test_days(program):
    log = program.folder / ".max" / "gain.log"
    now = int(time.time())
    with log.open("w") as file:
        for days, size in ((0, 1000), (3, 200), (500, 7)):
            file.write(f"{now - days * 86400}\tcut\t{size:08x}\t{size}\t0\texec\t-\tmake\n")
    assert [gain(program, "--days", str(days))["keptOutBytes"] for days in (1, 3, 4)] == [1000, 1000, 1200]
    assert gain(program)["keptOutBytes"] == 1200  # 500 days are too long ago
    assert "--days" in program.fails("gain", "--days", "0", code=2)


def test_from_python(store):
    fd = spooled(LONG)
    try:
        done = bound(fd, Limits(max_stdout_bytes=2048), store, task_id="mine")
    finally:
        os.close(fd)
    note(done, "tool", "framework")
    (row,) = Book(store.layout.base).sums(("command", "client", "source"))
    assert row[:6] == ("tool", "framework", "mine", 1, len(LONG), len(done.content))


def test_looking_for_lines_of_it_is_reading_it_again(program):
    done = json.loads(program.text("truncate", "--max-bytes", "1KiB", "-o", "json", stdin=LONG + SECRET))
    assert program.text("retrieve", done["token"], "--grep", "hunter") == SECRET.decode()
    found = gain(program)
    assert (found["readAgain"], found["readAgainBytes"]) == (1, len(SECRET))


def test_results_that_the_gateway_keeps_out(program):
    server = (
        "import sys, json; request = json.loads(sys.stdin.readline())\n"
        "content = [{'type': 'text', 'text': 'a line\\n' * 9000}]\n"
        "print(json.dumps({'jsonrpc': '2.0', 'id': request['id'], 'result': {'content': content}}))"
    )
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "do", "arguments": {}}}
    words = ["mcp", "wrap", "--", sys.executable, "-c", server]
    answer = json.loads(program.text(*words, stdin=json.dumps(call).encode() + b"\n"))
    shown = answer["result"]["content"][0]["text"]
    found = gain(program)
    assert (found["outputs"], found["originalBytes"], found["shownBytes"]) == (1, 63_000, len(shown.encode()))
    assert found["by"]["command"][0]["command"] == "mcp wrap"
    assert found["by"]["source"][0]["source"] == f"{os.path.basename(sys.executable)}/do"


def test_what_prompts_hold(program):
    (program.folder / "flow.yaml").write_text(
        "name: f\nversion: 1\nagents: {a: {command: [cat]}}\ntasks:\n"
        "  long: {script: {content: seq 20000}, limits: {max_stdout_bytes: 4KiB}}\n"
        "  short: {script: {content: echo short}}\n"
        "  ask: {agent: a, description: say, inject_context: true, depends_on: [long, short]}\n"
    )
    program("run", "flow.yaml")
    found = gain(program)
    assert (found["outputs"], found["originalBytes"]) == (1, 108_894)
    assert 2048 < found["shownBytes"] <= 4096 + 256
    assert found["by"]["command"][0]["command"] == "run"
    assert found["by"]["source"][0]["source"] == "long"


@pytest.mark.parametrize("width", [120, 40])
def test_the_tables_fit(program, width):
    program("exec", "--", "seq", "200000")
    script = program.folder / ("很长的名字" * 10)
    script.write_text("#!/bin/sh\nseq 200000\n")
    script.chmod(0o755)
    program("exec", "--", f"./{script.name}")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": theirs}
    process = subprocess.Popen([*program.command, "gain"], cwd=program.folder, env=env, **pipes)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # so a terminal ends
        while data := os.read(ours, 65536):
            seen += data
    os.close(ours)
    assert process.wait() == 0
    lines = seen.decode().splitlines()[3:]
    assert max(map(cells, lines)) <= width
    assert any(line.startswith("很长的名字") and "…" in line for line in lines)
    if width == 40:
        assert lines[lines.index("seq") + 1] == "  1 output, 240.3 KB kept out"
    else:
        assert {cells(line) for line in lines if line} == {79}

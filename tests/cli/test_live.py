"""The live view: it holds, whatever is long, on whatever terminal."""

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from rich.cells import cell_len
from rich.console import Console

from helpers import Gate
from maxstage.cli import run_live
from maxstage.workflow.run.results import TaskResult
from maxstage.workflow.workflow import Event

NASTY = "e\x1b[31m\x07\n\r" + "宽🎉" * 300 + "x" * 5000


def event(kind, task=None, **data):
    return Event(kind, 0.0, task, data)


@pytest.fixture
def draw(monkeypatch):
    """Show events on a terminal of some size; return its lines."""

    def show(events, width, height):
        console = Console(
            file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False
        )
        monkeypatch.setattr(run_live, "_Terminal", lambda **_: console)
        watcher = run_live.LiveWatcher()
        try:
            for one in events:
                watcher(one)
            plain = Console(file=io.StringIO(), width=width, height=height, color_system=None)
            plain.print(watcher._draw())
        finally:
            watcher.close()
        return plain.file.getvalue().splitlines()

    return show


EVENTS = [
    event("run_started", run="r", workflow=NASTY),
    event("warning", text=NASTY),
    event("task_started", "a" * 200),
    event("task_finished", "a" * 200, result=TaskResult("failed", error=NASTY, tolerated=True)),
    event("task_started", "b"),
    event("task_retried", "b", attempt=1, delay=3.0, error=NASTY),
    event("loop_started", "宽" * 100, total=10**9),
    event("loop_progress", "宽" * 100, done=10**8, total=10**9),
    *(event("task_started", f"t{number}") for number in range(100)),
]


@pytest.mark.parametrize("width", [200, 80, 40, 20, 3])
@pytest.mark.parametrize("height", [50, 24, 5, 2])
def test_it_holds(draw, width, height):
    lines = draw(EVENTS, width, height)
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    assert len(lines) <= max(height, 3)
    if width >= 40 and height >= 24:
        assert any("b" in line and "waiting" in line for line in lines)
        assert any("more; in all " in line for line in lines)
        assert any(line.startswith("✗ a") and "failed" in line for line in draw(EVENTS[:8], width, height))


def test_waiting_is_not_said_of_what_is_not_tried_again(draw):
    failed = event("task_finished", "c", result=TaskResult("failed", error="no"))
    for end in (failed, event("stopping", now=False)):
        lines = draw([EVENTS[0], *EVENTS[4:6], event("task_started", "c"), end], 80, 24)
        assert not any("waiting" in line or "again in" in line for line in lines)
        assert any(line.startswith("- b") and "stopped" in line for line in lines)
    inner = event("task_finished", "g.c", result=TaskResult("failed", error="no"))
    lines = draw([EVENTS[0], *EVENTS[4:6], event("task_started", "g.c"), inner], 80, 24)
    assert any("b" in line and "waiting" in line for line in lines)


def test_what_failed_stays_in_sight(draw):
    many = [event("task_started", f"t{number}") for number in range(200)]
    bad = [
        event("task_started", "bad"),
        event("task_finished", "bad", result=TaskResult("failed", error="no")),
        *(event("task_finished", f"t{number}", result=TaskResult("completed")) for number in range(50)),
    ]
    for width in (80, 40):
        lines = draw([EVENTS[0], *many, *bad], width, 24)
        assert len(lines) == 24 - 1
        assert any(line.startswith("✗ bad") for line in lines)
        assert lines[-1].startswith("and 180 more; in all 150 going")
        assert (lines[-1] == "and 180 more; in all 150 going on, 51 ended, 1 failed") == (width == 80)


LONG = "a-task-with-a-name-" * 5
FLOW = """\
name: {long}
version: 1
tasks:
  {long}: {{script: {{content: '{wait}; echo {long} {long} >&2; exit 1'}}, on_error: {{continue: true}}}}
  b: {{script: {{content: "echo b"}}, depends_on: [{long}]}}
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """The program at work on a terminal, held up by a gate: what it shows is looked at step by step."""

    def __init__(self, program, width, **environment):
        self.gate = Gate(program.folder)
        (program.folder / "flow.yaml").write_text(FLOW.format(long=LONG, wait=self.gate.wait))
        unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM")
        env = {name: value for name, value in os.environ.items() if name not in unset}
        self._fd, theirs = pty.openpty()
        self.resize(width)
        self._process = subprocess.Popen(
            [*program.command, "run", "flow.yaml"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=program.folder,
            env={**env, "TERM": "xterm", **environment},
            start_new_session=True,
            # So that Ctrl-C is a signal; no thread of ours is at work here.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)

    def resize(self, width):
        """Make it another width; who runs on it is told as a terminal does it."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 12, width, 0, 0))
        if hasattr(self, "_process"):
            self._process.send_signal(signal.SIGWINCH)

    def frames(self, count):
        """Return the next so many pictures, each as its lines without colours."""
        text = ""
        while text.count("\r\x1b[2K\x1b[1A\x1b[2K") < count + 1:
            text += os.read(self._fd, 65536).decode(errors="replace")
        # Each begins with going to the first line of the one before.
        return [
            COLOUR.sub("", frame).split("\r\n")
            for frame in re.split(r"\r?(?:\x1b\[2K|\x1b\[1A)+", text)[1 : count + 1]
        ]

    def until(self, text):
        """Read until a text was shown; return all that was."""
        seen = ""
        while text not in seen:
            seen += os.read(self._fd, 65536).decode(errors="replace")
        return seen

    def press(self, keys):
        """Type something."""
        os.write(self._fd, keys)

    def signal(self, number):
        """Send a signal."""
        self._process.send_signal(number)

    def settings(self):
        """Return how the terminal is set: what it echoes, which keys send signals."""
        return termios.tcgetattr(self._fd)

    def rest(self, code=0):
        """Let the program end, and return what it shows until then."""
        self.gate.open()
        text = b""
        with contextlib.suppress(OSError):  # so a terminal ends
            while part := os.read(self._fd, 65536):
                text += part
        assert self._process.wait() == code
        os.close(self._fd)
        return text.decode()


@pytest.mark.parametrize(("width", "then"), [(80, 40), (40, 80)])
def test_it_fits_after_the_terminal_was_resized(program, width, then):
    terminal = Terminal(program, width)
    terminal.gate.reached()
    before = terminal.frames(3)[-1]
    terminal.resize(then)
    after = terminal.frames(6)[-1]
    for lines, columns in ((before, width), (after, then)):
        assert [len(line) <= columns for line in lines] == [True] * 2, lines
        # The first is as long as there is room.
        assert len(lines[0]) == columns
    rest = terminal.rest()
    assert LONG in rest  # in the table, in full
    assert rest.endswith(" s\r\n")


@pytest.mark.parametrize("width", [80, 40])
def test_without_colours(program, width):
    terminal = Terminal(program, width, NO_COLOR="1")
    terminal.gate.reached()
    assert "running" in terminal.frames(2)[-1][1]
    seen = terminal.rest()
    assert "✗" in seen
    assert not re.search(r"\x1b\[[0-9;]*[34][0-9]m", seen)


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_that_can_do_nothing(program, width):
    seen = Terminal(program, width, TERM="dumb").rest()
    assert "\x1b" not in seen
    assert seen.count(f"started    {LONG}\r\n") == 1
    assert seen.count("completed  b") == 1


@pytest.mark.parametrize("width", [120, 80])
def test_the_table_is_not_wider_than_it_must_be(program, width):
    """One long name does not move the columns of all other rows off the terminal."""
    seen = Terminal(program, width).rest()
    (row,) = (line for line in seen.splitlines() if line.startswith("b  "))
    assert len(row) <= width


def test_a_narrow_terminal_has_a_line_for_each_name(program):
    seen = Terminal(program, 40).rest()
    table = seen[seen.index(f"{LONG}\r\n") :].splitlines()
    assert table[1].startswith("  failed, tolerated  ")
    assert table[2] == "b"
    assert table[3].startswith("  completed  ")


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_the_terminal_as_it_was(program, times):
    terminal = Terminal(program, 80)
    before = terminal.settings()
    terminal.gate.reached()
    seen = terminal.until("running")
    for _ in range(times):
        terminal.press(b"\x03")
        if times == 2:
            seen += terminal.until("Ctrl-C again" if _ == 0 else "To resume: ")
    if times == 1:
        seen += terminal.until("Ctrl-C again")
    assert terminal.settings() == before
    seen += terminal.rest(130)
    assert "\x1b[?25l" not in seen  # the cursor is not hidden, so even who is killed leaves it
    assert seen.count("\x1b[?1049h") == 0
    if times == 2:
        assert f"interrupted: {LONG}" in seen
    else:
        assert "\nb\r\n" not in seen
        assert "not started" in seen

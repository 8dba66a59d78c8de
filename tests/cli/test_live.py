"""The live view: it holds, whatever is long, on whatever terminal."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

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
        monkeypatch.setattr(run_live, "Console", lambda **_: console)
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
        assert any("more, of which" in line for line in lines)
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

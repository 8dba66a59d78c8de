"""The live display of a run on a terminal: a line for each task, a bar for each loop."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from maxstage.cli.run_report import is_iteration, remarks, stopping_text
from maxstage.humanize import counted, format_seconds, format_size, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from maxstage.workflow.workflow import Event

_COLOURS = {
    "completed": "green",
    "failed": "red",
    "skipped": "dim",
    "interrupted": "yellow",
    "running": "cyan",
    "waiting": "yellow",
}
_SIGNS = {"completed": "✓", "failed": "✗", "skipped": "-", "waiting": "…", "interrupted": "!", "stopped": "-"}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PER_SECOND = 8
"""Redraws per second: smooth enough for a clock that shows tenths."""
_AROUND = 3
"""Lines of the terminal reserved for anything but tasks."""
_BAR = 24
_STATE, _SECONDS, _SIZE = 9, 8, 9
"""The widths of the short columns."""
_NARROW = 60
"""The width of a terminal below which sizes are omitted."""
_LONGEST = 500
"""The most characters of a name or an error: wider than any terminal."""


class _Row:
    """One task."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = printable(path, _LONGEST)
        self.state = "running"
        self.started = time.monotonic()
        self.seconds: float | None = None
        self.size = ""
        self.rest = ""
        self.done = 0
        self.total: int | None = None
        self.is_loop = False

    def line(self, name_width: int, width: int) -> Text:
        """Return its line, which always fits on one line of the terminal.

        Args:
            name_width: The width of the column for names.
            width: The width of the terminal.
        """
        colour = _COLOURS.get(self.state, "")
        now = time.monotonic()
        spinning = self.state == "running"
        sign = _SPINNER[int(now * _PER_SECOND) % len(_SPINNER)] if spinning else _SIGNS[self.state]
        seconds = format_seconds(now - self.started if self.seconds is None else self.seconds)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{sign} ", style=colour)
        line.append_text(_cell(self.name, name_width)).append("  ")
        line.append_text(_cell(self.state, _STATE, colour))
        line.append(f" {seconds:>{_SECONDS}}")
        if width >= _NARROW:
            line.append(f" {self.size:>{_SIZE}}")
        line.append("  ").append(self._rest())
        line.truncate(max(1, width), overflow="ellipsis")
        return line

    def _rest(self) -> str:
        if not self.is_loop or self.state != "running":
            return self.rest
        if self.total is None:
            return counted(self.done, "iteration")
        full = round(_BAR * min(1.0, self.done / max(1, self.total)))
        return f"{'━' * full}{'╌' * (_BAR - full)} {self.done:,}/{self.total:,}"


def _cell(text: str, width: int, style: str = "") -> Text:
    """Return text cut or padded to exactly `width` columns, whatever the width of its characters."""
    cell = Text(text, style=style)
    cell.truncate(width, overflow="ellipsis", pad=True)
    return cell


class _Terminal(Console):
    """A terminal whose cursor is never hidden: who is killed, or stopped by Ctrl-Z, can't show it again."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - as rich calls it
        """Leave it as it is."""
        return False


class LiveWatcher:
    """Shows the current state of the tasks; those that don't fit on the screen are counted."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._notes: list[str] = []
        self._title = ""
        self._console = _Terminal(stderr=True)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )
        self._live.start()

    def close(self) -> None:
        """Remove the display; the final table follows."""
        self._live.stop()
        for note in self._notes:
            self._console.print(note, markup=False, highlight=False)

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        task, data = event.task or "", event.data
        if event.kind == "run_started":
            self._title = printable(f"run {data['run']} of {data['workflow']}", _LONGEST)
        elif event.kind == "warning":
            self._notes.append(printable(f"warning: {data['text']}"))
        elif event.kind == "stopping":
            self._notes.append(stopping_text(now=data["now"]))
            self._not_again("")
        elif task and not is_iteration(task):
            self._update(task, event.kind, data)

    def _update(self, task: str, kind: str, data: dict[str, Any]) -> None:
        # Replaced, not changed in place, since another thread may be drawing it.
        if task not in self._rows:
            self._rows = {**self._rows, task: _Row(task)}
        row = self._rows[task]
        if kind == "task_started":
            row.state = "running"
        elif kind == "loop_started":
            row.is_loop, row.total = True, data["total"]
        elif kind == "loop_progress":
            row.done = data["done"]
        elif kind == "task_retried":
            row.state = "waiting"
            row.rest = printable(f"again in {data['delay']:g} s: {data['error']}", _LONGEST)
        elif kind == "task_finished":
            result = data["result"]
            row.seconds = time.monotonic() - row.started
            row.state = result.status
            said = remarks(result) if not result.tolerated else f"{result.state}: {remarks(result)}"
            row.rest = printable(said, _LONGEST)
            row.size = "" if result.output is None else format_size(result.output.original_size)
            if not result.is_final:
                self._not_again(task.rpartition(".")[0])

    def _not_again(self, around: str) -> None:
        """Mark the waiting tasks within a task, or within the run (``""``), as stopped: they won't be retried."""
        for row in self._rows.values():
            if row.state == "waiting" and row.path.startswith(f"{around}." if around else ""):
                row.state, row.seconds = "stopped", time.monotonic() - row.started
                row.rest = row.rest.partition(": ")[2]

    def _draw(self) -> RenderableType:
        width, height = self._console.size
        rows = list(self._rows.values())
        notes = self._notes[-max(0, min(3, height - _AROUND - 1)) :] if height > _AROUND + 1 else []
        chosen = _chosen(rows, max(1, height - _AROUND - len(notes)))
        name_width = min(max(8, width // 3), max((Text(row.name).cell_len for row in chosen), default=1))
        parts = [Text(self._title, style="bold"), *(row.line(name_width, width) for row in chosen)]
        if len(chosen) < len(rows):
            parts.append(Text(_told(rows, len(rows) - len(chosen))))
        parts += [Text(note, style="yellow") for note in notes]
        for part in parts:
            part.no_wrap = True
            part.truncate(max(1, width), overflow="ellipsis")
        return Group(*parts)


def _chosen(rows: list[_Row], room: int) -> list[_Row]:
    """Return the tasks that are shown, in the order in which they began: what failed, what goes on, what ended last."""
    failed = [row for row in rows if row.state == "failed"]
    active = [row for row in rows if row.seconds is None]
    others = [row for row in rows if row.seconds is not None and row.state != "failed"]
    shown = failed[: max(1, room // 3)] if len(rows) > room else failed
    shown = [*shown, *active[: max(0, room - len(shown))]]
    left = room - len(shown)
    shown += others[-left:] if left else []
    known = {id(row) for row in shown}
    return [row for row in rows if id(row) in known]


def _told(rows: list[_Row], hidden: int) -> str:
    """Return how all tasks stand, where some are hidden."""
    count = Counter("ended" if row.seconds is not None else "going on" for row in rows)
    failed = sum(row.state == "failed" for row in rows)
    of_all = [f"{count[name]:,} {name}" for name in ("going on", "ended") if count[name]]
    return f"and {hidden:,} more; in all {', '.join(of_all)}" + (f", {failed:,} failed" if failed else "")

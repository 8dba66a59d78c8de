"""The live display of a run on a terminal: a line a task, bars for loops."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from maxstage.cli.run_report import format_seconds, is_iteration, remarks, state_of, stopping_text
from maxstage.store.wording import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from maxstage.workflow.workflow import Event

_COLOURS = {"completed": "green", "failed": "red", "skipped": "dim", "running": "cyan", "waiting": "yellow"}
_SIGNS = {"completed": "✓", "failed": "✗", "skipped": "-", "waiting": "…"}
_PER_SECOND = 8
"""Redraws a second: smooth enough for a clock that shows tenths."""
_AROUND = 4
"""Lines of the terminal that are left to what is not a task."""
_BAR = 24


class _Row:
    """One task."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.state = "running"
        self.started = time.monotonic()
        self.seconds: float | None = None
        self.size = ""
        self.rest = ""
        self.done = 0
        self.total: int | None = None
        self.is_loop = False
        self.spinner = Spinner("dots")

    def cells(self) -> list[RenderableType]:
        """Return what its line shows."""
        colour = _COLOURS.get(self.state, "")
        sign: RenderableType = (
            self.spinner if self.state == "running" else Text(_SIGNS[self.state], style=colour)
        )
        seconds = time.monotonic() - self.started if self.seconds is None else self.seconds
        return [
            sign,
            Text(self.path),
            Text(self.state, style=colour),
            format_seconds(seconds),
            self.size,
            self._rest(),
        ]

    def _rest(self) -> RenderableType:
        if not self.is_loop or self.state != "running":
            return Text(self.rest, overflow="ellipsis", no_wrap=True)
        if self.total is None:
            return Text(f"{self.done:,} iterations")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(1, self.total), completed=self.done, width=_BAR),
            f"{self.done:,}/{self.total:,}",
        )
        return bar


class LiveWatcher:
    """Shows the tasks as they are; what does not fit on the screen is counted."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._notes: list[str] = []
        self._title = ""
        self._console = Console(stderr=True)
        self._live = Live(
            get_renderable=self._draw, console=self._console, refresh_per_second=_PER_SECOND, transient=True
        )
        self._live.start()

    def close(self) -> None:
        """Take the display away; the final table follows."""
        self._live.stop()
        for note in self._notes:
            self._console.print(note, markup=False, highlight=False)

    def __call__(self, event: Event) -> None:
        """Take notice of an event."""
        task, data = event.task or "", event.data
        if event.kind == "run_started":
            self._title = f"run {data['run']} of {data['workflow']}"
        elif event.kind == "warning":
            self._notes.append(f"warning: {data['text']}")
        elif event.kind == "stopping":
            self._notes.append(stopping_text(now=data["now"]))
        elif task and not is_iteration(task):
            self._update(task, event.kind, data)

    def _update(self, task: str, kind: str, data: dict[str, Any]) -> None:
        # A dict that grows while the other thread draws it must not be changed in place.
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
            row.state, row.rest = "waiting", f"again in {data['delay']:g} s: {data['error']}"
        elif kind == "task_finished":
            result = data["result"]
            row.seconds = time.monotonic() - row.started
            row.state = result.status
            row.rest = remarks(result) if not result.tolerated else f"{state_of(result)}: {remarks(result)}"
            row.size = "" if result.output is None else format_size(result.output.original_size)

    def _draw(self) -> RenderableType:
        rows = list(self._rows.values())
        room = max(1, self._console.height - _AROUND - len(self._notes))
        active = [row for row in rows if row.seconds is None]
        ended = [row for row in rows if row.seconds is not None]
        shown_ended = ended[max(0, len(ended) - max(0, room - len(active))) :] if len(active) < room else []
        shown = {id(row) for row in [*shown_ended, *active[:room]]}
        grid = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "left", "right", "right", "left"):
            grid.add_column(justify=justify, no_wrap=True)
        for row in rows:
            if id(row) in shown:
                grid.add_row(*row.cells())
        parts: list[RenderableType] = [Text(self._title, style="bold"), grid]
        if len(shown) < len(rows):
            parts.append(
                Text(f"and {len(rows) - len(shown):,} more, of which {len(ended) - len(shown_ended):,} ended")
            )
        parts += [Text(note, style="yellow") for note in self._notes[-3:]]
        return Group(*parts)

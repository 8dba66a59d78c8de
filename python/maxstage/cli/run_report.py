"""The output of a run for people: plain lines while it runs, and a table at the end."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from maxstage.cli.printing import warn
from maxstage.humanize import cells, counted, format_seconds, format_size, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.unfinished import Unfinished
    from maxstage.workflow.workflow import Event

_LONGEST = 500
"""The most characters of an error that are shown."""
_LONGEST_NAME = 120
"""The most characters of a task's path that are shown."""
_NARROW = 60
"""Columns of a terminal below which a row of the table has no room."""
_NARROWEST = 8
"""The columns that names of tasks have at least."""
_MOST_UNFINISHED = 10
"""Tasks without a result that the table names, apart from those that wait for an answer; JSON has all."""
_EVERY = 5.0
"""Seconds between two progress lines of a loop."""


class Watcher(Protocol):
    """Follows a run."""

    def __call__(self, event: Event) -> None:
        """Handle an event."""

    def close(self) -> None:
        """Stop, before anything else is printed."""


def is_iteration(path: str) -> bool:
    """Return whether a path is that of a loop's iteration, or of a task within one."""
    return "[" in path


def remarks(result: TaskResult, *, with_cache: bool = False) -> str:
    """Return further information: why it failed, whether its output was cut, and where the full output is.

    Args:
        result: How a task ended.
        with_cache: Whether to tell from which run it was taken, or why from none.
    """
    parts = [result.error] if result.error else []
    if result.pruned:
        parts.append("output pruned")
    if result.cache and with_cache:
        parts.append(result.cache if result.cached else f"not cached: {result.cache}")
    output = result.output
    if output is not None and output.truncated and not result.pruned:
        parts.append(f"truncated, full output: {output.token}" if output.token else "truncated")
    elif output is not None and output.token is not None:
        parts.append(output.token)
    return printable("; ".join([*parts, *(() if output is None else output.warnings)]), _LONGEST)


def table(rows: Iterable[tuple[str, TaskResult]], *, with_cache: bool = False) -> list[str]:
    """Return the final table, a line for each task.

    Args:
        rows: The tasks and how they ended.
        with_cache: Whether to tell from which run each was taken, or why from none.

    On a terminal a long name moves its own row only, and not the columns of all others off the screen. On a narrow one
    each name has a line of its own.
    """
    found = [("TASK", "STATE", "TIME", "OUTPUT", "")]
    for path, result in rows:
        output = result.output
        seconds = "" if output is None or output.duration is None else format_seconds(output.duration)
        size = "" if output is None else format_size(output.original_size)
        found.append(
            (
                printable(path, _LONGEST_NAME),
                result.state,
                seconds,
                size,
                remarks(result, with_cache=with_cache),
            )
        )
    widths = [max(cells(row[column]) for row in found) for column in range(4)]
    if sys.stdout is not None and sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        if columns < _NARROW:
            return [line for row in found[1:] for line in _in_two_lines(*row)]
        widths[0] = min(widths[0], max(_NARROWEST, columns // 2))
    names = [path + " " * (widths[0] - cells(path)) for path, *_ in found]
    return [
        f"{name}  {state:<{widths[1]}}  {seconds:>{widths[2]}}  {size:>{widths[3]}}  {rest}".rstrip()
        for name, (_, state, seconds, size, rest) in zip(names, found, strict=True)
    ]


def _in_two_lines(path: str, state: str, seconds: str, size: str, rest: str) -> tuple[str, str]:
    return path, f"  {'  '.join(text for text in (state, seconds, size, rest) if text)}"


def table_with_unfinished(
    rows: Iterable[tuple[str, TaskResult]], left: Sequence[Unfinished], *, with_cache: bool = False
) -> list[str]:
    """Return the table with what has no result at its end; what waits for an answer is always named."""
    from maxstage.workflow.run.results import WAITING, TaskResult

    waiting = sum(one.state == WAITING for one in left)
    shown = left[: waiting + _MOST_UNFINISHED]
    more = [(one.task, TaskResult(one.state, error=one.note)) for one in shown]
    lines = table([*rows, *more], with_cache=with_cache)
    if len(left) > len(shown):
        lines.append(f"and {counted(len(left) - len(shown), 'task')} more without a result")
    return lines


class PlainWatcher:
    """Prints a line for each task that starts or ends, for logs, and optionally the metrics from time to time."""

    def __init__(self, *, metrics: bool = False, say: Callable[[str], None] = warn) -> None:
        self._say = say
        self._next: dict[str, float] = {}
        self._metrics = metrics

    def __call__(self, event: Event) -> None:
        """Print a line, if the event is worth one."""
        line = self._line(event)
        if line is not None:
            self._say(printable(line, 2 * _LONGEST))

    def close(self) -> None:
        """Do nothing: every line has been printed."""

    def _line(self, event: Event) -> str | None:
        task, data = event.task or "", event.data
        if event.kind == "loop_progress":
            return self._progress(task, data["done"], data["total"])
        if event.kind == "metrics":
            return f"metrics    {metrics_line(data)}" if self._metrics else None
        if event.kind == "task_finished":
            return self._finished(task, data["result"], resumed=data.get("resumed", False))
        lines = {
            "run_started": "run {run} of {workflow}",
            "warning": "warning: {text}",
            "task_retried": "retried    {task}  in {delay:g} s, after: {error}",
            "task_waiting": "waiting    {task}  {prompt}",
            "task_started": None if is_iteration(task) else "started    {task}",
            "stopping": stopping_text(now=data.get("now", False)),
        }
        line = lines.get(event.kind)
        return None if line is None else line.format(task=task, **data)

    def _progress(self, task: str, done: int, total: int | None) -> str | None:
        now = time.monotonic()
        if now < self._next.setdefault(task, now + _EVERY):
            return None
        self._next[task] = now + _EVERY
        of = counted(done, "iteration") if total is None else f"{done:,} of {counted(total, 'iteration')}"
        return f"running    {task}  {of}"

    def _finished(self, task: str, result: TaskResult, *, resumed: bool) -> str | None:
        if is_iteration(task) and result.status not in {"failed", "interrupted"}:
            return None
        size = "" if result.output is None else f"  {format_size(result.output.original_size)}"
        rest = remarks(result)
        state = "cached" if result.cached else result.status
        return f"{state:<10} {task}{' (earlier)' if resumed else ''}{size}{f'  {rest}' if rest else ''}"


def metrics_line(metrics: dict[str, Any]) -> str:
    """Return the metrics of a run as one line."""
    return (
        f"{counted(metrics['outputs'], 'output')}, {format_size(metrics['held_bytes'])} held, "
        f"{metrics['truncated']:,} truncated, {metrics['pruned']:,} pruned, "
        f"{counted(metrics['context_tokens'], 'LLM token')} in {counted(metrics['prompts'], 'prompt')}"
    )


def stopping_text(*, now: bool) -> str:
    """Return the message for a run that is asked to stop."""
    if now:
        return "stopping now: running programs are ended"
    return "stopping: running programs may finish; Ctrl-C again ends them now"

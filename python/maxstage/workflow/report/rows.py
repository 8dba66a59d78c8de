"""What the page tells of each task, without the whole of its output."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage._backend import core
from maxstage.errors import Error, describe
from maxstage.workflow.report.states import CACHED, SHOWN, TOLERATED
from maxstage.workflow.run.paths import around, container_of, is_iteration, spec_path
from maxstage.workflow.run.results import COMPLETED, FAILED
from maxstage.workflow.run.unfinished import plan_of, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.results import Ended, TaskResult
    from maxstage.workflow.run.state import RunState
    from maxstage.workflow.run.unfinished import Unfinished

_MOST_ROWS = 2500
"""The most tasks that are listed: of more, most are iterations that nobody reads one by one."""
_LOOKED_AT = 16 * 1024
"""Bytes at the end of an output in which its last lines are looked for."""
_LINE = 240
"""Characters of a line that are shown."""
_LINES_OF_FAILED, _LINES = 14, 6
"""Lines that are shown of what a failed task printed, and of any other."""
_ALL_EXCERPTS = 2_000_000
"""Characters of excerpts in a page; tasks beyond that have none."""


class Row(NamedTuple):
    """A task that has ended.

    Attributes:
        path: Its path.
        state: How it ended: one of `maxstage.workflow.report.states.SHOWN`.
        error: Why it failed.
        start: When it began, Unix time in seconds.
        end: When it ended.
        seconds: How long it took; None if that is not known.
        size: The bytes that it printed; None if it has no output.
        stream: Where the excerpt is from: ``stderr`` or ``stdout``.
        excerpt: The last lines of what it printed.
        token: The token of all that it printed, or None.
        dropped: Bytes that the excerpt's output lacks.
        remarks: What else there is to say.
        parts: How many iterations it had.
    """

    path: str
    state: str
    error: str | None
    start: float
    end: float
    seconds: float | None
    size: int | None
    stream: str = ""
    excerpt: str = ""
    token: str | None = None
    dropped: int = 0
    remarks: tuple[str, ...] = ()
    parts: int = 0


class Run(NamedTuple):
    """What the page tells of a run.

    Attributes:
        run_id: The run.
        facts: Its facts.
        plan: The tasks of its file, by path; empty if they are not known.
        states: How each task and iteration stands, by path: those that have ended, and those in `left`.
        rows: Those that are listed, in the order in which they began.
        left: What has no result.
        below: How the tasks within a task of the file ended, or the iterations of a loop: states, counted.
    """

    run_id: str
    facts: dict[str, Any]
    plan: dict[str, dict[str, Any]]
    states: dict[str, str]
    rows: list[Row]
    left: list[Unfinished]
    below: dict[str, Counter[str]]

    @property
    def counts(self) -> Counter[str]:
        """How the tasks stand, without iterations."""
        return Counter(state for path, state in self.states.items() if "[" not in path)

    @property
    def iterations(self) -> int:
        """The number of iterations that have ended."""
        return sum(map(is_iteration, self.states))


def read(state: RunState, workflow: ValidWorkflow | None) -> Run:
    """Read what the page tells of a run.

    Args:
        state: The run.
        workflow: Its file as it is now, for runs that recorded no plan; None if there is none.

    Raises:
        WorkflowError: The run is damaged.
    """
    ended = state.ended()
    states = {path: _outcome(status, ended[path]) for path, status in state.statuses().items()}
    left = unfinished(state)
    iterations = Counter(path[: path.rindex("[")] for path in states if is_iteration(path))
    room = _ALL_EXCERPTS
    rows = []
    for path in _chosen(states):
        row = _row(state, path, states[path], ended[path], iterations[path], room)
        room -= len(row.excerpt)
        states[path] = row.state
        rows.append(row)
    rows.sort(key=lambda row: (row.start, row.end))
    plan = state.plan() or ({} if workflow is None else plan_of(workflow))
    states |= {one.task: one.state for one in left}
    return Run(state.run_id, state.facts(), plan, states, rows, left, _below(states))


def _outcome(status: str, ended: Ended) -> str:
    return TOLERATED if status == FAILED and ended.is_final else status


def _chosen(states: Mapping[str, str]) -> list[str]:
    """Return the paths to list: what failed takes precedence, and tasks over iterations."""
    order = list(SHOWN)

    def key(path: str) -> tuple[bool, bool, int]:
        return order.index(states[path]) >= order.index(COMPLETED), "[" in path, path.count("[")

    return sorted(states, key=key)[:_MOST_ROWS]


def _row(state: RunState, path: str, outcome: str, ended: Ended, parts: int, room: int) -> Row:
    try:
        result = state.find(path)
    except (Error, OSError) as error:
        # What is damaged, or missing, is the output in the store. That must not hide all the rest.
        return _without_output(path, outcome, ended, f"its output can't be read: {describe(error)}")
    if result is None:
        return _without_output(path, outcome, ended, "its result is gone")
    output = result.output
    seconds = None if output is None or result.cached else output.duration
    stream, excerpt = ("", "") if output is None else _excerpt(output, failed=result.status != COMPLETED)
    return Row(
        path,
        CACHED if result.cached else outcome,
        result.error,
        ended.time - (seconds or 0.0),
        ended.time,
        seconds,
        None if output is None else output.original_size,
        stream,
        excerpt[-max(0, room) :] if room > 0 else "",
        None if output is None else output.token,
        0 if output is None else output.dropped_bytes,
        _remarks(result, is_loop=bool(parts)),
        parts,
    )


def _without_output(path: str, outcome: str, ended: Ended, why: str) -> Row:
    return Row(path, outcome, None, ended.time, ended.time, None, None, remarks=(why,))


def _remarks(result: TaskResult, *, is_loop: bool) -> tuple[str, ...]:
    parts = []
    if result.attempts > 1 and not is_loop:  # those of a loop are its iterations
        parts.append(f"{result.attempts:,} attempts")
    if result.cache:
        parts.append(result.cache if result.cached else f"not cached: {result.cache}")
    if result.pruned:
        parts.append("its output was pruned")
    if result.output is not None:
        parts += result.output.warnings
    return tuple(parts)


_BLANKS = re.compile(r"\n{3,}")


def _excerpt(output: TaskOutput, *, failed: bool) -> tuple[str, str]:
    """Return which stream the last lines are of, and these: of stderr if it failed and said anything there."""
    most = _LINES_OF_FAILED if failed else _LINES
    err = output.stderr
    if err is not None and err.content.strip() and (failed or not output.content.strip()):
        return "stderr", _last_lines(err.content, most)
    return output.output_type, _last_lines(output.content, most)


def _last_lines(content: bytes, most: int) -> str:
    """Return the last lines of an output, as a terminal would show them."""
    plain = core.Plain()
    text = (plain.feed(content[-_LOOKED_AT:]) + plain.finish()).decode("utf-8", "replace")
    if len(content) > _LOOKED_AT:
        text = text.partition("\n")[2] or text
    lines = _BLANKS.sub("\n\n", text).rstrip().split("\n")[-most:]
    return "\n".join(line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in lines)


def _below(states: Mapping[str, str]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for path, state in states.items():
        *outer, spec = around(spec_path(path))
        for within in (*outer, spec) if is_iteration(path) else outer:
            found.setdefault(within, Counter())[state] += 1
    return found


def command_to_read(row: Row) -> str | None:
    """Return the command that prints all of what a task printed, if it is kept."""
    return None if row.token is None else f"max retrieve {row.token}"


def around_others(paths: Iterable[str]) -> set[str]:
    """Return the tasks around others: the groups and loops that these are in, and their iterations.

    >>> sorted(around_others(["a[2].b", "c"]))
    ['a', 'a[2]']
    """
    found: set[str] = set()
    for path in paths:
        outer = container_of(path)
        while outer and outer not in found:
            found.add(outer)
            outer = container_of(outer)
    return found

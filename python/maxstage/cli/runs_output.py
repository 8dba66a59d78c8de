"""``max runs output``."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from maxstage.cli.options import output_option, pass_project
from maxstage.cli.printing import print_json, warn, write_all
from maxstage.cli.types import CountType
from maxstage.errors import WorkflowError
from maxstage.humanize import counted, format_size, printable

if TYPE_CHECKING:
    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.state import RunState

_ON_TERMINAL = 64 * 1024
"""Bytes that a terminal is shown: some thousand lines, more than anybody scrolls back through."""
_LONGEST = 120
"""The most characters of a name that an error quotes."""


@click.command(
    "runs output",
    epilog="""\b
Examples:
  max runs output 20261121-094500-a1b2c3 fetch | wc -l
  max runs output 20261121-094500-a1b2c3 "build[2].compile" --stderr
  max runs output 20261121-094500-a1b2c3 fetch --attempt 1""",
)
@click.argument("run_id", metavar="RUN")
@click.argument("task")
@click.option("--stderr", is_flag=True, help="What it printed on stderr.")
@click.option(
    "--attempt", type=CountType(min=1), metavar="N", help="What it printed the Nth time (default: the last)."
)
@click.option("--excerpt", is_flag=True, help="What was kept within its limits, even if the whole is there.")
@output_option
@pass_project
def runs_output(
    store: Store, run_id: str, task: str, stderr: bool, attempt: int | None, excerpt: bool, output: str
) -> None:
    """Print all that a TASK of a run printed; on a terminal only the first and last of it.

    The last three earlier attempts, those before a retry or --rerun, are kept, too.
    """
    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.state import RunState

    state = RunState(runs_folder(store), run_id)
    try:
        result, number = _found(state, task, attempt)
    finally:
        state.close()
    if output == "json":
        whole = None if result.output is None else result.output.to_dict()
        print_json({"run": run_id, "task": task, "attempt": number, **result.to_dict(), "output": whole})
        return
    part = _part(result, task, stderr=stderr)
    if excerpt or not part.truncated:
        _print(part.content)
    elif sys.stdout is not None and sys.stdout.isatty():
        _print(part.content)
        where = f"; all of it: max retrieve {part.token}" if part.token else ""
        warn(f"{counted(part.original_size, 'byte')} were printed{where}")
    else:
        _print_whole(store, part, task)


def _found(state: RunState, task: str, attempt: int | None) -> tuple[TaskResult, int]:
    """Return the result of a task, and the number of the attempt.

    Raises:
        WorkflowError: There is none.
    """
    earlier = state.count_attempts(task)
    result = state.find(task)
    newest = earlier + (result is not None)
    shown = printable(task, _LONGEST)
    if attempt is not None and attempt <= earlier:
        result = state.find_attempt(task, attempt)
    elif attempt is not None and newest and attempt != newest:
        raise WorkflowError(f"task '{shown}' was not done {attempt} times, but {counted(newest, 'time')}")
    elif result is None and earlier:
        result, newest = state.find_attempt(task, earlier), earlier
    if result is None:
        near = difflib.get_close_matches(task, state.paths(), 1)
        hint = f"; did you mean '{printable(near[0], _LONGEST)}'?" if near else ""
        raise WorkflowError(f"no task '{shown}' has ended in run {state.run_id}{hint}")
    return result, attempt or newest


def _part(result: TaskResult, task: str, *, stderr: bool) -> TaskOutput:
    """Return what a task printed.

    Raises:
        WorkflowError: Nothing is kept of it.
    """
    from maxstage.workflow.execution.outputs import gone

    output = result.output
    shown = printable(task, _LONGEST)
    if result.pruned:
        raise gone(shown, "it was pruned")
    if output is None:
        why = f": {result.error}" if result.error else ""
        raise WorkflowError(f"task '{shown}' has no output: it was {result.status}{why}")
    if not stderr:
        return output
    return (
        output.replace(content=b"", original_size=0, truncated=False)
        if output.stderr is None
        else output.stderr
    )


def _print(content: bytes) -> None:
    from maxstage.output.truncation import truncate

    if sys.stdout is not None and sys.stdout.isatty() and len(content) > _ON_TERMINAL:
        write_all(1, truncate(content, _ON_TERMINAL, "both").content, "<stdout>")
        warn(f"{format_size(len(content))} in all; in a pipe, all of it is printed")
        return
    write_all(1, content, "<stdout>")


def _print_whole(store: Store, part: TaskOutput, task: str) -> None:
    from maxstage.workflow.execution.outputs import gone, open_full, reading, why_not_kept

    if part.token is None:
        raise gone(task, f"{why_not_kept(part)}; --excerpt prints what is left")
    with reading(task), open_full(store, part) as opened:
        opened.copy_to(1, "<stdout>")

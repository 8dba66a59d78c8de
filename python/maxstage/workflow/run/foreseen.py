"""What an agent's task would be given before anything of its file has run, or before it has ended in a run."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from maxstage.output.task_output import TaskOutput
from maxstage.workflow.format.graph import in_order
from maxstage.workflow.run.paths import spec_path
from maxstage.workflow.run.results import COMPLETED, Ended, TaskResult
from maxstage.workflow.run.task_context import budget_of, context_for

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from maxstage.context.selection import Selection
    from maxstage.output.limits import Limits
    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.format.valid import ValidWorkflow

_ROOM = 1 << 40
"""Bytes that a prompt may have where sizes are not known: none is left out for its size."""


def resolver(path: str, known: Container[str]) -> Callable[[str], str | None]:
    """Return what finds the task that a name means within a task: among its siblings first, then further out."""

    def resolve(name: str) -> str | None:
        around = path
        while around:
            around = around.rpartition(".")[0]
            found = f"{around}.{name}" if around else name
            if found in known:
                return found
        return None

    return resolve


def selection_of_file(
    workflow: ValidWorkflow, path: str, limits: Limits, limits_of: Callable[[str], Limits]
) -> Selection:
    """Choose what a task would be given if all before it had printed something, one task after the other.

    Args:
        workflow: The file.
        path: The task, which takes context; maybe within an iteration, like ``build[2].write``.
        limits: Its limits.
        limits_of: Returns the limits of a task.
    """
    now = time.time()
    ended = {
        one: Ended(now + number / 1e6, now, 1, has_output=True, is_final=True)
        for number, one in enumerate(_before(workflow, path))
    }
    budget = budget_of(workflow.tasks[spec_path(path)], workflow.spec.context, limits, resolver(path, ended))
    budget = dataclasses.replace(budget, max_bytes=_ROOM, max_tokens=None)

    def load(name: str) -> TaskResult:
        return TaskResult(COMPLETED, TaskOutput(name, "stdout", b"x", 1, exit_code=0))

    return context_for(workflow.graph, path, budget, ended, load, limits_of=limits_of)


def _before(workflow: ValidWorkflow, path: str) -> Iterator[str]:
    """Give the tasks that have ended when one starts, in the order in which they do."""
    tasks: Mapping[str, Task] = workflow.spec.tasks
    prefix, where = "", ""
    for part in path.split("."):
        name, _, index = part.partition("[")
        for other in in_order(tasks, workflow.graph.dependencies, where):
            if other == name:
                break
            yield from _within(tasks[other], f"{prefix}{other}")
        if index and f"{where}{name}" not in workflow.graph.parallel_loops:
            yield from (f"{prefix}{name}[{number}]" for number in range(int(index.rstrip("]"))))
        tasks = tasks[name].subtasks or {}
        prefix, where = f"{prefix}{part}.", f"{where}{name}."


def _within(task: Task, path: str) -> Iterator[str]:
    # What is in a loop has a path for each iteration, of which there may be any number: the loop stands for them.
    for name, inner in (task.subtasks or {}).items() if task.loop is None else ():
        yield from _within(inner, f"{path}.{name}")
    yield path

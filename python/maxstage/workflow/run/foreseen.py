"""The context that an agent's task would get, before its file has run or before the task has ended in a run."""

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
"""The size limit of a prompt while sizes are unknown, so that nothing is left out for its size."""


def resolver(path: str, known: Container[str]) -> Callable[[str], str | None]:
    """Return a function that resolves a task's name within a task: among its siblings first, then further out."""

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
    """Choose the context that a task would get if all tasks before it had run one by one and printed something.

    Args:
        workflow: The file.
        path: The task, which takes context; possibly within an iteration, like ``build[2].write``.
        limits: Its limits.
        limits_of: Returns the limits of a task.
    """
    now = time.time()
    # A millisecond apart: microseconds may be rounded to the same one.
    ended = {
        one: Ended(now + number / 1e3, now, 1, has_output=True, is_final=True)
        for number, one in enumerate(_before(workflow, path))
    }
    budget = budget_of(workflow.tasks[spec_path(path)], workflow.spec.context, limits, resolver(path, ended))
    budget = dataclasses.replace(budget, max_bytes=_ROOM, max_tokens=None)

    def load(name: str) -> TaskResult:
        return TaskResult(COMPLETED, TaskOutput(name, "stdout", b"x", 1, exit_code=0))

    return context_for(workflow.graph, path, budget, ended, load, limits_of=limits_of)


def _before(workflow: ValidWorkflow, path: str) -> Iterator[str]:
    """Yield the tasks that have ended when a task starts, in the order in which they end."""
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
    # Tasks in a loop have a path for each of any number of iterations: the loop represents them.
    for name, inner in (task.subtasks or {}).items() if task.loop is None else ():
        yield from _within(inner, f"{path}.{name}")
    yield path

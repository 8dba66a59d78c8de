"""Reading the outputs of tasks, for references and loops."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.workflow.execution.outputs import gone, reading, why_not_kept

if TYPE_CHECKING:
    from typing import BinaryIO

    from maxstage.store.store import Store
    from maxstage.workflow.run.results import TaskResult

MOST = 1024 * 1024
"""The most bytes of an output that a reference can take."""
PRUNED = "it was pruned: name it in depends_on, or raise keep_count of cleanup_strategy in the limits"


def open_output(store: Store, task: str, result: TaskResult, path: str | None = None) -> BinaryIO:
    """Open the full output of a task.

    Args:
        store: The project.
        task: The task, as it was referred to.
        result: How it ended.
        path: Its path in the run; None if that is `task`.

    Raises:
        WorkflowError: It no longer exists.
    """
    output = result.output
    if output is None:
        return io.BytesIO()
    if result.pruned:
        raise gone(task, PRUNED, path)
    if not output.truncated:
        return io.BytesIO(output.content)
    if output.token is None:
        raise gone(task, why_not_kept(output), path)
    with reading(task, path):
        return store.at(output.store).open(output.token)


def read_output(store: Store, task: str, result: TaskResult, path: str | None = None) -> bytes:
    """Return the full output of a task.

    Args:
        store: The project.
        task: The task, as it was referred to.
        result: How it ended.
        path: Its path in the run; None if that is `task`.

    Raises:
        WorkflowError: It no longer exists, or is too long for a reference.
    """
    size = 0 if result.output is None else result.output.original_size
    if size > MOST:
        raise WorkflowError(
            f"the output of task {task!r} has {size:,} bytes; a reference takes at most {MOST:,}: use stdin_from, "
            f"the token ({{{{ tasks.{task}.token }}}}), or the text as it was cut ({{{{ tasks.{task}.excerpt }}}})"
        )
    with reading(task, path), open_output(store, task, result, path) as file:
        return file.read()

"""The files that tasks write their full output to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.files import write_all
from maxstage.workflow.execution.outputs import open_full
from maxstage.workflow.format import references
from maxstage.workflow.format.graph import loop_names
from maxstage.workflow.run import files

if TYPE_CHECKING:
    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope


def names_iteration(task: Task) -> bool:
    """Return whether a task writes a different file in each iteration of its own loop."""
    found = references.find(task.output or "")
    return any(reference.kind == "local" and reference.name in loop_names(task) for reference in found)


def file_of(run: RunContext, task: Task, instance: TaskInstance, scope: Scope) -> files.Located | None:
    """Return the location of a task's file, if it has one.

    Args:
        run: The run.
        task: The task.
        instance: The instance of the task in the run.
        scope: What its references name.

    Raises:
        WorkflowError: A reference has no value, the path leads out of its folder, or another task wrote the file.
    """
    if task.output is None:
        return None
    located = files.locate(run.folder, task.output, scope.render)
    run.writers.check(located, instance.path)
    return located


def write_file(run: RunContext, output: TaskOutput, located: files.Located, task: str) -> None:
    """Write the full output of a task to a file, atomically.

    Args:
        run: The run.
        output: The output.
        located: The location of the file.
        task: The task's path.

    Raises:
        WorkflowError: The full output was not kept, another task wrote the file, or something else is in its place.
        OSError: The file can't be written.
        NotFound, Expired, Corrupt: The full output can't be read.
    """
    path = located.path
    if output.truncated and output.token is None:
        raise WorkflowError(
            f"{path} can't be written: the full output was not kept: {'; '.join(output.warnings)}"
        )

    def fill(fd: int) -> None:
        if output.token is not None:
            with open_full(run.store, output) as opened:
                opened.copy_to(fd, path)
            return
        write_all(fd, output.content, path)

    run.writers.claim(located, task)
    try:
        files.write(located, fill)
    except BaseException:
        run.writers.give_up(located, task)
        raise
    run.state.note_file(task, located.digest)

"""The full outputs of tasks: in the project's store, or in that of an ``external_storage_dir``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from maxstage.errors import Corrupt, Expired, NotFound, WorkflowError, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store


def open_full(store: Store, output: TaskOutput) -> OpenItem:
    """Open a full output that is kept under a token."""
    return store.at(output.store).open_item(output.token or "")


def unstage(store: Store, output: TaskOutput | None) -> None:
    """Delete the stored full output of an output that nothing will refer to."""
    for part in (output, None if output is None else output.stderr):
        if part is not None and part.token is not None:
            store.at(part.store).unstage(part.token)


NEW_RUN = 'to have it made again, start a new run with "max run"'
"""What is advised where a full output is missing. To resume the run would not help: the task has ended."""


def gone(task: str, why: str) -> WorkflowError:
    """Return the error for a full output that no longer exists."""
    return WorkflowError(f"the full output of task {task!r} is missing ({why}); {NEW_RUN}")


def why_not_kept(output: TaskOutput) -> str:
    """Return why a full output is not in the store."""
    return "; ".join(output.warnings) or "it was cut, and the full output was not kept"


@contextlib.contextmanager
def reading(task: str) -> Iterator[None]:
    """Make errors say which task's output can't be read.

    Raises:
        WorkflowError: It can't be read.
    """
    try:
        yield
    except (NotFound, Expired, Corrupt, OSError) as error:
        raise gone(task, describe(error)) from None

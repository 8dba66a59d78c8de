"""The full outputs of tasks: in the project's store, or in that of an ``external_storage_dir``."""

from __future__ import annotations

import contextlib
import re
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


_AGAIN = re.compile(r"--rerun (\S+)\Z")


def do_again(task: str) -> str:
    """Return the end of an error that to resume the run would not help with: the task has ended, and is named."""
    return f"do it again with --rerun {task}"


def named_again(error: str | None) -> str | None:
    """Return the task that an error ends with, as `do_again` names it.

    >>> named_again(str(gone("fetch", "it was pruned")))
    'fetch'
    """
    match = _AGAIN.search(error or "")
    return None if match is None else match[1]


def gone(task: str, why: str, path: str | None = None) -> WorkflowError:
    """Return the error for a full output that no longer exists.

    Args:
        task: The task, as it was referred to.
        why: Why it is gone.
        path: The task's path in the run; None if that is `task`.
    """
    return WorkflowError(f"the full output of task {task!r} is missing ({why}); {do_again(path or task)}")


def why_not_kept(output: TaskOutput) -> str:
    """Return why a full output is not in the store."""
    return "; ".join(output.warnings) or "it was cut, and the full output was not kept"


@contextlib.contextmanager
def reading(task: str, path: str | None = None) -> Iterator[None]:
    """Make errors say which task's output can't be read.

    Args:
        task: The task, as it was referred to.
        path: The task's path in the run; None if that is `task`.

    Raises:
        WorkflowError: It can't be read.
    """
    try:
        yield
    except (NotFound, Expired, Corrupt, OSError) as error:
        raise gone(task, describe(error), path) from None

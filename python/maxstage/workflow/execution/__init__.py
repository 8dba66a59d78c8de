"""Running one program: a `Job` describes it, and an `Executor` runs it.

To add an executor, add a module next to `local.py` and a line to `EXECUTORS`; ``tests/execution`` is the conformance
suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from maxstage.workflow.execution.local import LocalExecutor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from maxstage.store.store import Store
    from maxstage.workflow.execution.job import Job, JobResult


class Executor(Protocol):
    """Runs programs. Its methods can be called from several threads at once."""

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Run a program to completion.

        Args:
            job: The program and its input.
            cancel: An event that, once set, ends the program and all processes that it started.

        Returns:
            What it printed and how it ended. Errors are returned here, not raised.
        """
        ...

    def reap(self, run_id: str) -> None:
        """End programs left running when the process that executed a run was killed, and wait until they have ended.

        Args:
            run_id: The run, which is the `Job.run_id` of those programs.
        """
        ...


EXECUTORS: dict[str, Callable[[Store], Executor]] = {"local": LocalExecutor}
"""The executors by name; each is created for the store that full outputs go to."""

DEFAULT = "local"
"""The executor of runs that don't name one."""

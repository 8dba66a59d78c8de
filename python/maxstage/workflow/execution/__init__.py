"""Running one program: what is asked for is a `Job`, and who runs it is an `Executor`.

A further executor is a file beside `local.py` and a line in `EXECUTORS`; ``tests/execution`` has what each must do.
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
    """Runs programs. Its methods may be called from several threads at once."""

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Run a program to its end.

        Args:
            job: The program, and what it is given.
            cancel: Once it is set, the program is ended, with all that it started.

        Returns:
            What it printed and how it ended. Whatever goes wrong is told there, and not raised.
        """
        ...

    def reap(self, run_id: str) -> None:
        """End the programs that a killed start of a run left running, and wait until they have ended.

        Args:
            run_id: The run: the `Job.run_id` of those programs.
        """
        ...


EXECUTORS: dict[str, Callable[[Store], Executor]] = {"local": LocalExecutor}
"""The executors by name, each made for the store that full outputs go to."""

DEFAULT = "local"
"""The executor of a run that names none."""

"""Running one program: a `Job` describes it, and an `Executor` runs it.

To add an executor, add a module next to `local.py` and a line to `EXECUTORS`; ``tests/execution`` is the conformance
suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from maxstage.workflow.execution.local import LocalExecutor

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from maxstage.store.store import Store
    from maxstage.workflow.execution.job import Job, JobResult


class Executor(Protocol):
    """Runs programs. Its methods can be called from several threads at once.

    Attributes:
        on: Where programs run, as ``max run --on`` takes it; None for this machine.
        jobs: How many programs to run at once unless the user says; None for one on each processor of this machine.
        goes_on: Whether programs go on where we are killed: `run` with the same job then joins what goes on, or has
            ended meanwhile. Else `reap` ends them before any is started again.
    """

    on: str | None
    jobs: int | None
    goes_on: bool

    def open(self, queues: Iterable[str | None]) -> list[str]:
        """Get ready; return what the user should know before anything is run, a line each.

        Args:
            queues: The queues that jobs will name (`Job.queue`).

        Raises:
            WorkflowError: Programs can't be run, and why.
        """
        ...

    def knows(self, run_id: str) -> bool:
        """Return whether it has kept results of a run, which a run with this id would join."""
        ...

    def follow(self, show: Callable[[str, int, bytes], None]) -> bool:
        """Show what programs print, as it comes, until all have ended.

        Args:
            show: Called with the path of a task, the stream (0 or 1) and what came; from several threads at once.

        Returns:
            Whether that is possible.
        """
        ...

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Run a program to completion.

        Args:
            job: The program and its input.
            cancel: An event that, once set, ends the program and all processes that it started.

        Returns:
            What it printed and how it ended. Errors are returned here, not raised.
        """
        ...

    def reap(self, run_id: str) -> int:
        """End programs left running when the process that executed a run was killed, and wait until they have ended.

        Args:
            run_id: The run, which is the `Job.run_id` of those programs.

        Returns:
            How many there were.

        Raises:
            WorkflowError: Some may still run.
        """
        ...

    def close(self) -> None:
        """Let go of what `open` has got."""
        ...


def _temporal(store: Store, on: str) -> Executor:
    from maxstage.workflow.execution.temporal.driver import TemporalExecutor

    return TemporalExecutor(store, on)


EXECUTORS: dict[str, Callable[[Store, str], Executor]] = {
    "local": lambda store, _: LocalExecutor(store),
    "temporal": _temporal,
}
"""The executors, by what ``--on`` begins with; each is created for the store that full outputs go to."""

LOCAL = "local"
"""The executor of runs that don't name one."""


def executor_on(on: str | None, store: Store) -> Executor:
    """Return the executor that ``--on`` names: ``local``, or an address like ``temporal://host:7233``.

    Raises:
        WorkflowError: There is no such executor, or the address is not valid.
        MissingDependency: It needs a package that is not installed.
    """
    from maxstage.errors import WorkflowError

    name = LOCAL if on is None else on.partition("://")[0]
    if name not in EXECUTORS:
        known = "local, temporal://HOST[:PORT][/NAMESPACE]"
        raise WorkflowError(f"nothing runs programs on {on!r}; there are: {known}")
    return EXECUTORS[name](store, on or LOCAL)

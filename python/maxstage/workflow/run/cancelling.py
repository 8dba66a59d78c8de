"""Cancelling a run from outside: the process that executes it finds a file, and ends its programs; or we do."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.execution import executor_on
from maxstage.workflow.run.folder import list_runs, runs_folder
from maxstage.workflow.run.results import INTERRUPTED, RUNNING
from maxstage.workflow.run.run_files import CANCEL, is_run_id
from maxstage.workflow.run.state import RunState

if TYPE_CHECKING:
    from maxstage.store.store import Store

_PATIENCE = 60.0
"""Seconds for a run to end its programs: longer than the lease of one whose worker is lost."""
_PAUSE = 0.05


def _path(folder: str, run_id: str) -> str:
    return os.path.join(folder, f"{run_id}{CANCEL}")


def is_cancelled(folder: str, run_id: str) -> bool:
    """Return whether somebody has asked for a run to end."""
    return os.path.exists(_path(folder, run_id))


def forget(folder: str, run_id: str) -> None:
    """Let the next start of a run go on."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(folder, run_id))


def cancel(store: Store, run_id: str, on: str | None) -> int | None:
    """End all programs of a run, wherever they run, and wait until they have ended; it can be resumed.

    Args:
        store: The project.
        run_id: The run.
        on: Where its programs run; None for what its state says.

    Returns:
        How many processes, or programs on other machines, were ended; None if the process that executes it has done
        so.

    Raises:
        WorkflowError: There is no such run, or something of it may still run.
    """
    folder = runs_folder(store)
    if not is_run_id(run_id):
        raise WorkflowError(f"{printable(repr(run_id), 120)} is not a valid run id")
    if run_id not in list_runs(folder) and on is not None:
        return _end(store, run_id, on, is_known=False)
    with contextlib.closing(RunState(folder, run_id)) as state:
        if state.is_live():
            _ask(state)
            return None
        state.acquire()
        facts = state.facts()
        count = _end(store, run_id, facts.get("on") if on is None else on)
        if facts.get("status") == RUNNING:
            state.set_facts(status=INTERRUPTED, error="it was cancelled", ended=time.time())
        return count


def _end(store: Store, run_id: str, on: str | None, *, is_known: bool = True) -> int:
    executor = executor_on(on, store)
    try:
        if not is_known and not executor.knows(run_id):
            raise WorkflowError(f"There is no run {run_id}, neither here nor at {executor.on or on}")
        return executor.reap(run_id)
    finally:
        executor.close()


def _ask(state: RunState) -> None:
    """Ask the process that executes a run to end it, and wait until it has."""
    path = _path(state.folder, state.run_id)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb"):
        pass
    until = time.monotonic() + _PATIENCE
    while state.is_live():
        if time.monotonic() > until:
            raise WorkflowError(f"run {state.run_id} was asked to end, and has not within {_PATIENCE:g} s")
        time.sleep(_PAUSE)

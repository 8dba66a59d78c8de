"""What a killed run leaves behind: programs that still run, and whole outputs that no result refers to."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.workflow.run.run_files import delete_files, lock
from maxstage.workflow.run.run_list import DAMAGED, facts_of
from maxstage.workflow.run.state import runs_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store
    from maxstage.workflow.run.state import RunState

_PATIENCE = 2.0
"""Seconds between SIGTERM and SIGKILL."""


def end_leftovers(run_id: str) -> None:
    """End the programs that a killed start of a run left running; the same task must not run twice at once.

    They are known by MAX_RUN in their environment, which Linux tells in /proc; elsewhere nothing is done.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = list(_processes_of(run_id))
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        until = time.monotonic() + _PATIENCE
        while left and time.monotonic() < until:
            time.sleep(0.01)
            left = [pid for pid in left if os.path.exists(f"/proc/{pid}/environ") and _belongs(pid, run_id)]


def _processes_of(run_id: str) -> Iterator[int]:
    ours = _ancestors()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in ours and _belongs(int(name), run_id):
                yield int(name)


def _belongs(pid: int, run_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"MAX_RUN={run_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False  # ended, or somebody else's


def _ancestors() -> set[int]:
    """Return our own process and those above it: a run may be resumed from one of its own tasks."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The second field, the name, is in parentheses and may hold anything.
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            break
    return found


def sweep_orphans(store: Store, state: RunState) -> None:
    """Delete the whole outputs of a run that none of its results refers to."""
    known = state.tokens()
    for place, token in _owned(store, state):
        if token not in known:
            place.unstage(token)


def delete_run(store: Store, state: RunState) -> int:
    """Delete a run and all that it owns; return how many items that were."""
    count = sum(place.unstage(token) for place, token in list(_owned(store, state)))
    state.delete()
    return count


def delete_damaged(store: Store, run_id: str) -> int:
    """Delete a run whose state is damaged, and what it owns in the project's store; return how much that was.

    Raises:
        WorkflowError: It is not damaged, once nobody else has it: somebody wrote it while it was looked at.
    """
    folder = runs_folder(store)
    fd = lock(folder, run_id)
    try:
        if facts_of(folder, run_id).get("status") != DAMAGED:
            raise WorkflowError(f"Run {run_id} is not damaged any more, and was not deleted")
        owned = [item.token for item in store.list() if item.extra.get("owner") == run_id]
        delete_files(folder, run_id)
        return sum(store.unstage(token) for token in owned)
    finally:
        os.close(fd)


def _owned(store: Store, state: RunState) -> Iterator[tuple[Store, str]]:
    """Give the items that a run owns, each with the store that it lies in."""
    directories = state.facts().get("stores", [])
    for place in (store, *(type(store).open_dir(path) for path in directories if os.path.isdir(path))):
        yield from ((place, item.token) for item in place.list() if item.extra.get("owner") == state.run_id)

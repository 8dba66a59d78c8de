"""The files of runs in their folder, and the lock (flock) held by the process that executes a run."""

from __future__ import annotations

import contextlib
import os
import re
import time

from maxstage.errors import WorkflowError
from maxstage.files import try_lock
from maxstage.workflow.run import tables

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TRIES, _WAIT = 50, 0.01
"""How often, and how many seconds apart, to try a lock: checks whether a run is live hold it for an instant."""


ANSWER = ".answer."
"""What stands between a run's id and the rest in the name of a file with an answer."""


CANCEL = ".cancel"
"""What follows a run's id in the name of the file that asks its process to end it."""


def is_run_id(text: str) -> bool:
    """Return whether a text can be the id of a run, which becomes a file name and must not lead out of the folder."""
    return _RUN_ID.fullmatch(text) is not None


def _lock_path(folder: str, run_id: str) -> str:
    return os.path.join(folder, f"{run_id}.lock")


def lock(folder: str, run_id: str) -> int:
    """Lock a run for this process; return the descriptor.

    Raises:
        WorkflowError: Another process holds the lock, or the folder can't be written.
    """
    path = _lock_path(folder, run_id)
    for _ in range(_TRIES):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            text = f"Run {run_id} is read-only here: {error.strerror}: {path}"
            raise WorkflowError(text) from None
        if not try_lock(fd):
            time.sleep(_WAIT)
        # Another process may have deleted the file before we locked it.
        elif os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(fd)):
            return fd
        os.close(fd)
    raise WorkflowError(f"Run {run_id} is already running in another process")


def is_locked(folder: str, run_id: str) -> bool:
    """Return whether a process holds the lock of a run."""
    try:
        fd = os.open(_lock_path(folder, run_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two concurrent checks don't take each other for the run.
        return not try_lock(fd, shared=True)
    finally:
        os.close(fd)


def sweep(folder: str) -> None:
    """Delete what killed processes left of runs that never began, or that were being deleted."""
    names = set(os.listdir(folder))
    for name in names:
        run_id = name.partition(".")[0]
        if name == f"{run_id}.db" or f"{run_id}.db" in names or not is_run_id(run_id):
            continue
        try:
            fd = lock(folder, run_id)
        except WorkflowError:
            continue  # it is being created
        if not os.path.exists(os.path.join(folder, f"{run_id}.db")):
            delete_files(folder, run_id)
        os.close(fd)


def delete_files(folder: str, run_id: str) -> None:
    """Delete the files of a run, readable or not. If this is killed, `sweep` deletes the rest."""
    names = [".db", *(f".db{side}" for side in tables.SIDES)]
    names += [f".db{tables.NEW}", *(f".db{tables.NEW}{side}" for side in tables.SIDES), ".lock"]
    answers = [name.removeprefix(run_id) for name in os.listdir(folder) if name.startswith(run_id + ANSWER)]
    for suffix in (*answers, CANCEL, *names):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, run_id + suffix))

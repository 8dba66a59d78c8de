"""Ending all that a process has started, whatever it has done to get away: Linux gives a *subreaper* its orphans."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PR_SET_CHILD_SUBREAPER = 36
"""From <linux/prctl.h>."""
_PATIENCE = 5.0
"""Seconds for killed processes to end; one that waits for a dead disk doesn't, and nobody can end it."""
_PAUSE = 0.005


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends. Outside Linux this does nothing."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid: int) -> set[int]:
    """Return the children of a process, those that have ended and were not reaped included."""
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        return _children_by_parent(pid)  # the kernel was built without
    found: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            name = f"/proc/{pid}/task/{thread}/children"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(name, "rb") as file:
                found.update(map(int, file.read().split()))
    except (FileNotFoundError, ProcessLookupError):
        return found
    return found


def _children_by_parent(pid: int) -> set[int]:
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The second field, the name, is in parentheses and may hold anything.
                if int(file.read().rpartition(b")")[2].split()[1]) == pid:
                    found.add(int(name))
    return found


def _below(pids: Collection[int]) -> Iterator[int]:
    waiting = list(pids)
    seen: set[int] = set()
    while waiting:
        pid = waiting.pop()
        if pid not in seen:
            seen.add(pid)
            yield pid
            waiting += children(pid)


def kill_all(spared: Collection[int] = ()) -> bool:
    """Kill all descendants of this process, and wait until they have ended; return whether they have.

    Args:
        spared: Children that live on, with what they have started.
    """
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        roots = children(os.getpid()) - set(spared)
        if not roots:
            return True
        for pid in _below(roots):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in roots:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_PAUSE)
    return False

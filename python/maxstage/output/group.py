"""The processes of a command: its group, and how to end it."""

from __future__ import annotations

import contextlib
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

GRACE = 2.0
"""Seconds that a command gets to end after a signal, before the next signal: enough to flush and to tidy up."""
DRAIN = 0.5
"""Seconds to wait for the rest of the output after the command has ended, while a process that it started
still holds the pipe."""


def steps_from(first: int) -> Sequence[tuple[int, float]]:
    """Return the signals that end a command, each with the seconds until the next.

    Args:
        first: The first signal: the one that we received, so that the command can react as it would without us.

    >>> [number.name for number, _ in steps_from(signal.SIGINT)]
    ['SIGINT', 'SIGTERM', 'SIGKILL']
    """
    # Signals that we ignored from the start, the command ignores too (`sh -c 'max exec … &'`): don't wait for those.
    use_first = first != signal.SIGTERM and signal.getsignal(first) != signal.SIG_IGN
    asked = [signal.Signals(first)] if use_first else []
    return [*((number, GRACE) for number in (*asked, signal.SIGTERM)), (signal.SIGKILL, DRAIN)]


class Group:
    """The process group of a command; or the command alone if it has no group of its own, which may be ours.

    Attributes:
        is_whole: Whether it is a group.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        try:
            self.is_whole = os.getpgid(process.pid) == process.pid
        except ProcessLookupError:
            self.is_whole = True  # it has ended: any process left would be in its group

    def signal(self, number: int) -> bool:
        """Send a signal to all of it; return false if no process is left."""
        try:
            if self.is_whole:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def lives(self) -> bool:
        """Whether the command or any other process of its group is still running."""
        if self._process.poll() is None:
            return True
        return self.is_whole and self.signal(0) and _has_running_member(self._process.pid)


def _has_running_member(group: int) -> bool:
    """Whether a group that still exists has any process that is not a zombie.

    In a container whose first process reaps no orphans, zombies stay for ever.
    """
    try:
        names = os.listdir("/proc")
    except OSError:
        return True  # not Linux: there is no way to know
    told = False
    for name in names:
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The second field, the name, is in parentheses and may hold anything.
                state, _, of_group = file.read().rpartition(b")")[2].split()[:3]
                told = True
                if int(of_group) == group and state not in b"ZX":
                    return True
    return not told

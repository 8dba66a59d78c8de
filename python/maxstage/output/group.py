"""The processes of a command: its group, and how that is ended."""

from __future__ import annotations

import contextlib
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

GRACE = 2.0
"""Seconds that a signal which asks a command to end is given, before the next one: enough to flush and to tidy up."""
DRAIN = 0.5
"""Seconds that are waited for the rest of the output once the command has ended, while somebody that it
started still holds the pipe."""


def steps_from(first: int) -> Sequence[tuple[int, float]]:
    """Return the signals that end a command, each with the seconds until the next.

    Args:
        first: What it is asked with first: what we were asked with, so that it can do as it would without us.

    >>> [number.name for number, _ in steps_from(signal.SIGINT)]
    ['SIGINT', 'SIGTERM', 'SIGKILL']
    """
    # What we were started with ignored, the command was as well (`sh -c 'max exec … &'`): no use in waiting for that.
    use_first = first != signal.SIGTERM and signal.getsignal(first) != signal.SIG_IGN
    asked = [signal.Signals(first)] if use_first else []
    return [*((number, GRACE) for number in (*asked, signal.SIGTERM)), (signal.SIGKILL, DRAIN)]


class Group:
    """The process group of a command; or the command alone where it has none of its own, and ours may be in it.

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
        """Send a signal to all of it; false where nobody is left to get it."""
        try:
            if self.is_whole:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def lives(self) -> bool:
        """Whether the command or anybody else in its group still runs."""
        if self._process.poll() is None:
            return True
        return self.is_whole and self.signal(0) and _has_running_member(self._process.pid)


def _has_running_member(group: int) -> bool:
    """Whether a group that still has an entry has more than dead ones, which nobody waits for.

    In a container whose first process reaps nobody they stay for ever.
    """
    try:
        names = os.listdir("/proc")
    except OSError:
        return True  # no Linux: nothing tells
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

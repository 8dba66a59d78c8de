"""Ends a command if we were killed with SIGKILL and can't do so ourselves.

A small shell in its own session waits at a pipe of which only we hold the other end. The system closes that end
when we die, however we die; then the shell kills the command's group. Once the command has ended we kill the shell, or
keep it for the next command.
The signal that Linux can send at a parent's death (PR_SET_PDEATHSIG) would reach the leader of the group only, is lost
when that starts a setuid program, and comes when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# For each command it reads three lines: the number of the pipe that is to be its stdout, its group, and that it has
# ended. Whoever dies between starting the command and naming its group has left a process whose stdout is that pipe:
# the shell looks for it in /proc, where there is one, a few times, since a process that is being started is not yet
# what it will be.
_SCRIPT = """\
cd /
while read -r pipe; do
    if read -r group; then
        read -r _ && continue
        kill -s KILL -- "-$group"
        exit
    fi
    for _ in 1 2 3 4 5; do
        for one in /proc/[0-9]*; do
            if [ "$(readlink "$one/fd/1")" = "pipe:[$pipe]" ]; then
                kill -s KILL -- "-${one#/proc/}" || kill -s KILL "${one#/proc/}"
            fi
        done
        sleep 0.02
    done
    exit
done
"""

_NAME = "max-guard"
"""Its name in a list of processes."""


class _Kept:
    """The shells that wait for a further command, which a program that starts many has for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._idle: list[tuple[subprocess.Popen[bytes], int]] = []

    def hold(self) -> None:
        """Keep shells from now on."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Dismiss them, once nobody else keeps them."""
        with self._lock:
            self._holders -= 1
            idle, self._idle = ([], self._idle) if self._holders else (self._idle, [])
        for shell, ours in idle:
            _dismiss(shell, ours)

    def take(self) -> tuple[subprocess.Popen[bytes], int] | None:
        """Return one that waits, and our end of its pipe; None if there is none."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give(self, shell: subprocess.Popen[bytes], ours: int) -> bool:
        """Return whether one is kept whose command has ended."""
        with self._lock:
            if self._holders:
                self._idle.append((shell, ours))
            return bool(self._holders)


_KEPT = _Kept()


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Use the same guards for many commands: starting one takes as long as a small command itself."""
    _KEPT.hold()
    try:
        yield
    finally:
        _KEPT.release()


def _say(ours: int, line: bytes) -> bool:
    """Return whether a shell was told something; if not, somebody has killed it."""
    try:
        os.write(ours, line)
    except BrokenPipeError:
        return False
    return True


def _dismiss(shell: subprocess.Popen[bytes], ours: int) -> None:
    shell.kill()
    shell.wait()
    os.close(ours)


class Guard:
    """Ends a command if we die.

    Without a ``/bin/sh``, or if no process can be started, there is no guard.

    Args:
        pipe: The reading end of what the command is to have as its stdout.
    """

    def __init__(self, pipe: int) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        self._ours = -1
        self._is_told = False
        line = b"%d\n" % os.fstat(pipe).st_ino
        while (kept := _KEPT.take()) is not None:
            if _say(kept[1], line):
                self._shell, self._ours = kept
                return
            _dismiss(*kept)
        self._start()
        _say(self._ours, line)

    def _start(self) -> None:
        theirs, self._ours = os.pipe()
        try:
            with contextlib.suppress(OSError):
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, _NAME],
                    stdin=theirs,
                    # It prints nothing, and /dev/null would have to be opened.
                    stdout=theirs,
                    stderr=theirs,
                    env={"PATH": os.defpath},
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(theirs)

    def watch(self, group: int) -> None:
        """Tell it the group, as soon as the group exists."""
        self._is_told = True
        _say(self._ours, b"%d\n" % group)

    def close(self) -> None:
        """Dismiss it: the command has ended, or was never started. Doing this twice is harmless."""
        if self._ours < 0:
            return
        shell, ours = self._shell, self._ours
        self._shell, self._ours = None, -1
        if shell is None:
            os.close(ours)
            return
        # One that was told of a pipe alone would look for its command.
        is_free = self._is_told and _say(ours, b"ended\n")
        if not (is_free and _KEPT.give(shell, ours)):
            _dismiss(shell, ours)

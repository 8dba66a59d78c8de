"""Ends a command if we were killed with SIGKILL and can't do so ourselves.

A small shell in its own session waits at a pipe of which only we hold the other end. The system closes that end
when we die, however we die; then the shell kills the command's group. Once the command has ended we kill the shell.
The signal that Linux can send at a parent's death (PR_SET_PDEATHSIG) would reach the leader of the group only, is lost
when that starts a setuid program, and comes when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

# It is there before the command is. Whoever dies between starting the command and naming its group has left a process
# whose stdout is the pipe in $1: the shell has that open, and looks for it in /proc, where there is one, a few times,
# since a process that is being started is not yet what it will be.
_SCRIPT = """\
cd /
if read -r group; then
    read -r _
    kill -s KILL -- "-$group"
    exit
fi
for _ in 1 2 3 4 5; do
    for one in /proc/[0-9]*; do
        if [ "$one" != "/proc/$$" ] && [ "$one/fd/1" -ef "/proc/self/fd/$1" ]; then
            kill -s KILL -- "-${one#/proc/}" || kill -s KILL "${one#/proc/}"
        fi
    done
    sleep 0.02
done
"""

_NAME = "max-guard"
"""Its name in a list of processes."""


class Guard:
    """Ends a command if we die.

    Without a ``/bin/sh``, or if no process can be started, there is no guard.

    Args:
        pipe: The reading end of what the command is to have as its stdout.
    """

    def __init__(self, pipe: int) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        theirs, self._ours = os.pipe()
        try:
            with contextlib.suppress(OSError):
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", _SCRIPT, _NAME, str(pipe)],
                    stdin=theirs,
                    # It prints nothing, and /dev/null would have to be opened.
                    stdout=theirs,
                    stderr=theirs,
                    pass_fds=(pipe,),
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
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it
            os.write(self._ours, b"%d\n" % group)

    def close(self) -> None:
        """Dismiss it: the command has ended, or was never started. Doing this twice is harmless."""
        if self._ours < 0:
            return
        if self._shell is not None:
            self._shell.kill()
            self._shell.wait()
        ours, self._ours = self._ours, -1
        os.close(ours)

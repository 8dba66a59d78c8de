"""The parent of a worker's programs: a small process that forks one for each, and ends them all if the worker dies.

It has one thread and has imported what they need, so that a fork is quick and safe.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import sys
import time

from maxstage.workflow.execution.temporal import supervised
from maxstage.workflow.execution.temporal.descendants import adopt_orphans, kill_all

_PATIENCE = 2.0
"""Seconds for the processes of programs to end them, once the worker is gone."""


class Supervisor:
    """Forks a process for each connection that it is sent.

    Args:
        control: Where connections come from; its end is the worker's.
        project: The folder of the worker's project.
        folder: Where the folders of programs are.
    """

    def __init__(self, control: socket.socket, project: str, folder: str) -> None:
        self._control = control
        self._project = project
        self._folder = folder
        self._pids: set[int] = set()

    def run(self) -> None:
        """Work until the worker has gone; then end what is left."""
        woken, wake = os.pipe()
        for fd in (woken, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self._control.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._start((woken, wake)):
                break
        self._end()

    def _start(self, ours: tuple[int, int]) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 16, 1)
        if not data or not fds:
            return False
        pid = os.fork()
        if pid:
            os.close(fds[0])
            self._pids.add(pid)
            return True
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in ours:
            os.close(fd)
        self._control.close()
        os.setsid()
        link = socket.socket(fileno=fds[0])
        supervised.main(link, self._project, self._place(os.getpid()))
        raise AssertionError("it never returns")

    def _place(self, pid: int) -> str:
        return os.path.join(self._folder, str(pid))

    def _reap(self) -> None:
        ended = []
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
                ended.append(pid)
        for pid in self._pids.intersection(ended):
            self._pids.discard(pid)
            # If it was killed, what it had started is ours now.
            kill_all(spared=self._pids)
            shutil.rmtree(self._place(pid), ignore_errors=True)

    def _end(self) -> None:
        until = time.monotonic() + _PATIENCE
        while self._pids and time.monotonic() < until:
            self._reap()
            time.sleep(0.01)
        kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> None:
    """Supervise, as the worker says in the arguments: a descriptor, the project, and a folder."""
    fd, project, folder = sys.argv[1:]
    adopt_orphans()
    gc.collect()
    gc.freeze()
    with contextlib.closing(socket.socket(fileno=int(fd))) as control:
        control.send(b"ready")
        Supervisor(control, project, folder).run()


if __name__ == "__main__":
    main()

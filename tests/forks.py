"""The program in processes forked from one that has imported it: most of what a short command takes is its start.

Each command still has a process of its own, with its own descriptors, folder and environment, and ends as it always
does. Only its modules have been imported already. So tests that are about the start are marked ``started``, and have
an interpreter started for each command, as `Program.start` does; and ``MAXSTAGE_FORK=0`` does so for all.
"""

import array
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_PIECE = 1 << 16
"""Bytes read and written at a time: what a pipe holds."""

# What an interpreter decides at its start.
_OF_THE_START = ("PYTHON", "MAXSTAGE_", "LC_", "LANG", "COVERAGE_")

_SERVER = """
import array, gc, importlib, json, os, pkgutil, socket, sys, time
import maxstage, maxstage.cli.app

for module in pkgutil.walk_packages(maxstage.__path__, "maxstage."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError:  # an extra that is not installed, or the other backend
            continue
gc.freeze()
line = socket.socket(fileno=int(sys.argv[1]))

def serve():
    while True:
        fds = array.array("i")
        data, ancillary, _, _ = line.recvmsg(100, socket.CMSG_SPACE(4 * fds.itemsize))
        if not data:
            os._exit(0)
        fds.frombytes(ancillary[0][2])
        child = os.fork()
        if child == 0:
            return fds.tolist()
        for fd in fds:
            os.close(fd)
        _, status = os.waitpid(child, 0)
        line.send(str(status).encode())

*fds, job = serve()
line.close()
with open(job) as file:
    job = json.load(file)
for number, fd in enumerate(fds):
    os.dup2(fd, number)
    os.close(fd)
os.umask(job["umask"])
os.chdir(job["cwd"])
os.environ.clear()
os.environ.update(job["env"])
time.tzset()
sys.path[0] = job["cwd"]
sys.argv[:] = [os.path.join(maxstage.__path__[0], "__main__.py"), *job["args"]]
exec(job["code"])
"""

_MAIN = "maxstage.cli.main()"


class Forks:
    """Runs the program in forks of a process that waits for work."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # As in the tests: it would hide data left in buffers.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=env,
                stdin=subprocess.DEVNULL,
            )
        self._line = ours
        self._start = _of_the_start(env)
        self._busy = threading.Lock()

    def run(
        self, args: Sequence[str], stdin: bytes, cwd: Path, env: Mapping[str, str], code: str = _MAIN
    ) -> subprocess.CompletedProcess | None:
        """Run a command, or other code, to its end; return None if only a process of its own start can do so.

        That is while another thread's command is running, and in an environment that changes the start.
        """
        if _of_the_start(env) != self._start or not self._busy.acquire(blocking=False):
            return None
        with contextlib.ExitStack() as stack:
            stack.callback(self._busy.release)
            pipes = [os.pipe() for _ in range(3)]
            theirs = [pipes[0][0], pipes[1][1], pipes[2][1], os.memfd_create("job")]
            ours = [
                stack.enter_context(open(fd, mode, buffering=0))
                for fd, mode in ((pipes[0][1], "wb"), (pipes[1][0], "rb"), (pipes[2][0], "rb"))
            ]
            job = {"code": code, "args": [*args], "cwd": str(cwd), "env": dict(env), "umask": _umask()}
            try:
                os.pwrite(theirs[3], json.dumps(job).encode(), 0)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", theirs))
                self._line.sendmsg([b"job"], [rights])
            finally:
                for fd in theirs:
                    os.close(fd)
            stdout, stderr = _communicate(*ours, stdin)
            status = self._line.recv(100)
            assert status, "the process that forks has died"
        return subprocess.CompletedProcess(
            ["max", *args], os.waitstatus_to_exitcode(int(status)), stdout, stderr
        )

    def close(self) -> None:
        """End the process."""
        self._line.close()
        self._server.wait()


def _of_the_start(env) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_OF_THE_START)}


def _umask() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    raise AssertionError("no umask in /proc/self/status")


def _communicate(stdin, stdout, stderr, data: bytes) -> tuple[bytes, bytes]:
    """Write to a process and read what it prints, all at once, to its end."""
    read: dict[object, list[bytes]] = {stdout: [], stderr: []}
    left = memoryview(data)
    with selectors.DefaultSelector() as selector:
        for pipe in (stdout, stderr):
            selector.register(pipe, selectors.EVENT_READ)
        if data:
            os.set_blocking(stdin.fileno(), False)
            selector.register(stdin, selectors.EVENT_WRITE)
        else:
            stdin.close()
        while selector.get_map():
            for key, _ in selector.select():
                if key.fileobj is not stdin:
                    piece = key.fileobj.read(_PIECE)
                    read[key.fileobj].append(piece)
                    if not piece:
                        selector.unregister(key.fileobj)
                    continue
                try:
                    left = left[os.write(key.fd, left[:_PIECE]) :]
                except BrokenPipeError:
                    left = left[:0]
                if not left:
                    selector.unregister(stdin)
                    stdin.close()
    return b"".join(read[stdout]), b"".join(read[stderr])

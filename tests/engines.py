"""An engine for tests, and workers of it. As a program it forks workers, since each would import for a second else."""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from helpers import PATIENCE, wait_until

MISSING = find_spec("temporalio") is None


def free_port() -> int:
    """Return a port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def max_program(folder, *args, check=True, **options):
    """Run the program in a folder."""
    command = [sys.executable, "-m", "maxstage", *args]
    return subprocess.run(
        command, cwd=folder, check=check, capture_output=True, text=True, timeout=PATIENCE, **options
    )


class Engine:
    """A development server in a folder of its own."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.on = f"temporal://127.0.0.1:{self.port}"
        max_program(folder, "init")

    def start(self) -> None:
        """Start it, or start it again on the same data."""
        max_program(self.folder, "engine", "start", "--port", str(self.port))

    def stop(self) -> None:
        """Stop it, if it runs."""
        max_program(self.folder, "engine", "stop")

    def kill(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: max_program(self.folder, "engine").stdout == "No engine runs.\n")

    @property
    def pid(self) -> int:
        """Its process."""
        return json.loads(max_program(self.folder, "engine", "-o", "json").stdout)["pid"]


class Worker:
    """A worker of a project, as a process."""

    def __init__(self, project, on: str, *, queue: str | None = None, jobs: int = 4, env=None) -> None:
        command = [sys.executable, "-m", "maxstage", "worker", "--on", on, "--jobs", str(jobs), "-o", "json"]
        command += ["--queue", queue] if queue else []
        self.process = subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        self.pid = self.process.pid
        self.events: list[dict] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def ready(self) -> "Worker":
        """Wait until it takes jobs."""
        wait_until(lambda: self.events or self.process.poll() is not None, "the worker is not ready")
        assert self.process.poll() is None
        return self

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """End it, and its programs."""
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()


class Forks:
    """Workers that are forked from a process that has imported all they need."""

    def __init__(self) -> None:
        path = [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        return self._process.stdout.readline().strip()

    @contextlib.contextmanager
    def worker(self, project, on: str):
        """Have a worker of a project during a block."""
        self._process.stdin.write(json.dumps([str(project), on]) + "\n")
        self._process.stdin.flush()
        pid = int(self._line())
        assert self._line() == "ready"
        try:
            yield pid
        finally:
            for _ in range(2):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            assert self._line() == "ended"

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(PATIENCE)


def main() -> None:
    """Fork a worker for each line of stdin, one after the other."""
    from maxstage.workflow.execution.temporal.worker import Worker as Real

    print("ready", flush=True)
    for line in sys.stdin:
        project, on = json.loads(line)
        pid = os.fork()
        if not pid:

            async def work(project=project, on=on):
                await Real(
                    project, on, None, 4, lambda kind, **_: kind == "ready" and print("ready", flush=True)
                ).run()

            os.close(0)
            os.open(os.devnull, os.O_RDONLY)
            try:
                asyncio.run(work())
            finally:
                os._exit(0)
        print(pid, flush=True)
        while not os.waitpid(pid, os.WNOHANG)[0]:
            # Whoever asked may have been killed: then nothing more comes, and nobody ends the worker.
            if select.select([0], [], [], 0.05)[0]:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return
        print("ended", flush=True)


if __name__ == "__main__":
    main()

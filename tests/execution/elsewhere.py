"""A second executor, for the tests: each job is sent as JSON to another process, and its result comes back as JSON."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from maxstage.store.store import Store
from maxstage.workflow.execution.job import Job, JobResult
from maxstage.workflow.execution.local import LocalExecutor

_TICK = 0.02
"""Seconds between two looks at the event that cancels."""


class ElsewhereExecutor(LocalExecutor):
    """Runs jobs in processes that know nothing of ours but the project and the job."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._project = store.layout.project

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Send a job to a process of its own; cancelling is a SIGTERM."""
        process = self._start("run", job.to_dict())
        answer: list[bytes] = []
        reader = threading.Thread(target=lambda: answer.append(process.stdout.read()))
        reader.start()
        told = False
        while reader.is_alive():
            reader.join(_TICK)
            if cancel.is_set() and not told:
                told = True
                process.terminate()
        process.wait()
        process.stdout.close()
        return JobResult.from_dict(json.loads(answer[0]))

    def reap(self, run_id: str) -> None:
        """Let another process end what is left."""
        process = self._start("reap", run_id)
        process.communicate()
        assert process.returncode == 0

    def _start(self, verb, what):
        command = [sys.executable, __file__, self._project]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # From here on it can be told to cancel: it says so once it has its handler.
        process.stdout.read(1)
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([verb, what]).encode())
        process.stdin.close()
        process.stdin = None
        return process


def main() -> None:
    """Do what stdin says."""
    cancel = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancel.set())
    sys.stdout.write("r")
    sys.stdout.flush()
    executor = LocalExecutor(Store.open(sys.argv[1]))
    verb, what = json.load(sys.stdin)
    if verb == "reap":
        executor.reap(what)
    else:
        json.dump(executor.run(Job.from_dict(what), cancel).to_dict(), sys.stdout)


if __name__ == "__main__":
    main()

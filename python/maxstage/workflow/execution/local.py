"""Running programs on this machine."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import signal
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from maxstage.errors import Corrupt, Error, Expired, NotFound
from maxstage.humanize import signal_name
from maxstage.output.guard import keeping
from maxstage.output.limits import Limits
from maxstage.output.run import run
from maxstage.workflow.execution.job import JobResult, StagedInput
from maxstage.workflow.execution.outputs import gone

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store
    from maxstage.workflow.execution.job import Job

_QUOTED = 200
"""The most characters of a failed program's last line of stderr that its error quotes."""
_PATIENCE = 2.0
"""Seconds between SIGTERM and SIGKILL for programs of a killed run."""


class LocalExecutor:
    """Runs programs as child processes, which inherit our environment.

    Args:
        store: Where full outputs go, and where the data for stdin comes from.
    """

    on: str | None = None
    jobs: int | None = None
    goes_on = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self._environment = environment()
        self._guards = contextlib.ExitStack()
        self._show: Callable[[str, int, bytes], None] | None = None

    def follow(self, show: Callable[[str, int, bytes], None]) -> bool:
        """Show what programs print, as it comes.

        Args:
            show: Called with the path of a task, the stream (0 or 1) and what came; from several threads at once.

        Returns:
            True.
        """
        self._show = show
        return True

    def open(self, queues: Iterable[str | None]) -> list[str]:  # noqa: ARG002 - as every executor has it
        """Return nothing: this machine is ready."""
        self._guards.enter_context(keeping())
        return []

    def knows(self, run_id: str) -> bool:  # noqa: ARG002 - as every executor has it
        """Return false: it keeps nothing."""
        return False

    def close(self) -> None:
        """Dismiss the guards of its programs."""
        self._guards.close()

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Run a program to completion.

        Args:
            job: The program and its input.
            cancel: An event that, once set, ends the program's whole process group.

        Returns:
            What it printed and how it ended. Errors are returned here, not raised.
        """
        try:
            output = self._capture(job, cancel)
        except OSError as problem:
            if problem.errno == errno.E2BIG:
                return JobResult(None, _too_long(job))
            where = problem.filename if problem.filename is not None else job.argv[0]
            return JobResult(None, f"{problem.strerror or problem}: {os.fsdecode(where)}")
        except (NotFound, Expired, Corrupt) as problem:
            read = job.stdin
            told = gone(read.task, str(problem)) if isinstance(read, StagedInput) else problem
            return JobResult(None, str(told))
        except (Error, ValueError) as problem:
            # A ValueError means that Python can't pass the arguments to the system.
            return JobResult(None, str(problem))
        return JobResult(output, _why_failed(output, job))

    def _capture(self, job: Job, cancel: threading.Event) -> TaskOutput:
        with contextlib.ExitStack() as stack:
            script = () if job.script is None else (stack.enter_context(script_file(job.script)),)
            script = script if job.script_path is None else (job.script_path,)
            stdin = job.stdin
            return run(
                [*job.argv, *script],
                limits=Limits.parse(job.limits),
                stdin=self._open(stdin) if isinstance(stdin, StagedInput) else stdin,
                timeout=job.timeout_secs,
                cwd=job.cwd,
                env={**self._environment, **job.env},
                store=self._store,
                keep=job.keep,
                cancel=cancel,
                follow=None if self._show is None else functools.partial(self._show, job.task),
                task_id=job.task,
                owner=job.run_id,
                secrets=[os.environ[name] for name in job.secrets if os.environ.get(name)],
            )

    def _open(self, staged: StagedInput) -> OpenItem:
        return self._store.at(staged.store).open_item(staged.token)

    def reap(self, run_id: str) -> int:
        """End programs that a killed process of a run left running, so that no task runs twice at once.

        They are recognized by MAX_RUN in their environment, which Linux shows in /proc; elsewhere this does nothing.

        Args:
            run_id: The run.

        Returns:
            How many processes there were.
        """
        count = 0
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = list(_processes_of(run_id))
            count = max(count, len(left))
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            until = time.monotonic() + _PATIENCE
            while left and time.monotonic() < until:
                time.sleep(0.01)
                left = [
                    pid for pid in left if os.path.exists(f"/proc/{pid}/environ") and _belongs(pid, run_id)
                ]
        return count


def environment() -> dict[str, str]:
    """Return our environment; if ``max`` is not on the PATH, add ours, since tasks need it to pass data on."""
    env = dict(os.environ)
    ours = os.path.dirname(sys.executable)
    if shutil.which("max") is None and os.path.exists(os.path.join(ours, "max")):
        # Without a PATH, the system has one of its own, which ours must not replace.
        env["PATH"] = os.pathsep.join(part for part in (env.get("PATH", os.defpath), ours) if part)
    return env


@contextlib.contextmanager
def script_file(text: str) -> Iterator[str]:
    """Yield the name of a temporary file with a script, which other users can't read."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="max-script-", encoding="utf-8", errors="surrogateescape"
    ) as file:
        file.write(text)
        file.flush()
        yield file.name


def _too_long(job: Job) -> str:
    """Return which argument, or variable, is too long for the system."""
    strings = {f"argument {number} of {job.argv[0]}": text for number, text in enumerate(job.argv)}
    strings |= {
        f"the environment variable {name}": text for name, text in (environment() | dict(job.env)).items()
    }
    name = max(strings, key=lambda one: len(strings[one]))
    size = len(strings[name].encode("utf-8", "surrogateescape"))
    return (
        f"arguments and environment are too long for the system; {name} has {size:,} bytes: "
        "use stdin_from, a file, or the token"
    )


def _why_failed(output: TaskOutput, job: Job) -> str | None:
    if output.ok:
        return None
    if output.timed_out:
        text = f"timed out after {job.timeout_secs:g} s"
    elif output.signal is not None:
        text = f"ended by {signal_name(output.signal)}"
    else:
        text = f"exit status {output.exit_code}"
    lines = (output.stderr.text if output.stderr is not None else "").strip().splitlines()
    return f"{text}: {lines[-1][:_QUOTED]}" if lines else text


def _processes_of(run_id: str) -> Iterator[int]:
    ours = _ancestors()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in ours and _belongs(int(name), run_id):
                yield int(name)


def _belongs(pid: int, run_id: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"MAX_RUN={run_id}".encode() in file.read().split(b"\0")
    except OSError:
        return False  # it has ended, or belongs to another user


def _ancestors() -> set[int]:
    """Return our own process and its ancestors, since a run may be resumed from one of its own tasks."""
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The second field, the name, is in parentheses and may contain anything.
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            break
    return found

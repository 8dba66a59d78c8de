"""The process of one program on a worker: it has the lease, and ends all that the program has started with it.

It is a process of its own, since a worker that hangs or is stopped can't end anything. Its parent is the supervisor.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tarfile
import threading
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

from maxstage.errors import Corrupt, Error, Expired, NotFound, WorkflowError, describe
from maxstage.store.store import Store
from maxstage.workflow.execution.job import ANSWER, Job, JobResult
from maxstage.workflow.execution.local import LocalExecutor
from maxstage.workflow.execution.temporal.descendants import adopt_orphans, kill_all
from maxstage.workflow.execution.temporal.messages import FENCE, GRACE, answer_of, now, pack, unpack

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_TICK = 0.5
"""Seconds between two looks at the clock: short, next to what lies between the times of a lease."""


def main(link: socket.socket, project: str, folder: str) -> None:
    """Run the program that the worker names, and answer; never returns."""
    code = 1
    try:
        Supervised(link, project, folder).run()
        code = 0
    except (EOFError, OSError):
        kill_all()  # the worker is gone, and nobody waits for an answer
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)


class Supervised:
    """A program, and the lease on it.

    Args:
        link: The connection to the worker: lines of JSON.
        project: The folder of the worker's project.
        folder: A folder for it, which doesn't exist yet.
    """

    def __init__(self, link: socket.socket, project: str, folder: str) -> None:
        self._link = link
        self._lines = link.makefile("rb")
        self._project = project
        self._folder = folder
        self._cancel = threading.Event()
        self._answered = 0.0
        self._is_fenced = False

    def run(self) -> None:
        """Run it to its end, and answer.

        Raises:
            EOFError: The worker has gone.
        """
        adopt_orphans()
        first = self._next()
        self._answered = first["answered"]
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()
        answer = self._perform(first["message"])
        # What it has left in the background ends with it: nobody could say later whose that is.
        kill_all()
        if self._is_fenced:
            answer = {"fenced": True}
        self._link.sendall(json.dumps(answer).encode() + b"\n")

    def _next(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        found: dict[str, Any] = json.loads(line)
        return found

    def _listen(self) -> None:
        try:
            while True:
                told = self._next()
                self._answered = max(self._answered, told.get("answered", 0.0))
                if told.get("cancel"):
                    self._cancel.set()
        except (EOFError, OSError):
            self._end_now()

    def _watch(self) -> None:
        """End the program once the engine may be about to give it to another worker."""
        while True:
            age = now() - self._answered
            if age > FENCE:
                self._is_fenced = True
                self._cancel.set()
            if age > FENCE + GRACE:
                self._end_now()
            threading.Event().wait(_TICK)

    def _end_now(self) -> None:
        kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)

    def _perform(self, message: dict[str, Any]) -> dict[str, Any]:
        store = Store.open(self._project)
        run_id = ""
        try:
            call = unpack(store, message)
            run_id = call["job"]["run_id"]
            with self._job(store, call) as job:
                result = LocalExecutor(store).run(job, self._cancel)
        except (Error, OSError) as problem:
            result = JobResult(None, describe(problem))
        ended_well = result.output is not None and result.output.ok
        return {
            "cancelled": self._cancel.is_set() and not ended_well,
            "answer": pack(store, answer_of(store, result), run_id, ANSWER),
        }

    @contextlib.contextmanager
    def _job(self, store: Store, call: dict[str, Any]) -> Iterator[Job]:
        """Yield the job as it is on this machine, with its files laid out.

        Raises:
            WorkflowError: This worker can't run it.
            Error, OSError: A file can't be read, or written.
        """
        values = call["job"]
        _check_store(store, call["probe"])
        missing = [name for name in values["secrets"] if not os.environ.get(name)]
        if missing:
            raise WorkflowError(f"the environment of the worker has no secret named {', '.join(missing)}")
        os.mkdir(self._folder, 0o700)
        if call["folder"] is not None:
            base = os.path.join(self._folder, "files")
            values["cwd"] = os.path.normpath(os.path.join(base, call["folder"]))
            if call["upload"] is not None:
                _unpack_files(store, call["upload"], base)
            os.makedirs(values["cwd"], exist_ok=True)
        if call["file"] is not None:
            values["script_path"] = self._script(call["file"])
        values["env"]["MAX_DIR"] = store.layout.project
        yield Job.from_dict(values)

    def _script(self, file: dict[str, str]) -> str:
        folder = os.path.join(self._folder, "script")
        os.mkdir(folder)
        path = os.path.join(folder, os.path.basename(file["name"]))
        with open(path, "xb") as opened:
            opened.write(a2b_base64(file["base64"]))
        return path


def _check_store(store: Store, probe: str) -> None:
    """Check that the worker has the store of the run.

    Raises:
        WorkflowError: It has another one.
    """
    try:
        store.info(probe)
    except (NotFound, Expired, Corrupt):
        raise WorkflowError(
            f"the worker's store, that of {store.layout.project} on {os.uname().nodename}, is not the run's: "
            "start the worker in a project with the same store"
        ) from None


def _unpack_files(store: Store, token: str, base: str) -> None:
    """Lay the files of an archive into a folder. Only what stays in it, and is a plain file."""
    with store.open(token) as source, tarfile.open(fileobj=source, mode="r|") as archive:
        for one in archive:
            name = os.path.normpath(one.name)
            data = archive.extractfile(one) if one.isfile() else None
            if data is None or name.startswith(("/", "../")):
                raise WorkflowError(
                    f"the archive of upload has {one.name!r}, which is no file of the run's folder"
                )
            path = os.path.join(base, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                shutil.copyfileobj(data, file)
                os.fchmod(file.fileno(), one.mode & 0o777)

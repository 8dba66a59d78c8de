"""What a driver sends for a job: the job itself, with its files and without what only this machine knows."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import tarfile
import threading
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.redaction import Redaction, mask_text
from maxstage.workflow.execution.temporal.messages import CALL, CONTRACT, pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.draft import Draft
    from maxstage.store.store import Store
    from maxstage.workflow.execution.job import Job

_LOCAL = ("base", "upload", "local", "queue", "output", "script_path", "attempt")
"""What a worker need not know of a job."""
_LARGEST_SCRIPT = 16 * 1024 * 1024
"""Bytes of a script's file: more than anybody writes."""


class Calls:
    """Makes the calls of a run.

    Args:
        store: What the workers reach, too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._uploads: dict[str, str] = {}
        self._probes: dict[str, str] = {}

    def of(self, job: Job) -> dict[str, Any]:
        """Return the call of a job, which fits through the engine.

        Raises:
            WorkflowError: It has a secret in it, or a file that it names is not there.
            Error, OSError: The store can't be written, or a file can't be read.
        """
        values = {name: value for name, value in job.to_dict().items() if name not in _LOCAL}
        values["env"] = {name: value for name, value in job.env.items() if name != "MAX_DIR"}
        file = None
        if job.script_path is not None:
            file = {"name": os.path.basename(job.script_path), "base64": _content(job.script_path)}
        _check_no_secret(job)
        call = {
            "contract": CONTRACT,
            "job": values,
            "folder": _folder(job),
            "file": file,
            "upload": self._upload(job),
            "probe": self._probe(job.run_id),
        }
        return pack(self._store, call, job.run_id, CALL)

    def _probe(self, run_id: str) -> str:
        """Return the token of an item by which a worker sees that it has the store of the run."""
        with self._lock:
            if run_id not in self._probes:
                self._probes[run_id] = self._staged(run_id, b"the store of this run\n")
            return self._probes[run_id]

    def _staged(self, run_id: str, data: bytes) -> str:
        with self._store.draft() as draft:
            draft.write(data)
            return draft.publish(ttl_minutes=None, source=CALL, owner=run_id).token

    def _upload(self, job: Job) -> str | None:
        """Return the token of an archive with the files that a job wants, made once for all that want the same."""
        if not job.upload:
            return None
        if job.base is None:
            raise WorkflowError(
                "upload lays files into a new folder, and this task names its folder by its path"
            )
        found = sorted({name for pattern in job.upload for name in _matching(job.base, pattern)})
        digest = hashlib.sha256(job.run_id.encode())
        for name in found:
            known = os.stat(os.path.join(job.base, name))
            digest.update(os.fsencode(f"{name}\0{known.st_size} {known.st_mtime_ns} {known.st_mode}\0"))
        with self._lock:
            key = digest.hexdigest()
            if key not in self._uploads:
                self._uploads[key] = self._archive(job.run_id, job.base, found)
            return self._uploads[key]

    def _archive(self, run_id: str, base: str, names: list[str]) -> str:
        with self._store.draft() as draft:
            with tarfile.open(mode="w|", fileobj=_Sink(draft), dereference=True) as archive:
                for name in names:
                    archive.add(os.path.join(base, name), name, recursive=False)
            return draft.publish(ttl_minutes=None, source=CALL, owner=run_id).token


class _Sink(io.RawIOBase):
    """What an archive is written to: a draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def write(self, data: Any) -> int:
        """Write all of it."""
        self._draft.write(data)
        return len(data)


def _matching(base: str, pattern: str) -> Iterator[str]:
    """Yield the files that a pattern names, and those in the folders that it names."""
    names = glob.glob(pattern, root_dir=base, recursive=True)
    if not names:
        raise WorkflowError(f"upload: nothing matches {pattern!r} in {base}")
    for name in names:
        path = os.path.join(base, name)
        if not os.path.isdir(path):
            yield os.path.normpath(name)
            continue
        for folder, _, files in os.walk(path):
            yield from (os.path.normpath(os.path.relpath(os.path.join(folder, file), base)) for file in files)


def _folder(job: Job) -> str | None:
    """Return the working directory below the new folder; None if the job names it by its path."""
    if job.base is None:
        return None
    return os.path.relpath(os.path.realpath(job.cwd), os.path.realpath(job.base))


def _content(path: str) -> str:
    with open(path, "rb") as file:
        data = file.read(_LARGEST_SCRIPT + 1)
    if len(data) > _LARGEST_SCRIPT:
        raise WorkflowError(f"the script file {path} is larger than {_LARGEST_SCRIPT // 1024**2} MiB")
    return b2a_base64(data, newline=False).decode()


def _check_no_secret(job: Job) -> None:
    """Check that nothing of a call has a secret in it, which the engine would keep.

    Raises:
        WorkflowError: Something has.
    """
    texts = {f"the environment variable {name}": text for name, text in job.env.items()}
    texts |= {f"argument {number}": text for number, text in enumerate(job.argv)}
    if job.script is not None:
        texts["the script"] = job.script
    for secret in job.secrets:
        value = os.environ.get(secret)
        if not value:
            continue
        masked = Redaction(None, [value])
        for where, text in texts.items():
            if mask_text(masked, text) != text:
                raise WorkflowError(
                    f"{where} has the secret {secret} in it, which would pass through the engine: the program finds it "
                    f"in the environment of its worker, as {secret}"
                )

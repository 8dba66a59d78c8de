"""The state of a run: SQLite, one transaction for each finished task, so that a run killed at any instant resumes.

``.max/runs/<run>.db`` holds it; ``.max/runs/<run>.lock`` is locked (flock) by the process that runs it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import sqlite3
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.output.task_output import TaskOutput
from maxstage.trust import check_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from maxstage.store.store import Store

VERSION = 1
"""The version of the tables; `_MIGRATIONS` has a step from each to the next."""

_MIGRATIONS = {
    0: """
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, status TEXT NOT NULL, tolerated INTEGER NOT NULL,
        attempts INTEGER NOT NULL, error TEXT, output TEXT, ended REAL NOT NULL, size INTEGER NOT NULL,
        accessed REAL NOT NULL, pruned INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE contexts (path TEXT PRIMARY KEY, given TEXT NOT NULL) WITHOUT ROWID;
    """
}

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")

RUNNING, COMPLETED, FAILED, INTERRUPTED = "running", "completed", "failed", "interrupted"
"""How a run is. One that says ``running`` and holds no lock was killed."""
DAMAGED = "damaged"
"""What is told of a run whose state can't be read."""
SKIPPED = "skipped"
"""How a task may end beside ``completed`` and ``failed``."""


class TaskResult:
    """How a task ended.

    Attributes:
        status: ``completed``, ``failed`` or ``skipped``.
        output: What it printed; None where it was skipped.
        attempts: How often it was tried.
        error: Why it failed.
        tolerated: Whether it failed and the run goes on (``on_error: {continue: true}``).
        pruned: Whether its output was dropped since.
    """

    __slots__ = ("attempts", "error", "output", "pruned", "status", "tolerated")

    def __init__(
        self,
        status: str,
        output: TaskOutput | None = None,
        *,
        attempts: int = 0,
        error: str | None = None,
        tolerated: bool = False,
        pruned: bool = False,
    ) -> None:
        self.pruned = pruned
        self.status = status
        self.output = output
        self.attempts = attempts
        self.error = error
        self.tolerated = tolerated

    @property
    def is_final(self) -> bool:
        """Whether it need not be tried again when the run is resumed."""
        return self.status != FAILED or self.tolerated

    def __repr__(self) -> str:
        return f"TaskResult({self.status!r}, attempts={self.attempts}, error={self.error!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        output = None if self.output is None else self.output.to_dict()
        return {
            "status": self.status,
            "attempts": self.attempts,
            "error": self.error,
            "tolerated": self.tolerated,
            "pruned": self.pruned,
            "output": output,
        }

    def summary(self) -> dict[str, Any]:
        """Return what is known of it but for the content, as JSON can hold it."""
        values: dict[str, Any] = {"status": self.status, "attempts": self.attempts, "error": self.error}
        for name in ("tolerated", "pruned"):
            if getattr(self, name):
                values[name] = True
        if self.output is not None:
            values["bytes"] = self.output.original_size
            for name in ("exit_code", "truncated", "token", "external_path", "duration"):
                values[name] = getattr(self.output, name)
            if self.output.warnings:
                values["warnings"] = list(self.output.warnings)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TaskResult:
        """Read what `to_dict` returned."""
        output = None if values["output"] is None else TaskOutput.from_dict(values["output"])
        return cls(
            values["status"],
            output,
            attempts=values["attempts"],
            error=values["error"],
            tolerated=values["tolerated"],
            pruned=values["pruned"],
        )


class Ended(NamedTuple):
    """What is known of a task that has ended, without its output.

    Attributes:
        time: When it ended, Unix time in seconds.
        accessed: When its output was used last.
        size: Bytes of its output that are held; 0 once it is pruned.
        has_output: Whether it has one that is not pruned.
    """

    time: float
    accessed: float
    size: int
    has_output: bool


class RunState:
    """The state of one run. Methods may be called from any thread."""

    def __init__(self, folder: str, run_id: str, *, create: bool = False) -> None:
        self.run_id = run_id
        self._path = os.path.join(folder, f"{run_id}.db")
        # It becomes the name of a file: one from elsewhere must not lead out of the folder.
        if not _RUN_ID.fullmatch(run_id):
            raise WorkflowError(f"{run_id!r} is no id of a run")
        if not create and not os.path.exists(self._path):
            raise WorkflowError(f'There is no run {run_id}; "max runs" shows what there is')
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._lock = threading.Lock()
        self._lock_path = os.path.join(folder, f"{run_id}.lock")
        self._lock_fd = -1
        self._closed = False
        try:
            # isolation_level None: we say where a transaction begins.
            self._db = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            # What a killed process has written is there; only a power cut may take the last moments.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
        except sqlite3.DatabaseError as error:
            raise WorkflowError(f"The state of run {run_id} can't be read: {error}: {self._path}") from None
        os.chmod(self._path, 0o600)

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise WorkflowError(f"run {self.run_id} was written by a newer maxstage; upgrade to read it")
        for step in range(version, VERSION):
            self._db.executescript(f"BEGIN; {_MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")

    def acquire(self) -> None:
        """Become the one process that runs it.

        Raises:
            WorkflowError: Another does.
        """
        self._lock_fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkflowError(f"Run {self.run_id} is running already, in another process") from None

    def is_live(self) -> bool:
        """Whether some process runs it."""
        try:
            fd = os.open(self._lock_path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def delete(self) -> None:
        """Close it, and delete it."""
        self.close()
        delete_files(os.path.dirname(self._path), self.run_id)

    def close(self) -> None:
        """Close it, and let others run it."""
        if self._closed:
            return
        self._closed = True
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        self._db.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    @contextlib.contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if not self._db.in_transaction:
                    self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                if commit:
                    self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise WorkflowError(
                    f"The state of run {self.run_id} can't be written: {error}: {self._path}"
                ) from None

    def set_facts(self, **facts: Any) -> None:
        """Note what is known of the run."""
        with self._transaction() as db:
            rows = [(name, json.dumps(value)) for name, value in facts.items()]
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def facts(self) -> dict[str, Any]:
        """Return what is known of the run."""
        rows = self._rows("SELECT name, value FROM facts")
        return {name: json.loads(value) for name, value in rows}

    def record(self, path: str, result: TaskResult, *, commit: bool = True) -> Ended:
        """Note that a task has ended: one transaction.

        Args:
            path: Its path.
            result: How it ended.
            commit: False lets it wait for the next one that is committed.
        """
        output = None if result.output is None else json.dumps(result.output.to_dict())
        now = time.time()
        accessed = now if result.output is None else result.output.last_accessed.timestamp()
        ended = Ended(now, accessed, held_bytes(result.output), result.output is not None)
        # A name that is not UTF-8, in an error of the system's, is no text for SQLite.
        error = result.error and result.error.encode("utf-8", "backslashreplace").decode()
        row = (path, result.status, result.tolerated, result.attempts, error, output, *ended[:3])
        with self._transaction(commit=commit) as db:
            db.execute(
                "INSERT OR REPLACE INTO tasks (path, status, tolerated, attempts, error, output, ended, accessed, size)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return ended

    def ended(self) -> dict[str, Ended]:
        """Return all tasks that have ended, in the order in which they did, without their outputs."""
        rows = self._rows(
            "SELECT path, ended, accessed, size, output IS NOT NULL AND NOT pruned FROM tasks ORDER BY number"
        )
        return {
            path: Ended(ended, accessed, size, bool(there)) for path, ended, accessed, size, there in rows
        }

    def statuses(self) -> dict[str, str]:
        """Return how each task ended, in the order in which they did."""
        return dict(self._rows("SELECT path, status FROM tasks ORDER BY number"))

    def record_context(self, path: str, given: dict[str, Any], used: Iterable[str]) -> float:
        """Note what an agent's task is given, and that those outputs were used; return when."""
        now = time.time()
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO contexts VALUES (?, ?)", (path, json.dumps(given)))
            db.executemany("UPDATE tasks SET accessed = ? WHERE path = ?", [(now, one) for one in used])
        return now

    def set_output(self, path: str, output: TaskOutput) -> None:
        """Replace the output of a task that has ended: by the same one, with a token."""
        with self._transaction() as db:
            db.execute("UPDATE tasks SET output = ? WHERE path = ?", (json.dumps(output.to_dict()), path))

    def mentions(self, token: str) -> bool:
        """Whether an output that is held names a token, or is kept under it."""
        return bool(self._rows("SELECT 1 FROM tasks WHERE NOT pruned AND instr(output, ?) LIMIT 1", token))

    def contexts(self) -> dict[str, dict[str, Any]]:
        """Return what each agent's task was given."""
        rows = self._rows("SELECT path, given FROM contexts ORDER BY path")
        return {path: json.loads(given) for path, given in rows}

    def prune(self, paths: Iterable[str]) -> None:
        """Drop the outputs of tasks, but for what is known of them: one transaction."""
        with self._transaction() as db:
            for path in paths:
                row = db.execute("SELECT output FROM tasks WHERE path = ?", (path,)).fetchone()
                if row is None or row[0] is None:
                    continue
                output = TaskOutput.from_dict(json.loads(row[0]))
                stderr = output.stderr and dataclasses.replace(
                    output.stderr, content=b"", token=None, external_path=None
                )
                output = dataclasses.replace(
                    output, content=b"", token=None, external_path=None, stderr=stderr
                )
                db.execute(
                    "UPDATE tasks SET output = ?, size = 0, pruned = 1 WHERE path = ?",
                    (json.dumps(output.to_dict()), path),
                )

    def find(self, path: str) -> TaskResult | None:
        """Return how a task ended, if it has."""
        rows = self._rows(
            "SELECT status, tolerated, attempts, error, output, pruned, accessed FROM tasks WHERE path = ?",
            path,
        )
        return _result(*rows[0]) if rows else None

    def results(self) -> Iterator[tuple[str, TaskResult]]:
        """Give all tasks that have ended, in the order in which they did; one at a time, since they may be large."""
        for path in self.paths():
            result = self.find(path)
            if result is not None:
                yield path, result

    def _rows(self, query: str, *values: str) -> list[Any]:
        """Return what a query finds.

        Raises:
            WorkflowError: The file is damaged, or can't be read.
        """
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise WorkflowError(
                    f"The state of run {self.run_id} can't be read: {error}: {self._path}"
                ) from None

    def paths(self) -> list[str]:
        """Return the paths of all tasks that have ended, in the order in which they did."""
        return [path for (path,) in self._rows("SELECT path FROM tasks ORDER BY number")]

    def tokens(self) -> set[str]:
        """Return the tokens that the run's outputs refer to."""
        found = set()
        for _, result in self.results():
            for output in (result.output, result.output and result.output.stderr):
                if output is not None and output.token is not None:
                    found.add(output.token)
        return found

    def export(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        tasks = {path: result.to_dict() for path, result in self.results()}
        return {
            "version": VERSION,
            "run": self.run_id,
            "facts": self.facts(),
            "task_outputs": tasks,
            "contexts": self.contexts(),
        }

    def restore(self, exported: dict[str, Any]) -> None:
        """Take over what `export` returned, or the older form ``{"task_results": {name: text}}``."""
        if "task_results" in exported:
            for name, text in exported["task_results"].items():
                content = str(text).encode()
                self.record(
                    name,
                    TaskResult(COMPLETED, TaskOutput(name, "stdout", content, len(content), exit_code=0)),
                )
            return
        self.set_facts(**exported["facts"])
        for path, values in exported["task_outputs"].items():
            self.record(path, TaskResult.from_dict(values))
        self.prune([path for path, values in exported["task_outputs"].items() if values["pruned"]])
        for path, given in exported["contexts"].items():
            self.record_context(path, given, ())


def held_bytes(output: TaskOutput | None) -> int:
    """Return the bytes of an output's content, with that of stderr."""
    if output is None:
        return 0
    return len(output.content) + (0 if output.stderr is None else len(output.stderr.content))


def _result(
    status: str,
    tolerated: int,
    attempts: int,
    error: str | None,
    output: str | None,
    pruned: int,
    accessed: float,
) -> TaskResult:
    parsed = None
    if output is not None:
        used = datetime.fromtimestamp(accessed, UTC)
        parsed = dataclasses.replace(TaskOutput.from_dict(json.loads(output)), last_accessed=used)
    return TaskResult(
        status, parsed, attempts=attempts, error=error, tolerated=bool(tolerated), pruned=bool(pruned)
    )


def delete_files(folder: str, run_id: str) -> None:
    """Delete the files of a run, readable or not."""
    for suffix in (".db-wal", ".db-shm", ".db", ".lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, run_id + suffix))


def runs_folder(store: Store) -> str:
    """Return the folder that a project's runs lie in, which need not exist.

    Raises:
        Untrusted: It belongs to another user.
    """
    base = os.path.dirname(store.layout.root)
    check_path(f"{base}/runs", os.path.dirname(base))
    return f"{base}/runs"


def list_runs(folder: str) -> list[str]:
    """Return the ids of all runs, newest first: an id begins with the time."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted((name.removesuffix(".db") for name in names if name.endswith(".db")), reverse=True)


def find_runs(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all runs, newest first, each with what is known of it."""
    for run_id in list_runs(folder):
        try:
            state = RunState(folder, run_id)
        except WorkflowError:
            # One that is damaged must not hide the others.
            yield run_id, {"status": DAMAGED, "live": False}
            continue
        try:
            facts = state.facts() | {"live": state.is_live()}
        except WorkflowError:
            facts = {"status": DAMAGED, "live": False}
        finally:
            state.close()
        yield run_id, facts


def new_run_id() -> str:
    """Return an id for a run: when it began, to the millisecond, and random digits."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03}{os.urandom(2).hex()}"


def import_run(folder: str, exported: Any, name: str) -> RunState:
    """Make a run of what `RunState.export` returned, or of the older form ``{"task_results": {name: text}}``.

    Raises:
        WorkflowError: It has neither form, or there is a run of that name.
    """
    known = isinstance(exported, dict) and ("task_results" in exported or "task_outputs" in exported)
    if not known:
        raise WorkflowError(f"{name} is no state of a run: it has neither task_outputs nor task_results")
    run_id = str(exported.get("run") or new_run_id())
    if run_id in list_runs(folder):
        raise WorkflowError(f"There is a run {run_id} already")
    state = RunState(folder, run_id, create=True)
    try:
        state.restore(exported)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        state.delete()
        raise WorkflowError(f"{name} is no state of a run: {error!r}") from None
    return state

"""The state of a run in SQLite, with a transaction for each finished task, so that a killed run can always be resumed.

It is in ``.max/runs/<run>.db``. The process that executes the run locks ``.max/runs/<run>.lock`` (flock), and is the
only one that writes; others open it read-only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.output.task_output import TaskOutput
from maxstage.store.project import project_around
from maxstage.store.store import Store
from maxstage.workflow.run import attempts, moved, run_files, shapes, tables
from maxstage.workflow.run.paths import within
from maxstage.workflow.run.results import COMPLETED, INTERRUPTED, Ended, TaskResult, held_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_FINAL = "(status NOT IN ('failed', 'interrupted') OR tolerated)"
"""SQL for results that need not be tried again when the run is resumed."""


class DamagedRun(WorkflowError):
    """The state of the run is permanently unreadable."""


class RunState:
    """The state of one run. It can be read and, once acquired, written. Methods may be called from any thread.

    Raises:
        DamagedRun: It is damaged.
        WorkflowError: There is no such run, or it can't be read at the moment: methods that read raise both, too.
        OSError: It can't be opened.
    """

    def __init__(self, folder: str, run_id: str) -> None:
        self.run_id = run_id
        if not run_files.is_run_id(run_id):
            raise WorkflowError(f"{printable(repr(run_id), 120)} is not a valid run id")
        self.folder = folder
        self._path = os.path.join(folder, f"{run_id}.db")
        self._lock = threading.Lock()
        self._lock_fd = -1
        self._closed = False
        self._restoring = False
        try:
            self._use(tables.open_to_read(self._path))
        except FileNotFoundError:
            raise WorkflowError(f'There is no run {run_id}; "max runs" lists the runs') from None
        # The second is from a message of SQLite that quotes damaged data.
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    @classmethod
    def create(cls, folder: str, run_id: str, facts: Mapping[str, Any]) -> RunState:
        """Create and acquire a run with these facts. If the process is killed meanwhile, the run doesn't exist.

        Raises:
            WorkflowError: There is already such a run, or it can't be written.
        """
        if not run_files.is_run_id(run_id):
            raise WorkflowError(f"{printable(repr(run_id), 120)} is not a valid run id")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        run_files.sweep(folder)
        path = os.path.join(folder, f"{run_id}.db")
        fd = run_files.lock(folder, run_id)
        if os.path.exists(path):
            os.close(fd)
            raise WorkflowError(f"Run {run_id} already exists")
        try:
            tables.create(path, facts)
            state = cls(folder, run_id)
            state._open_to_write(fd)
        except BaseException as error:
            run_files.delete_files(folder, run_id)
            os.close(fd)
            if not isinstance(error, sqlite3.Error):
                raise
            raise WorkflowError(f"The state of run {run_id} can't be written: {error}: {path}") from None
        return state

    def _use(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._version = tables.version_of(db)
        if self._version > tables.VERSION:
            db.close()
            raise WorkflowError(f"run {self.run_id} was written by a newer maxstage; upgrade to read it")

    def acquire(self) -> None:
        """Become the only process that executes and writes the run.

        Raises:
            WorkflowError: Another process is, or it can't be written.
        """
        fd = self._hold()
        try:
            self._open_to_write(fd)
        except BaseException:
            os.close(fd)
            raise

    def acquire_to_delete(self) -> None:
        """Lock the run as `acquire` does, but without writing, so that it can be deleted on a full disk."""
        self._lock_fd = self._hold()

    def _hold(self) -> int:
        fd = run_files.lock(self.folder, self.run_id)
        if not os.path.exists(self._path):
            run_files.delete_files(self.folder, self.run_id)
            os.close(fd)
            raise WorkflowError(f'Run {self.run_id} no longer exists; "max runs" lists the runs')
        return fd

    def _open_to_write(self, lock_fd: int) -> None:
        self._db.close()
        try:
            self._use(tables.open_to_write(self._path))
        except sqlite3.Error as error:
            raise self._unwritable(error) from None
        self._lock_fd = lock_fd

    def _unreadable(self, error: Exception) -> WorkflowError:
        """Return the error for a state that can't be read: it is damaged, or just can't be read at the moment."""
        if isinstance(error, sqlite3.Error) and tables.is_of_writing(error):
            return self._unwritable(error)
        damaged = not isinstance(error, sqlite3.Error) or tables.is_damage(error)
        kind, text = (
            (DamagedRun, "is damaged and can't be read") if damaged else (WorkflowError, "can't be read")
        )
        return kind(f"The state of run {self.run_id} {text}: {printable(str(error), 200)}: {self._path}")

    @contextlib.contextmanager
    def _checking(self) -> Iterator[None]:
        """Report invalid content as damage."""
        try:
            yield
        except ValueError as error:
            raise self._unreadable(error) from None

    def _unwritable(self, error: sqlite3.Error) -> WorkflowError:
        return WorkflowError(f"The state of run {self.run_id} can't be written: {error}: {self._path}")

    def is_live(self) -> bool:
        """Return whether a process is executing the run."""
        return self._lock_fd >= 0 or run_files.is_locked(self.folder, self.run_id)

    def delete(self) -> None:
        """Delete it; it must be acquired."""
        self._db.close()
        # Keep it locked meanwhile, so that nobody resumes half of it.
        run_files.delete_files(self.folder, self.run_id)
        self.close()

    def close(self) -> None:
        """Close it, and release the lock."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(sqlite3.ProgrammingError):  # it was deleted
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        self._db.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    @contextlib.contextmanager
    def _transaction(self, *, commit: bool = True) -> Iterator[sqlite3.Connection]:
        assert self._lock_fd >= 0, "a run is written only by the process that acquired it"  # noqa: S101 - a broken invariant
        with self._lock:
            try:
                if not self._db.in_transaction:
                    self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                if commit and not self._restoring:
                    self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._unwritable(error) from None

    def set_facts(self, **facts: Any) -> None:
        """Record facts of the run."""
        with self._transaction() as db:
            rows = [(name, exact.dumps(value, ensure_ascii=True)) for name, value in facts.items()]
            db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)

    def facts(self) -> dict[str, Any]:
        """Return the facts of the run, without its `plan`."""
        rows = self._rows("SELECT name, value FROM facts WHERE name != 'plan'")
        with self._checking():
            return shapes.checked_facts({name: shapes.parse(value, shapes.anything) for name, value in rows})

    def plan(self) -> dict[str, dict[str, Any]]:
        """Return the tasks of the file as it was when the run was last started, by path; none if it is not known."""
        rows = self._rows("SELECT value FROM facts WHERE name = 'plan'")
        with self._checking():
            return shapes.parse(rows[0][0], shapes.PLAN) if rows else {}

    def given_up(self) -> dict[str, str | None]:
        """Return the tasks that failed, were to be tried again and were not, each with the error."""
        if self._version < tables.WITH_ATTEMPTS:
            return {}
        rows = self._rows(attempts.GIVEN_UP)
        with self._checking():
            for row in rows:
                shapes.check_row(row, shapes.GIVEN_UP)
        return dict(rows)

    def record(self, path: str, result: TaskResult, *, commit: bool = True) -> Ended:
        """Record that a task has ended, in one transaction.

        Args:
            path: Its path.
            result: How it ended.
            commit: False to leave the commit to the next call that commits.
        """
        output = None if result.output is None else json.dumps(result.output.to_dict())
        now = time.time()
        accessed = now if result.output is None else result.output.last_accessed.timestamp()
        # The output of an interrupted task is incomplete: it is shown, but no other task gets it.
        usable = result.output is not None and result.status != INTERRUPTED
        ended = Ended(now, accessed, held_bytes(result.output), usable, result.is_final)
        # SQLite doesn't accept file names that are not UTF-8, which errors of the system may contain.
        error = result.error and result.error.encode("utf-8", "backslashreplace").decode()
        outcome = (result.status, result.tolerated, result.attempts, error, output)
        row = (path, *outcome, *ended[:3], result.cached, result.cache)
        with self._transaction(commit=commit) as db:
            db.execute(
                "INSERT OR REPLACE INTO tasks"
                " (path, status, tolerated, attempts, error, output, ended, accessed, size, cached, cache)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return ended

    def ended(self) -> dict[str, Ended]:
        """Return all tasks that have ended, in that order, without their outputs."""
        rows = self._rows(
            "SELECT path, ended, accessed, size,"  # noqa: S608 - ours
            " output IS NOT NULL AND NOT pruned AND status != 'interrupted',"
            f" {_FINAL}, pruned, {self._moved}"
            " FROM tasks ORDER BY number"
        )
        with self._checking():
            for row in rows:
                shapes.check_row(row, shapes.ENDED)
        return {row[0]: Ended(*row[1:4], *map(bool, row[4:])) for row in rows}

    @property
    def _moved(self) -> str:
        return "moved" if self._version >= tables.WITH_ITEMS else "0"

    def item(self, path: str) -> str | None:
        """Return the digest of the item that an iteration was given, if it is known."""
        rows = self._rows("SELECT digest FROM items WHERE path = ?", path)
        return rows[0][0] if rows else None

    def note_item(self, path: str, digest: str) -> None:
        """Record which item an iteration is given; it is committed together with the first result of the iteration."""
        with self._transaction(commit=False) as db:
            db.execute("INSERT OR REPLACE INTO items VALUES (?, ?)", (path, digest))

    def files(self) -> dict[str, str]:
        """Return the tasks that have completed and wrote a file, each with that file's digest."""
        rows = self._rows("SELECT path, digest FROM files JOIN tasks USING (path) WHERE status = 'completed'")
        with self._checking():
            for row in rows:
                shapes.check_row(row, (shapes.text, shapes.text))
        return dict(rows)

    def note_file(self, path: str, digest: str) -> None:
        """Record which file a task has written; it is committed together with the task's result."""
        with self._transaction(commit=False) as db:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (path, digest))

    def note_cache(self, path: str, key: str, parts: Mapping[str, str]) -> None:
        """Record what a task depends on; it is committed together with the task's result."""
        with self._transaction(commit=False) as db:
            db.execute("INSERT OR REPLACE INTO caches VALUES (?, ?, ?)", (path, key, json.dumps(parts)))

    def cached_under(self, key: str) -> list[str]:
        """Return the tasks that depended on the same, by the digest of it."""
        if self._version < tables.WITH_CACHE:
            return []
        return [path for (path,) in self._rows("SELECT path FROM caches WHERE key = ? ORDER BY path", key)]

    def cache_parts(self, path: str) -> dict[str, str] | None:
        """Return what a task depended on, if it is known."""
        if self._version < tables.WITH_CACHE:
            return None
        rows = self._rows("SELECT parts FROM caches WHERE path = ?", path)
        with self._checking():
            return shapes.parse(rows[0][0], shapes.mapping(shapes.text)) if rows else None

    def ask(self, path: str, asked: Mapping[str, Any]) -> None:
        """Record what a task asks."""
        with self._transaction() as db:
            text = exact.dumps(dict(asked), ensure_ascii=True)
            db.execute("INSERT OR REPLACE INTO questions VALUES (?, ?)", (path, text))

    def answered(self, path: str) -> None:
        """Record that a task no longer waits for an answer; it is committed together with the task's result."""
        with self._transaction(commit=False) as db:
            db.execute("DELETE FROM questions WHERE path = ?", (path,))

    def questions(self) -> dict[str, dict[str, Any]]:
        """Return what is asked, by the paths of the tasks that wait for an answer."""
        if self._version < tables.WITH_QUESTIONS:
            return {}
        rows = self._rows("SELECT path, asked FROM questions ORDER BY path")
        with self._checking():
            return {path: shapes.parse(asked, shapes.QUESTION) for path, asked in rows}

    def has_within(self, path: str) -> bool:
        """Return whether anything within a task, or an iteration, has ended and won't be repeated."""
        query = f"SELECT 1 FROM tasks WHERE path > ? AND path < ? AND {_FINAL} LIMIT 1"  # noqa: S608 - ours
        return bool(self._rows(query, *within(path, ".")))

    def last_iteration(self, path: str) -> int:
        """Return the number of the last iteration of a loop in which anything has ended for good; -1 if none."""
        query = f"SELECT path FROM tasks WHERE path > ? AND path < ? AND {_FINAL}"  # noqa: S608 - ours
        rows = self._rows(query, *within(path, "["))
        return max((int(found[len(path) + 1 : found.index("]", len(path))]) for (found,) in rows), default=-1)

    def statuses(self) -> dict[str, str]:
        """Return the status of each task that has ended, in that order."""
        rows = self._rows("SELECT path, status FROM tasks ORDER BY number")
        with self._checking():
            for row in rows:
                shapes.check_row(row, (shapes.text, shapes.RESULT[0]))
        return dict(rows)

    def record_context(self, path: str, given: dict[str, Any], used: Iterable[str]) -> float:
        """Record the context of an agent's task, and that these outputs were used; return the time."""
        now = time.time()
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO contexts VALUES (?, ?)", (path, json.dumps(given)))
            db.executemany("UPDATE tasks SET accessed = ? WHERE path = ?", [(now, one) for one in used])
        return now

    def set_token(self, path: str, token: str, file: str | None) -> None:
        """Record the token under which an output in the state is also stored."""
        with self._transaction() as db:
            (text,) = db.execute("SELECT output FROM tasks WHERE path = ?", (path,)).fetchone()
            output = json.loads(text) | {"token": token, "external_path": file}
            db.execute("UPDATE tasks SET output = ? WHERE path = ?", (json.dumps(output), path))

    def move(self, path: str, tokens: Mapping[str, tuple[str, str | None]]) -> None:
        """Remove the text of an output that is now in the store.

        Args:
            path: The task's path.
            tokens: The token and the file of the text of ``stdout``, and of ``stderr`` if there is any.
        """
        with self._transaction() as db:
            (text,) = db.execute("SELECT output FROM tasks WHERE path = ?", (path,)).fetchone()
            output = json.loads(text)
            moved.let_go(output, tokens)
            db.execute("UPDATE tasks SET output = ?, moved = 1 WHERE path = ?", (json.dumps(output), path))

    def kept(self, path: str) -> list[tuple[str, str | None]]:
        """Return the tokens of what stores keep of a task's output, each with the folder of its project."""
        rows = self._rows("SELECT output FROM tasks WHERE path = ? AND NOT pruned", path)
        if self._version >= tables.WITH_ATTEMPTS:
            rows += self._rows("SELECT output FROM attempts WHERE path = ? AND NOT pruned", path)
        with self._checking():
            return [one for (output,) in rows for one in moved.tokens_in(output)]

    def mentions(self, token: str) -> bool:
        """Return whether an output that is held contains a token, or is stored under it."""
        return any(
            self._rows(f"SELECT 1 FROM {table} WHERE NOT pruned AND instr(output, ?) LIMIT 1", token)  # noqa: S608 - ours
            for table in ("tasks", "attempts")
        )

    def contexts(self) -> dict[str, dict[str, Any]]:
        """Return the context of each agent's task."""
        rows = self._rows("SELECT path, given FROM contexts ORDER BY path")
        with self._checking():
            return {path: shapes.parse(given, shapes.CONTEXT) for path, given in rows}

    def prune(self, paths: Iterable[str]) -> None:
        """Drop the content of tasks' outputs, but not their metadata, in one transaction."""
        with self._transaction() as db:
            for path in paths:
                attempts.drop_all(db, path)
                row = db.execute("SELECT output FROM tasks WHERE path = ?", (path,)).fetchone()
                if row is None or row[0] is None:
                    continue
                output = TaskOutput.from_dict(json.loads(row[0]))
                gone: dict[str, Any] = {"content": b"", "token": None, "store": None, "external_path": None}
                output = output.replace(**gone, stderr=output.stderr and output.stderr.replace(**gone))
                db.execute(
                    "UPDATE tasks SET output = ?, size = 0, moved = 0, pruned = 1 WHERE path = ?",
                    (json.dumps(output.to_dict()), path),
                )

    def find(self, path: str) -> TaskResult | None:
        """Return the result of a task, if it has ended."""
        cached = "cached, cache" if self._version >= tables.WITH_CACHE else "0, NULL"
        return self._find(f"{self._moved}, {cached} FROM tasks WHERE path = ?", path)

    def find_attempt(self, path: str, number: int) -> TaskResult | None:
        """Return the result of an earlier attempt, from 1; None if it is not known."""
        if self._version < tables.WITH_ATTEMPTS:
            return None
        return self._find("moved, 0, NULL FROM attempts WHERE path = ? AND number = ?", path, number)

    def count_attempts(self, path: str) -> int:
        """Return how many earlier attempts of a task are known; they are numbered from 1."""
        known = self._version >= tables.WITH_ATTEMPTS
        return int(self._rows("SELECT count(*) FROM attempts WHERE path = ?", path)[0][0]) if known else 0

    def set_aside(self, paths: Iterable[str], *, repeated: bool = False) -> list[tuple[str, str | None]]:
        """Make the results of tasks, which are done again, earlier attempts.

        Args:
            paths: The tasks.
            repeated: Whether they are done with what they find now: which items and files they had is forgotten.

        Returns:
            What stores keep of attempts that are too old now; it may be deleted.
        """
        paths = list(paths)
        with self._transaction() as db:
            found = attempts.set_aside(db, paths)
            for table in ("items", "files", "contexts", "caches", "questions") if repeated else ():
                db.executemany(f"DELETE FROM {table} WHERE path = ?", [(path,) for path in paths])  # noqa: S608 - ours
        return found

    def _find(self, rest: str, *values: str | int) -> TaskResult | None:
        rows = self._rows(
            f"SELECT status, tolerated, attempts, error, output, pruned, accessed, {rest}",
            *values,
        )
        with self._checking():
            for row in rows:
                shapes.check_row(row, shapes.RESULT)
        return self._result(*rows[0]) if rows else None

    def _result(
        self,
        status: str,
        tolerated: int,
        attempts: int,
        error: str | None,
        output: str | None,
        pruned: int,
        accessed: float,
        lies_in_store: int,
        cached: int,
        cache: str | None,
    ) -> TaskResult:
        parsed, gone = None, False
        if output is not None:
            with self._checking():
                values = shapes.parse(output, shapes.OUTPUT)
            if lies_in_store:
                gone = not self._fetch(values)
            used = datetime.fromtimestamp(accessed, UTC)
            with self._checking():
                parsed = TaskOutput.from_dict(values).replace(last_accessed=used)
        flags = {"tolerated": bool(tolerated), "pruned": bool(pruned) or gone, "cached": bool(cached)}
        return TaskResult(status, parsed, attempts=attempts, error=error, cache=cache, **flags)

    def _fetch(self, values: dict[str, Any]) -> bool:
        """Put the texts that are in the store back into an output; return whether all of them still exist.

        Raises:
            Error, OSError: A text is damaged, or can't be read.
        """
        store = Store.open(project_around(os.path.abspath(self.folder)))
        return moved.fetch(values, store)

    def results(self) -> Iterator[tuple[str, TaskResult]]:
        """Yield all tasks that have ended, in that order; one at a time, since they may be large."""
        for path in self.paths():
            result = self.find(path)
            if result is not None:
                yield path, result

    def _rows(self, query: str, *values: str | int) -> list[Any]:
        """Return the rows of a query.

        Raises:
            WorkflowError: The file is damaged, or can't be read.
        """
        if self._version == 0:
            return []  # an older version was killed before it had created the tables
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise self._unreadable(error) from None

    def paths(self) -> list[str]:
        """Return the paths of all tasks that have ended, in that order."""
        rows = self._rows("SELECT path FROM tasks ORDER BY number")
        with self._checking():
            for row in rows:
                shapes.check_row(row, (shapes.text,))
        return [path for (path,) in rows]

    def tokens(self) -> set[str]:
        """Return the tokens that the run's outputs refer to."""
        return {token for path in self._known_paths() for token, _ in self.kept(path)}

    def _known_paths(self) -> list[str]:
        """Return the paths of all tasks that have ended, or of which an attempt has."""
        if self._version < tables.WITH_ATTEMPTS:
            return self.paths()
        return [path for (path,) in self._rows("SELECT path FROM tasks UNION SELECT path FROM attempts")]

    def export(self) -> dict[str, Any]:
        """Return the whole state as plain data for JSON."""
        tasks = {path: result.to_dict() for path, result in self.results()}
        items = self._rows("SELECT path, digest FROM items") if self._version >= tables.WITH_ITEMS else []
        return {
            "version": tables.VERSION,
            "run": self.run_id,
            "facts": self.facts(),
            "plan": self.plan(),
            "task_outputs": tasks,
            "contexts": self.contexts(),
            "items": dict(items),
            "files": self.files() if self._version >= tables.WITH_FILES else {},
            "attempts": {path: found for path in self._known_paths() if (found := self._attempts(path))},
        }

    def _attempts(self, path: str) -> list[dict[str, Any]]:
        numbers = range(1, self.count_attempts(path) + 1)
        return [one.to_dict() for number in numbers if (one := self.find_attempt(path, number)) is not None]

    def restore(self, exported: dict[str, Any], facts: Mapping[str, Any]) -> None:
        """Import what `export` returned, or the older form ``{"task_results": {name: text}}``, in one transaction.

        Args:
            exported: The tasks, and what belongs to them.
            facts: The facts of the run.

        Raises:
            DamagedRun: What was written could not be read.
            KeyError, TypeError, ValueError, AttributeError, OverflowError: Something is missing, or has the wrong type.
        """
        self._restoring = True
        self.set_facts(**facts)
        self._restore(exported)
        self._read_all()
        self._restoring = False
        with self._transaction():
            pass

    def _restore(self, exported: dict[str, Any]) -> None:
        if "task_results" in exported:
            for name, text in exported["task_results"].items():
                content = text.encode("utf-8", "surrogateescape")
                self.record(
                    name,
                    TaskResult(COMPLETED, TaskOutput(name, "stdout", content, len(content), exit_code=0)),
                )
            return
        self.set_facts(plan=exported.get("plan", {}))
        for part, note in (("items", self.note_item), ("files", self.note_file)):
            digests = exported.get(part, {})
            if not shapes.mapping(shapes.text)(digests):
                raise ValueError(f"{part} are not texts")
            for path, digest in digests.items():
                note(path, digest)
        for path, known in exported.get("attempts", {}).items():
            for values in known:
                self.record(path, TaskResult.from_dict(values))
                self.set_aside([path])
        for path, values in exported["task_outputs"].items():
            self.record(path, TaskResult.from_dict(values))
        self.prune([path for path, values in exported["task_outputs"].items() if values["pruned"]])
        for path, given in exported["contexts"].items():
            self.record_context(path, given, ())

    def _read_all(self) -> None:
        """Read everything once, which checks it."""
        self.plan()
        for read in (self.facts, self.ended, self.statuses, self.files, self.contexts, self.tokens):
            read()
        for _ in self.results():
            pass
        for path in self._known_paths():
            self._attempts(path)

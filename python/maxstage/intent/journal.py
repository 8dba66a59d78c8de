"""The file of an intent: the plan, which never changes once it is made, and the journal of what was done.

It is ``.max/intents/<id>.db``. The process that executes the intent holds the lock of ``<id>.lock`` and is the only one
that writes the journal. What an operation is about to do is written and on disk before it does it (write-ahead), so
that whoever goes on after a kill, or a power cut, can tell from the files what was done.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from maxstage.errors import Corrupt, Error
from maxstage.files import is_trusted, try_lock
from maxstage.intent.facts import check_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VERSION = 1

PREPARING, ACTING, RUNNING = "preparing", "acting", "running"
"""In flight: unfinished files may lie about; it is being done; its program runs."""
SUCCEEDED, FAILED, SKIPPED, UNKNOWN = "succeeded", "failed", "skipped", "unknown"
STATUSES = (SUCCEEDED, FAILED, SKIPPED, UNKNOWN)
"""How operations end."""

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ops (
    n INTEGER PRIMARY KEY, op TEXT NOT NULL, source BLOB, target BLOB, body BLOB, record BLOB, fault TEXT, seen TEXT,
    after INTEGER
);
CREATE TABLE journal (
    n INTEGER PRIMARY KEY, status TEXT NOT NULL, error TEXT, target BLOB, made TEXT, crossed TEXT, over TEXT, did TEXT
);
CREATE TABLE folders (path BLOB PRIMARY KEY) WITHOUT ROWID;
"""

_LINKS = """
CREATE INDEX by_source ON ops (source) WHERE source IS NOT NULL;
CREATE INDEX by_target ON ops (target) WHERE target IS NOT NULL;
UPDATE ops SET after = nullif(max(
    coalesce((SELECT max(n) FROM ops AS o WHERE o.target = ops.target AND o.n < ops.n), 0),
    coalesce((SELECT max(n) FROM ops AS o WHERE o.target = ops.source AND o.n < ops.n), 0),
    coalesce((SELECT max(n) FROM ops AS o WHERE o.source = ops.target AND o.n < ops.n), 0),
    coalesce((SELECT max(n) FROM ops AS o WHERE o.source = ops.source AND o.n < ops.n), 0)
), 0)
"""
"""Which earlier operation each must wait for, because both are about one file."""

_BUSY_SECONDS = 30
"""How long to wait for another process that reads or writes the file: none holds it for long."""
SYNCHRONOUS = "FULL"
"""What is noted is on disk before anything is done: a power cut is no worse than a kill."""
_CACHE_KIB = 32 * 1024


class Row(NamedTuple):
    """An operation of a plan.

    Attributes:
        n: Its number, from 1: that of its record.
        op: What it does, a name in `maxstage.intent.operations.OPERATIONS`.
        source: The file that it takes, below the root; None if it takes none.
        target: The file that it makes, below the root; None if it makes none.
        body: What it writes, or the words of its command as JSON; else None.
        record: The record, as it was read.
        fault: Why it can never be done; None as a rule.
        seen: What the source was when the plan was made (`maxstage.intent.identity`); "" if it was missing, None if an
            earlier operation makes it.
        after: The last earlier operation that is about one of its files; None as a rule.
    """

    n: int
    op: str
    source: bytes | None
    target: bytes | None
    body: bytes | None
    record: bytes | None
    fault: str | None
    seen: str | None
    after: int | None


class Entry(NamedTuple):
    """What the journal knows of an operation.

    Attributes:
        n: The operation.
        status: How far it is.
        error: Why it failed.
        target: Where it went, if that is not where it was planned to go.
        made: What its target is, or will be (`maxstage.intent.identity`).
        crossed: What its source was, if that is removed after it was copied to another file system.
        over: What was at its target before, and is in the trash now.
        did: What else is to be told of it, as JSON.
    """

    n: int
    status: str
    error: str | None = None
    target: bytes | None = None
    made: str | None = None
    crossed: str | None = None
    over: str | None = None
    did: str | None = None


class Journal:
    """The file of an intent, open.

    Args:
        db: The file.
        path: Its path.
    """

    def __init__(self, db: sqlite3.Connection, path: str) -> None:
        self._db = db
        self.path = path

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._db.close()

    # Facts

    def facts(self) -> dict[str, Any]:
        """Return what is known of the whole.

        Raises:
            Corrupt: That is not what is written here.
        """
        with _told(self.path):
            found = self._db.execute("SELECT * FROM facts").fetchall()
        try:
            facts = {name: json.loads(value) for name, value in found}
        except (TypeError, ValueError, RecursionError):
            raise Corrupt(f"{self.path} is damaged: a fact in it is not JSON") from None
        return check_facts(facts, self.path)

    def has(self, query: str) -> bool:
        """Return whether a query finds anything."""
        with _told(self.path):
            return self._db.execute(query).fetchone() is not None

    def set_facts(self, **facts: Any) -> None:
        """Note facts about the whole; None takes one away."""
        rows = [(name, json.dumps(value)) for name, value in facts.items() if value is not None]
        gone = [(name,) for name, value in facts.items() if value is None]
        with self._change():
            self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
            self._db.executemany("DELETE FROM facts WHERE name = ?", gone)

    # The plan

    def rows(self, start: int = 1, count: int = -1) -> Iterator[Row]:
        """Yield operations in their order, from number `start`; all if `count` is -1."""
        with _told(self.path):
            found = self._db.execute("SELECT * FROM ops WHERE n >= ? ORDER BY n LIMIT ?", (start, count))
            yield from (tuple.__new__(Row, row) for row in found)

    def pending(self, start: int, count: int, *, failed: bool = False) -> list[Row]:
        """Return operations that are still to be done, in their order.

        Args:
            start: The first number.
            count: How many at most.
            failed: Whether those on files that failed are among them: they have done nothing, and are done again.
        """
        ended = " AND (status != 'failed' OR ops.op = 'run')" if failed else ""
        query = (
            f"SELECT * FROM ops WHERE n >= ? AND NOT EXISTS (SELECT 1 FROM journal WHERE n = ops.n{ended}) "  # noqa: S608
            "ORDER BY n LIMIT ?"
        )
        with _told(self.path):
            return [tuple.__new__(Row, row) for row in self._db.execute(query, (start, count))]

    def earlier(self, column: str, path: bytes, before: int, *, removing: bool = False) -> int:
        """Return the last operation before one that has this source or target; 0 if there is none.

        Args:
            column: ``source`` or ``target``.
            path: The file.
            before: The operation.
            removing: Only those that remove their source.
        """
        also = " AND op IN ('move', 'delete')" if removing else ""
        query = f"SELECT max(n) FROM ops WHERE {column} = ? AND n < ? AND fault IS NULL{also}"  # noqa: S608 - no data
        with _told(self.path):
            return self._db.execute(query, (path, before)).fetchone()[0] or 0

    def later_taker(self, path: bytes, after: int) -> int:
        """Return the first operation after one that takes a file away from this path; 0 if there is none."""
        query = (
            "SELECT min(n) FROM ops WHERE source = ? AND n > ? AND fault IS NULL AND op IN ('move', 'delete')"
        )
        with _told(self.path):
            return self._db.execute(query, (path, after)).fetchone()[0] or 0

    # The journal

    def note(self, entries: Iterable[Entry], folders: Iterable[bytes] = ()) -> None:
        """Note what is done, or about to be done; it is on disk once this returns.

        Args:
            entries: The operations.
            folders: Folders that are about to be made.
        """
        with self._change():
            self._db.executemany("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)", entries)
            self._db.executemany("INSERT OR IGNORE INTO folders VALUES (?)", ((path,) for path in folders))

    def finish(self, entries: Iterable[Entry]) -> None:
        """Note how operations ended: all of those that are being done, or neighbours of none that are."""
        ended = list(entries)
        # Of one on files that succeeded everything else is known already, but for where an old file went.
        done = [entry.n for entry in ended if _is_plain_success(entry)]
        others = [entry for entry in ended if not _is_plain_success(entry)]
        with self._change():
            self._db.executemany("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?)", others)
            if done:
                self._db.execute(
                    "UPDATE journal SET status = ? WHERE status = ? AND n BETWEEN ? AND ?",
                    (SUCCEEDED, ACTING, min(done), max(done)),
                )

    def forget(self, numbers: Iterable[int]) -> None:
        """Note that operations were not begun after all."""
        with self._change():
            self._db.executemany("DELETE FROM journal WHERE n = ?", ((number,) for number in numbers))

    def forget_all(self, status: str, ops: Iterable[str]) -> None:
        """Let operations of one status be done again."""
        with self._change():
            for op in ops:
                self._db.execute(
                    "DELETE FROM journal WHERE status = ? AND n IN (SELECT n FROM ops WHERE op = ?)",
                    (status, op),
                )

    def in_flight(self) -> list[tuple[Row, Entry]]:
        """Return the operations that were going on when the last execution was killed."""
        with _told(self.path):
            found = self._db.execute(
                "SELECT ops.*, journal.* FROM journal JOIN ops USING (n) WHERE status IN (?, ?, ?) ORDER BY n",
                (PREPARING, ACTING, RUNNING),
            )
            # The number that joins them is given once.
            return [(Row._make(row[:9]), Entry(row[0], *row[9:])) for row in _with_numbers(found)]

    def counts(self) -> dict[str, int]:
        """Return how many operations have each status."""
        with _told(self.path):
            found = self._db.execute("SELECT status, count(*) FROM journal GROUP BY status")
            return dict(found.fetchall())

    def done(self, *, backwards: bool = False) -> Iterator[tuple[Row, Entry]]:
        """Yield the operations that the journal tells of, with what it tells."""
        order = "DESC" if backwards else "ASC"
        query = f"SELECT ops.*, journal.* FROM journal JOIN ops USING (n) ORDER BY n {order}"  # noqa: S608 - no data
        with _told(self.path):
            for row in _with_numbers(self._db.execute(query)):
                yield Row._make(row[:9]), Entry(row[0], *row[9:])

    def ended(
        self,
    ) -> Iterator[
        tuple[int, str, bytes | None, bytes | None, str, str | None, str | None, str | None, bytes]
    ]:
        """Yield the operations that ended: number, op, source, target, status, error, over, did and record."""
        with _told(self.path):
            yield from self._db.execute(
                "SELECT ops.n, op, source, coalesce(journal.target, ops.target), status, error, over, did, record "
                "FROM journal JOIN ops USING (n) WHERE status IN (?, ?, ?, ?) ORDER BY n",
                STATUSES,
            )

    def folders(self) -> list[bytes]:
        """Return the folders that were made, innermost first."""
        with _told(self.path):
            paths = [row[0] for row in self._db.execute("SELECT path FROM folders")]
        return sorted(paths, key=lambda path: path.count(b"/"), reverse=True)

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        with _told(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _is_plain_success(entry: Entry) -> bool:
    return entry.status == SUCCEEDED and entry.did is None and entry.over is None


def _with_numbers(found: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """Return rows of both tables without the second number, which `SELECT ops.*, journal.*` repeats."""
    return (row[:9] + row[10:] for row in found)


@contextlib.contextmanager
def _told(
    path: str, advice: str = "nothing was lost, execute it again once that is mended"
) -> Iterator[None]:
    """Turn SQLite's errors into ours, which name the file, and say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise Corrupt(f"{path} is damaged: {error}") from None
        raise Error(f"{path}: {error}; {advice}") from None
    except UnicodeDecodeError:
        raise Corrupt(f"{path} is damaged: a text in it is not UTF-8") from None


_NOT_MADE = "no intent was made"


class Maker:
    """Makes the file of an intent: a plan that appears whole or not at all.

    Args:
        path: The file.
    """

    _NEW = ".new"

    def __init__(self, path: str) -> None:
        self._path = path
        self._part = path + self._NEW
        os.close(
            os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        )
        self._db = sqlite3.connect(self._part, isolation_level=None)
        try:
            self._begin()
        except BaseException:
            self.discard()
            raise

    def _begin(self) -> None:
        with _told(self._path, _NOT_MADE):
            # Until it is published nobody else sees it, and a kill leaves a part that is swept.
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.execute("BEGIN")

    def add(self, rows: Iterable[Row]) -> None:
        """Add operations."""
        with _told(self._path, _NOT_MADE):
            self._db.executemany("INSERT INTO ops VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def publish(self, facts: Mapping[str, Any]) -> None:
        """Finish the plan, and make it visible.

        Raises:
            Error, OSError: It can't be written; `discard` it.
        """
        with _told(self._path, _NOT_MADE):
            for statement in _LINKS.split(";"):
                self._db.execute(statement)
            # What an earlier operation makes was not there to be looked at.
            self._db.execute(
                "UPDATE ops SET seen = NULL WHERE after IS NOT NULL AND source IS NOT NULL AND EXISTS "
                "(SELECT 1 FROM ops AS o WHERE o.target = ops.source AND o.n < ops.n)"
            )
            rows = [(name, json.dumps(value)) for name, value in facts.items() if value is not None]
            self._db.executemany("INSERT INTO facts VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
            # Now, since the mode can't be changed while another process has the file open.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.close()
        fd = os.open(self._part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(self._part, self._path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._db.close()
        for path in (self._part, f"{self._part}-wal", f"{self._part}-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def open_journal(path: str, *, write: bool) -> Journal:
    """Open the file of an intent.

    Args:
        path: The file.
        write: Whether the journal is to be written.

    Raises:
        FileNotFoundError: There is none.
        Corrupt: It is no such file, or another user's.
    """
    status = os.lstat(path)
    if not os.path.isfile(path) or os.path.islink(path) or not is_trusted(status):
        raise Corrupt(f"{path} is not a file of yours")
    mode = "rw" if write else "ro"
    with _told(path):
        db = sqlite3.connect(
            f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None, timeout=_BUSY_SECONDS
        )
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            db.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            db.close()
            raise
    if version != VERSION:
        db.close()
        raise Corrupt(f"{path} was made by another version of maxstage, which wrote version {version}")
    return Journal(db, path)


class Lock:
    """The right to execute an intent, which one process has at a time; the kernel ends it with the process.

    Args:
        path: The file of the intent.
        intent: The intent, for the error.

    Raises:
        Error: Another process has it.
    """

    def __init__(self, path: str, intent: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(lock_of(path), flags, 0o600)
        if not try_lock(self._fd):
            os.close(self._fd)
            raise Error(f"{intent} is being executed by another process; wait for it, or end it")

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)


def lock_of(path: str) -> str:
    """Return the lock of the file of an intent."""
    return f"{path.removesuffix('.db')}.lock"

"""The tables of a run's state: making them, reading them, bringing older ones up to date.

Who only reads opens the file read-only and changes nothing, not even its version; `RunState` does the rest under the
run's lock. A new file appears with all its tables and first facts, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from maxstage import exact

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 3
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
    """,
    # What each iteration was given, and which outputs lie in the store.
    1: """
    CREATE TABLE items (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
    ALTER TABLE tasks ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
    """,
    # Which file each task wrote.
    2: """
    CREATE TABLE files (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
    """,
}

NEW = ".new"
"""What the name of a file ends with as long as it is being made."""
SIDES = ("-wal", "-shm", "-journal")
"""What SQLite adds to the name of a file for those that it keeps beside it."""


_OF_WRITING = (
    "SQLITE_FULL",
    "SQLITE_READONLY",
    "SQLITE_IOERR_DELETE",
    "SQLITE_IOERR_DIR_FSYNC",
    "SQLITE_IOERR_FSYNC",
    "SQLITE_IOERR_SHM",
    "SQLITE_IOERR_TRUNCATE",
    "SQLITE_IOERR_WRITE",
)
"""What the names of SQLite's errors begin with where it was writing that failed; -shm is a file that queries write."""


def create(path: str, facts: Mapping[str, Any]) -> None:
    """Make a new file, with what is known from the beginning. The caller holds the lock of its run.

    Raises:
        OSError, sqlite3.Error: It can't be written.
    """
    temporary = path + NEW
    # What a killed process left: a log that is not ours must never be applied to our file.
    for name in (temporary, *(base + side for base in (temporary, path) for side in SIDES)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    db = sqlite3.connect(temporary, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = MEMORY")
        os.chmod(temporary, 0o600)
        db.execute("BEGIN IMMEDIATE")
        _migrate(db, 0)
        rows = [(name, exact.dumps(value, ensure_ascii=True)) for name, value in facts.items()]
        db.executemany("INSERT INTO facts VALUES (?, ?)", rows)
        db.execute("COMMIT")
        # Now and not later, since to change the journal nobody else may have the file open.
        db.execute("PRAGMA journal_mode = WAL")
    finally:
        db.close()
    os.rename(temporary, path)


def open_to_write(path: str) -> sqlite3.Connection:
    """Open a file, and bring it up to date. The caller holds the lock of its run.

    Raises:
        sqlite3.Error: It is damaged, or can't be written.
    """
    # isolation_level None: we say where a transaction begins.
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        # What a killed process has written is there; only a power cut may take the last moments.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if version_of(db) < VERSION:
            db.execute("BEGIN IMMEDIATE")
            _migrate(db, version_of(db))
            db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Go on to the newest version, within the transaction that is open."""
    for step in range(version, VERSION):
        for statement in _MIGRATIONS[step].split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def open_to_read(path: str) -> sqlite3.Connection:
    """Open a file to read it, also where nothing can be written.

    Raises:
        OSError: It can't be opened.
        sqlite3.Error: It is damaged.
    """
    _check_file(path)
    try:
        return _open(path, "mode=ro")
    except sqlite3.OperationalError:
        # SQLite wants files beside it, for which there may be no permission or no room. Where a log has content its
        # index is made in memory then; where there is none, nobody writes here and none is needed.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path + "-wal").st_size > 0:
                return _open(path, "mode=ro&readonly_shm=1")
        return _open(path, "mode=ro&immutable=1")


def _check_file(path: str) -> None:
    """Say why a file can't be opened, which SQLite would not, and don't wait at a pipe that stands in its place."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)


def _open(path: str, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"file:{quote(path)}?{how}", uri=True, check_same_thread=False, isolation_level=None)
    try:
        version_of(db)
        db.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        db.close()
        raise
    return db


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is no good, and not that it can't be read at the moment."""
    # SQLITE_ERROR is a table or a column that there is not, or text that is no text.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def is_of_writing(error: sqlite3.Error) -> bool:
    """Whether an error says that something could not be written, which a query may have to as well."""
    name: str = getattr(error, "sqlite_errorname", "")
    return name.startswith(_OF_WRITING)


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables; 0: there are none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])

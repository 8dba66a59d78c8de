"""The tables of a run's state: creating them, opening them, migrating older ones.

Readers open the file read-only and change nothing, not even its version; `RunState` writes it under the run's lock. A
new file appears with all its tables and first facts, or not at all.
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

VERSION = 6
"""The version of the tables; `_MIGRATIONS` has a step from each to the next."""

WITH_ITEMS = 2
"""The first version of the tables with the items of iterations, and the outputs that are in the store."""
WITH_FILES = 3
"""The first version of the tables with the file that each task wrote."""
WITH_ATTEMPTS = 4
"""The first version of the tables with earlier attempts."""
WITH_CACHE = 5
"""The first version of the tables with what was taken from earlier runs."""
WITH_QUESTIONS = 6
"""The first version of the tables with what is asked."""

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
    # The item of each iteration, and which outputs are in the store.
    1: """
    CREATE TABLE items (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
    ALTER TABLE tasks ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
    """,
    # The file that each task wrote.
    2: """
    CREATE TABLE files (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
    """,
    # Earlier attempts of tasks.
    3: """
    CREATE TABLE attempts (
        path TEXT NOT NULL, number INTEGER NOT NULL, status TEXT NOT NULL, tolerated INTEGER NOT NULL,
        attempts INTEGER NOT NULL, error TEXT, output TEXT, ended REAL NOT NULL, accessed REAL NOT NULL,
        size INTEGER NOT NULL, pruned INTEGER NOT NULL, moved INTEGER NOT NULL, PRIMARY KEY (path, number)
    );
    """,
    # What tasks depend on that may be taken from an earlier run, and why one was, or wasn't.
    4: """
    ALTER TABLE tasks ADD COLUMN cached INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE tasks ADD COLUMN cache TEXT;
    CREATE TABLE caches (path TEXT PRIMARY KEY, key TEXT NOT NULL, parts TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX caches_by_key ON caches (key);
    """,
    # What is asked, and not answered yet.
    5: """
    CREATE TABLE questions (path TEXT PRIMARY KEY, asked TEXT NOT NULL) WITHOUT ROWID;
    """,
}

NEW = ".new"
"""The suffix of a file while it is being created."""
SIDES = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite keeps next to a database."""


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
"""How the names of SQLite's errors begin if writing failed; even queries write the -shm file."""


def create(path: str, facts: Mapping[str, Any]) -> None:
    """Create a new file, with the facts known at the start. The caller holds the lock of its run.

    Raises:
        OSError, sqlite3.Error: It can't be written.
    """
    temporary = path + NEW
    # Delete what a killed process left: its log must never be applied to our file.
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
        # Now, since the journal mode can't be changed while another process has the file open.
        db.execute("PRAGMA journal_mode = WAL")
    finally:
        db.close()
    os.rename(temporary, path)


def open_to_write(path: str) -> sqlite3.Connection:
    """Open a file, and migrate it if necessary. The caller holds the lock of its run.

    Raises:
        sqlite3.Error: It is damaged, or can't be written.
    """
    # isolation_level None: we begin transactions ourselves.
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        # What a killed process has committed survives; only a power cut may lose the last moments.
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
    """Migrate to the newest version, within the open transaction."""
    for step in range(version, VERSION):
        for statement in _MIGRATIONS[step].split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")


def open_to_read(path: str) -> sqlite3.Connection:
    """Open a file for reading, even where nothing can be written.

    Raises:
        OSError: It can't be opened.
        sqlite3.Error: It is damaged.
    """
    _check_file(path)
    try:
        return _open(path, "mode=ro")
    except sqlite3.OperationalError:
        # SQLite wants to create files next to it, for which there may be no permission or space. If the log has
        # content, its index is made in memory then; if not, nobody is writing and it isn't needed.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path + "-wal").st_size > 0:
                return _open(path, "mode=ro&readonly_shm=1")
        return _open(path, "mode=ro&immutable=1")


def _check_file(path: str) -> None:
    """Raise why a file can't be opened, which SQLite doesn't say, without waiting for a pipe in its place."""
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
    """Return whether an error means that the file is damaged, not just unreadable at the moment."""
    # SQLITE_ERROR is a missing table or column, or invalid text.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


def is_of_writing(error: sqlite3.Error) -> bool:
    """Return whether an error means that something could not be written, which even a query may need to do."""
    name: str = getattr(error, "sqlite_errorname", "")
    return name.startswith(_OF_WRITING)


def version_of(db: sqlite3.Connection) -> int:
    """Return the version of the tables; 0 if there are none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])

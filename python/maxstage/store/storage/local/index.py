"""An SQLite index of the items of a large store, to find the newest and the expired ones without reading them all.

The two files of an item remain the source of truth. The index is built from them once a store has many items, can be
deleted at any time, and is never trusted if it may be out of date:

- Items come, go and change by a rename or an unlink in the staging directory, so the directory's modification time
  shows whether anything happened. If nothing did, the index is used as it is. Otherwise the names are listed, items
  that are new or have another inode are read, and those that are gone are dropped.
- A modification time that is hardly older than the file system's clock proves nothing, since more may happen within
  the same tick. It isn't recorded.
- Inodes are reused. So whoever changes an item's metadata first removes it from the index, and holds the index's lock
  until the change is done (`changing`).

If SQLite fails or is missing, the items are read, as in a small store.
"""

import contextlib
import math
import operator
import os

from maxstage.errors import Corrupt
from maxstage.light_json import dumps, loads
from maxstage.store.metadata import FIELDS, Item
from maxstage.store.storage.local.items import load_item
from maxstage.store.storage.local.layout import META, names_with
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from maxstage.store.storage.local.layout import ItemLayout

    Answer = TypeVar("Answer")

WORTH_AN_INDEX = 1000
"""The number of items from which an index is made: reading them takes about 20 ms, as does importing SQLite."""

_VERSION = 4
"""The version of the tables; an index with another version is rebuilt."""

_TICK = 2 * 10**9
"""Nanoseconds by which a modification time must be in the past: FAT has the coarsest clock, of two seconds."""

_PATIENCE = 5
"""Seconds to wait for another process that is updating the index; then the items are read."""

_FEW = 500
"""The most items that a hurried caller reads to update the index: about 10 ms."""

_CACHE = 16 * 1024
"""KiB of the index kept in memory while it is changed: all of it, for a hundred thousand items."""

_COLUMNS = ", ".join(f"{name} {kind if kind != 'JSON' else 'TEXT'}" for name, _, kind in FIELDS)
_NAMES = ", ".join(name for name, _, _ in FIELDS)
_TABLES = f"""
CREATE TABLE items ({_COLUMNS}, inode TEXT, PRIMARY KEY (created_ns DESC, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX by_id ON items (id);
CREATE INDEX by_expiry ON items (expires);
CREATE TABLE directory (inode TEXT, changed_ns INTEGER);
INSERT INTO directory VALUES ('', 0);
"""  # noqa: S608 - the names are ours
# The primary key keeps the rows in the order in which items are listed.

_TO_BE_READ = -1
"""Stands for created_ns in the rows of damaged items, which are read again each time."""

_NEWEST = (
    f"SELECT {_NAMES} FROM items "  # noqa: S608 - the names are ours
    "WHERE created_ns >= 0 AND (expires IS NULL OR expires > ?) ORDER BY created_ns DESC, id"
)
_INSERT = f"INSERT OR REPLACE INTO items VALUES ({', '.join('?' * (len(FIELDS) + 1))})"  # noqa: S608

_VALUES = operator.attrgetter(*(name for name, _, _ in FIELDS))
_JSON = tuple(place for place, (_, _, kind) in enumerate(FIELDS) if kind == "JSON")
"""The positions of the columns that are stored as JSON."""


class Index:
    """The index of a store, which `ask` opens."""

    def __init__(self, layout: "ItemLayout", database: "sqlite3.Connection") -> None:
        self._layout = layout
        self._database = database

    def newest(self, now: float) -> "Iterator[Item]":
        """Return an iterator over the items that have not expired at Unix time `now`, newest first."""
        return map(_to_item, self._database.execute(_NEWEST, (now,)))

    def expired(self, now: float) -> "list[str]":
        """Return the ids of the items that have expired at Unix time `now`."""
        return [row[0] for row in self._database.execute("SELECT id FROM items WHERE expires <= ?", (now,))]

    def next_expiry(self, now: float) -> float:
        """Return when the next item expires after Unix time `now`; infinity if none does."""
        found = self._database.execute("SELECT min(expires) FROM items WHERE expires > ?", (now,)).fetchone()
        return float("inf") if found[0] is None else found[0]

    def to_be_read(self) -> "list[str]":
        """Return the ids of damaged items, and names that are not ids."""
        found = self._database.execute("SELECT id FROM items WHERE created_ns < 0")
        return [os.fsdecode(row[0]) for row in found]

    def refresh(self, most: float = math.inf) -> bool:
        """Bring the index up to date; return false if that needs reading more than `most` items."""
        if self._is_current():
            return True
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        # Read before the names: a change while they are listed gives the directory a later time.
        directory = os.stat(self._layout.root)
        there = _inodes(self._layout)
        # Damaged items have no known inode, so that they are read again.
        known = dict(database.execute("SELECT id, CASE WHEN created_ns >= 0 THEN inode END FROM items"))
        gone = [(item_id,) for item_id in known if item_id not in there]
        database.executemany("DELETE FROM items WHERE id = ?", gone)
        new = [item_id for item_id, inode in there.items() if known.get(item_id) != inode]
        if len(new) > most:
            database.execute("ROLLBACK")
            return False
        database.executemany(
            _INSERT,
            filter(None, (self._read(item_id, there[item_id]) for item_id in new)),
        )
        os.utime(self._layout.index)
        proof = directory.st_mtime_ns if directory.st_mtime_ns < _now_of(self._layout.index) - _TICK else 0
        database.execute("UPDATE directory SET inode = ?, changed_ns = ?", (str(directory.st_ino), proof))
        database.execute("COMMIT")
        return True

    def _is_current(self) -> bool:
        directory = os.stat(self._layout.root)
        noted = self._database.execute("SELECT inode, changed_ns FROM directory").fetchone()
        return bool(noted == (str(directory.st_ino), directory.st_mtime_ns))

    def _read(self, item_id: str, inode: str) -> "tuple[Any, ...] | None":
        try:
            item = load_item(self._layout.meta(item_id), item_id)
        except KeyError:
            return None  # removed since; its row, if it has one, is dropped next time
        except Corrupt:
            return _row_to_be_read(item_id, inode)
        return _to_row(item, inode)


def ask(
    layout: "ItemLayout", question: "Callable[[Index], Answer]", *, hurried: bool = False
) -> "Answer | None":
    """Return the result of `question` for the updated index; None if the store is small or the index unavailable.

    Args:
        layout: The paths of the store.
        question: A function of the index.
        hurried: Don't wait for other processes, and give up if many items would have to be read first.
    """
    if not os.path.lexists(layout.index) and sum(1 for _ in names_with(layout, META)) < WORTH_AN_INDEX:
        return None
    try:
        import sqlite3
    except ImportError:
        return None  # a Python built without SQLite
    try:
        with contextlib.closing(_connect(layout, 0 if hurried else _PATIENCE)) as database:
            index = Index(layout, database)
            complete = index.refresh(_FEW if hurried else math.inf)
            return question(index) if complete else None
    except sqlite3.OperationalError:
        return None  # another process holds it for too long, or the disk is full
    except sqlite3.DatabaseError:
        _remove(layout)  # damaged: it is rebuilt next time
        return None
    except OSError:
        return None  # the store is read-only, for instance


@contextlib.contextmanager
def changing(layout: "ItemLayout", item_id: str) -> "Iterator[None]":
    """Within this context an item's metadata may be replaced: it is not in the index, which is locked."""
    if not os.path.lexists(layout.index):
        yield
        return
    database = _forget(layout, item_id)
    if database is None:
        # Whatever is wrong with the index, removing it keeps it from giving old answers.
        _remove(layout)
        yield
        return
    try:
        yield
        try:
            database.execute("COMMIT")
        except database.Error:
            _remove(layout)  # the disk is full, for instance
    finally:
        database.close()


def _forget(layout: "ItemLayout", item_id: str) -> "sqlite3.Connection | None":
    """Remove an item from the index, and return the index still locked; None if that fails."""
    try:
        import sqlite3
    except ImportError:
        return None
    try:
        database = _connect(layout)
    except (sqlite3.Error, OSError):
        return None
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("DELETE FROM items WHERE id = ?", (item_id,))
    except sqlite3.Error:
        database.close()
        return None
    return database


def _connect(layout: "ItemLayout", patience: float = _PATIENCE) -> "sqlite3.Connection":
    import sqlite3

    path = layout.index
    # Create it private to the user, and refuse a symbolic link.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=patience, isolation_level=None)
    database.execute(f"PRAGMA cache_size = -{_CACHE}")
    try:
        if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            _make_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _make_tables(database: "sqlite3.Connection") -> None:
    database.execute("BEGIN EXCLUSIVE")
    if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:  # another process may have done it
        for table in ("items", "directory"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in filter(str.strip, _TABLES.split(";")):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    database.execute("COMMIT")


def _remove(layout: "ItemLayout") -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(layout.index)


def _inodes(layout: "ItemLayout") -> "dict[str, str]":
    """Return the inode of each item's metadata, as text: SQLite's integers are signed."""
    with os.scandir(layout.root) as entries:
        return {
            entry.name.removesuffix(META): str(entry.inode())
            for entry in entries
            if entry.name.endswith(META) and not entry.name.startswith(".")
        }


def _now_of(path: str) -> int:
    """Return the modification time, in nanoseconds, of a file changed just now: the file system's clock."""
    return os.stat(path).st_mtime_ns


def _row_to_be_read(item_id: str, inode: str) -> "tuple[Any, ...]":
    # A name that is not an id may not be valid UTF-8 either.
    name = item_id if is_id(item_id) else os.fsencode(item_id)
    return (name, _TO_BE_READ, *[None] * (len(FIELDS) - 2), inode)


def _to_row(item: Item, inode: str) -> "tuple[Any, ...]":
    values = [*_VALUES(item), inode]
    for place in _JSON:
        values[place] = dumps(values[place]) if values[place] else None
    return tuple(values)


def _to_item(row: "tuple[Any, ...]") -> Item:
    values = [*row]
    for place in _JSON:
        if row[place] is not None:
            values[place] = loads(row[place])
    item = Item.from_values(tuple(values))
    # JSON has no tuples, and empty values were not written.
    item.line_index = item.line_index and (item.line_index[0], item.line_index[1])
    item.labels = item.labels or {}
    item.extra = item.extra or {}
    return item

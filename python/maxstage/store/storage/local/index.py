"""An index of the items of a large store, in SQLite: what is newest, and what has expired, without reading them all.

The two files of an item stay the truth. The index is made from them when a store has many items, may be deleted at any
time, and is never believed where it may be old:

- Items come, go and change by a rename or an unlink in the staging directory, so the directory's time of change tells
  whether anything happened. Only if nothing did, the index is taken as it is; else the names are looked through, items
  that are new or have another inode are read, and those that are gone are dropped.
- A time that is hardly older than the file system's now proves nothing, since more may happen within the same tick: it
  isn't written down.
- An inode may be used again. So whoever changes an item's metadata takes it out of the index first, and holds the
  index's lock until the change is done (`changing`).

Where SQLite fails or is missing the items are read, as in a small store.
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
"""Items from which on there is an index: to read as many takes some 20 ms, about what importing SQLite takes."""

_VERSION = 4
"""Of the tables; an index of another version is made anew."""

_TICK = 2 * 10**9
"""Nanoseconds by which a time of change must be older than now: FAT's clock is the coarsest, with two seconds."""

_PATIENCE = 5
"""Seconds to wait for another process that brings the index up to date; then the items are read."""

_FEW = 500
"""Items that are read to bring the index up to date by who is in a hurry: what takes some 10 ms."""

_CACHE = 16 * 1024
"""KiB of the index that are held in memory while it is changed: all of it, for a hundred thousand items."""

_COLUMNS = ", ".join(f"{name} {kind if kind != 'JSON' else 'TEXT'}" for name, _, kind in FIELDS)
_NAMES = ", ".join(name for name, _, _ in FIELDS)
_TABLES = f"""
CREATE TABLE items ({_COLUMNS}, inode TEXT, PRIMARY KEY (created_ns DESC, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX by_id ON items (id);
CREATE INDEX by_expiry ON items (expires);
CREATE TABLE directory (inode TEXT, changed_ns INTEGER);
INSERT INTO directory VALUES ('', 0);
"""  # noqa: S608 - the names are ours
# The items lie in the order in which they are listed.

_TO_BE_READ = -1
"""In the place of created_ns: what is damaged is read anew each time."""

_NEWEST = (
    f"SELECT {_NAMES} FROM items "  # noqa: S608 - the names are ours
    "WHERE created_ns >= 0 AND (expires IS NULL OR expires > ?) ORDER BY created_ns DESC, id"
)
_INSERT = f"INSERT OR REPLACE INTO items VALUES ({', '.join('?' * (len(FIELDS) + 1))})"  # noqa: S608

_VALUES = operator.attrgetter(*(name for name, _, _ in FIELDS))
_JSON = tuple(place for place, (_, _, kind) in enumerate(FIELDS) if kind == "JSON")
"""The places of what SQLite has no type for."""


class Index:
    """The index of a store. See `ask`."""

    def __init__(self, layout: "ItemLayout", database: "sqlite3.Connection") -> None:
        self._layout = layout
        self._database = database

    def newest(self, now: float) -> "Iterator[Item]":
        """Give all items that have not expired at Unix time `now`, newest first."""
        return map(_to_item, self._database.execute(_NEWEST, (now,)))

    def expired(self, now: float) -> "list[str]":
        """Return the ids of the items that have expired at Unix time `now`."""
        return [row[0] for row in self._database.execute("SELECT id FROM items WHERE expires <= ?", (now,))]

    def next_expiry(self, now: float) -> float:
        """Return when the next item expires after Unix time `now`; infinity where none does."""
        found = self._database.execute("SELECT min(expires) FROM items WHERE expires > ?", (now,)).fetchone()
        return float("inf") if found[0] is None else found[0]

    def to_be_read(self) -> "list[str]":
        """Return the ids of what is damaged, and names that are not ids."""
        found = self._database.execute("SELECT id FROM items WHERE created_ns < 0")
        return [os.fsdecode(row[0]) for row in found]

    def refresh(self, most: float = math.inf) -> bool:
        """Bring the index up to date; false where more than `most` items would have to be read."""
        if self._is_current():
            return True
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        # Looked at before the names: what changes while they are read makes it another time.
        directory = os.stat(self._layout.root)
        there = _inodes(self._layout)
        # Those to be read are known by no inode: they are looked at anew.
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
            return None  # removed since; its row, if any, is dropped next time
        except Corrupt:
            return _row_to_be_read(item_id, inode)
        return _to_row(item, inode)


def ask(
    layout: "ItemLayout", question: "Callable[[Index], Answer]", *, hurried: bool = False
) -> "Answer | None":
    """Return what `question` returns of the index, up to date; None where the store is small, or it can't be had.

    Args:
        layout: The store.
        question: What to ask.
        hurried: Wait for nobody, and do without where many items would have to be read first.
    """
    if not os.path.lexists(layout.index) and sum(1 for _ in names_with(layout, META)) < WORTH_AN_INDEX:
        return None
    try:
        import sqlite3
    except ImportError:
        return None  # a Python without it
    try:
        with contextlib.closing(_connect(layout, 0 if hurried else _PATIENCE)) as database:
            index = Index(layout, database)
            complete = index.refresh(_FEW if hurried else math.inf)
            return question(index) if complete else None
    except sqlite3.OperationalError:
        return None  # another process holds it for long, the disk is full
    except sqlite3.DatabaseError:
        _remove(layout)  # damaged: it is made anew next time
        return None
    except OSError:
        return None  # a store that can't be written, say


@contextlib.contextmanager
def changing(layout: "ItemLayout", item_id: str) -> "Iterator[None]":
    """Within it an item's metadata may be replaced: the index has forgotten it, and waits."""
    if not os.path.lexists(layout.index):
        yield
        return
    database = _forget(layout, item_id)
    if database is None:
        # Whatever is the matter with it: what isn't there can't be wrong.
        _remove(layout)
        yield
        return
    try:
        yield
        try:
            database.execute("COMMIT")
        except database.Error:
            _remove(layout)  # a full disk, say
    finally:
        database.close()


def _forget(layout: "ItemLayout", item_id: str) -> "sqlite3.Connection | None":
    """Take an item out of the index, and keep its lock; None where that can't be."""
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
    # Private from its first moment, and no symbolic link.
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
    if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:  # nobody else did meanwhile
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
    """Return the inode of each item's metadata, as text: SQLite's integers have a sign."""
    with os.scandir(layout.root) as entries:
        return {
            entry.name.removesuffix(META): str(entry.inode())
            for entry in entries
            if entry.name.endswith(META) and not entry.name.startswith(".")
        }


def _now_of(path: str) -> int:
    """Return the time of change of a file that was changed just now: the file system's clock, in nanoseconds."""
    return os.stat(path).st_mtime_ns


def _row_to_be_read(item_id: str, inode: str) -> "tuple[Any, ...]":
    # A name that is not an id may not be text either.
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
    # JSON has no tuples, and what is empty was not written.
    item.line_index = item.line_index and (item.line_index[0], item.line_index[1])
    item.labels = item.labels or {}
    item.extra = item.extra or {}
    return item

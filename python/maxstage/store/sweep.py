"""Sweeping: expired items go, and what dead writers left behind.

An expired item's metadata is renamed to a tombstone, which answers for a day that the item expired; then
its data is deleted. What a writer left behind is known by its lock: the kernel drops the lock when the
writer dies, however it dies.
"""

import errno
import os
import stat
import time

from maxstage.errors import Corrupt
from maxstage.store.due import INTERVAL
from maxstage.store.finding import load_item
from maxstage.store.index import ask
from maxstage.store.layout import (
    CLAIM,
    EXPIRED,
    LEAVING,
    META,
    PART,
    SWEEP,
    UPDATE,
    Layout,
    names_with,
    remove,
)
from maxstage.store.locking import Locked, try_lock
from maxstage.store.metadata import EXTENSIONS, Item

TOMBSTONE_SECONDS = 24 * 3600
"""How long an expired item's token still answers that it expired."""

ORPHAN_SECONDS = 3600
"""How old a file with no metadata must be: a file system without locks leaves only age to go by, and a
producer may well pause for minutes."""

_DATA = tuple(extension + end for extension in EXTENSIONS.values() for end in ("", ".gz"))


class Swept:
    """What a sweep did, or would do.

    Attributes:
        expired: The items that expired.
        orphans: Names of the files that dead writers left.
        freed: Bytes of their data.
    """

    def __init__(self) -> None:
        self.expired: list[Item] = []
        self.orphans: list[str] = []
        self.freed = 0


def sweep(layout: Layout, *, dry_run: bool = False, orphan_seconds: float = ORPHAN_SECONDS) -> Swept:
    """Sweep now.

    Args:
        layout: The store.
        dry_run: Only say what would be done.
        orphan_seconds: How old a file with no metadata must be.
    """
    swept = Swept()
    now = time.time()
    next_time = _sweep_expired(layout, swept, now, dry_run=dry_run)
    _sweep_orphans(layout, swept, now - orphan_seconds, dry_run=dry_run)
    if not dry_run:
        _sweep_tombstones(layout, now - TOMBSTONE_SECONDS)
        # Nothing expires before `next_time`; what dead writers leave is looked for once an hour anyway.
        due = max(now + INTERVAL, min(next_time, now + ORPHAN_SECONDS))
        os.close(os.open(layout.path(SWEEP), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        os.utime(layout.path(SWEEP), (due, due), follow_symlinks=False)
    return swept


def _sweep_expired(layout: Layout, swept: Swept, now: float, *, dry_run: bool) -> float:
    """Sweep expired items; return when the next one expires."""
    known = ask(layout, lambda index: (index.expired(now) + index.to_be_read(), index.next_expiry(now)))
    candidates, next_time = known or (list(names_with(layout, META)), float("inf"))
    for item_id in candidates:
        try:
            item = load_item(layout.meta(item_id), item_id)
        except (OSError, Corrupt):
            continue  # gone since, or damaged: that is for `verify` to tell, and nobody's to delete
        if not item.is_expired(now):
            next_time = min(next_time, item.expires or next_time)
        elif dry_run or expire(layout, item_id, now):
            swept.expired.append(item)
            swept.freed += item.stored_size
    return next_time


def expire(layout: Layout, item_id: str, now: float) -> bool:
    """End an item if it has expired; false where it was renewed, pinned or removed since it was looked at."""
    with Locked(layout):
        try:
            item = load_item(layout.meta(item_id), item_id)
        except (FileNotFoundError, Corrupt):
            return False
        if not item.is_expired(now):
            return False
        tombstone = layout.hidden(item_id, EXPIRED)
        os.rename(layout.meta(item_id), tombstone)
        os.utime(tombstone, follow_symlinks=False)
        remove(layout.path(item.file_name))
    return True


def delete(layout: Layout, item_id: str) -> bool:
    """Delete an item, even one whose metadata can't be read; false where there is none.

    Raises:
        OSError: Its files can't be deleted: somebody put a directory in the place of one, say.
    """
    meta, leaving = layout.meta(item_id), layout.hidden(item_id, LEAVING)
    with Locked(layout):
        try:
            if stat.S_ISDIR(os.lstat(meta).st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), meta)  # not ours to empty
            os.rename(meta, leaving)
        except FileNotFoundError:
            return False
        _remove_data(layout, item_id)
        remove(leaving)
    return True


def _remove_data(layout: Layout, item_id: str) -> None:
    for extension in _DATA:
        remove(layout.path(item_id + extension))


def _sweep_tombstones(layout: Layout, before: float) -> None:
    for item_id in list(names_with(layout, EXPIRED)):
        tombstone = layout.hidden(item_id, EXPIRED)
        try:
            if os.lstat(tombstone).st_mtime < before:
                _remove_data(layout, item_id)
                remove(tombstone)
        except FileNotFoundError:
            continue  # another sweep was faster


def _sweep_orphans(layout: Layout, swept: Swept, before: float, *, dry_run: bool) -> None:
    with os.scandir(layout.root) as entries:
        names = [entry.name for entry in entries]
    owned = {name.removesuffix(META) for name in names if name.endswith(META)}
    for name in names:
        item_id = _owner_of_orphan(name)
        # Most data has its metadata, and need not be looked at.
        if item_id is None or (item_id in owned and not name.startswith(".")):
            continue
        try:
            status = os.lstat(layout.path(name))
        except FileNotFoundError:
            continue  # published or removed since
        # An update lives for a moment, under the store's lock: an old one is nobody's, though its item lives.
        if status.st_mtime >= before or not (name.endswith(UPDATE) or _is_orphan(layout, item_id)):
            continue
        swept.orphans.append(name)
        swept.freed += status.st_size
        if not dry_run:
            remove(layout.path(name))


def _owner_of_orphan(name: str) -> str | None:
    """Return the id in the name of a file that has no right to be there on its own, or None."""
    hidden = name.startswith(".")
    if hidden and name.endswith((CLAIM, PART, UPDATE, LEAVING)):
        return name.split(".")[1]
    if not hidden and name.endswith(_DATA) and not name.endswith(META):
        return name.split(".", maxsplit=1)[0]
    return None


def _is_orphan(layout: Layout, item_id: str) -> bool:
    """Whether neither a living writer nor an item owns the files of this id."""
    # The claim becomes the metadata by rename: looked at in this order, one of them is seen.
    try:
        fd = os.open(
            layout.hidden(item_id, CLAIM), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return not os.path.lexists(layout.meta(item_id))
    try:
        return try_lock(fd) and not os.path.lexists(layout.meta(item_id))
    finally:
        os.close(fd)

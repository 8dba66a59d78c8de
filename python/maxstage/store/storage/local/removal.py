"""Removing items: they are deleted, taken back, or expire, which leaves a tombstone."""

import errno
import os
import stat

from maxstage.errors import Corrupt
from maxstage.files import remove
from maxstage.interrupts import Deferred
from maxstage.store.storage.local.items import load_item
from maxstage.store.storage.local.layout import DATA, EXPIRED, LEAVING
from maxstage.store.storage.local.locking import PATIENCE, Locked
from maxstage.store.storage.protocol import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.layout import ItemLayout


def expire(layout: "ItemLayout", item_id: str, now: float, patience: float | None = None) -> bool:
    """Remove an item if it has expired; return false if it was renewed, pinned or removed in the meantime.

    Its metadata is renamed to the tombstone; then its data is deleted.

    Raises:
        Busy: Another process holds the store's lock.
    """
    with Locked(layout, patience) as free:
        if not free:
            raise Busy
        try:
            item = load_item(layout.meta(item_id), item_id)
        except (KeyError, Corrupt):
            return False
        if not item.is_expired(now):
            return False
        tombstone = layout.hidden(item_id, EXPIRED)
        with Deferred():
            os.rename(layout.meta(item_id), tombstone)
            os.utime(tombstone, follow_symlinks=False)
            remove(layout.path(item.file_name))
        return True


def delete(layout: "ItemLayout", item_id: str) -> bool:
    """Delete an item, even if its metadata can't be read; return whether it existed.

    Raises:
        OSError: Its files can't be deleted: one of them is a directory, for instance.
    """
    with Locked(layout):
        return _delete(layout, item_id)


def take_back(layout: "ItemLayout", items: "Iterable[Item]") -> None:
    """Delete items that were published a moment ago and whose tokens were never reported.

    Raises:
        OSError: Some could not be deleted; the others were.
    """
    problem: OSError | None = None
    # Only a process that found them in a listing could be changing them now: too unlikely to wait for a stopped one.
    with Locked(layout, PATIENCE):
        for item in items:
            try:
                _delete(layout, item.id)
            except OSError as error:
                problem = error
    if problem is not None:
        raise problem


def _delete(layout: "ItemLayout", item_id: str) -> bool:
    meta, leaving = layout.meta(item_id), layout.hidden(item_id, LEAVING)
    try:
        if stat.S_ISDIR(os.lstat(meta).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), meta)  # never delete a directory
        with Deferred():
            os.rename(meta, leaving)
            # A tombstone from before a backup was restored would report the item as expired.
            remove(layout.hidden(item_id, EXPIRED))
            for extension in DATA:
                remove(layout.path(item_id + extension))
            remove(leaving)
    except FileNotFoundError:
        return False
    return True

"""Listing the items in the directory: by the index in a large store, otherwise by reading them all."""

import itertools
import os
import sys

from maxstage.errors import Corrupt
from maxstage.store.storage.local.index import ask
from maxstage.store.storage.local.items import load_item
from maxstage.store.storage.local.layout import DATA, EXPIRED, META, PART, WhileThere, names_with
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.index import Index
    from maxstage.store.storage.local.layout import ItemLayout

    Found = tuple[list[Item], list[str]]


def newest(
    layout: "ItemLayout", now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
) -> "Found":
    """Return the newest items, and the damaged ones as `read_all` names them. See `Storage.newest`."""
    found = ask(layout, lambda index: _from_index(layout, index, is_wanted, limit, now))
    if found is not None:
        return found
    items, damaged = read_all(layout, sorted(names_with(layout, META)))
    wanted = [item for item in items if not item.is_expired(now)]
    return _newest_first(filter(is_wanted, wanted), limit), damaged


def _from_index(
    layout: "ItemLayout",
    index: "Index",
    is_wanted: "Callable[[Item], bool] | None",
    limit: int | None,
    now: float,
) -> "Found":
    wanted: Iterable[Item] = index.newest(now) if is_wanted is None else filter(is_wanted, index.newest(now))
    to_be_read = index.to_be_read()
    if limit is None and not to_be_read:
        return list(wanted), []
    if limit is not None:
        # So few are read again, in case the index is out of date.
        to_be_read += [item.id for item in itertools.islice(wanted, min(limit, sys.maxsize))]
        wanted = ()
    read, damaged = read_all(layout, to_be_read)
    current = (item for item in filter(is_wanted, read) if not item.is_expired(now))
    return _newest_first([*wanted, *current], limit), damaged


def _newest_first(items: "Iterable[Item]", limit: int | None) -> "list[Item]":
    return sorted(items, key=lambda item: (-item.created_ns, item.id))[:limit]


def read_all(layout: "ItemLayout", ids: "Iterable[str]") -> "Found":
    """Read the metadata of items.

    Returns:
        The items that exist, and what is damaged: the ids of items, and file names that belong to no item.
    """
    items: list[Item] = []
    damaged: list[str] = []
    for item_id in ids:
        try:
            items.append(load_item(layout.meta(item_id), item_id))
        except KeyError:
            continue  # removed since
        except Corrupt:
            damaged.append(item_id if is_id(item_id) else item_id + META)
    return items, damaged


def expired(layout: "ItemLayout", now: float, *, hurried: bool) -> tuple[list[str], float]:
    """Return the ids of items that may have expired, and when the next one may. See `Storage.expired`."""
    known = ask(
        layout,
        lambda index: (index.expired(now) + index.to_be_read(), index.next_expiry(now)),
        hurried=hurried,
    )
    return known or (list(names_with(layout, META)), float("inf"))


def usage(layout: "ItemLayout", *, published: bool) -> int:
    """Return the size of all data files, or only of the `published` ones, without those being written."""
    extensions = DATA if published else (*DATA, PART)
    no_data = (META, EXPIRED)
    total = 0
    with WhileThere(layout), os.scandir(layout.root) as entries:
        for entry in entries:
            if entry.name.endswith(extensions) and not entry.name.endswith(no_data):
                try:
                    total += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # deleted since
    return total

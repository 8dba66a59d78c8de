"""Listing items, newest first: by the index in a large store, else by reading all of them."""

import itertools
import sys
import time

from maxstage.errors import Corrupt
from maxstage.store.finding import load_item
from maxstage.store.index import ask
from maxstage.store.layout import META, names_with
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from maxstage.store.index import Index
    from maxstage.store.layout import Layout
    from maxstage.store.metadata import Item

    Found = tuple[list[Item], list[str]]


def scan(
    layout: "Layout", source: str | None, labels: "Mapping[str, str | None]", limit: int | None
) -> "Found":
    """Return the items that have not expired, newest first, and the damaged ones as `read_all` names them.

    Args:
        layout: The store.
        source: Only items whose source matches this shell pattern.
        labels: Only items that have these labels; a value of None matches any.
        limit: Only so many, the newest; None for all.
    """
    now = time.time()
    is_wanted = _filter(source, labels)
    found = ask(layout, lambda index: _from_index(layout, index, is_wanted, limit, now))
    if found is not None:
        return found
    items, damaged = read_all(layout, sorted(names_with(layout, META)))
    wanted = [item for item in items if not item.is_expired(now)]
    return _newest_first(filter(is_wanted, wanted), limit), damaged


def _from_index(
    layout: "Layout",
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
        # So few are read: theirs is the last word.
        to_be_read += [item.id for item in itertools.islice(wanted, min(limit, sys.maxsize))]
        wanted = ()
    read, damaged = read_all(layout, to_be_read)
    current = (item for item in filter(is_wanted, read) if not item.is_expired(now))
    return _newest_first([*wanted, *current], limit), damaged


def _newest_first(items: "Iterable[Item]", limit: int | None) -> "list[Item]":
    return sorted(items, key=lambda item: (-item.created_ns, item.id))[:limit]


def read_all(layout: "Layout", ids: "Iterable[str]") -> "Found":
    """Read the metadata of items.

    Returns:
        Those that are there, and what is damaged: the ids of items, and file names that belong to none.
    """
    items: list[Item] = []
    damaged: list[str] = []
    for item_id in ids:
        try:
            items.append(load_item(layout.meta(item_id), item_id))
        except FileNotFoundError:
            continue  # removed since
        except Corrupt:
            damaged.append(item_id if is_id(item_id) else item_id + META)
    return items, damaged


def _filter(source: str | None, labels: "Mapping[str, str | None]") -> "Callable[[Item], bool] | None":
    """Return what tells whether an item is wanted; None where all are."""
    if source is None and not labels:
        return None
    import fnmatch

    def is_wanted(item: "Item") -> bool:
        if source is not None and not fnmatch.fnmatchcase(item.source or "unknown", source):
            return False
        return all(key in item.labels and value in (None, item.labels[key]) for key, value in labels.items())

    return is_wanted

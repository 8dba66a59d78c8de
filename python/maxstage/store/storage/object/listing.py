"""Listing the items, by their markers: one request tells a thousand of them."""

import itertools
import time

from maxstage.errors import Corrupt
from maxstage.store.storage.object.layout import (
    ITEMS,
    MARGIN,
    NEWEST,
    Marker,
    item_key,
    parse_marker,
    parse_object,
)
from maxstage.store.storage.object.together import each, together
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.store.metadata import Item
    from maxstage.store.storage.object.client import Client
    from maxstage.store.storage.object.layout import ObjectItem

    Found = tuple[list[Item], list[str]]

_FIRST_BYTES = 8 * 1024
"""Bytes read of an item for its line: enough unless it has many labels or a long index."""

_BATCH = 64
"""Items read at once."""

_HURRY = 0.15
"""Seconds that a list may take where nobody may wait: what it has not seen is for the next sweep."""


def markers(client: "Client", after: str | None = None) -> "Iterator[Marker]":
    """Yield the markers, that of the newest item first; an item that is being renewed may have two."""
    for page in client.list(NEWEST, after):
        yield from filter(None, (parse_marker(meta["path"]) for meta in page))


def names(client: "Client") -> list[str]:
    """Return the names below ``items/``: ids, those of tombstones too, and whatever else was put there."""
    return [meta["path"].partition("/")[2] for page in client.list(ITEMS) for meta in page]


def ids(client: "Client") -> list[str]:
    """Return the ids of the items."""
    known, there = together(lambda: [marker.id for marker in markers(client)], lambda: names(client))
    return sorted(set(known).intersection(there))


def strays(client: "Client") -> list[str]:
    """Return the names of objects that look like items, but have no id."""
    return sorted(f"{ITEMS}/{name}" for name in names(client) if not is_id(name))


def newest(
    client: "Client", now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
) -> "Found":
    """Return the newest items, and what is damaged. See `Storage.newest`.

    If their number is limited, only those that are wanted are read, and no strays are looked for.
    """
    damaged = strays(client) if limit is None else []
    items: list[Item] = []
    seen: set[str] = set()
    # Nobody pages through what expired long ago; if all are asked for, damaged ones are among them.
    alive = (
        one for one in markers(client) if limit is None or one.expires is None or one.expires > now - MARGIN
    )
    size = _BATCH if limit is None else min(_BATCH, limit)
    while (limit is None or len(items) < limit) and (batch := list(itertools.islice(alive, size))):
        fresh = list({marker.id: marker for marker in batch if marker.id not in seen})
        seen.update(fresh)
        for item_id, found in zip(fresh, each(lambda one: _read_line(client, one), fresh), strict=True):
            if isinstance(found, Corrupt):
                damaged.append(item_id)
            elif found is not None and not found.is_expired(now) and (is_wanted is None or is_wanted(found)):
                items.append(found)
    items.sort(key=lambda item: (-item.created_ns, item.id))
    return items[:limit], damaged


def _read_line(client: "Client", item_id: str) -> "ObjectItem | Corrupt | None":
    """Return the metadata of an item; None if it does not exist."""
    key = item_key(item_id)
    got = client.head_of(key, _FIRST_BYTES)
    if got is not None and got.size > len(got.content) and b"\n" not in got.content:
        got = client.get(key)
    if got is None:
        return None
    try:
        item = parse_object(got.content, item_id, got.version)
    except Corrupt as error:
        return error
    return item if item.place.is_alive else None


def expired(
    client: "Client", now: float, *, hurried: bool, after: str | None
) -> tuple[list[str], float, str | None]:
    """Return the ids of items that may have expired long enough ago, and when the next one will have.

    Args:
        client: The server.
        now: Unix time.
        hurried: Stop soon, even before the end.
        after: Begin after this marker.

    Returns:
        The third is the marker at which it stopped; None at the end.
    """
    until = time.monotonic() + _HURRY if hurried else float("inf")
    before = now - MARGIN
    found, next_time = dict[str, None](), float("inf")
    for page in client.list(NEWEST, after):
        for marker in filter(None, (parse_marker(meta["path"]) for meta in page)):
            if marker.expires is None:
                continue
            if marker.expires <= before:
                found[marker.id] = None
            else:
                next_time = min(next_time, marker.expires + MARGIN)
        if time.monotonic() > until:
            # The next sweep goes on, soon.
            return list(found), now, page[-1]["path"]
    return list(found), next_time if after is None else now, None


def usage(client: "Client") -> int:
    """Return the bytes that the data of all items takes."""
    return sum({(one.id, one.nonce): one.size for one in markers(client)}.values())

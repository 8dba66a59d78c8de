"""Staging the data of an item once more, under a token of its own and without copying it."""

import time

from maxstage.store.finding import missing
from maxstage.store.metadata import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.store import Store

_SAME = (
    "record_count",
    "byte_size",
    "stored_size",
    "content_type",
    "codec",
    "crc32",
    "labels",
    "line_index",
    "redacted",
)
"""What the metadata of both says alike."""


def link(store: "Store", token: str, *, source: str | None = None, owner: str | None = None) -> Item:
    """Stage the data of an item once more, pinned. Each of the two stays whole if the other is unstaged.

    Args:
        store: The store.
        token: The item.
        source: Where the new one came from.
        owner: What the new one belongs to; the owner unstages it.

    Raises:
        NotFound: There is no such item.
        Corrupt: Its data is missing.
        OSError: It can't be linked.
    """
    item = store.info(token)
    values = {name: getattr(item, name) for name in _SAME}

    def made(new_id: str) -> Item:
        now = time.time_ns()
        return Item(id=new_id, created_ns=now, expires=None, source=source, owner=owner, **values)

    try:
        return store.storage.link(item, made, store.settings.token_bytes)
    except KeyError:
        raise missing(store.storage, item.id) from None

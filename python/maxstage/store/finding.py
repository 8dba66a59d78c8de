"""Finding an item: its metadata, or the right error."""

import time

from maxstage.errors import Corrupt, Expired, NotFound
from maxstage.store.tokens import format_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage

_SHOWN = 100
"""Characters of a source that an error quotes."""


def read_item(storage: "Storage", item_id: str) -> "Item":
    """Return the metadata of an item that exists and has not expired.

    Raises:
        NotFound: There is no such item.
        Expired: It has expired, whether it has been swept or not.
        Corrupt: Its metadata is damaged.
    """
    try:
        item = storage.head(item_id)
    except KeyError:
        raise missing(storage, item_id) from None
    if item.is_expired(time.time()):
        raise expired(item)
    return item


def missing(storage: "Storage", item_id: str) -> NotFound:
    """Return the error for an item that doesn't exist, or no longer does."""
    try:
        return expired(storage.tombstone(item_id))
    except (KeyError, Corrupt):
        token = format_token(item_id)
        return NotFound(f'Staged data not found: {token}; "max stage list" lists what is staged')


def expired(item: "Item") -> Expired:
    """Return the error for an item that has expired."""
    from maxstage.humanize import counted, format_duration, printable

    ago = format_duration(time.time() - (item.expires or 0))
    what = f"{printable(item.source or 'unknown', _SHOWN)}, {counted(item.record_count, 'record')}"
    return Expired(
        f"Staged data expired {ago} ago: {item.token} ({what}); stage it again, with a longer --ttl"
    )

"""Removing items: they are deleted, or expire, which leaves a tombstone.

Data that lies in an object of its own is deleted after its item was changed into one that is gone, with ``If-Match``:
so nobody publishes it anew in between (`maxstage.store.storage.object.linking`).
"""

import time

from maxstage.errors import Corrupt
from maxstage.store.storage.object.layout import (
    DATA,
    MARGIN,
    ObjectItem,
    Place,
    item_key,
    line_of,
    marker_key,
    new_nonce,
)
from maxstage.store.storage.object.listing import markers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.object.bucket import Bucket

_LONG_AGO = 1.0
"""The expiry of what is being deleted: if we die now, a sweep finds it by its marker and finishes."""


def expire(bucket: "Bucket", item_id: str, now: float) -> bool:
    """Turn an item into a tombstone if it expired long enough ago. See `Storage.expire`."""
    try:
        item = bucket.head(item_id)
    except (KeyError, Corrupt):
        return False
    if not item.is_expired(now - MARGIN):
        return False
    gone = Place(item.place.nonce, new_nonce(), item.place.data, shared=item.place.shared, swept=time.time())
    if not replace_object(bucket, item, gone):
        return False  # somebody has renewed it, or sweeps, too
    finish(bucket, item)
    bucket.usage.add(-item.stored_size)
    return True


def delete(bucket: "Bucket", item_id: str) -> bool:
    """Delete an item, even a damaged one; return whether it existed."""
    client = bucket.client
    while True:
        try:
            item = bucket.find(item_id)
        except Corrupt:
            _delete_damaged(bucket, item_id)
            return True
        if item is None or not item.place.is_alive:
            return False
        if item.place.data is None or _leave(bucket, item):
            client.delete(item_key(item_id))
            finish(bucket, item)
            bucket.usage.add(-item.stored_size)
            return True
        # It was renewed in between, for instance: look again.


def _leave(bucket: "Bucket", item: ObjectItem) -> bool:
    """Mark an item as one that is being deleted; return whether nobody else has changed it."""
    place = item.place
    marker = marker_key(item, place.nonce, expires=_LONG_AGO)
    bucket.client.put(marker, b"")
    gone = Place(place.nonce, new_nonce(), place.data, shared=place.shared, left=True)
    is_left = replace_object(bucket, item, gone)
    bucket.client.delete(marker)
    return is_left


def finish(bucket: "Bucket", item: ObjectItem) -> None:
    """Delete what belonged to an item that is gone: its data, unless others may have it, and its marker."""
    place = item.place
    if place.data is not None and not place.shared:
        bucket.client.delete(place.data)
    bucket.client.delete(marker_key(item, place.nonce))


def replace_object(bucket: "Bucket", item: ObjectItem, place: Place, body: bytes = b"") -> bool:
    """Write an item's object anew if nobody has changed it since it was read; return whether nobody has."""
    return bucket.client.update(
        item_key(item.id),
        line_of(item, place) + body,
        item.version,
        lambda: bucket.is_written_by(item.id, place.write),
    )


def _delete_damaged(bucket: "Bucket", item_id: str) -> None:
    """Delete an item whose line says nothing: its markers tell what else belongs to it."""
    client = bucket.client
    client.delete(item_key(item_id))
    found = [marker for marker in markers(client) if marker.id == item_id]
    nonces = {marker.nonce for marker in found}
    for page in client.list(DATA) if nonces else ():
        for meta in page:
            if meta["path"].partition("/")[2].partition(".")[0] in nonces:
                client.delete(meta["path"])
    for marker in found:
        client.delete(marker.key)
        bucket.usage.add(-marker.size)

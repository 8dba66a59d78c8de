"""Items as objects of a server. `maxstage.store.storage.object.layout` describes the objects."""

import os
import time

from maxstage.errors import Corrupt, Error
from maxstage.store.storage.object.bucket import Bucket
from maxstage.store.storage.object.layout import ObjectItem, Place, item_key, marker_key, new_nonce
from maxstage.store.storage.object.sweeping import Schedule, Sweeping

# Modules that only some commands need are imported inside functions, as in the storage in a folder.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from maxstage.store.metadata import Item
    from maxstage.store.storage.object.client import Client
    from maxstage.store.storage.protocol import ItemData, Leftover, Upload

    Ids = list[str]

_CHANGES = 100
"""How often a change is tried while others change the same item."""

_LONG = 0.1
"""Seconds after which a list is long: half of what a sweep may take that nobody asked for."""


class ObjectStorage:
    """The storage of items in object storage.

    Args:
        client: The server.
        folder: A folder on this machine for what is temporary; None for none of the store's own.

    Attributes:
        client: The server.
    """

    def __init__(self, client: "Client", folder: str | None = None) -> None:
        self.client = client
        self.place = client.url
        self._bucket = Bucket(client, folder)
        self._schedule = Schedule(client, None if folder is None else f"{folder}/.sweep")
        self._is_large = False

    # One item

    def create(self, id_bytes: int) -> "Upload":
        """Begin an item. Its id is claimed when it is published. See `Storage.create`."""
        from maxstage.store.storage.object.upload import ObjectUpload

        return ObjectUpload(self._bucket, id_bytes)

    def spool(self, id_bytes: int) -> "Upload":  # noqa: ARG002
        """Begin an upload that is read back. See `Storage.spool`."""
        from maxstage.store.storage.object.spool import Spool

        return Spool(self._bucket.folder)

    def head(self, item_id: str) -> ObjectItem:
        """Return the metadata of an item, and with it the data of a small one. See `Storage.head`."""
        return self._bucket.head(item_id)

    def tombstone(self, item_id: str) -> "Item":
        """Return the metadata that an expired item had. See `Storage.tombstone`."""
        item = self._bucket.read(item_id)
        if item.place.swept is None:
            raise KeyError(item_id)
        return item

    def open(self, item: "Item") -> "ItemData":
        """Open the data of an item. See `Storage.open`."""
        from maxstage.store.storage.object.data import open_data

        return open_data(self._bucket, item if isinstance(item, ObjectItem) else self.head(item.id))

    def grant(self, item: "Item", seconds: float) -> str:
        """Return a URL by which anybody can read the data of an item. See `Storage.grant`."""
        from maxstage.store.storage.object.granting import grant

        return grant(self._bucket, item if isinstance(item, ObjectItem) else self.head(item.id), seconds)

    def path(self, item: "Item") -> None:
        """Return None: no file has the data."""

    def link(self, item: "Item", made: "Callable[[str], Item]", id_bytes: int) -> "Item":
        """Publish the data of an item once more. See `Storage.link`."""
        from maxstage.store.storage.object.linking import link

        return link(self._bucket, item, made, id_bytes)

    def replace(self, item_id: str, change: "Callable[[Item], None]", *, sync: bool) -> "Item":  # noqa: ARG002
        """Change the metadata of an item, as nobody else has meanwhile. See `Storage.replace`."""
        from maxstage.store.storage.object.removal import replace_object

        for attempt in range(_CHANGES):
            item = self.head(item_id)
            place = item.place
            old = marker_key(item, place.nonce)
            change(item)
            marker = marker_key(item, place.nonce)
            if marker != old:
                # First, so that there is one whenever we die.
                self.client.put(marker, b"")
            new = Place(place.nonce, new_nonce(), place.data, shared=place.shared)
            if replace_object(self._bucket, item, new, item.body):
                if marker != old:
                    self.client.delete(old)
                return item
            if marker != old:
                self._delete_if_stale(item_id, marker)
            # Those who change it, too, must not meet again.
            time.sleep(int.from_bytes(os.urandom(1)) / 255 * 0.01 * min(attempt + 1, 10))
        raise Error(f"{self.place}/{item_key(item_id)} is changed by others all the time; try again")

    def _delete_if_stale(self, item_id: str, marker: str) -> None:
        """Delete a marker, unless another change has made it that of the item."""
        try:
            item = self.head(item_id)
        except (KeyError, Corrupt):
            item = None
        if item is None or marker_key(item, item.place.nonce) != marker:
            self.client.delete(marker)

    def delete(self, item_id: str) -> bool:
        """Delete an item. See `Storage.delete`."""
        from maxstage.store.storage.object.removal import delete

        return delete(self._bucket, item_id)

    def take_back(self, items: "Iterable[Item]") -> None:
        """Delete items that were published a moment ago. See `Storage.take_back`."""
        from maxstage.store.storage.object.together import each

        each(lambda item: self.delete(item.id), items)

    def expire(self, item_id: str, now: float, *, patience: float | None = None) -> bool:  # noqa: ARG002
        """Turn an item into a tombstone if it expired half an hour ago; never waits. See `Storage.expire`."""
        from maxstage.store.storage.object.removal import expire

        return expire(self._bucket, item_id, now)

    # All items

    def ids(self) -> "Ids":
        """Return the ids of all items. See `Storage.ids`."""
        from maxstage.store.storage.object.listing import ids

        return ids(self.client)

    def strays(self) -> "Ids":
        """Return the names of objects that look like items. See `Storage.strays`."""
        from maxstage.store.storage.object.listing import strays

        return strays(self.client)

    def newest(
        self, now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
    ) -> "tuple[list[Item], Ids]":
        """Return the newest items, and what is damaged. See `Storage.newest`."""
        from maxstage.store.storage.object.listing import newest

        return newest(self.client, now, is_wanted, limit)

    def expired(self, now: float, *, hurried: bool) -> "tuple[Ids, float]":
        """Return the items that may have expired, and when the next one may. See `Storage.expired`."""
        from maxstage.store.storage.object.listing import expired

        begin = time.monotonic()
        after = self._schedule.cursor if hurried else None
        ids, next_time, stopped = expired(self.client, now, hurried=hurried, after=after)
        if hurried:
            self._schedule.cursor = stopped
        self._is_large = stopped is not None or after is not None or time.monotonic() - begin > _LONG
        return ids, next_time

    def usage(self, *, published: bool = False) -> int:
        """Return the bytes that data takes, as of the last minute. See `Storage.usage`."""
        writing = 0 if published else sum(upload.size for upload in tuple(self._bucket.uploads))
        return self._bucket.usage.get() + writing

    def free_space(self) -> None:
        """Return None: a bucket has no end."""

    def batch(self) -> "AbstractContextManager[Callable[[Sequence[Upload]], None]]":
        """Begin to write several items, which are published at once. See `Storage.batch`."""
        from maxstage.store.storage.object.batch import Batch

        return Batch(self._bucket)

    def sync(self) -> None:
        """Do nothing: what the server has acknowledged survives."""

    # Sweeping

    def leftovers(
        self, now: float, orphan_seconds: float, tombstone_seconds: float
    ) -> "list[list[Leftover]]":
        """Return what may be left behind; of a large store only where that was asked for. See `Storage.leftovers`."""
        from maxstage.store.storage.object.leftovers import find

        if self._schedule.is_held and self._is_large:
            return []
        return find(self._bucket, now, orphan_seconds, tombstone_seconds)

    def sweep_time(self) -> float | None:
        """Return when the next sweep is worthwhile."""
        return self._schedule.time()

    def set_sweep_time(self, when: float) -> None:
        """Record when the next sweep is worthwhile."""
        self._schedule.set_time(when)

    def sweeping(self) -> "AbstractContextManager[bool]":
        """Keep others from sweeping. See `Storage.sweeping`."""
        return Sweeping(self._schedule)

"""What belongs to no item: data and markers of writers that died, tombstones that have served their time.

Names are compared, so this takes lists of everything, a request for each thousand objects.
"""

from maxstage.errors import Corrupt
from maxstage.store.storage.object.layout import (
    DATA,
    ITEMS,
    MARGIN,
    NEWEST,
    Marker,
    item_key,
    marker_key,
    parse_marker,
)
from maxstage.store.storage.object.removal import finish
from maxstage.store.storage.object.together import together
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.store.storage.object.bucket import Bucket
    from maxstage.store.storage.protocol import Leftover

UNNAMED_SECONDS = 48 * 3600
"""How old data must be that no item names: a staging may take a day."""


def find(
    bucket: "Bucket", now: float, orphan_seconds: float, tombstone_seconds: float
) -> "list[list[Leftover]]":
    """Return what may be left behind. See `Storage.leftovers`.

    Args:
        bucket: The items.
        now: Unix time.
        orphan_seconds: The age from which a marker without its item counts as abandoned.
        tombstone_seconds: How long a tombstone is kept.
    """
    # Data and items first: whatever is in these lists has its marker in the later one, if it has one.
    data, items = together(lambda: _all(bucket, DATA), lambda: _all(bucket, ITEMS))
    marked = [(marker, one) for one in _all(bucket, NEWEST) if (marker := parse_marker(one.key)) is not None]
    times: dict[str, int] = {}
    for marker, _ in marked:
        times[marker.id] = times.get(marker.id, 0) + 1
    nonces = {marker.nonce for marker, _ in marked}
    there = {one.name for one in items}
    # Clocks may be half an hour apart.
    before = now - max(orphan_seconds, MARGIN)
    ended = now - MARGIN
    kept: set[str] = set()
    stale: list[Leftover] = [
        StaleMarker(bucket, marker)
        for marker, one in marked
        if one.modified < before
        and (
            marker.id not in there
            or times[marker.id] > 1
            or (marker.expires is not None and marker.expires <= ended)
        )
    ]
    unmarked: list[Leftover] = [
        Unmarked(bucket, one.name, now - tombstone_seconds, kept)
        for one in items
        if one.modified < now - tombstone_seconds and is_id(one.name) and one.name not in times
    ]
    unnamed: list[Leftover] = [
        Unnamed(bucket, one, kept)
        for one in data
        if one.modified < now - UNNAMED_SECONDS and one.name.partition(".")[0] not in nonces
    ]
    return [stale, unmarked, unnamed]


class Listed:
    """An object in a list.

    Attributes:
        key: Its name.
        name: Its name without the prefix.
        modified: When it was written, Unix time.
        size: Its size in bytes.
    """

    __slots__ = ("key", "modified", "name", "size")

    def __init__(self, meta: "Any") -> None:
        self.key: str = meta["path"]
        self.name = self.key.partition("/")[2]
        self.modified: float = meta["last_modified"].timestamp()
        self.size: int = meta["size"]


def _all(bucket: "Bucket", prefix: str) -> list[Listed]:
    return [Listed(meta) for page in bucket.client.list(prefix) for meta in page]


class StaleMarker:
    """A marker that may belong to no item, or no longer.

    Args:
        bucket: The items.
        marker: The marker.
    """

    is_orphan = True

    def __init__(self, bucket: "Bucket", marker: Marker) -> None:
        self._bucket = bucket
        self._marker = marker
        self.name = marker.key

    def remove(self, *, dry_run: bool, patience: float | None) -> int | None:  # noqa: ARG002
        """Delete it. See `Leftover.remove`."""
        try:
            item = self._bucket.find(self._marker.id)
        except Corrupt:
            return None  # it counts what the damaged item takes
        if item is not None and item.place.is_alive and marker_key(item, item.place.nonce) == self.name:
            return None
        if dry_run:
            return 0
        if item is not None and not item.place.is_alive and item.place.nonce == self._marker.nonce:
            # Who swept or deleted it died before this.
            finish(self._bucket, item)
            if item.place.left:
                self._bucket.client.delete(item_key(item.id))
        self._bucket.client.delete(self.name)
        self._bucket.usage.forget()
        return 0


class Unmarked:
    """An item without a marker: a tombstone as a rule, or what a writer died over that nobody knows of.

    Args:
        bucket: The items.
        item_id: The item.
        before: A tombstone has served its time if it was made before this Unix time.
        kept: If it is an item, its data is added here.
    """

    is_orphan = False

    def __init__(self, bucket: "Bucket", item_id: str, before: float, kept: set[str]) -> None:
        self._bucket = bucket
        self._id = item_id
        self._before = before
        self._kept = kept
        self.name = item_key(item_id)

    def remove(self, *, dry_run: bool, patience: float | None) -> int | None:  # noqa: ARG002
        """Delete a tombstone; mark an item. See `Leftover.remove`."""
        try:
            item = self._bucket.find(self._id)
        except Corrupt:
            return None
        if item is None:
            return None
        if item.place.is_alive:
            if item.place.data is not None:
                self._kept.add(item.place.data)
            if not dry_run:
                self._bucket.client.put(marker_key(item, item.place.nonce), b"")
            return None
        if dry_run or (item.place.swept is not None and item.place.swept >= self._before):
            return None
        finish(self._bucket, item)
        self._bucket.client.delete(self.name)
        return 0


class Unnamed:
    """Data that no item names.

    Args:
        bucket: The items.
        found: The data.
        kept: Data that an item names after all, one without a marker: such items are looked at before.
    """

    is_orphan = True

    def __init__(self, bucket: "Bucket", found: Listed, kept: set[str]) -> None:
        self._client = bucket.client
        self._kept = kept
        self._size = found.size
        self.name = found.key

    def remove(self, *, dry_run: bool, patience: float | None) -> int | None:  # noqa: ARG002
        """Delete it. See `Leftover.remove`."""
        if self.name in self._kept:
            return None
        if not dry_run:
            self._client.delete(self.name)
        return self._size

"""An item that is being written: its data arrives by a pipe, and it exists once its object is made."""

import time

from maxstage.errors import Error, QuotaExceeded
from maxstage.store.storage.object.layout import (
    ITEMS,
    Place,
    item_key,
    line_of,
    marker_key,
    new_nonce,
)
from maxstage.store.storage.object.pump import Pump
from maxstage.store.storage.object.together import together
from maxstage.store.tokens import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item
    from maxstage.store.storage.object.bucket import Bucket

_TRIES = 100
"""Ids drawn before giving up."""

_LONGEST = 24 * 3600
"""Seconds that staging may take: data that no item names is swept after two days."""

_LONG = 600
"""Seconds after which a marker may have been taken for that of a dead writer: then it is written again."""


class ObjectUpload:
    """An item that is being written. Its id is drawn now, and claimed when it is published.

    Args:
        bucket: Where it goes.
        id_bytes: The number of random bytes in the id.
    """

    __slots__ = ("_bucket", "_item", "_nonce", "_published", "_pump", "_since", "fd", "id", "name")

    def __init__(self, bucket: "Bucket", id_bytes: int) -> None:
        bucket.client.facts()  # or there is no store
        self._bucket = bucket
        self._nonce = new_nonce()
        self._since = time.monotonic()
        self._item: Item | None = None
        self._published: str | None = None
        self.id = new_id(id_bytes)
        self.name = f"{bucket.client.url}/{ITEMS}/{self.id}"
        self._pump = Pump(bucket.client, self._nonce)
        self.fd = self._pump.fd
        bucket.uploads.add(self)

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self._pump.size

    def received(self) -> None:
        """Wait until all that was written has arrived. See `Upload.received`."""
        self._pump.finish()

    def put_metadata(self, item: "Item") -> None:
        """Remember the metadata: it is written with the item."""
        self._pump.finish()
        line_of(item, self._place())
        self._item = item

    def flush(self) -> None:
        """Do nothing: what the server has acknowledged survives."""

    def publish(self, *, sync: bool, check: "Callable[[], None] | None" = None) -> None:  # noqa: ARG002
        """Make the item visible. See `Upload.publish`."""
        bucket, item = self._bucket, self._item
        if item is None:
            raise ValueError("an item without metadata can't be published")
        batch = bucket.batch_of_thread()
        if batch is None:
            self._publish(item, check)
        else:
            batch.publish(lambda: self._publish(item, check))

    def _publish(self, item: "Item", check: "Callable[[], None] | None") -> None:
        with self._bucket.reserved(item.stored_size, check):
            self._make(item)
        self._bucket.uploads.discard(self)

    def _make(self, item: "Item") -> None:
        since = time.monotonic()
        if since - self._since > _LONGEST:
            raise Error(
                "It took more than a day to stage this, and its data may be swept; nothing was staged"
            )
        marker = ""
        for _ in range(_TRIES):
            # The markers of several attempts have different names.
            marker = marker_key(item, self._nonce)
            try:
                made = together(
                    lambda item=item: self._create(item),  # type: ignore[misc]
                    lambda marker=marker: self._bucket.client.put(marker, b""),  # type: ignore[misc]
                )[0]
            except BaseException:
                # One of them may have been written.
                self._published = marker
                raise
            if made:
                break
            self._bucket.client.delete(marker)
            self.id = item.id = new_id(len(self.id) // 2)
        else:
            raise QuotaExceeded(
                f"no free token found in {_TRIES} tries; set token_bytes to 16 in .max/config.toml"
            )
        self._published = marker
        if time.monotonic() - since > _LONG:
            self._bucket.client.put(marker, b"")

    def _create(self, item: "Item") -> bool:
        place, client, key = self._place(), self._bucket.client, item_key(item.id)

        def is_ours() -> bool:
            return self._bucket.is_written_by(item.id, place.write)

        body = self._pump.inline
        if body is None:
            body = self._pump.index.index(item.codec)
        return client.create(key, line_of(item, place) + body, is_ours)

    def _place(self) -> Place:
        return Place(self._nonce, self._nonce, self._pump.key)

    def discard(self) -> None:
        """Delete everything that was written. See `Upload.discard`."""
        bucket = self._bucket
        self._pump.give_up()
        bucket.uploads.discard(self)
        marker, self._published = self._published, None
        if marker is not None and self._item is not None:
            # Ours by its nonce: another writer may have drawn the same id.
            if bucket.is_written_by(self._item.id, self._nonce):
                bucket.client.delete(item_key(self._item.id))
                bucket.usage.add(-self._item.stored_size)
            bucket.client.delete(marker)
        key, self._pump.key = self._pump.key, None
        if key is not None:
            bucket.client.delete(key)

    def detach(self) -> int:
        """Raise an error: what is read back is spooled on this machine."""
        raise ValueError("only a spool is read back")

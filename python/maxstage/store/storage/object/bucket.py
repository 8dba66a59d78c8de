"""What the parts of the storage share: the server, how much is used, and what this process is writing."""

import contextlib
import threading

from maxstage.errors import Corrupt
from maxstage.store.damage import damaged
from maxstage.store.storage.object.layout import ObjectItem, item_key, parse_object
from maxstage.store.storage.object.usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from maxstage.store.storage.object.client import Client

    class Growing(Protocol):
        """What is being written."""

        @property
        def size(self) -> int:
            """Bytes so far."""

    class Publishing(Protocol):
        """Publishes in threads."""

        def publish(self, action: Callable[[], None], /) -> None:
            """Do it in a thread."""


class Bucket:
    """The items of one store.

    Args:
        client: The server.
        folder: A folder on this machine for what is temporary; None for none of the store's own.

    Attributes:
        usage: How many bytes the items take.
        uploads: What is being written by this process.
        batches: The batch that each thread is in, by the thread's number.
    """

    def __init__(self, client: "Client", folder: str | None) -> None:
        self.client = client
        self.folder = folder
        self.usage = Usage(client)
        self.uploads: set[Growing] = set()
        self.batches: dict[int, Publishing] = {}

    def find(self, item_id: str) -> ObjectItem | None:
        """Return an item, a tombstone, or one that is being deleted; None if there is none.

        Raises:
            Corrupt: It is damaged; the message only says how.
        """
        got = self.client.get(item_key(item_id))
        return None if got is None else parse_object(got.content, item_id, got.version)

    def read(self, item_id: str) -> ObjectItem:
        """Return what `find` does.

        Raises:
            Corrupt: It is damaged; the message names it.
            KeyError: There is none.
        """
        try:
            item = self.find(item_id)
        except Corrupt as error:
            raise damaged(item_id, str(error)) from None
        if item is None:
            raise KeyError(item_id)
        return item

    def head(self, item_id: str) -> ObjectItem:
        """Return an item that exists. Raises as `read`."""
        item = self.read(item_id)
        if not item.place.is_alive:
            raise KeyError(item_id)
        return item

    def is_there(self, item: ObjectItem) -> bool:
        """Return whether an item that was read still exists."""
        try:
            return self.head(item.id).place.nonce == item.place.nonce
        except KeyError:
            return False

    def is_written_by(self, item_id: str, write: str) -> bool:
        """Return whether an item was last written by whom `write` identifies."""
        try:
            item = self.find(item_id)
        except Corrupt:
            return False
        return item is not None and item.place.write == write

    @contextlib.contextmanager
    def reserved(self, size: int, check: "Callable[[], None] | None") -> "Iterator[None]":
        """Count an item of `size` bytes while it is published, unless `check` raises."""
        with self.usage.lock:
            if check is not None:
                check()
            self.usage.add(size)
        try:
            yield
        except BaseException:
            self.usage.forget()
            raise

    def batch_of_thread(self) -> "Publishing | None":
        """Return the batch that this thread is in, if it is in one."""
        return self.batches.get(threading.get_ident())

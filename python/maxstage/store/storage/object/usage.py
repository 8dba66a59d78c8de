"""How many bytes the items take: asked of the server once a minute, and kept up to date with what we do ourselves."""

import threading
import time

from maxstage.store.storage.object.listing import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.object.client import Client

_SECONDS = 60
"""How long a sum is used: a list of all markers is a request for each thousand items. So a quota is approximate."""


class Usage:
    """The sum of the sizes of all items.

    Args:
        client: The server.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.lock = threading.RLock()
        self._when = float("-inf")
        self._bytes = 0

    def get(self) -> int:
        """Return the bytes."""
        with self.lock:
            if time.monotonic() > self._when + _SECONDS:
                self._bytes = usage(self._client)
                self._when = time.monotonic()
            return self._bytes

    def add(self, size: int) -> None:
        """Note that an item was published or, with a negative size, removed."""
        with self.lock:
            self._bytes = max(0, self._bytes + size)

    def forget(self) -> None:
        """Ask the server next time."""
        with self.lock:
            self._when = float("-inf")

"""The store that a server works on, and which of its items a client sees."""

import threading

from maxstage.errors import Corrupt, Error, Expired, NotFound
from maxstage.store.tokens import format_token, parse_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store


class Access:
    """The store, opened when it is first needed: a client has its answer to the first message by then.

    Args:
        find: Opens the store.
        scope: Labels: only items that have them are seen, and what is staged gets them.
        id_bytes: Random bytes of an id at least.
    """

    def __init__(
        self, find: "Callable[[], Store]", scope: "dict[str, str] | None" = None, id_bytes: int = 0
    ) -> None:
        self._find = find
        self._id_bytes = id_bytes
        self._lock = threading.Lock()
        self._store: Store | None = None
        self.scope = scope or {}

    @property
    def store(self) -> "Store":
        """The store. Raises as opening it does, each time that it fails."""
        with self._lock:
            if self._store is None:
                store = self._find()
                store.settings.token_bytes = max(store.settings.token_bytes, self._id_bytes)
                self._store = store
            return self._store

    @property
    def spool_folder(self) -> str | None:
        """A folder of the store for files that have no name; None where there is no store."""
        try:
            return self.store.layout.root
        except (Error, OSError):
            return None

    def open_item(self, token: str) -> "OpenItem":
        """Open an item that the client sees, of this store or the user's own, by its token or its address.

        Raises:
            InvalidToken, NotFound, Expired, Corrupt: There is none.
        """
        token = token.strip().removeprefix("max://")
        try:
            opened = self.store.open_item_or_own(token)
        except Expired:
            # Its message tells where it came from.
            if self.scope and not self._was_seen(token):
                raise _missing(token) from None
            raise
        if not self._is_seen(opened.item):
            opened.close()
            raise _missing(token)
        return opened

    def _is_seen(self, item: "Item") -> bool:
        labels = item.labels or {}
        return all(labels.get(key) == value for key, value in self.scope.items())

    def _was_seen(self, token: str) -> bool:
        storage, item_id = self.store.storage, parse_token(token)
        for read in (storage.head, storage.tombstone):
            try:
                return self._is_seen(read(item_id))
            except (KeyError, Corrupt):
                continue
        return False

    def labels(self, wanted: "dict[str, str]") -> "dict[str, str]":
        """Return the labels of what is staged: what is wanted, and the client's own."""
        return {**wanted, **self.scope}

    def sweep(self) -> None:
        """Sweep, if that is due. Never fails."""
        if self._store is not None:
            self._store.sweep_if_due()


def _missing(token: str) -> NotFound:
    return NotFound(f"Staged data not found: {format_token(parse_token(token))}")

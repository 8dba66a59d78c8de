"""Writing an item: a file claims its id, and renaming its metadata into place, at the end, is the commit."""

import os

from maxstage._backend import core
from maxstage.errors import QuotaExceeded
from maxstage.files import remove, write_all
from maxstage.store.storage.local.items import sync_directory
from maxstage.store.storage.local.layout import CLAIM, EXPIRED, LEAVING, PART, ItemLayout, WhileThere
from maxstage.store.tokens import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item

_TRIES = 100
"""Ids tried before giving up: with 8 digits and 40 million items, 99 of 100 ids are still free."""


class LocalUpload:
    """An item that is being written: a claim, which its writer keeps locked as long as it lives, and a part.

    Args:
        layout: The paths of the store.
        id_bytes: The number of random bytes in the id.
    """

    __slots__ = ("_claim_fd", "_data", "_layout", "fd", "id", "name")

    def __init__(self, layout: ItemLayout, id_bytes: int) -> None:
        self._layout = layout
        self._data = ""
        with WhileThere(layout):
            self.id, self._claim_fd, self.fd = _claim(layout, id_bytes)
        self.name = layout.hidden(self.id, PART)

    def received(self) -> None:
        """Do nothing: what is written to a file has arrived."""

    def put_metadata(self, item: "Item") -> None:
        """Write the metadata."""
        write_all(self._claim_fd, item.to_json(), self._layout.meta(self.id))
        self._data = self._layout.path(item.file_name)

    def link_from(self, path: str) -> None:
        """Make the data of the item that of another file of the store, instead of writing it."""
        os.unlink(self.name)
        os.link(path, self.name, follow_symlinks=False)

    def flush(self) -> None:
        """Wait until data and metadata are on disk."""
        os.fdatasync(self.fd)
        os.fsync(self._claim_fd)

    def publish(self, *, sync: bool, check: "Callable[[], None] | None" = None) -> None:
        """Make the item visible. See `Upload.publish`."""
        layout = self._layout
        renames = [(self.name, self._data), (layout.hidden(self.id, CLAIM), layout.meta(self.id))]
        with WhileThere(layout):
            if check is None:
                core.rename(renames)
            else:
                from maxstage.store.storage.local.locking import PATIENCE, Locked

                # Under the lock: if there is room for either of two items but not for both, one gets it.
                with Locked(layout, PATIENCE):
                    check()
                    core.rename(renames)
        if sync:
            sync_directory(layout.root)
        self._close()

    def discard(self) -> None:
        """Delete everything that was written. See `Upload.discard`."""
        layout = self._layout
        # The claim reserves the id, so it is removed last.
        names = [
            layout.meta(self.id),
            self._data,
            layout.hidden(self.id, PART),
            layout.hidden(self.id, CLAIM),
        ]
        problem: OSError | None = None
        for name in filter(None, names):
            try:
                remove(name)
            except OSError as error:
                problem = error
        self._close()
        if problem is not None:
            raise problem

    def detach(self) -> int:
        """Unlink the part and return a descriptor of it; it no longer counts towards the store's size."""
        with WhileThere(self._layout):
            fd = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.unlink(self.name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _close(self) -> None:
        fds = self.fd, self._claim_fd
        self.fd = self._claim_fd = -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)


def _claim(layout: ItemLayout, id_bytes: int) -> tuple[str, int, int]:
    """Reserve an id that is not in use and was not within the last day; return it, the locked claim, and the part.

    An id in use has one of four files, and changes between them are renames: claim to metadata, metadata to leaving
    or expired. So once the claim has been created exclusively, checking for the other three, in that order, can't
    miss one.
    """
    for _ in range(_TRIES):
        item_id = new_id(id_bytes)
        holders = (layout.meta(item_id), layout.hidden(item_id, LEAVING), layout.hidden(item_id, EXPIRED))
        fds = core.claim(layout.hidden(item_id, CLAIM), layout.hidden(item_id, PART), holders)
        if fds is not None:
            return item_id, *fds
    raise QuotaExceeded(f"no free token found in {_TRIES} tries; set token_bytes to 8 in .max/config.toml")

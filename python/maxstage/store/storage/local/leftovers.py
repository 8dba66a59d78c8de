"""Files that belong to no item: those of dead writers, old tombstones, stale markers.

A lock shows whether a writer is alive: the kernel releases it when the writer dies, however that happens.

Metadata decides: if an item has its metadata, its hidden files are stale markers, from before a backup was restored,
for instance. Then the marker is removed and the item stays.
"""

import os

from maxstage.files import remove, try_lock
from maxstage.store.storage.local.layout import CLAIM, DATA, EXPIRED, LEAVING, META, PART, UPDATE, WhileThere
from maxstage.store.storage.local.locking import Locked
from maxstage.store.storage.protocol import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.local.layout import ItemLayout
    from maxstage.store.storage.protocol import Leftover

_MARKS = (CLAIM, PART, UPDATE, LEAVING, EXPIRED)
_UNDER_THE_LOCK = (UPDATE, LEAVING, EXPIRED)
"""Created, used and removed under the store's lock: while we hold it, none of them is in use."""


def find(
    layout: "ItemLayout", now: float, orphan_seconds: float, tombstone_seconds: float
) -> "list[list[Leftover]]":
    """Return what may be left behind: the claims last, since their locks show whether the other files are in use.

    Args:
        layout: The paths of the store.
        now: Unix time.
        orphan_seconds: The age from which a file counts as abandoned.
        tombstone_seconds: The age from which a tombstone is removed.
    """
    with WhileThere(layout), os.scandir(layout.root) as entries:
        names = [entry.name for entry in entries]
    owned = {name.removesuffix(META) for name in names if name.endswith(META)}
    groups: list[list[Leftover]] = [[], []]
    for name in names:
        # Most data files have their metadata, and need not be examined.
        if name.endswith(_MARKS) or (name.endswith(DATA) and name.split(".", 1)[0] not in owned):
            item_id = _owner_of(name)
            if item_id is not None:
                seconds = tombstone_seconds if name.endswith(EXPIRED) else orphan_seconds
                groups[name.endswith(CLAIM)].append(LocalLeftover(layout, name, item_id, now - seconds))
    return groups


def _owner_of(name: str) -> str | None:
    """Return the id in the name of a file that can't exist without its item or writer, else None."""
    if name.startswith("."):
        return name.split(".")[1] if name.endswith(_MARKS) else None
    return None if name.endswith(META) else name.split(".", maxsplit=1)[0]


class LocalLeftover:
    """A file that may be abandoned.

    Args:
        layout: The paths of the store.
        name: The name of the file.
        item_id: The id in its name.
        before: It may be abandoned if it has not changed since this Unix time.
    """

    __slots__ = ("_before", "_item_id", "_layout", "is_orphan", "name")

    def __init__(self, layout: "ItemLayout", name: str, item_id: str, before: float) -> None:
        self._layout = layout
        self._item_id = item_id
        self._before = before
        self.name = name
        self.is_orphan = not name.endswith(EXPIRED)

    def remove(self, *, dry_run: bool, patience: float | None) -> int | None:
        """Delete it. See `Leftover.remove`."""
        if dry_run and not self.is_orphan:
            return None
        try:
            status = os.lstat(self._layout.path(self.name))
        except FileNotFoundError:
            return None  # published or removed since
        # Files of a backup that is being restored have old modification times, but their inodes changed just now.
        changed = max(status.st_mtime, status.st_ctime) if self.is_orphan else status.st_mtime
        if changed >= self._before:
            return None
        if self.name.endswith(_UNDER_THE_LOCK):
            removed = dry_run or self._remove_under_the_lock(patience)
        else:
            removed = self._remove_unless_owned(dry_run=dry_run)
        return status.st_size if removed else None

    def _remove_under_the_lock(self, patience: float | None) -> bool:
        with Locked(self._layout, patience) as free:
            if not free:
                raise Busy
            return remove(self._layout.path(self.name))

    def _remove_unless_owned(self, *, dry_run: bool) -> bool:
        hidden = self.name.startswith(".")
        claim = self._open_claim()
        try:
            if claim >= 0 and not try_lock(claim):
                return False  # its writer is alive
            # The claim is renamed to the metadata: in this order, we see at least one of them. If there is metadata,
            # a claim and a part are stale markers, and data belongs to the item.
            if not hidden and os.path.lexists(self._layout.meta(self._item_id)):
                return False
            return dry_run or remove(self._layout.path(self.name))
        finally:
            if claim >= 0:
                os.close(claim)

    def _open_claim(self) -> int:
        """Open the claim of the id; return -1 if there is none, or it can't be locked."""
        # For writing: NFS gives no exclusive lock on a descriptor that only reads.
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self._layout.hidden(self._item_id, CLAIM), flags)
        except OSError:
            return -1

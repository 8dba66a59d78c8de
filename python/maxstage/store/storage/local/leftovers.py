"""What belongs to no item: files of dead writers, old tombstones, stale marks.

What a writer left behind is known by its lock: the kernel drops the lock when the writer dies, however it dies.
Metadata is what counts: whatever else bears the id of an item that has its metadata is a stale mark, of a time before a
backup was restored, say. Then the mark goes and the item stays.
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
"""Made, used and removed under the store's lock: who holds it sees none that is in use."""


def find(
    layout: "ItemLayout", now: float, orphan_seconds: float, tombstone_seconds: float
) -> "list[list[Leftover]]":
    """Return what may be left behind: the claims last, since they show whose the others are.

    Args:
        layout: The store.
        now: Unix time.
        orphan_seconds: How old a file must be to be nobody's.
        tombstone_seconds: How old a tombstone must be.
    """
    with WhileThere(layout), os.scandir(layout.root) as entries:
        names = [entry.name for entry in entries]
    owned = {name.removesuffix(META) for name in names if name.endswith(META)}
    groups: list[list[Leftover]] = [[], []]
    for name in names:
        # Most data has its metadata, and need not be looked at.
        if name.endswith(_MARKS) or (name.endswith(DATA) and name.split(".", 1)[0] not in owned):
            item_id = _owner_of(name)
            if item_id is not None:
                seconds = tombstone_seconds if name.endswith(EXPIRED) else orphan_seconds
                groups[name.endswith(CLAIM)].append(LocalLeftover(layout, name, item_id, now - seconds))
    return groups


def _owner_of(name: str) -> str | None:
    """Return the id in the name of a file that has no right to be there on its own, or None."""
    if name.startswith("."):
        return name.split(".")[1] if name.endswith(_MARKS) else None
    return None if name.endswith(META) else name.split(".", maxsplit=1)[0]


class LocalLeftover:
    """A file that may be nobody's.

    Args:
        layout: The store.
        name: The file.
        item_id: The id in its name.
        before: It is nobody's if it has not changed since, Unix time.
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
        # A backup that is being restored has old times of its own, but its inodes have changed just now.
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
                return False  # its writer lives
            # The claim becomes the metadata by rename: looked at in this order, one of them is seen. Beside metadata
            # a claim and a part are stale marks, and data is the item's.
            if not hidden and os.path.lexists(self._layout.meta(self._item_id)):
                return False
            return dry_run or remove(self._layout.path(self.name))
        finally:
            if claim >= 0:
                os.close(claim)

    def _open_claim(self) -> int:
        """Open the claim of the id; -1 where there is none, or nothing that could be locked."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self._layout.hidden(self._item_id, CLAIM), flags)
        except OSError:
            return -1

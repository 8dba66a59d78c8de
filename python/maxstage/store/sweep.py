"""Sweeping: expired items go, and what dead writers left behind.

An expired item's metadata is renamed to a tombstone, which answers for a day that the item expired; then
its data is deleted. What a writer left behind is known by its lock: the kernel drops the lock when the
writer dies, however it dies.

Metadata is what counts: whatever else bears the id of an item that has its metadata is a stale mark, of a time before
a backup was restored, say. Then the mark goes and the item stays.
"""

import errno
import os
import random
import stat
import time

from maxstage.errors import Corrupt
from maxstage.files import remove, try_lock
from maxstage.store.due import INTERVAL, LONGEST, is_due
from maxstage.store.finding import load_item
from maxstage.store.index import ask
from maxstage.store.layout import CLAIM, EXPIRED, LEAVING, META, PART, SWEEP, UPDATE, Layout
from maxstage.store.locking import PATIENCE, Locked
from maxstage.store.metadata import EXTENSIONS, Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOMBSTONE_SECONDS = 24 * 3600
"""How long an expired item's token still answers that it expired."""

ORPHAN_SECONDS = 3600
"""How old a file with no metadata must be: a file system without locks leaves only age to go by, and a
producer may well pause for minutes; and a backup that is being restored has its data before its metadata."""

_DATA = tuple(extension + end for extension in EXTENSIONS.values() for end in ("", ".gz"))
_MARKS = (CLAIM, PART, UPDATE, LEAVING, EXPIRED)


_SECONDS = 0.2
"""Seconds that a sweep takes at most which happens by itself; the next one goes on."""


class Swept:
    """What a sweep did, or would do.

    Attributes:
        expired: The items that expired.
        orphans: Names of the files that dead writers left.
        freed: Bytes of their data.
        failed: Names of the files that should have been deleted and could not be, each with the reason.
    """

    def __init__(self) -> None:
        self.expired: list[Item] = []
        self.orphans: list[str] = []
        self.freed = 0
        self.failed: dict[str, str] = {}


class _Busy(Exception):
    """Somebody holds the store's lock, or the time is up: the next sweep goes on."""


def sweep_if_due(layout: "Layout") -> None:
    """Sweep, unless it is too soon, nothing can have expired, or somebody is sweeping. Never fails, never waits."""
    if not is_due(layout):
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(layout.path(SWEEP), flags, 0o600), "rb", buffering=0) as file:
            if try_lock(file.fileno()):
                os.utime(file.fileno(), (time.time() + INTERVAL,) * 2)
                sweep(layout, seconds=_SECONDS, patience=0)
    except OSError:
        return  # a store that can't be written, say: the command that we follow has its answer already


def sweep(
    layout: Layout,
    *,
    dry_run: bool = False,
    orphan_seconds: float = ORPHAN_SECONDS,
    seconds: float | None = None,
    patience: float | None = None,
) -> Swept:
    """Sweep now.

    Args:
        layout: The store.
        dry_run: Only say what would be done.
        orphan_seconds: How old a file with no metadata must be.
        seconds: How long it may take; None: until all is done.
        patience: Seconds to wait for the store's lock, each time; None: as long as it takes.

    Raises:
        OSError: The store can't be read or written at all; of single files `Swept.failed` tells.
    """
    return _Sweep(layout, dry_run, orphan_seconds, seconds, patience).run()


class _Sweep:
    def __init__(
        self,
        layout: Layout,
        dry_run: bool,
        orphan_seconds: float,
        seconds: float | None,
        patience: float | None,
    ) -> None:
        self._layout = layout
        self._dry_run = dry_run
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._patience = patience
        self._now = time.time()
        self._orphaned_before = self._now - orphan_seconds
        self._swept = Swept()

    def run(self) -> Swept:
        try:
            next_time = self._expired()
            self._left_behind()
        except _Busy:
            next_time = self._now
        if not self._dry_run:
            # Nothing expires before `next_time`.
            due = max(self._now + INTERVAL, min(next_time, self._now + LONGEST))
            path = self._layout.path(SWEEP)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.utime(path, (due, due), follow_symlinks=False)
        return self._swept

    def _in_time(self, names: "Iterable[str]") -> "Iterator[str]":
        """Give the names as long as there is time, the first in any case: each sweep gets on."""
        for name in names:
            yield name
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise _Busy

    def _fairly(self, names: "list[str]") -> "Iterator[str]":
        """Give the names as long as there is time; where that is limited, from anywhere on: each gets its turn."""
        if self._deadline is not None and names:
            start = random.randrange(len(names))  # noqa: S311 - no secret
            names = names[start:] + names[:start]
        return self._in_time(names)

    # Items

    def _expired(self) -> float:
        """End the items that have expired; return when the next one expires."""
        now = self._now
        known = ask(
            self._layout,
            lambda index: (index.expired(now) + index.to_be_read(), index.next_expiry(now)),
            hurried=self._deadline is not None,
        )
        if known is None:
            ids = [name.removesuffix(META) for name in self._names() if name.endswith(META)]
            known = ids, float("inf")
        next_time = known[1]
        for item_id in self._fairly(known[0]):
            try:
                item = load_item(self._layout.meta(item_id), item_id)
            except (OSError, Corrupt):
                continue  # gone since, or damaged: that is for `verify` to tell, and nobody's to delete
            if item.is_expired(now):
                self._end(item)
            else:
                next_time = min(next_time, item.expires or next_time)
        return next_time

    def _end(self, item: Item) -> None:
        if self._dry_run:
            ended = True
        else:
            with Locked(self._layout, self._patience) as free:
                if not free:
                    raise _Busy
                try:
                    ended = _expire(self._layout, item.id, self._now)
                except OSError as error:
                    self._failed(item.file_name, error)
                    return
        if ended:
            self._swept.expired.append(item)
            self._swept.freed += item.stored_size

    # What belongs to no item

    def _left_behind(self) -> None:
        names = list(self._names())
        owned = {name.removesuffix(META) for name in names if name.endswith(META)}
        # Most data has its metadata, and need not be looked at.
        left = [
            name
            for name in names
            if name.endswith(_MARKS) or (name.endswith(_DATA) and name.split(".", 1)[0] not in owned)
        ]
        # A claim is what shows whose the others are: it goes last.
        for last in (False, True):
            for name in self._fairly([name for name in left if name.endswith(CLAIM) is last]):
                item_id = _owner_of(name)
                if item_id is not None:
                    self._look_at(name, item_id)

    def _look_at(self, name: str, item_id: str) -> None:
        path = self._layout.path(name)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return  # published or removed since
        if name.endswith(EXPIRED):
            if status.st_mtime >= self._now - TOMBSTONE_SECONDS or self._dry_run:
                return
        # A backup that is being restored has old times of its own, but its inodes have changed just now.
        elif max(status.st_mtime, status.st_ctime) >= self._orphaned_before:
            return
        if self._take_away(name, item_id) and not name.endswith(EXPIRED):
            self._swept.orphans.append(name)
            self._swept.freed += status.st_size

    def _take_away(self, name: str, item_id: str) -> bool:
        """Delete a file that is nobody's; false where it is somebody's."""
        if name.endswith((UPDATE, LEAVING, EXPIRED)):
            # Made, used and removed under the store's lock: who holds it sees none that is in use.
            if self._dry_run:
                return True
            with Locked(self._layout, self._patience) as free:
                if not free:
                    raise _Busy
                return self._remove(name)
        hidden = name.startswith(".")
        claim = self._open_claim(item_id)
        try:
            if claim >= 0 and not try_lock(claim):
                return False  # its writer lives
            # The claim becomes the metadata by rename: looked at in this order, one of them is seen. Beside metadata
            # a claim and a part are stale marks, and data is the item's.
            if not hidden and os.path.lexists(self._layout.meta(item_id)):
                return False
            return self._dry_run or self._remove(name)
        finally:
            if claim >= 0:
                os.close(claim)

    def _open_claim(self, item_id: str) -> int:
        """Open the claim of an id; -1 where there is none, or nothing that could be locked."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self._layout.hidden(item_id, CLAIM), flags)
        except OSError:
            return -1

    def _names(self) -> "Iterator[str]":
        with os.scandir(self._layout.root) as entries:
            yield from (entry.name for entry in entries)

    def _remove(self, name: str) -> bool:
        try:
            return remove(self._layout.path(name))
        except OSError as error:
            self._failed(name, error)
            return False

    def _failed(self, name: str, error: OSError) -> None:
        """Note a file that can't be deleted: one name costs itself alone."""
        name = name if error.filename is None else os.path.basename(error.filename)
        self._swept.failed[name] = error.strerror or str(error)


def _owner_of(name: str) -> str | None:
    """Return the id in the name of a file that has no right to be there on its own, or None."""
    if name.startswith("."):
        return name.split(".")[1] if name.endswith(_MARKS) else None
    return None if name.endswith(META) else name.split(".", maxsplit=1)[0]


def expire(layout: Layout, item_id: str, now: float) -> bool:
    """End an item if it has expired; false where it was renewed, pinned or removed since it was looked at."""
    with Locked(layout):
        return _expire(layout, item_id, now)


def _expire(layout: Layout, item_id: str, now: float) -> bool:
    try:
        item = load_item(layout.meta(item_id), item_id)
    except (FileNotFoundError, Corrupt):
        return False
    if not item.is_expired(now):
        return False
    tombstone = layout.hidden(item_id, EXPIRED)
    os.rename(layout.meta(item_id), tombstone)
    os.utime(tombstone, follow_symlinks=False)
    remove(layout.path(item.file_name))
    return True


def delete(layout: Layout, item_id: str) -> bool:
    """Delete an item, even one whose metadata can't be read; false where there is none.

    Raises:
        OSError: Its files can't be deleted: somebody put a directory in the place of one, say.
    """
    with Locked(layout):
        return _delete(layout, item_id)


def take_back(layout: Layout, items: "Iterable[Item]") -> None:
    """Delete items that were published a moment ago, and whose tokens nobody was told.

    Raises:
        OSError: Some could not be deleted; the others are.
    """
    problem: OSError | None = None
    # Who might change them at this moment has found them in a list. For that a stopped process isn't waited for.
    with Locked(layout, PATIENCE):
        for item in items:
            try:
                _delete(layout, item.id)
            except OSError as error:
                problem = error
    if problem is not None:
        raise problem


def _delete(layout: Layout, item_id: str) -> bool:
    meta, leaving = layout.meta(item_id), layout.hidden(item_id, LEAVING)
    try:
        if stat.S_ISDIR(os.lstat(meta).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), meta)  # not ours to empty
        os.rename(meta, leaving)
    except FileNotFoundError:
        return False
    # One from before a backup was restored would answer that it expired.
    remove(layout.hidden(item_id, EXPIRED))
    for extension in _DATA:
        remove(layout.path(item_id + extension))
    remove(leaving)
    return True

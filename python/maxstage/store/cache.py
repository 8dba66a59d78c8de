"""Copies of compressed items, for programs that open a path and know nothing of our codecs.

They are in ``.max/cache``::

    a1b2c3d4.ndjson   the data as it was staged, read-only; its modification time is when its path was last asked for
    .part             the copy that is being made
    .making, .lock    locks (flock): one process at a time makes a copy; who removes one excludes who returns its path

A copy may be deleted at any time. It is removed with its item, once nobody has asked for it for a day, or to make room
for another.
"""

import os
import stat
import time

from maxstage.codecs import CODECS
from maxstage.errors import Corrupt, QuotaExceeded
from maxstage.files import Naming, is_trusted, remove, try_lock, wait_for_lock
from maxstage.interrupts import Deferred
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.settings import Settings
    from maxstage.store.metadata import Item
    from maxstage.store.project import Layout
    from maxstage.store.reading import OpenItem
    from maxstage.store.storage.protocol import Storage
    from maxstage.store.sweep import Swept

_FOLDER = "cache"
_PART = ".part"
_MAKING, _LOCK = ".making", ".lock"

_UNUSED_SECONDS = 24 * 3600
"""How long a copy is kept after somebody last asked for it: a day's work on a pinned item makes it once."""

_JUST_USED_SECONDS = 600
"""How long a copy isn't removed to make room: a program was given its path, and may not have opened it yet."""

_READ_ONLY = 0o400


class Cache:
    """The copies of one store.

    Args:
        layout: The paths of the project.
        settings: Its settings, for the limit.
        storage: Where the items are kept.
    """

    def __init__(self, layout: "Layout", settings: "Settings", storage: "Storage") -> None:
        self._folder = f"{layout.base}/{_FOLDER}"
        self._settings = settings
        self._storage = storage

    def path(self, opened: "OpenItem", progress: "Callable[[int], None] | None" = None) -> str:
        """Return the path of an item's copy; make the copy unless there is one.

        Args:
            opened: The item.
            progress: Called from time to time with the number of bytes written since the last call.

        Raises:
            QuotaExceeded: There is no room for it within ``max_cache_bytes``.
            Corrupt: The item's data is not what was staged.
            NotFound: The item was deleted meanwhile.
            OSError: It can't be written.
        """
        self._make_folder()
        if self._use(opened.item):
            return self._path_of(opened.item)
        with _Locked(self._path(_MAKING)):
            # Another process may have made it while we waited.
            if not self._use(opened.item):
                self._make_room(opened.item.byte_size)
                self._make(opened, progress)
        return self._path_of(opened.item)

    def forget(self, item_id: str) -> None:
        """Remove the copy of an item that was deleted."""
        if self._is_there():
            with _Locked(self._path(_LOCK)):
                for name in [name for name, _ in self._copies() if name.startswith(f"{item_id}.")]:
                    remove(self._path(name))

    def sweep(self, swept: "Swept", *, dry_run: bool = False) -> None:
        """Remove copies that have no item any more or that nobody uses, and what a killed process left half made.

        Never waits: a lock that another process holds is left to the next sweep.

        Args:
            swept: Gets what was removed, or would be.
            dry_run: Only report it.
        """
        if not self._is_there():
            return
        with _Locked(self._path(_MAKING), wait=False) as alone:
            if alone and os.path.lexists(self._path(_PART)):
                self._drop(_PART, os.lstat(self._path(_PART)).st_size, swept, dry_run=dry_run)
        now = time.time()
        with _Locked(self._path(_LOCK), wait=False) as alone:
            for name, status in [*self._copies()] if alone else ():
                if status.st_mtime < now - _UNUSED_SECONDS or not self._has_item(name, now):
                    self._drop(name, status.st_size, swept, dry_run=dry_run)

    def _make_folder(self) -> None:
        if not self._is_there():
            os.makedirs(self._folder, 0o700, exist_ok=True)

    def _is_there(self) -> bool:
        """Return whether the folder exists: anything else in its place, such as a symbolic link, is refused."""
        try:
            status = os.lstat(self._folder)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(status.st_mode) or not is_trusted(status):
            raise Corrupt(f"{self._folder} is not a directory of your own; remove it")
        return True

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _path_of(self, item: "Item") -> str:
        return self._path(item.file_name.removesuffix(CODECS[item.codec].extension))

    def _use(self, item: "Item") -> bool:
        """Return whether there is a copy; from now on it counts as just used, so that its path stays valid."""
        path = self._path_of(item)
        with _Locked(self._path(_LOCK), shared=True):
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                return False
            whole = stat.S_ISREG(status.st_mode) and status.st_size == item.byte_size
            if not whole or status.st_uid != os.geteuid():
                return False
            os.utime(path)
        return True

    def _make(self, opened: "OpenItem", progress: "Callable[[int], None] | None") -> None:
        path, part = self._path_of(opened.item), self._path(_PART)
        remove(part)  # of a process that was killed: we hold its lock
        with Deferred() as signals, Naming(part):
            fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with signals.open():
                    opened.copy_to(fd, part, progress=progress)
                os.fchmod(fd, _READ_ONLY)
                os.rename(part, path)
            finally:
                os.close(fd)
                remove(part)
        try:
            self._storage.head(opened.item.id)
        except KeyError:
            from maxstage.store.finding import missing

            remove(path)
            raise missing(self._storage, opened.item.id) from None

    def _make_room(self, size: int) -> None:
        """Remove the copies that were used longest ago, until there is room for another."""
        most = self._settings.max_cache_bytes
        if size > most:
            raise self._exceeded(f"a copy of {size:,} bytes is larger than")
        before = time.time() - _JUST_USED_SECONDS
        with _Locked(self._path(_LOCK)):
            copies = sorted(self._copies(), key=lambda copy: copy[1].st_mtime)
            used = sum(status.st_size for _, status in copies)
            for name, status in copies:
                if used + size > most and status.st_mtime < before:
                    remove(self._path(name))
                    used -= status.st_size
        if used + size > most:
            raise self._exceeded(
                f"a copy of {size:,} bytes, and those whose paths were asked for in the last 10 minutes, exceed"
            )

    def _exceeded(self, what: str) -> QuotaExceeded:
        return QuotaExceeded(
            f"{what} max_cache_bytes ({self._settings.max_cache_bytes:,} bytes); nothing was copied. Raise the "
            f'limit in {self._settings.file}, or use "max retrieve"'
        )

    def _copies(self) -> "Iterator[tuple[str, os.stat_result]]":
        """Yield the name and status of each copy."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    try:
                        yield entry.name, entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # somebody has deleted it

    def _has_item(self, name: str, now: float) -> bool:
        item_id = name.partition(".")[0]
        try:
            return is_id(item_id) and not self._storage.head(item_id).is_expired(now)
        except KeyError:
            return False
        except Corrupt:
            return True  # somebody may mend its metadata

    def _drop(self, name: str, size: int, swept: "Swept", *, dry_run: bool) -> None:
        try:
            if not dry_run:
                remove(self._path(name))
        except OSError as error:
            swept.failed[f"{_FOLDER}/{name}"] = error.strerror or str(error)
            return
        swept.orphans.append(f"{_FOLDER}/{name}")
        swept.freed += size


class _Locked:
    """Holds a lock file; entering it returns whether the lock was taken, which without `wait` it may not be."""

    def __init__(self, path: str, *, shared: bool = False, wait: bool = True) -> None:
        self._path = path
        self._shared = shared
        self._wait = wait

    def __enter__(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        try:
            if not self._wait:
                return try_lock(self._fd)
            wait_for_lock(self._fd, shared=self._shared)
        except BaseException:
            os.close(self._fd)
            raise
        return True

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)

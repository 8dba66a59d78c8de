"""Sweeping: removes expired items, and what dead writers left behind.

An expired item leaves a tombstone for a day, so that its token is reported as expired. Each storage knows what belongs
to no item.
"""

import os
import random
import time

from maxstage.errors import Corrupt
from maxstage.store.schedule import INTERVAL, LONGEST, is_due
from maxstage.store.storage.protocol import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Leftover, Storage

    One = TypeVar("One")

TOMBSTONE_SECONDS = 24 * 3600
"""How long an expired item's token is still reported as expired."""

ORPHAN_SECONDS = 3600
"""How old a file without metadata must be: without file locks, age is the only evidence, and a producer may well
pause for minutes; also, a backup may restore an item's data before its metadata."""

DEAD_SECONDS = 60
"""The same if a sweep was asked for, or there is no room: long enough for a writer to lock the id that it took."""

_SECONDS = 0.2
"""The most seconds that an automatic sweep takes; the next one continues."""


class Swept:
    """What a sweep did, or would do.

    Attributes:
        expired: The items that expired.
        orphans: Names of the files that dead writers left.
        freed: The bytes that they took.
        failed: Names of the files that could not be deleted, each with the reason.
    """

    def __init__(self) -> None:
        self.expired: list[Item] = []
        self.orphans: list[str] = []
        self.freed = 0
        self.failed: dict[str, str] = {}


def sweep(
    storage: "Storage",
    *,
    dry_run: bool = False,
    orphan_seconds: float = ORPHAN_SECONDS,
    seconds: float | None = None,
    patience: float | None = None,
) -> Swept:
    """Sweep now.

    Args:
        storage: Where the items are kept.
        dry_run: Only return what would be done.
        orphan_seconds: How old a file without metadata must be.
        seconds: How long it may take; None for no limit.
        patience: Seconds to wait for a lock, each time; None for no limit.

    Raises:
        OSError: The store can't be read or written at all; failures of single files are in `Swept.failed`.
    """
    return _Sweep(storage, dry_run, orphan_seconds, seconds, patience).run()


def sweep_if_due(storage: "Storage", also: "Callable[[Swept], None]") -> None:
    """Sweep, unless it is too soon, nothing can have expired, or another process does. Never fails, never waits.

    Args:
        storage: Where the items are kept.
        also: Called with what was swept, to sweep what depends on the items.
    """
    if not is_due(storage):
        return
    try:
        with storage.sweeping() as alone:
            if alone:
                storage.set_sweep_time(time.time() + INTERVAL)
                also(sweep(storage, seconds=_SECONDS, patience=0))
    except (OSError, Corrupt):
        return  # the store is read-only, for instance; the command that this follows has succeeded anyway


class _Sweep:
    def __init__(
        self,
        storage: "Storage",
        dry_run: bool,
        orphan_seconds: float,
        seconds: float | None,
        patience: float | None,
    ) -> None:
        self._storage = storage
        self._dry_run = dry_run
        self._orphan_seconds = orphan_seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._patience = patience
        self._now = time.time()
        self._swept = Swept()

    def run(self) -> Swept:
        try:
            next_time = self._end_expired()
            self._remove_leftovers()
        except Busy:
            next_time = self._now
        if not self._dry_run:
            # Nothing expires before `next_time`.
            due = max(self._now + INTERVAL, min(next_time, self._now + LONGEST))
            with self._storage.sweeping():
                self._storage.set_sweep_time(due)
        return self._swept

    def _in_time(self, all_of_them: "Iterable[One]") -> "Iterator[One]":
        """Yield elements until the time is up, at least one: each sweep makes progress."""
        for one in all_of_them:
            yield one
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise Busy

    def _fairly(self, all_of_them: "list[One]") -> "Iterator[One]":
        """Yield elements until the time is up; if it is limited, start at a random one so that each gets its turn."""
        if self._deadline is not None and all_of_them:
            start = random.randrange(len(all_of_them))  # noqa: S311 - no secret
            all_of_them = all_of_them[start:] + all_of_them[:start]
        return self._in_time(all_of_them)

    def _end_expired(self) -> float:
        """End the items that have expired; return when the next one expires."""
        ids, next_time = self._storage.expired(self._now, hurried=self._deadline is not None)
        for item_id in self._fairly(ids):
            try:
                item = self._storage.head(item_id)
            except (KeyError, OSError, Corrupt):
                continue  # removed since, or damaged: `verify` reports that, and a sweep must not delete it
            if item.is_expired(self._now):
                self._end(item)
            else:
                next_time = min(next_time, item.expires or next_time)
        return next_time

    def _end(self, item: "Item") -> None:
        try:
            ended = self._dry_run or self._storage.expire(item.id, self._now, patience=self._patience)
        except OSError as error:
            self._failed(item.file_name, error)
            return
        if ended:
            self._swept.expired.append(item)
            self._swept.freed += item.stored_size

    def _remove_leftovers(self) -> None:
        for group in self._storage.leftovers(self._now, self._orphan_seconds, TOMBSTONE_SECONDS):
            for leftover in self._fairly(group):
                self._remove(leftover)

    def _remove(self, leftover: "Leftover") -> None:
        try:
            freed = leftover.remove(dry_run=self._dry_run, patience=self._patience)
        except OSError as error:
            self._failed(leftover.name, error)
            return
        if freed is not None and leftover.is_orphan:
            self._swept.orphans.append(leftover.name)
            self._swept.freed += freed

    def _failed(self, name: str, error: OSError) -> None:
        """Record a file that can't be deleted, and carry on with the others."""
        name = name if error.filename is None else os.path.basename(error.filename)
        self._swept.failed[name] = error.strerror or str(error)

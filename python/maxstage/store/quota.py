"""The quota: how much may be written, known while the data streams in."""

import time

from maxstage.errors import QuotaExceeded
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._backend import core
    from maxstage.settings import Settings
    from maxstage.store.storage.protocol import Storage

_PATIENCE = 1.0
"""Seconds to wait for another process that is changing items: as a rule it takes less than one."""

_FASTEST = 2 * 1024**3
"""Bytes that all processes together may write in a second: faster than disks are. Who was far enough from the limit a
moment ago still is within it, and need not look at each file again: that takes a millisecond for a thousand items."""

_seen: "dict[str, tuple[float, int]]" = {}
"""When the usage of a place was looked at last, by the monotonic clock, and what it was."""


class Quota:
    """Leases bytes to one writer, out of what its item and the store may still take.

    Args:
        storage: Where the items lie.
        settings: Its settings.
        step: Bytes leased at a time at most.
        items: How many items the data is cut into later; None: any number.
    """

    __slots__ = ("_items", "_leased", "_most", "_settings", "_step", "_storage")

    def __init__(self, storage: "Storage", settings: "Settings", step: int, items: int | None) -> None:
        self._storage = storage
        self._settings = settings
        self._step = step
        self._items = items
        self._leased = 0
        most = settings.max_item_bytes
        self._most = None if most is None or items is None else most * items

    @property
    def of_store(self) -> bool:
        """Whether the store has a limit."""
        return self._settings.max_store_bytes is not None

    def lease(self, writer: "core.Writer", wanted: int, *, compress: bool) -> int:
        """Return how many of `wanted` bytes may be written now; at most a step."""
        if self._leased < wanted:
            self._leased = self._allowance(writer, compress=compress)
        return min(wanted, self._leased)

    def spend(self, count: int) -> None:
        """Note that `count` leased bytes were written."""
        self._leased -= count

    def check(self, writer: "core.Writer") -> None:
        """Look once more, at the end.

        Raises:
            QuotaExceeded: The item, or the store with it, is too large.
        """
        if self._is_over(writer):
            raise self.exceeded(writer)
        most = self._settings.max_store_bytes
        if most is None or self._is_far(writer.stored_size):
            return
        # A storage may learn of what is written only later: what `check_published` will see counts as well.
        to_be = self._storage.usage(published=True) + writer.stored_size
        if max(to_be, self._storage.usage()) > most and not self.make_room(writer):
            raise self.exceeded(writer)

    def check_published(self, writer: "core.Writer") -> None:
        """Look whether there is room beside what is published. The caller holds the store's lock, and publishes then.

        Raises:
            QuotaExceeded: Somebody else has published meanwhile.
        """
        most = self._settings.max_store_bytes
        if most is None:
            return
        if not self._is_far(writer.stored_size):
            if self._storage.usage(published=True) + writer.stored_size > most:
                raise self.exceeded(writer)
        elif self._storage.place in _seen:
            when, used = _seen[self._storage.place]
            _seen[self._storage.place] = when, used + writer.stored_size

    def make_room(self, writer: "core.Writer", *, more: int = 0) -> bool:
        """Sweep what has expired, and what dead writers left; return whether there is room for `more` bytes then."""
        most = self._settings.max_store_bytes
        if most is None or self._is_over(writer, more):
            return False
        with Deferred():  # what is raised while a module is imported may be dropped
            from maxstage.store.sweep import DEAD_SECONDS, sweep
        sweep(self._storage, orphan_seconds=DEAD_SECONDS, patience=_PATIENCE)
        self._leased = 0
        return self._storage.usage() + more <= most

    def _is_far(self, more: int) -> bool:
        """Whether the store was seen so far from its limit that it can't have reached it by now, with `more` bytes."""
        most, seen = self._settings.max_store_bytes, _seen.get(self._storage.place)
        if most is None or seen is None:
            return most is None
        when, used = seen
        return used + more + (time.monotonic() - when) * _FASTEST < most

    def _is_over(self, writer: "core.Writer", more: int = 0) -> bool:
        return self._most is not None and writer.byte_size + more > self._most

    def exceeded(self, writer: "core.Writer", more: int = 0) -> QuotaExceeded:
        """Return the error that names the limit which is in the way of what was written and `more` bytes."""
        from maxstage.humanize import counted

        if self._is_over(writer, more):
            what = "the item is" if self._items == 1 else f"the data for {self._items} items is"
            return QuotaExceeded(
                f"{what} larger than max_item_bytes ({self._settings.max_item_bytes:,} bytes); nothing was staged. "
                f"Raise the limit in {self._settings.file}, or stage it in parts"
            )
        return QuotaExceeded(
            f"the store would be larger than max_store_bytes ({counted(self._settings.max_store_bytes or 0, 'byte')}); "
            f'nothing was staged. Free space with "max unstage", or raise the limit in {self._settings.file}'
        )

    def _allowance(self, writer: "core.Writer", *, compress: bool) -> int:
        settings = self._settings
        allowed = self._step
        if self._most is not None:
            allowed = min(allowed, self._most - writer.byte_size)
        if settings.max_store_bytes is not None and not self._is_far(self._step):
            used = self._storage.usage()
            _seen[self._storage.place] = time.monotonic(), used
            left = settings.max_store_bytes - used
            # What will be compressed may be more than the room that it takes; `check` has the last word.
            allowed = allowed if compress and left > 0 else min(allowed, left)
        return max(0, allowed)

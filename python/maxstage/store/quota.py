"""The quota: limits how much is written, while the data streams in."""

import time

from maxstage.errors import QuotaExceeded
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._backend import core
    from maxstage.settings import Settings
    from maxstage.store.storage.protocol import Storage

_PATIENCE = 1.0
"""Seconds to wait for another process that is changing items, which usually takes less than one."""

_FASTEST = 2 * 1024**3
"""Bytes per second that all processes together could write: more than any disk can. A store that was far enough from
its limit a moment ago is still below it, and needn't be measured again: that takes 1 ms for a thousand items."""

_seen: "dict[str, tuple[float, int]]" = {}
"""When the usage of each place was last measured, by the monotonic clock, and the result."""


class Quota:
    """Leases bytes to one writer, out of what its item and the store may still grow by.

    Args:
        storage: Where the items are kept.
        settings: The settings of the store.
        step: The most bytes leased at a time.
        items: How many items the data is split into later; None for any number.
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
        """Return how many of `wanted` bytes may be written now; at most one step."""
        if self._leased < wanted:
            self._leased = self._allowance(writer, compress=compress)
        return min(wanted, self._leased)

    def spend(self, count: int) -> None:
        """Record that `count` leased bytes were written."""
        self._leased -= count

    def check(self, writer: "core.Writer") -> None:
        """Check the limits once more, at the end.

        Raises:
            QuotaExceeded: The item, or the store with it, is too large.
        """
        if self._is_over(writer):
            raise self.exceeded(writer)
        most = self._settings.max_store_bytes
        if most is None or self._is_far(writer.stored_size):
            return
        # A storage may count what is being written only later, so also compute what `check_published` will see.
        to_be = self._storage.usage(published=True) + writer.stored_size
        if max(to_be, self._storage.usage()) > most and not self.make_room(writer):
            raise self.exceeded(writer)

    def check_published(self, writer: "core.Writer") -> None:
        """Check that there is room next to what is published. The caller holds the store's lock, and then publishes.

        Raises:
            QuotaExceeded: Another writer has published in the meantime.
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
        """Sweep, and return whether there is now room for `more` bytes."""
        most = self._settings.max_store_bytes
        if most is None or self._is_over(writer, more):
            return False
        with Deferred():  # an exception raised while a module is being imported may get lost
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
        """Return the error that names the limit exceeded by what was written and `more` bytes."""
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
            # Data may exceed the room left if it is compressed; `check` decides in the end.
            allowed = allowed if compress and left > 0 else min(allowed, left)
        return max(0, allowed)

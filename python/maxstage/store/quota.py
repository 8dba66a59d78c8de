"""The quota: how much may be written, known while the data streams in."""

from maxstage.errors import QuotaExceeded
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._backend import core
    from maxstage.settings import Settings
    from maxstage.store.storage.protocol import Storage

_PATIENCE = 1.0
"""Seconds to wait for another process that is changing items: as a rule it takes less than one."""


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
        if most is None:
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
        if most is not None and self._storage.usage(published=True) + writer.stored_size > most:
            raise self.exceeded(writer)

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
        if settings.max_store_bytes is not None:
            left = settings.max_store_bytes - self._storage.usage()
            # What will be compressed may be more than the room that it takes; `check` has the last word.
            allowed = allowed if compress and left > 0 else min(allowed, left)
        return max(0, allowed)

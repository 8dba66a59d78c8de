"""The quota: how much may be written, known while the data streams in."""

import os

from maxstage.errors import QuotaExceeded
from maxstage.store.layout import PART
from maxstage.store.metadata import EXTENSIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._backend import core
    from maxstage.settings import Settings
    from maxstage.store.layout import Layout

STEP = 8 * 1024 * 1024
"""Bytes written between two looks at the disk: seldom enough to cost nothing, often enough that several
writers at once overshoot the store's limit by little before they notice."""

_DATA = (*EXTENSIONS.values(), *(extension + ".gz" for extension in EXTENSIONS.values()), PART)


class Quota:
    """Leases bytes to one writer, out of what its item and the store may still take."""

    __slots__ = ("_layout", "_leased", "_settings")

    def __init__(self, layout: "Layout", settings: "Settings") -> None:
        self._layout = layout
        self._settings = settings
        self._leased = 0

    @property
    def unlimited(self) -> bool:
        """Whether nothing needs to be leased."""
        return self._settings.max_item_bytes is None and self._settings.max_store_bytes is None

    def lease(self, writer: "core.Writer", wanted: int, *, compress: bool) -> int:
        """Return how many of `wanted` bytes may be written now; at most `STEP` where there is a limit."""
        if self.unlimited:
            return wanted
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
        settings = self._settings
        over_item = settings.max_item_bytes is not None and writer.byte_size > settings.max_item_bytes
        over_store = (
            settings.max_store_bytes is not None and store_usage(self._layout) > settings.max_store_bytes
        )
        if over_item or over_store:
            raise self.exceeded(writer)

    def exceeded(self, writer: "core.Writer", more: int = 0) -> QuotaExceeded:
        """Return the error that names the limit which is in the way of what was written and `more` bytes."""
        most = self._settings.max_item_bytes
        if most is not None and writer.byte_size + more > most:
            return QuotaExceeded(
                f"the item is larger than max_item_bytes ({most:,} bytes); nothing was staged. "
                "Raise the limit in .max/config.toml, or stage it in parts"
            )
        return QuotaExceeded(
            f"the store would be larger than max_store_bytes ({self._settings.max_store_bytes:,} bytes); "
            'nothing was staged. Free space with "max unstage", or raise the limit in .max/config.toml'
        )

    def _allowance(self, writer: "core.Writer", *, compress: bool) -> int:
        settings = self._settings
        allowed = STEP
        if settings.max_item_bytes is not None:
            allowed = min(allowed, settings.max_item_bytes - writer.byte_size)
        if settings.max_store_bytes is not None:
            left = settings.max_store_bytes - store_usage(self._layout)
            # What will be compressed may be more than the room that it takes; `check` has the last word.
            allowed = allowed if compress and left > 0 else min(allowed, left)
        return max(0, allowed)


def store_usage(layout: "Layout") -> int:
    """Return the bytes of all data files of the store, those being written included."""
    total = 0
    with os.scandir(layout.root) as entries:
        for entry in entries:
            if entry.name.endswith(_DATA) and not entry.name.endswith(".meta.json"):
                try:
                    total += entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # deleted since: it takes nothing any more
    return total

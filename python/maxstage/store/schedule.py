"""When a sweep is due: the only part of sweeping that every command runs."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.protocol import Storage

INTERVAL = 60
"""Seconds between automatic sweeps, at least."""

LONGEST = 3600
"""Seconds until the next sweep, at most: files of dead writers may be left even if nothing expires."""


def is_due(storage: "Storage") -> bool:
    """Return whether it is time for a sweep."""
    now = time.time()
    try:
        due = storage.sweep_time()
    except OSError:
        return False
    # A time further ahead than we ever write was written while the clock was wrong.
    return due is None or not now < due <= now + LONGEST + INTERVAL


def expect_expiry(storage: "Storage", expires: float | None) -> None:
    """Bring the next sweep forward to Unix time `expires`, if it is due later; None is for an item that is pinned."""
    if expires is None:
        return
    try:
        due = storage.sweep_time()
        if due is not None and due > expires:
            storage.set_sweep_time(expires)
    except OSError:
        return  # no permission, say; harmless, since expired items are never served, swept or not

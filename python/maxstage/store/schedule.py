"""When a sweep is due: the only part of sweeping that every command looks at."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.protocol import Storage

INTERVAL = 60
"""Seconds between two sweeps that happen by themselves."""

LONGEST = 3600
"""Seconds until the next sweep at most: what dead writers leave is looked for that often anyway."""


def is_due(storage: "Storage") -> bool:
    """Tell whether it is time for a sweep."""
    now = time.time()
    try:
        due = storage.sweep_time()
    except OSError:
        return False
    # A time further ahead than we ever write was written when the clock was wrong.
    return due is None or not now < due <= now + LONGEST + INTERVAL


def expect_expiry(storage: "Storage", expires: float | None) -> None:
    """Note that an item will expire at Unix time `expires`, so that a sweep comes no later than it can be of use."""
    if expires is None:
        return
    try:
        due = storage.sweep_time()
        if due is not None and due > expires:
            storage.set_sweep_time(expires)
    except OSError:
        return  # not ours to change: the item is not served after its time, swept or not

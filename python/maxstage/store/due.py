"""When a sweep is due: the only part of sweeping that every command looks at."""

import os
import time

from maxstage.store.layout import SWEEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.layout import Layout

INTERVAL = 60
"""Seconds between two sweeps that happen by themselves."""

LONGEST = 3600
"""Seconds until the next sweep at most: what dead writers leave is looked for that often anyway."""


def is_due(layout: "Layout") -> bool:
    """Tell whether it is time for a sweep."""
    now = time.time()
    try:
        due = os.stat(layout.path(SWEEP), follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return True
    except OSError:
        return False
    # A time further ahead than we ever write was written when the clock was wrong.
    return not now < due <= now + LONGEST + INTERVAL


def expect_expiry(layout: "Layout", expires: float | None) -> None:
    """Note that an item will expire at Unix time `expires`, so that a sweep comes no later than it can be of use."""
    if expires is None:
        return
    path = layout.path(SWEEP)
    try:
        if os.stat(path, follow_symlinks=False).st_mtime > expires:
            os.utime(path, (expires,) * 2, follow_symlinks=False)
    except OSError:
        return  # no sweep yet, or not ours to change: the item is not served after its time, swept or not

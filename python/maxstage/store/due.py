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

_SECONDS = 0.2
"""Seconds that a sweep takes at most which happens by itself; the next one goes on."""


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


def sweep_if_due(layout: "Layout") -> None:
    """Sweep, unless it is too soon, nothing can have expired, or somebody is sweeping. Never fails, never waits."""
    if not is_due(layout):
        return
    from maxstage.files import try_lock
    from maxstage.store.sweep import sweep

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(layout.path(SWEEP), flags, 0o600), "rb", buffering=0) as file:
            if try_lock(file.fileno()):
                os.utime(file.fileno(), (time.time() + INTERVAL,) * 2)
                sweep(layout, seconds=_SECONDS, patience=0)
    except OSError:
        return  # a store that can't be written, say: the command that we follow has its answer already


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

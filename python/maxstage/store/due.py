"""When a sweep is due: the only part of sweeping that every command looks at."""

import os
import time

from maxstage.store.layout import SWEEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.layout import Layout

INTERVAL = 60
"""Seconds between two sweeps that happen by themselves."""


def sweep_if_due(layout: "Layout") -> None:
    """Sweep, unless it is too soon, nothing can have expired, or somebody is sweeping. Never fails."""
    path = layout.path(SWEEP)
    try:
        if os.stat(path, follow_symlinks=False).st_mtime > time.time():
            return
    except FileNotFoundError:
        pass
    except OSError:
        return
    from maxstage.store.locking import try_lock
    from maxstage.store.sweep import sweep

    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # a store that can't be written, say: the command that we follow has its answer already
    try:
        if try_lock(fd):
            os.utime(fd, (time.time() + INTERVAL,) * 2)
            sweep(layout)
    except OSError:
        return  # the next sweep tries again
    finally:
        os.close(fd)


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

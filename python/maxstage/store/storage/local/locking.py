"""The lock of a store, held while metadata is changed or deleted."""

import errno
import os
import time

from maxstage.files import try_lock, wait_for_lock
from maxstage.store.storage.local.layout import LOCK, SWEEP, WhileThere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.local.layout import ItemLayout

PATIENCE = 1.0
"""Seconds to wait for the store's lock if waiting longer is worse than going on without it."""

LONG = 10.0
"""Seconds after which the holder of a lock must have been stopped, since it is normally held for a moment."""

_PAUSE = 0.005
"""Seconds between attempts to take a lock, which is normally held for less than one."""


class Locked:
    """Holds the store's lock: only while metadata is changed, never while data is being transferred.

    Entering it returns whether the lock was acquired.

    Args:
        layout: The paths of the store.
        patience: Seconds to wait for it; None for no limit.
    """

    def __init__(self, layout: "ItemLayout", patience: float | None = None) -> None:
        self._layout = layout
        self._patience = patience
        self._fd = -1

    def __enter__(self) -> bool:
        self._fd = _open(self._layout, LOCK)
        try:
            if self._patience is not None:
                return _try_for(self._fd, self._patience)
            wait_for_lock(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        return True

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)


class Sweeping:
    """The lock held during a sweep; entering it returns whether it was acquired. Never waits.

    Args:
        layout: The paths of the store.
    """

    def __init__(self, layout: "ItemLayout") -> None:
        self._layout = layout
        self._fd = -1

    def __enter__(self) -> bool:
        self._fd = _open(self._layout, SWEEP)
        return try_lock(self._fd)

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)


def _open(layout: "ItemLayout", name: str) -> int:
    """Open or create a lock file, without waiting for anything else that was put in its place."""
    path = layout.path(name)
    try:
        with WhileThere(layout):
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # ELOOP: a symbolic link; ENXIO: a socket.
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise OSError(error.errno, "Not a regular file; remove it", path) from None


def _try_for(fd: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not try_lock(fd):
        if time.monotonic() >= until:
            return False
        time.sleep(_PAUSE)
    return True

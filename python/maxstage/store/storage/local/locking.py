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
"""Seconds to wait for the store's lock where waiting for long is worse than doing without."""

LONG = 10.0
"""Seconds after which a lock that is held for a moment as a rule is held by a process that was stopped."""

_PAUSE = 0.005
"""Seconds between two tries of a lock that somebody holds, as a rule for less than one."""


class Locked:
    """Holds the store's lock: for as long as it takes to change metadata, never while data flows.

    Entering it tells whether the lock was free.

    Args:
        layout: The store.
        patience: Seconds to wait for it; None waits as long as it takes.
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
    """Held during a sweep; entering it tells whether nobody else sweeps. Never waits.

    Args:
        layout: The store.
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
    """Open a file that is there to be locked, or make it; nothing else that somebody has put there is waited for."""
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

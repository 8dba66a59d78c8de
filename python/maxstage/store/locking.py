"""Locks between processes, by `flock`: the kernel drops them when a process ends, however it ends."""

import fcntl
import os

from maxstage.store.layout import LOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.layout import Layout


class Locked:
    """Holds the store's lock: for as long as it takes to change metadata, never while data flows."""

    def __init__(self, layout: "Layout") -> None:
        self._path = layout.path(LOCK)
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(self._fd)
            raise

    def __exit__(self, *exc: object) -> None:
        os.close(self._fd)


def try_lock(fd: int) -> bool:
    """Take the lock on an open file unless somebody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""The first and the last step of writing an item."""

import os

from maxstage.files import wait_for_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDWR


def claim(claim: str, part: str, holders: "Sequence[str]", /) -> tuple[int, int] | None:
    """Create a locked claim, and the part; return their descriptors, or None if the id is taken."""
    try:
        lock = os.open(claim, _NEW, 0o600)
    except FileExistsError:
        return None
    try:
        wait_for_lock(lock)
        # Check after the exclusive creation: an id in use moves from one of these names to the next, in this order.
        if not any(map(os.path.lexists, holders)):
            return lock, os.open(part, _NEW, 0o600)
    except BaseException:
        _drop(claim, lock)
        raise
    _drop(claim, lock)
    return None


def _drop(claim: str, lock: int) -> None:
    """Remove our claim, and only then release its lock."""
    try:
        os.unlink(claim)
    finally:
        os.close(lock)


def rename(pairs: "Sequence[tuple[str, str]]", /) -> None:
    """Rename each pair, in order."""
    for old, new in pairs:
        os.rename(old, new)

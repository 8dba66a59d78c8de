"""The summary of an output that a client has, with the full output kept under a token."""

import os
import stat

from maxstage.output.bound import bound, spooled
from maxstage.output.gained import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.output.limits import Limits
    from maxstage.store.store import Store

_SAME = 1000
"""How many first characters of the file must equal what the client shows of it."""


def summary_of(
    text: str, whole: str | None, store: "Store | Callable[[], Store]", limits: "Limits", cut_to: int
) -> str | None:
    """Keep an output and return its summary; None if it is small, or if the full output could not be kept.

    Args:
        text: The output, or its beginning.
        whole: The file in which the client has kept all of it.
        store: Where it is kept, or a function that opens the store.
        limits: How much to show, and how.
        cut_to: How much to show of what is longer.

    Raises:
        OSError: The file can't be read.
        Error: There is something wrong with the store.
    """
    fd = _open_whole(whole, text) if whole is not None else spooled(text.encode("utf-8", "replace"))
    if fd is None:
        return None
    try:
        done = bound(fd, limits, store, task_id="agent", name="<output of the command>", cut_to=cut_to)
    finally:
        os.close(fd)
    if not done.truncated or done.token is None:
        return None
    note(done, "agent hook")
    return done.content.decode("utf-8", "replace")


def _open_whole(path: str, text: str) -> int | None:
    """Open the file in which a client has kept an output, if it is one of ours that holds this output."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    status = os.fstat(fd)
    beginning = text[:_SAME].encode("utf-8", "replace")
    is_it = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    if is_it and os.pread(fd, len(beginning), 0) == beginning:
        return fd
    os.close(fd)
    return None

"""What was kept out of prompts, as it happens: one line for each output that was cut, and for each that is read again.

The lines go to ``.max/gain.log``, and from time to time into counters: see `maxstage.store.gain_book`. They say how
much, when, and by which command; never what. A line that can't be written is not missed: no command fails for it.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = "gain.log"

MOST_LOG = 16 * 1024 * 1024
"""Bytes of the log at most: a hundred thousand commands, should nobody have turned them into counters by then."""

WORTH_MOVING = 256 * 1024
"""Bytes of the log from which a sweep moves it: reading it all would slow `max gain` down."""

CUT, AGAIN = "cut", "again"
"""What a line tells: an output was cut and kept whole; a token was read."""

_LONGEST = 100
"""Characters of a name in a line."""

CLIENTS = {
    "CLAUDECODE": "claude",
    "CODEX_THREAD_ID": "codex",
    "CODEX_SANDBOX": "codex",
    "GEMINI_CLI": "gemini",
    "OPENCODE": "opencode",
    "CURSOR_AGENT": "cursor",
}
"""The variables that agents' programs set for the commands that they run, and who sets them."""

NOBODY = "-"
"""The client of a command that no agent's program has started."""


def client_of(environ: "Mapping[str, str]" = os.environ) -> str:
    """Return the agent's program that runs this command, as its environment tells.

    >>> client_of({"CLAUDECODE": "1"}), client_of({})
    ('claude', '-')
    """
    return next((client for variable, client in CLIENTS.items() if environ.get(variable)), NOBODY)


def note_cut(
    project: str,
    command: str,
    source: str,
    original: int,
    shown: int,
    item_id: str,
    client: str | None = None,
) -> None:
    """Note that an output was cut, and is kept whole.

    Args:
        project: The folder that holds ``.max``.
        command: What cut it: ``exec``, ``truncate``, …
        source: What printed it.
        original: Its bytes.
        shown: The bytes that were left of it.
        item_id: The id of the item that has the whole.
        client: For whom; None for `client_of`.
    """
    names = [_name(one) for one in (command, client or client_of(), source)]
    _append(project, CUT, item_id, str(original), str(shown), *names)


def note_again(project: str, item_id: str, shown: int) -> None:
    """Note that an item, or `shown` bytes of it, was read: if it is the whole of a cut output, that counts."""
    _append(project, AGAIN, item_id, str(shown))


def is_large(base: str) -> bool:
    """Return whether the log in `base`, the path of ``.max``, should be turned into counters."""
    try:
        return os.stat(f"{base}/{LOG}", follow_symlinks=False).st_size >= WORTH_MOVING
    except OSError:
        return False


def _name(text: str) -> str:
    short = text[:_LONGEST]
    return "".join(char if char.isprintable() else "?" for char in short) or NOBODY


def _append(project: str, *fields: str) -> None:
    line = "\t".join((str(int(time.time())), *fields)) + "\n"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(f"{project}/.max/{LOG}", flags, 0o600)
    except OSError:
        return  # no permission, or no such project any more: what was asked for is done all the same
    try:
        if os.fstat(fd).st_size < MOST_LOG:
            os.write(fd, line.encode("utf-8", "replace"))
    except OSError:
        return  # the disk is full, which the command itself would have said
    finally:
        os.close(fd)

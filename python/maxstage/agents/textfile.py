"""Reading and replacing files of settings: the target of a symbolic link, with its mode, in one step."""

import errno
import os
import stat

from maxstage.files import write_all
from maxstage.replacement import Replacement

_MOST_BYTES = 64 << 20
"""What settings may have. One client keeps its history in them, which reaches megabytes."""


class ChangedMeanwhile(OSError):
    """Somebody else has written to the file since it was read."""


def read(path: str, most: int = _MOST_BYTES) -> str | None:
    """Return the text of a file; None where there is none.

    Raises:
        ValueError: It is no text in UTF-8, no regular file, or too large. The message says which.
        OSError: It can't be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > most:
            raise ValueError(f"it has {status.st_size:,} bytes, more than settings have")
        content = file.read()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text in UTF-8 (byte {error.start + 1})") from None


def replace(path: str, text: str, *, before: str | None = None) -> list[str]:
    """Put a text in the place of a file, or make it; return the folders that were made for it, the outermost first.

    Args:
        path: The file. Of a symbolic link it is what that leads to.
        text: What is to be in it.
        before: What was read from it; None where there was none, or where that doesn't matter.

    Raises:
        ChangedMeanwhile: There is something else in it than `before`.
        OSError: It can't be written.
    """
    real = os.path.realpath(path)
    folders = _make_folders(os.path.dirname(real))
    try:
        status = os.stat(real)
    except FileNotFoundError:
        status = None
    if before is not None and read(real) != before:
        raise ChangedMeanwhile(errno.EBUSY, "It was changed meanwhile: run the command again", path)
    part = Replacement(real, status)
    try:
        write_all(part.fd, text.encode(), path)
        os.fsync(part.fd)
        part.publish()
    finally:
        part.discard()
    return folders


def _make_folders(path: str) -> list[str]:
    made: list[str] = []
    while not os.path.isdir(path):
        made.insert(0, path)
        path = os.path.dirname(path)
    for folder in made:
        os.mkdir(folder)
    return made


def remove_made(path: str, folders: list[str]) -> None:
    """Delete a file that was made, and of the folders that were made for it those that are empty."""
    from maxstage.files import remove

    remove(os.path.realpath(path))
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except OSError:
            return  # somebody else has put something there

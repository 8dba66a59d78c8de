"""What a file is: device, inode, size and time of change, as one text that is kept and compared.

A text with device and inode alone stands for the file whatever is in it.
"""

import os
import stat

from maxstage.intent.paths import Folders, Refused, refusal

FILE, LINK = "file", "link"


def identity(status: os.stat_result) -> str:
    """Return what a file is."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"


def inode(text: str) -> str:
    """Return the file that an identity stands for, whatever is in it.

    >>> inode("64:1234:5:1700000000000000000")
    '64:1234'
    """
    return ":".join(text.split(":")[:2])


def is_same(status: os.stat_result, text: str) -> bool:
    """Return whether a file is what it was; with device and inode alone, whether it is that file."""
    now = identity(status)
    return now == text or (text.count(":") == 1 and inode(now) == text)


def is_inode(status: os.stat_result, text: str) -> bool:
    """Return whether a file is the one that it was, whatever is in it."""
    return inode(identity(status)) == inode(text)


def look(folders: Folders, path: bytes) -> os.stat_result | None:
    """Return the status of a file below a root, links not followed; None if it isn't there.

    Raises:
        Refused: A folder on the way can't be passed, or is a link.
    """
    try:
        fd, name = folders.of(path)
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except Refused as error:
        if error.missing:
            return None
        raise
    except OSError as error:
        raise refusal(error, path) from None


def kind_of(status: os.stat_result) -> str:
    """Return what kind of file it is, in words for errors; `FILE` and `LINK` are what intents handle."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISLNK(mode):
        return LINK
    return "folder" if stat.S_ISDIR(mode) else "special file"

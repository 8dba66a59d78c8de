"""Which names a folder takes for one and the same: the file system says so, and it differs even within one."""

import os
import unicodedata

_CASE_TYPES = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "hfsplus", "cifs", "smb3"}
"""File systems that, as they are usually mounted, don't tell capitals apart. On others, entries are looked at."""
_UNICODE_TYPES = {"hfsplus", "apfs"}

_GET_FLAGS, _CASEFOLD = 0x80086601, 0x40000000
"""The ioctl of Linux for the attributes of a folder, and the one that makes names equal whatever their case."""
_PC_CASE_SENSITIVE = 11
"""What macOS calls it."""
_LOOKED_AT = 100
"""Entries of a folder that are looked at."""

EXACT, CASE, UNICODE = "exact", "case", "case and form of characters"
"""What a folder doesn't tell apart; `EXACT` is nothing."""


def folded(path: bytes, how: str) -> bytes:
    """Return a text that is the same for all names that a folder takes for one.

    >>> folded("Caf\\u00e9".encode(), UNICODE) == folded("CAFE\\u0301".encode(), UNICODE)
    True
    """
    text = path.decode("utf-8", "surrogateescape")
    if how == UNICODE:
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return text.casefold().encode("utf-8", "surrogateescape")


def equality(folder: int) -> str:
    """Return what a folder doesn't tell apart.

    Args:
        folder: Its descriptor.
    """
    try:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return EXACT  # it can't be listed; what can't be known now is told when it is done
    try:
        return _by_attribute(fd) or _by_entries(fd) or _by_parent(fd) or _by_type(fd)
    except OSError:
        return EXACT
    finally:
        os.close(fd)


def _by_attribute(fd: int) -> str | None:
    import sys

    if sys.platform == "darwin":
        return EXACT if os.fpathconf(fd, _PC_CASE_SENSITIVE) else UNICODE
    try:
        import fcntl

        flags = int.from_bytes(fcntl.ioctl(fd, _GET_FLAGS, bytes(8))[:4], "little")
    except OSError:
        return None  # a file system without attributes
    return UNICODE if flags & _CASEFOLD else None


def _by_entries(fd: int) -> str | None:
    """Look whether an entry is found under its name in the other case, or in another form."""
    equal = None
    with os.scandir(fd) as entries:
        for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
            if equal is None and entry.name.swapcase() != entry.name:
                equal = CASE if _is_same(fd, entry.name, entry.name.swapcase()) else EXACT
                if equal == EXACT:
                    return EXACT
            for form in ("NFC", "NFD"):
                other = unicodedata.normalize(form, entry.name)
                if other != entry.name and _is_same(fd, entry.name, other):
                    return UNICODE
    return equal


def _is_same(fd: int, name: str, other: str) -> bool:
    try:
        one, found = (os.stat(text, dir_fd=fd, follow_symlinks=False) for text in (name, other))
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (one.st_dev, one.st_ino)


def _by_parent(fd: int) -> str | None:
    """Look at the entries of the folder around an empty one, in which the folder itself is, on the same file system."""
    parent = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        return _by_entries(parent) if os.fstat(parent).st_dev == os.fstat(fd).st_dev else None
    finally:
        os.close(parent)


def _by_type(fd: int) -> str:
    """Ask which file system it is: the folder is empty, or has only names without letters."""
    device = os.fstat(fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return EXACT
    kinds = {row[row.index("-") + 1] for row in rows if row[2] == wanted and "-" in row}
    if kinds & _UNICODE_TYPES:
        return UNICODE
    return CASE if kinds & _CASE_TYPES else EXACT

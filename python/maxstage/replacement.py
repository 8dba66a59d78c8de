"""Files that replace others once they are complete, and removal of those that killed writers left behind."""

import os
import stat

from maxstage.files import remove, try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN, _END = ".max-", ".part"
"""How the names of unfinished files begin and end: never longer than the names that a file system allows."""

_STALE_SECONDS = 60
"""How old an unlocked file must be to be abandoned: a living writer locks it right after creating it."""

_MOST_ENTRIES = 10_000
"""The most names in a folder that are searched for abandoned files, which takes a few milliseconds."""


class Replacement:
    """A file that appears under its name, replacing any other, once it is complete.

    Until then it is a hidden file in the same folder. Its writer holds a lock on it, which distinguishes it from those
    that killed writers left behind. Call `publish` or `discard` in the end.

    Args:
        path: The name that it gets. A symbolic link there is replaced, not followed.
        before: The status of the file that it replaces, whose owner and mode it keeps; None if there is none.
        dir_fd: The folder that a relative path starts from; None for the working directory.

    Attributes:
        fd: The descriptor to write to. It is readable too, since data copied by the kernel is read back for its
            checksum.
    """

    def __init__(self, path: str, before: os.stat_result | None, *, dir_fd: int | None = None) -> None:
        self._path = path
        self._dir_fd = dir_fd
        self._part = os.path.join(os.path.dirname(path), f"{_BEGIN}{os.getpid()}-{os.urandom(4).hex()}{_END}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = os.open(self._part, flags, 0o666 if before is None else 0o600, dir_fd=dir_fd)
        try:
            try_lock(self.fd)
            if before is not None:
                _take_over(self.fd, before)
        except BaseException:
            self.discard()
            raise

    def publish(self) -> None:
        """Move the file into place."""
        os.rename(self._part, self._path, src_dir_fd=self._dir_fd, dst_dir_fd=self._dir_fd)
        self._part = ""
        self.discard()

    def discard(self) -> None:
        """Close the file, and delete it unless it was published."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._part:
            remove(self._part, dir_fd=self._dir_fd)
            self._part = ""


def _take_over(fd: int, before: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one that it replaces."""
    mode = stat.S_IMODE(before.st_mode)
    ours = os.fstat(fd)
    if (ours.st_uid, ours.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(fd, before.st_uid, before.st_gid)
        except PermissionError:
            # Only root may give files away. The file is now ours, so drop setuid and setgid.
            mode &= 0o777
    os.fchmod(fd, mode)


def sweep_parts(folder: str) -> None:
    """Delete what killed writers left in a folder. Never fails, since the file that was asked for is complete."""
    try:
        for path in list(_dead_parts(folder)):
            remove(path)
    except OSError:
        return


def _dead_parts(folder: str) -> "Iterator[str]":
    import time
    from itertools import islice

    before = time.time() - _STALE_SECONDS
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            ours = entry.name.startswith(_BEGIN) and entry.name.endswith(_END)
            if ours and entry.stat(follow_symlinks=False).st_mtime < before and _is_dead(entry.path):
                yield entry.path


def _is_dead(path: str) -> bool:
    """Return whether this is a regular file that no process holds a lock on."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # A shared lock shows it as well, and NFS gives no other on a descriptor that only reads.
        return stat.S_ISREG(os.fstat(fd).st_mode) and try_lock(fd, shared=True)
    finally:
        os.close(fd)

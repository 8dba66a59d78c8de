"""Where ``max retrieve --to`` writes. Without the command-line library: see `maxstage.cli.fast_path`.

A file appears under its name when it is complete: until then it is a hidden one in the same folder, which its writer
holds a lock on. What is no regular file (a device, a pipe, a descriptor) is written as it is.
"""

import errno
import os
import stat
import time

from maxstage.naming import Naming
from maxstage.store.layout import remove
from maxstage.store.locking import try_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN, _END = ".max-", ".part"
"""What the name of a file that is being written begins and ends with. Short: its folder may hold the longest names."""

_STALE_SECONDS = 60
"""How old an unlocked one must be to be a dead writer's: a living one locks it right after making it."""

_MOST_ENTRIES = 10_000
"""Names of a folder that are looked through for such files: a few milliseconds."""

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")


class Target:
    """A file that is written: a descriptor, and its name in errors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._part = self._real = ""
        self._fd = -1

    def __enter__(self) -> tuple[int, str]:
        try:
            with Naming(self._name):
                self._open(self._name)
        except BaseException:
            self._close()
            raise
        return self._fd, self._name

    def _open(self, target: str) -> None:
        descriptor = _descriptor(target)
        if descriptor is not None:
            self._fd = os.dup(descriptor)
            return
        try:
            status = os.stat(target)
        except FileNotFoundError:
            if target.endswith("/"):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target) from None
            # In "no/../name" it is the system that must find the folder: resolving the text would lose it.
            os.stat(os.path.dirname(target) or ".")
            status = None
        if status is not None and not stat.S_ISREG(status.st_mode):
            self._fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
            return
        if status is not None:
            # Whether it may be written is for its own permissions to say, not for those of its folder.
            os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))
        # A symbolic link stays, and what it leads to is replaced.
        self._real = os.path.realpath(target)
        folder, name = os.path.split(self._real)
        _check_name(folder, name)
        self._part, self._fd = _new_part(folder)
        if status is not None:
            self._take_over(status)

    def _take_over(self, status: os.stat_result) -> None:
        """Give the new file the owner and the mode of the one that it replaces."""
        mode = stat.S_IMODE(status.st_mode)
        ours = os.fstat(self._fd)
        if (ours.st_uid, ours.st_gid) != (status.st_uid, status.st_gid):
            try:
                os.fchown(self._fd, status.st_uid, status.st_gid)
            except PermissionError:
                # Only root may give files away. It is ours from now on, and runs as nobody else.
                mode &= 0o777
        os.fchmod(self._fd, mode)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if self._part and kind is None:
                with Naming(self._name):
                    os.rename(self._part, self._real)
                self._part = ""
        finally:
            self._close()
        if self._real:
            _sweep(os.path.dirname(self._real))

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        if self._part:
            remove(self._part)


def _descriptor(target: str) -> int | None:
    """Return the descriptor that a name like ``/dev/stdout`` stands for: opened anew, a file would begin at 0 again."""
    for prefix in _DESCRIPTORS:
        number = target.removeprefix(prefix)
        if number != target and number.isascii() and number.isdigit() and len(number) < 10:  # noqa: PLR2004
            return int(number)
    return _STREAMS.get(target)


def _check_name(folder: str, name: str) -> None:
    """Let the system say now what it would say of the name when all is written: too long, or not to be used."""
    try:
        os.lstat(f"{folder}/{name}")
    except FileNotFoundError:
        os.stat(folder)


def _new_part(folder: str) -> tuple[str, int]:
    """Make the file that is written, locked; return its path and descriptor."""
    part = f"{folder}/{_BEGIN}{os.getpid()}-{os.urandom(4).hex()}{_END}"
    # For reading too: what the kernel copied by itself is read back for its checksum.
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try_lock(fd)
    return part, fd


def _sweep(folder: str) -> None:
    """Delete what killed writers left in a folder. Never fails: the file that was asked for is there."""
    try:
        for path in list(_leftovers(folder)):
            remove(path)
    except OSError:
        return


def _leftovers(folder: str) -> "Iterator[str]":
    from itertools import islice

    before = time.time() - _STALE_SECONDS
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            ours = entry.name.startswith(_BEGIN) and entry.name.endswith(_END)
            if ours and entry.stat(follow_symlinks=False).st_mtime < before and _is_dead(entry.path):
                yield entry.path


def _is_dead(path: str) -> bool:
    """Whether this is a regular file that nobody holds a lock on."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and try_lock(fd)
    finally:
        os.close(fd)

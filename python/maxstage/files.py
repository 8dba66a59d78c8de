"""What more than one part does to files and descriptors: naming them in errors, writing all, replacing whole, locking.

Every small command imports this: what only some need, they import in the function.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGIN, _END = ".max-", ".part"
"""What the name of a file that is being written begins and ends with. Short: its folder may hold the longest names."""

_STALE_SECONDS = 60
"""How old an unlocked one must be to be a dead writer's: a living one locks it right after making it."""

_MOST_ENTRIES = 10_000
"""Names of a folder that are looked through for such files: a few milliseconds."""


class Naming:
    """Lets an `OSError` out of its block name this file, whatever it named before.

    Args:
        path: The file as the user knows it.
    """

    __slots__ = ("_path",)

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, self._path) from None


def write_all(fd: int, data: "bytes | bytearray | memoryview", name: str) -> None:
    """Write all of `data` to a descriptor, waiting where it takes nothing now.

    Args:
        fd: The descriptor.
        data: What is written.
        name: What errors call the descriptor: what is written to one fails without a name.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            _wait_for_room(fd)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, name) from None


def _wait_for_room(fd: int) -> None:
    """Wait for a descriptor that a parent left non-blocking (Node.js does)."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def remove(path: str, *, dir_fd: int | None = None) -> bool:
    """Delete a file; false where it was gone already.

    Args:
        path: The file.
        dir_fd: The folder that a relative path begins at; None: the working directory.
    """
    try:
        os.unlink(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


# Locks between processes, by `flock`: the kernel drops them when a process ends, however it ends.


def wait_for_lock(fd: int) -> None:
    """Take the lock on an open file, waiting until it is free."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock on an open file unless somebody has it; tell whether it was free.

    Args:
        fd: The file.
        shared: Take it together with others who take it shared: enough to see whether somebody has it alone.
    """
    import fcntl

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Replacement:
    """A file that takes the place of another, or of none, when it is complete.

    Until then it is a hidden one in the same folder, which its writer holds a lock on: so what killed writers left can
    be told from what is being written. `publish` and `discard` both end it.

    Args:
        path: The file that it becomes. A symbolic link there is replaced, not followed.
        before: The status of what is there; None for nothing. Its owner and mode are kept.
        dir_fd: The folder that a relative path begins at; None: the working directory.

    Attributes:
        fd: What the content is written to. For reading too: what the kernel copied is read back for its checksum.
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
        """Put it in its place."""
        os.rename(self._part, self._path, src_dir_fd=self._dir_fd, dst_dir_fd=self._dir_fd)
        self._part = ""
        self.discard()

    def discard(self) -> None:
        """Leave nothing behind of what was not published."""
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
            # Only root may give files away. It is ours from now on, and runs as nobody else.
            mode &= 0o777
    os.fchmod(fd, mode)


def sweep_parts(folder: str) -> None:
    """Delete what killed writers left in a folder. Never fails: the file that was asked for is there."""
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
    """Whether this is a regular file that nobody holds a lock on."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode) and try_lock(fd)
    finally:
        os.close(fd)

"""What more than one part does to files: naming them in errors, writing all, locking, reading what may be planted.

Every small command imports this: what only some need, they import in the function.
"""

import os
import stat

from maxstage.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting: somebody may have put a named pipe there."""

_MOST = 1024 * 1024
"""Bytes of a file with settings: a hundred times what anybody writes by hand."""


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


def read_some(fd: int, size: int, name: str) -> bytes:
    """Read once from a descriptor, waiting where there is nothing yet; ``b""`` is the end.

    Args:
        fd: The descriptor.
        size: Bytes at most.
        name: What errors call the descriptor.
    """
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            _wait_for_data(fd)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, name) from None


def _wait_for_data(fd: int) -> None:
    """Wait for a descriptor that a parent left non-blocking."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLIN)
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


# Files that may have been planted: see `maxstage.trust`.


def is_trusted(status: os.stat_result) -> bool:
    """Whether what has this status belongs to us or to root."""
    return status.st_uid == os.geteuid() or status.st_uid == 0


def read_settings(path: str, check: "Callable[[os.stat_result], None]") -> bytes | None:
    """Read a file with settings, which may have been planted; None where it is missing or says nothing.

    Args:
        path: The file.
        check: Is given the status of the open file, and of a symbolic link that leads to it; raises unless the owner
            is trusted.

    Raises:
        ConfigError: It is no regular file, too large, or a symbolic link that leads nowhere.
        OSError: It can't be read.
    """
    try:
        fd = _open(path, check)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        check(status)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path} is not a regular file; it can't be read as settings")
        content = _read(fd, path)
    finally:
        os.close(fd)
    if all(not line or line.startswith(b"#") for line in map(bytes.strip, content.split(b"\n"))):
        return None
    return content


def _open(path: str, check: "Callable[[os.stat_result], None]") -> int:
    try:
        return os.open(path, _READING | os.O_NOFOLLOW)
    except OSError as error:
        import errno

        if error.errno != errno.ELOOP:
            raise
    check(os.lstat(path))
    try:
        return os.open(path, _READING)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is a symbolic link to {os.readlink(path)!r}, which does not exist; mend it or remove it"
        ) from None


def _read(fd: int, path: str) -> bytes:
    content = b""
    while more := os.read(fd, _MOST + 1 - len(content)):
        content += more
        if len(content) > _MOST:
            raise ConfigError(f"{path} is larger than 1 MiB; it can't be read as settings")
    return content

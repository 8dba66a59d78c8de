"""Helpers for files: naming them in errors, writing everything, locking, and reading files that may be planted.

Every command imports this module, so what only some need is imported inside functions.
"""

import os
import stat

from maxstage.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_READING = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Non-blocking, since somebody may have put a named pipe there."""

_MOST = 1024 * 1024
"""The most bytes of a settings file: a hundred times what anybody writes by hand."""


class Naming:
    """Makes every `OSError` raised in its block name this file.

    Args:
        path: The name that the user knows.
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
    """Write all of `data` to a descriptor, waiting if it is not ready.

    Args:
        fd: The descriptor.
        data: The data to write.
        name: What errors call the descriptor, since `os.write` names no file.
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
    """Wait until a descriptor that the parent left non-blocking, as Node.js does, can be written."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def read_some(fd: int, size: int, name: str) -> bytes:
    """Read once from a descriptor, waiting for data; ``b""`` is the end.

    Args:
        fd: The descriptor.
        size: The most bytes to read.
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
    """Wait until a descriptor that the parent left non-blocking can be read."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll()


def remove(path: str, *, dir_fd: int | None = None) -> bool:
    """Delete a file; return whether it existed.

    Args:
        path: The file.
        dir_fd: The folder that a relative path starts from; None for the working directory.
    """
    try:
        os.unlink(path, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


# Locks between processes, by `flock`: the kernel releases them when a process ends, however it ends.


def wait_for_lock(fd: int, *, shared: bool = False) -> None:
    """Take the lock on an open file, waiting until it is free.

    Args:
        fd: The file.
        shared: Take a shared lock, which excludes exclusive ones only.
    """
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock on an open file unless it is held; return whether that worked.

    Args:
        fd: The file.
        shared: Take a shared lock: enough to see whether another process holds an exclusive one.
    """
    import fcntl

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Files that may have been planted: see `maxstage.trust`.


def is_trusted(status: os.stat_result) -> bool:
    """Return whether the file with this status belongs to the user or to root."""
    return status.st_uid == os.geteuid() or status.st_uid == 0


def read_settings(path: str, check: "Callable[[os.stat_result], None]") -> bytes | None:
    """Read a settings file, which may have been planted; return None if it is missing or has only comments.

    Args:
        path: The file.
        check: Called with the status of the open file, and that of a symbolic link to it; raises unless the owner
            is trusted.

    Raises:
        ConfigError: It is not a regular file, too large, or a broken symbolic link.
        OSError: It can't be read.
    """
    try:
        fd = _open(path, check)
    except (FileNotFoundError, NotADirectoryError):
        # The latter where HOME is /dev/null, as users without a home have it.
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

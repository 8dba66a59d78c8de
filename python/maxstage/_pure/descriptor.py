"""Reading and writing file descriptors that other people set up: non-blocking, short."""

import errno
import os
import select
import stat

from maxstage.errors import Corrupt

CHUNK = 256 * 1024
"""Bytes in one read: few system calls, and small enough to stay in a core's L2 cache."""

_PIPE_SIZE = 1024 * 1024
"""What a pipe is widened to: the most that Linux lets an unprivileged process ask for by default."""


def read(fd: int, size: int, name: str) -> bytes:
    """Read once, waiting where there is nothing yet; ``b""`` is the end."""
    while True:
        try:
            return os.read(fd, size)
        except BlockingIOError:
            _wait(fd, select.POLLIN)
        except OSError as error:
            raise _named(error, name) from None


def read_exact_at(fd: int, size: int, offset: int, name: str) -> bytes:
    """Read `size` bytes at `offset`."""
    parts = []
    while size:
        try:
            part = os.pread(fd, size, offset)
        except OSError as error:
            raise _named(error, name) from None
        if not part:
            raise Corrupt("the data file is shorter than its metadata says")
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return b"".join(parts)


def is_pipe(fd: int) -> bool:
    """Whether a descriptor is a pipe."""
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def splice(file: int, offset: int, size: int, pipe: int, name: str) -> int:
    """Move bytes of a file into a pipe without copying them; return how many: fewer where the system can't."""
    if not hasattr(os, "splice"):
        return 0
    done = 0
    while done < size:
        try:
            count = os.splice(file, pipe, size - done, offset_src=offset + done)
        except BlockingIOError:
            _wait(pipe, select.POLLOUT)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOSYS):
                break
            raise _named(error, name) from None
        else:
            if count == 0:
                break
            done += count
    return done


def sync_file_system(fd: int, /) -> bool:  # noqa: ARG001
    """Wait for a file system: Python has no such call; `os.sync` is for all of them, and tells no errors."""
    return False


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Let the disk begin to write a part of a file, so that a sync at the end has less to wait for."""
    if hasattr(os, "posix_fadvise"):
        # Advice that may be refused. On Linux it begins to write what is dirty, which stays cached meanwhile.
        try:
            os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)
        except OSError:
            return


def widen_pipe(fd: int) -> None:
    """Widen a pipe; a refusal (no pipe, or the user's pipe memory is spent) leaves a slower one, nothing worse."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        except (OSError, ValueError):
            return


def _wait(fd: int, events: int) -> None:
    """Wait for a descriptor that a parent left non-blocking (Node.js does)."""
    poll = select.poll()
    poll.register(fd, events)
    poll.poll()


def _named(error: OSError, name: str) -> OSError:
    return type(error)(error.errno, error.strerror, name)

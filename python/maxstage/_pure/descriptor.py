"""Reads and writes file descriptors set up by others: calls may be non-blocking or partial."""

import errno
import os
import select
import stat

from maxstage.errors import Corrupt

CHUNK = 256 * 1024
"""The size of one read: large enough for few system calls, small enough to stay in a core's L2 cache."""

_SIGNAL_LATENCY = 200
"""How long a signal that arrives at the wrong moment may go unnoticed, in milliseconds."""

_PIPE_SIZE = 1024 * 1024
"""The size that pipes are widened to: the most that an unprivileged process may request by default."""


def read(fd: int, size: int, name: str) -> bytes:
    """Read once, waiting for data; ``b""`` is the end."""
    while True:
        _await_ready(fd, select.POLLIN)
        try:
            return os.read(fd, size)
        except BlockingIOError:
            continue  # somebody else took it
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
    """Return whether a descriptor is a pipe."""
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def splice(file: int, offset: int, size: int, pipe: int, name: str) -> int:
    """Move bytes of a file into a pipe without copying them; return how many: fewer if the system can't."""
    if not hasattr(os, "splice"):
        return 0
    done = 0
    while done < size:
        try:
            count = os.splice(file, pipe, size - done, offset_src=offset + done)
        except BlockingIOError:
            _await_ready(pipe, select.POLLOUT)
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
    """Return false: Python has no `syncfs`, and `os.sync` syncs all file systems and reports no errors."""
    return False


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Start writing a part of a file to disk, so that a sync at the end has less to wait for."""
    if hasattr(os, "posix_fadvise"):
        # This is only advice. On Linux it starts writing dirty pages, which stay cached in the meantime.
        try:
            os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)
        except OSError:
            return


def widen_pipe(fd: int) -> None:
    """Widen a pipe; if that fails (not a pipe, or out of pipe memory), it is slower, nothing worse."""
    import fcntl

    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        except (OSError, ValueError):
            return


def _await_ready(fd: int, events: int) -> None:
    """Wait until a call would not block.

    A signal that arrives just before a blocking call doesn't interrupt it, so no call may block for long.
    """
    if fd < 0:
        return  # the call says so
    poll = select.poll()
    poll.register(fd, events)
    while not poll.poll(_SIGNAL_LATENCY):
        pass


def _named(error: OSError, name: str) -> OSError:
    return type(error)(error.errno, error.strerror, name)

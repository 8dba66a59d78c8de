"""Copying one file's content, through descriptors, verified where the original is deleted afterwards."""

import contextlib
import errno
import os
import stat

from maxstage._backend import core
from maxstage.intent.identity import identity, is_same
from maxstage.intent.paths import Refused, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int], None]

_STEP = 64 * 1024 * 1024
"""Bytes copied between two looks at signals and progress."""
_BLOCK = 1024 * 1024
_SECTOR = 512
"""Bytes of the blocks in which the system counts what a file takes on disk, whatever the file system has."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""Readable too, since data copied by the kernel is read back for its checksum."""


def copy_file(
    source: tuple[int, bytes],
    target: tuple[int, bytes],
    seen: str,
    *,
    verify: bool,
    sync: bool,
    progress: "Progress | None" = None,
) -> str:
    """Copy a file with its mode and times; return what the copy is.

    Args:
        source: Its folder and name.
        target: The folder and name of the copy, which must be free.
        seen: What the source must be, before and after.
        verify: Whether to compare both afterwards, and to keep owner and attributes as well: for moving.
        sync: Whether the copy must be on disk before this returns.
        progress: Called with the number of bytes copied since the last call.

    Raises:
        Refused: The source has changed, or the copy differs.
        OSError: Something can't be read or written. Half a copy may be left.
    """
    folder, name = source
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not is_same(status, seen):
            raise Refused(f"{shown(name)} has changed since it was looked at")
        copy = os.open(target[1], _NEW, 0o600, dir_fd=target[0])
        try:
            copied = _copy_extents if _has_holes(status) else _copy_content
            copied(fd, copy, status.st_size, os.fsdecode(name), progress)
            if verify:
                _compare(fd, copy, status.st_size, os.fsdecode(name))
                _keep_attributes(fd, copy, status)
            if identity(os.fstat(fd)) != identity(status):
                raise Refused(f"{shown(name)} changed while it was copied")
            _finish(copy, status, sync=sync)
            return identity(os.fstat(copy))
        finally:
            os.close(copy)
    finally:
        os.close(fd)


def copy_link(source: tuple[int, bytes], target: tuple[int, bytes], seen: str) -> str:
    """Make a symbolic link like another one; return what it is.

    Args:
        source: The folder and name of the other.
        target: The folder and name of the link, which must be free.
        seen: What the other must be.

    Raises:
        Refused: It has changed.
        OSError: It can't be made.
    """
    folder, name = source
    text = os.readlink(name, dir_fd=folder)
    if not is_same(os.stat(name, dir_fd=folder, follow_symlinks=False), seen):
        raise Refused(f"{shown(name)} has changed since it was looked at")
    os.symlink(text, target[1], dir_fd=target[0])
    return identity(os.stat(target[1], dir_fd=target[0], follow_symlinks=False))


def write_file(
    content: bytes, target: tuple[int, bytes], before: os.stat_result | None, *, sync: bool
) -> str:
    """Write a file; return what it is.

    Args:
        content: What it holds.
        target: Its folder and name, which must be free.
        before: The status of the file that it will replace, whose mode it gets; None if there is none.
        sync: Whether it must be on disk before this returns.

    Raises:
        OSError: It can't be written. Half of it may be left.
    """
    fd = os.open(target[1], _NEW, 0o666, dir_fd=target[0])
    try:
        writer = core.Writer(fd, os.fsdecode(target[1]))
        writer.write(content)
        writer.finish()
        if before is not None:
            os.fchmod(fd, stat.S_IMODE(before.st_mode) & 0o777)
        if sync:
            os.fsync(fd)
        return identity(os.fstat(fd))
    finally:
        os.close(fd)


def _copy_content(fd: int, copy: int, size: int, name: str, progress: "Progress | None") -> None:
    writer = core.Writer(copy, name)
    ended = False
    while not ended:
        before = writer.byte_size
        # One byte more than it has tells whether it is growing.
        ended = writer.copy_from(fd, min(_STEP, size + 1 - before), name)
        if progress is not None:
            progress(writer.byte_size - before)
        if writer.byte_size > size:
            raise Refused(f"{name} grew while it was copied")
    writer.finish()


def _has_holes(status: os.stat_result) -> bool:
    """Return whether parts of a file are nowhere on disk, and read as zeros."""
    return hasattr(os, "SEEK_DATA") and status.st_blocks * _SECTOR < status.st_size


def _copy_extents(fd: int, copy: int, size: int, name: str, progress: "Progress | None") -> None:
    """Copy what is on disk of a file; its holes stay holes, since a disk may have no room for so many zeros."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # what is left is a hole
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        os.lseek(fd, start, os.SEEK_SET)
        os.lseek(copy, start, os.SEEK_SET)
        writer = core.Writer(copy, name)
        while writer.byte_size < end - start:
            if writer.copy_from(fd, min(_STEP, end - start - writer.byte_size), name):
                raise Refused(f"{name} shrank while it was copied")
        writer.finish()
        if progress is not None:
            progress(end - at)
        at = end
    os.ftruncate(copy, size)


def _compare(fd: int, copy: int, size: int, name: str) -> None:
    """Compare the checksums of both, read anew: what is deleted next is the only other one.

    Raises:
        Refused: They differ.
    """
    sums = []
    for one in (fd, copy):
        reader = core.Reader(one, name, file_size=size)
        crc = 0
        for at in range(0, size, _STEP):
            crc, _ = reader.measure(at, min(at + _STEP, size), _BLOCK, crc=crc)
        sums.append(crc)
    if sums[0] != sums[1]:
        raise Refused(f"the copy of {name} differs from it")


def _keep_attributes(fd: int, copy: int, status: os.stat_result) -> None:
    """Keep what `mv` keeps: extended attributes and the owner, as far as one may."""
    with contextlib.suppress(OSError):
        os.fchown(copy, status.st_uid, status.st_gid)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(fd):
                with contextlib.suppress(OSError):
                    os.setxattr(copy, name, os.getxattr(fd, name))


def _finish(copy: int, status: os.stat_result, *, sync: bool) -> None:
    mode = stat.S_IMODE(status.st_mode)
    # Only the owner's files may act for the owner.
    os.fchmod(copy, mode if os.fstat(copy).st_uid == status.st_uid else mode & 0o777)
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    if sync:
        os.fsync(copy)

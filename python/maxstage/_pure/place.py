"""Renaming without ever replacing: a file gets a name only if nothing has it."""

import ctypes
import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Rename = Callable[[int, bytes, int, bytes], int]

_NOREPLACE = 1
"""``RENAME_NOREPLACE`` of Linux."""
_EXCL = 4
"""``RENAME_EXCL`` of macOS."""
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}


def _system_call() -> "Rename | None":
    """Return the system's own function, which returns an errno; None if it has none."""
    name, flag = ("renameatx_np", _EXCL) if sys.platform == "darwin" else ("renameat2", _NOREPLACE)
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None

    def rename(source: int, old: bytes, target: int, new: bytes) -> int:
        ctypes.set_errno(0)
        return ctypes.get_errno() if function(source, old, target, new, flag) else 0

    return rename


_rename = _system_call()


def rename_new(moves: "Sequence[tuple[int, bytes, int, bytes]]", /, *, stop: bool = False) -> list[int]:
    """Rename each, unless something has the new name. The stub of the compiled module describes the arguments."""
    for source, old, target, new in moves:
        if source < 0 or target < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "<folder>")
        if b"\0" in old or b"\0" in new:
            raise ValueError("a name holds a null byte")
    codes = []
    for move in moves:
        codes.append(_one(*move))
        if stop and codes[-1] not in {0, errno.EXDEV}:
            break
    return codes


def _one(source: int, old: bytes, target: int, new: bytes) -> int:
    code = errno.ENOSYS if _rename is None else _rename(source, old, target, new)
    if code not in _CANNOT:
        return code
    try:
        _by_link(source, old, target, new)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _by_link(source: int, old: bytes, target: int, new: bytes) -> None:
    """Rename where the system can't do it in one step. Between the two steps the file has both names."""
    try:
        os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        os.unlink(old, dir_fd=source)
        return
    try:
        os.stat(new, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

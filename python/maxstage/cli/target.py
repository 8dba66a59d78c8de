"""Where ``max retrieve --to`` writes; without the command-line library, as in `fast_path.py`.

A file appears under its name when it is complete (`maxstage.replacement.Replacement`). What is no regular file (a
device, a pipe, a descriptor) is written as it is.
"""

import errno
import os
import stat

from maxstage.files import Naming
from maxstage.interrupts import Deferred
from maxstage.replacement import Replacement, sweep_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTORS = ("/dev/fd/", "/proc/self/fd/")


class Target:
    """A file that is written: a descriptor, its name in errors, and what to write it in.

    Signals wait but in there, and what was begun is cleaned up whatever comes after the first.
    """

    def __init__(self, name: str) -> None:
        self._signals = Deferred()
        self._name = name
        self._real = ""
        self._new: Replacement | None = None
        self._fd = -1

    def __enter__(self) -> "tuple[int, str, AbstractContextManager[None]]":
        self._signals.__enter__()
        try:
            with Naming(self._name):
                self._open(self._name)
        except BaseException:
            self._close()
            self._signals.release()
            raise
        return self._fd if self._new is None else self._new.fd, self._name, self._signals.open()

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
            with self._signals.open():  # a named pipe that nobody reads yet
                self._fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
            return
        if status is not None:
            # Whether it may be written is for its own permissions to say, not for those of its folder.
            os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))
        # A symbolic link stays, and what it leads to is replaced.
        self._real = os.path.realpath(target)
        _check_name(self._real)
        self._new = Replacement(self._real, status)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if self._new is not None and kind is None:
                with Naming(self._name):
                    self._new.publish()
        finally:
            self._close()
            self._signals.release()
        if self._real:
            sweep_parts(os.path.dirname(self._real))

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        if self._new is not None:
            self._new.discard()


def _descriptor(target: str) -> int | None:
    """Return the descriptor that a name like ``/dev/stdout`` stands for: opened anew, a file would begin at 0 again."""
    for prefix in _DESCRIPTORS:
        number = target.removeprefix(prefix)
        if number != target and number.isascii() and number.isdigit() and len(number) < 10:  # noqa: PLR2004
            return int(number)
    return _STREAMS.get(target)


def _check_name(path: str) -> None:
    """Let the system say now what it would say of the name when all is written: too long, or not to be used."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        os.stat(os.path.dirname(path))

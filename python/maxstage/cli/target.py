"""The file that ``max retrieve --to`` writes.

A file appears under its name once it is complete (`maxstage.replacement.Replacement`). Anything that is not a regular
file (a device, a pipe, a descriptor) is written directly.
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
    """A context manager that yields a descriptor, its name for errors, and a context to write it in.

    Signals are deferred except in that context, and once one has been raised, so that cleanup isn't interrupted.
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
            # In "missing/../name" the system must report the missing folder, which `realpath` would drop.
            os.stat(os.path.dirname(target) or ".")
            status = None
        if status is not None and not stat.S_ISREG(status.st_mode):
            with self._signals.open():  # this may wait for the reader of a named pipe
                self._fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
            return
        if status is not None:
            # Replacing it needs only permissions of the folder, but its own must allow writing.
            os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))
        # A symbolic link stays, and its target is replaced.
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
    """Return the descriptor that a name like ``/dev/stdout`` stands for: opening it would reset a file's offset."""
    for prefix in _DESCRIPTORS:
        number = target.removeprefix(prefix)
        if number != target and number.isascii() and number.isdigit() and len(number) < 10:  # noqa: PLR2004
            return int(number)
    return _STREAMS.get(target)


def _check_name(path: str) -> None:
    """Raise now what the system would say of the name after everything is written: that it is too long, for example."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        os.stat(os.path.dirname(path))

"""The bytes of a message: in memory while they are few, in a file without a name once they are many."""

import os

from maxstage.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Protocol

    class Bytes(Protocol):
        """Bytes that can be read from anywhere."""

        size: int

        def read(self, start: int, end: int, /) -> bytes:
            """Return the bytes from `start` to before `end`, or to the end; few, since they are held in memory."""


IN_MEMORY = 1024 * 1024
"""Bytes of a message that are held in memory: more than nearly all have, and little for several at once."""

STEP = 256 * 1024
"""Bytes of a long message that are looked at, or copied, at a time."""

LONGEST = 4 * 1024 * 1024 * 1024
"""Bytes of a message: a server that goes on and on must not fill the disk."""


class TooLong(Exception):
    """A message has no end, or there is no room for it."""


class Body:
    """What comes, piece by piece; then it is read, as often as need be.

    Args:
        folder: Where a file for it goes; None for the system's own place.

    Attributes:
        size: Its bytes so far.
    """

    __slots__ = ("_fd", "_folder", "_memory", "size")

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._memory = bytearray()
        self._fd = -1
        self.size = 0

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, data: bytes) -> None:
        """Add what came.

        Raises:
            TooLong: There is no room for it. What came before is still there.
        """
        if self._fd < 0 and self.size + len(data) <= IN_MEMORY:
            self._memory += data
            self.size += len(data)
            return
        if self.size + len(data) > LONGEST:
            raise TooLong(f"it has more than {LONGEST:,} bytes")
        try:
            if self._fd < 0:
                self._fd = _nameless(self._folder)
                write_all(self._fd, self._memory, "the file of a message")
            write_all(self._fd, data, "the file of a message")
        except OSError as error:
            raise TooLong(f"it has more than {self.size:,} bytes, and {error.strerror}") from None
        self._memory.clear()
        self.size += len(data)

    @property
    def is_long(self) -> bool:
        """Whether it is in a file."""
        return self._fd >= 0

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`, or to the end."""
        if self._fd < 0:
            return bytes(self._memory[start:end])
        end = min(end, self.size)
        data = os.pread(self._fd, max(0, end - start), start)
        while len(data) < end - start and (
            more := os.pread(self._fd, end - start - len(data), start + len(data))
        ):
            data += more
        return data

    def close(self) -> None:
        """Let go of it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        self._memory = bytearray()
        self.size = 0


class Part:
    """A part of a message that is read like a message: one of several that came as an array."""

    __slots__ = ("_of", "_start", "size")

    def __init__(self, of: "Bytes", start: int, end: int) -> None:
        self._of = of
        self._start = start
        self.size = end - start

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`, or to the end."""
        return self._of.read(self._start + start, self._start + min(end, self.size))


def pieces(of: "Bytes", start: int = 0, end: int | None = None) -> "Iterator[bytes]":
    """Return bytes bit by bit."""
    end = of.size if end is None else end
    for at in range(start, end, STEP):
        yield of.read(at, min(at + STEP, end))


def _nameless(folder: str | None) -> int:
    """Return a new file that is gone once it is closed, whoever closes it."""
    import tempfile

    try:
        file: IO[bytes] = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 - closed below
    except OSError:
        if folder is None:
            raise
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    with file:
        return os.dup(file.fileno())

"""Where the frames of compressed data lie, so that a slice needs no more than those that have it.

The index of a large item's data follows its line. It is gathered while the data streams by:

- ``gzip``: three little-endian `u32` for each member, as in its header: its length, that of its data, its newlines;
- ``zstd``: two for each frame, as the table at the end has them: its length, and that of its data.
"""

import struct

from maxstage.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEAD = bytes((0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 4, 255, 16, 0)) + b"MX" + bytes((12, 0))
"""How a member of ours begins: see ``rust/src/codec/gzip.rs``."""

_MAGIC = b"\x28\xb5\x2f\xfd"
"""How a frame of zstd begins."""

_MEMBER = struct.Struct("<III")
_HEADER = len(_LEAD) + _MEMBER.size
_FRAME = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_TABLE_MAGIC, _SEEKABLE_MAGIC = 0x184D2A5E, 0x8F92EAB1

_TAIL = 4 * 1024 * 1024
"""Bytes at the end of the data that are kept: the table of half a million frames of zstd, for half a tebibyte."""

_MOST_MEMBERS = 350_000
"""The most members that are noted: 4 MiB of index, for a third of a tebibyte of data."""

DAMAGED = "the index of its compressed data is damaged"


class Gathering:
    """Looks at data on its way to the server, and finds the frames in it, if it is compressed by us."""

    __slots__ = ("_follow", "_members", "_next", "_rest", "_seen", "_tail")

    def __init__(self) -> None:
        self._follow: Callable[[bytes], None] | None = self._begin
        self._members = bytearray()
        # Where the next header begins.
        self._next = 0
        self._rest = b""
        self._seen = 0
        self._tail = bytearray()

    def add(self, chunk: "bytes | memoryview") -> None:
        """Look at the next bytes."""
        if self._follow is not None:
            self._follow(bytes(chunk))
        self._seen += len(chunk)

    def _begin(self, chunk: bytes) -> None:
        begin = self._rest = self._rest + chunk
        if len(begin) < len(_LEAD) and _LEAD.startswith(begin[:2]):
            return
        self._seen -= len(begin) - len(chunk)
        self._rest = b""
        self._follow = (
            self._gzip if begin.startswith(_LEAD) else self._zstd if begin.startswith(_MAGIC) else None
        )
        if self._follow is not None:
            self._follow(begin)
        self._seen += len(begin) - len(chunk)

    def _gzip(self, chunk: bytes) -> None:
        data, start = self._rest + chunk, self._seen - len(self._rest)
        while self._next + _HEADER <= start + len(data):
            at = self._next - start
            if data[at : at + len(_LEAD)] != _LEAD or len(self._members) >= _MOST_MEMBERS * _MEMBER.size:
                self._follow = None
                self._members.clear()
                return
            sizes = data[at + len(_LEAD) : at + _HEADER]
            self._members += sizes
            self._next += max(1, _MEMBER.unpack(sizes)[0])
        # The part of a header that has come, if it has.
        self._rest = data[self._next - start :] if self._next < start + len(data) else b""

    def _zstd(self, chunk: bytes) -> None:
        self._tail += chunk
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def index(self, codec: str) -> bytes:
        """Return the index, once all has come; nothing if the data is not compressed, or it is too large."""
        if codec == "gzip":
            return bytes(self._members) if self._members and self._next == self._seen else b""
        if codec != "zstd" or len(self._tail) < _FOOTER.size:
            return b""
        count, _, magic = _FOOTER.unpack_from(self._tail, len(self._tail) - _FOOTER.size)
        start = len(self._tail) - _FOOTER.size - count * _FRAME.size
        if magic != _SEEKABLE_MAGIC or start < 0:
            return b""
        return bytes(self._tail[start : len(self._tail) - _FOOTER.size])


class Frames:
    """The frames of one item, by their order.

    Args:
        codec: ``gzip`` or ``zstd``.
        index: What `Gathering.index` returned.

    Attributes:
        stored: Where each begins in the object, and where the last ends.
        offsets: Where the data of each begins, and where that of the last ends.
        newlines: How many newlines each has; None if that is unknown.

    Raises:
        Corrupt: The index is none.
    """

    __slots__ = ("_codec", "newlines", "offsets", "stored")

    def __init__(self, codec: str, index: bytes) -> None:
        entry = _MEMBER if codec == "gzip" else _FRAME
        if len(index) % entry.size:
            raise Corrupt(DAMAGED)
        rows = list(entry.iter_unpack(index))
        self._codec = codec
        self.stored = _sums([row[0] for row in rows])
        self.offsets = _sums([row[1] for row in rows])
        self.newlines = [row[2] for row in rows] if codec == "gzip" else None

    def trailer(self, first: int, after: int) -> bytes:
        """Return what follows the frames from `first` to before `after` to make them a file by themselves."""
        if self._codec == "gzip":
            return b""
        entries = b"".join(
            _FRAME.pack(self.stored[at + 1] - self.stored[at], self.offsets[at + 1] - self.offsets[at])
            for at in range(first, after)
        )
        footer = _FOOTER.pack(after - first, 0, _SEEKABLE_MAGIC)
        return _FRAME.pack(_TABLE_MAGIC, len(entries) + len(footer)) + entries + footer


def _sums(numbers: "Sequence[int]") -> list[int]:
    sums = [0]
    for number in numbers:
        sums.append(sums[-1] + number)
    return sums

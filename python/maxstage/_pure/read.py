"""Reading an item: all of it, a range of bytes, or the place where a line begins."""

import bisect
import zlib

from maxstage._pure import descriptor, gzip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKWARDS = 64 * 1024
"""How the last lines are looked for: from the end, in steps of this many bytes."""


class Reader:
    """Reads one item from a file descriptor. See the stub of the compiled module."""

    def __init__(
        self,
        fd: int,
        name: str,
        /,
        *,
        file_size: int,
        compressed: bool = False,
        line_index: tuple[int, list[int]] | None = None,
    ) -> None:
        self._fd = fd
        self._name = name
        self._members: list[gzip.Member] | None = None
        # The member inflated last, so that many small reads of one inflate it once.
        self._current: gzip.Member | None = None
        self._data = b""
        # Parts of the data of which it is known how many newlines lie before: (newlines before, offset).
        self._blocks: list[tuple[int, int]] = [(0, 0)]
        self.size = file_size
        if compressed:
            self._members = gzip.read_index(fd, file_size, name)
            self._blocks = [(member.newlines_before, member.offset) for member in self._members]
            self.size = sum(member.len for member in self._members)
        elif line_index is not None:
            self._blocks += _block_starts(line_index, file_size)

    def line_offset(self, number: int, /) -> int:
        """Where line `number` begins (1 is the first); the end of the data where there are fewer lines."""
        ends = number - 1
        if ends <= 0:
            return 0
        block = bisect.bisect_left(self._blocks, ends, key=lambda block: block[0]) - 1
        if block < 0:
            return self.size
        before, at = self._blocks[block]
        left = ends - before
        for chunk in self._chunks(at, self.size):
            newlines = chunk.count(b"\n")
            if newlines >= left:
                return at + _after_newline(chunk, left)
            left -= newlines
            at += len(chunk)
        return self.size

    def tail_offset(self, count: int, /) -> int:
        """Where the last `count` lines begin."""
        if count <= 0 or not self.size:
            return self.size
        step = _BACKWARDS if self._members is None else gzip.MEMBER
        end = self.size - 1  # a newline at the very end ends the last line; it does not begin another
        while end > 0:
            start = (end - 1) // step * step
            part = self.read(start, end)
            newlines = part.count(b"\n")
            if newlines >= count:
                return start + _after_newline(part, newlines - count + 1)
            count -= newlines
            end = start
        return 0

    def read(self, start: int, end: int, /) -> bytes:
        """Return the bytes from `start` to before `end`."""
        return b"".join(self._chunks(start, end))

    def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
        """Write the bytes from `start` to before `end` to `target`; return `crc` carried on over them."""
        # Into a pipe the kernel passes the file's pages on; they are read for the checksum only.
        splicing = self._members is None and descriptor.is_pipe(target)
        if splicing:
            descriptor.widen_pipe(target)
        at = start
        for chunk in self._chunks(start, end):
            crc = zlib.crc32(chunk, crc)
            moved = descriptor.splice(self._fd, at, len(chunk), target, name) if splicing else 0
            splicing = splicing and moved == len(chunk)
            descriptor.write_all(target, chunk[moved:] if moved else chunk, name)
            at += len(chunk)
        return crc

    def crc32(self, start: int, end: int, /, *, crc: int = 0) -> int:
        """Carry `crc` on over the bytes from `start` to before `end`."""
        for chunk in self._chunks(start, end):
            crc = zlib.crc32(chunk, crc)
        return crc

    def _chunks(self, start: int, end: int) -> "Iterator[bytes]":
        end = min(end, self.size)
        if self._members is None:
            for at in range(start, end, descriptor.CHUNK):
                yield descriptor.read_exact_at(self._fd, min(descriptor.CHUNK, end - at), at, self._name)
            return
        first = bisect.bisect_right(self._members, start, key=lambda member: member.offset + member.len)
        for member in self._members[first:]:
            if member.offset >= end:
                break
            if member is not self._current:
                self._current = None
                self._data = gzip.inflate(self._fd, member, self._name)
                self._current = member
            yield self._data[max(0, start - member.offset) : end - member.offset]


def _block_starts(line_index: tuple[int, list[int]], file_size: int) -> "Iterator[tuple[int, int]]":
    block, counts = line_index
    before = 0
    for number, count in enumerate(counts, 1):
        before += count
        if number * block < file_size:
            yield before, number * block


def _after_newline(data: bytes, nth: int) -> int:
    """Return the offset just past the `nth` newline of `data`, which has that many."""
    at = 0
    for _ in range(nth):
        at = data.index(b"\n", at) + 1
    return at

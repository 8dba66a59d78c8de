"""Reads an item: all of it, a range of bytes, or the offset where a line begins."""

import bisect
import zlib

from maxstage._pure import descriptor
from maxstage._pure.codec import FRAME, Frame, codec_of
from maxstage.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKWARDS = 64 * 1024
"""The bytes per step when searching for the last lines, from the end."""


class Reader:
    """Reads one item from a file descriptor. The stub of the compiled module describes the arguments."""

    def __init__(
        self,
        fd: int,
        name: str,
        /,
        *,
        file_size: int,
        codec: str = "none",
        line_index: tuple[int, list[int]] | None = None,
    ) -> None:
        self._fd = fd
        self._name = name
        self._codec = codec_of(codec)
        self._frames: list[Frame] = []
        # The frame that was inflated last, so that many small reads inflate it only once.
        self._current: Frame | None = None
        self._data = b""
        # Parts of the data with the number of newlines before them: (newlines before, offset).
        self._blocks: list[tuple[int, int]] = [(0, 0)]
        self.size = file_size
        if self._codec is not None:
            self._frames = self._codec.read_index(fd, file_size, name)
            self.size = sum(frame.len for frame in self._frames)
        if any(frame.newlines is not None for frame in self._frames):
            self._blocks = list(_frame_starts(self._frames))
        elif line_index is not None:
            self._blocks += _block_starts(line_index, self.size)

    def line_offset(self, number: int, /) -> int:
        """Return where line `number` begins (1 is the first); the end of the data if there are fewer lines."""
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
        """Return where the last `count` lines begin."""
        if count <= 0 or not self.size:
            return self.size
        step = _BACKWARDS if self._codec is None else FRAME
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
        """Return the bytes from `start` up to `end`."""
        return b"".join(self._chunks(start, end))

    def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
        """Write the bytes from `start` up to `end` to `target`; return `crc` updated with them."""
        # For a pipe, the kernel passes on the file's pages, and the data is only read for the checksum.
        splicing = self._codec is None and descriptor.is_pipe(target)
        if splicing:
            descriptor.widen_pipe(target)
        at = start
        for chunk in self._chunks(start, end):
            crc = zlib.crc32(chunk, crc)
            moved = descriptor.splice(self._fd, at, len(chunk), target, name) if splicing else 0
            splicing = splicing and moved == len(chunk)
            write_all(target, chunk[moved:] if moved else chunk, name)
            at += len(chunk)
        return crc

    def measure(self, start: int, end: int, block: int, /, *, crc: int = 0) -> tuple[int, list[int]]:
        """Return `crc` updated with the bytes from `start` up to `end`, and the newlines in each `block` bytes."""
        counts: list[int] = []
        filled = 0
        for chunk in self._chunks(start, end):
            crc = zlib.crc32(chunk, crc)
            at = 0
            while at < len(chunk):
                if filled == 0:
                    counts.append(0)
                upto = min(len(chunk), at + block - filled)
                counts[-1] += chunk.count(b"\n", at, upto)
                filled = (filled + upto - at) % block
                at = upto
        return crc, counts

    def _chunks(self, start: int, end: int) -> "Iterator[bytes]":
        end = min(end, self.size)
        codec = self._codec
        if codec is None:
            for at in range(start, end, descriptor.CHUNK):
                yield descriptor.read_exact_at(self._fd, min(descriptor.CHUNK, end - at), at, self._name)
            return
        first = bisect.bisect_right(self._frames, start, key=lambda frame: frame.offset + frame.len)
        for frame in self._frames[first:]:
            if frame.offset >= end:
                break
            if frame is not self._current:
                self._current = None
                packed = descriptor.read_exact_at(self._fd, frame.file_len, frame.file_offset, self._name)
                self._data = codec.inflate(packed, frame)
                self._current = frame
            yield self._data[max(0, start - frame.offset) : end - frame.offset]


def _frame_starts(frames: list[Frame]) -> "Iterator[tuple[int, int]]":
    before = 0
    for frame in frames:
        yield before, frame.offset
        before += frame.newlines or 0


def _block_starts(line_index: tuple[int, list[int]], size: int) -> "Iterator[tuple[int, int]]":
    block, counts = line_index
    before = 0
    for number, count in enumerate(counts, 1):
        before += count
        if number * block < size:
            yield before, number * block


def _after_newline(data: bytes, nth: int) -> int:
    """Return the offset just past the `nth` newline of `data`, which must exist."""
    at = 0
    for _ in range(nth):
        at = data.index(b"\n", at) + 1
    return at

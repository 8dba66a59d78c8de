"""Writes an item to a file in constant memory, and counts, checksums and samples its bytes on the way."""

import zlib

from maxstage._pure import descriptor
from maxstage._pure.codec import FRAME, codec_of
from maxstage._pure.lines import BLANK
from maxstage.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._pure.codec import Codec, FrameSizes
    from maxstage._pure.detect import ContentType

PREFIX = 64 * 1024
"""The bytes kept from the beginning, to detect the content type and the source."""

_SMALLEST_BLOCK = 1024 * 1024
"""The initial block size of the line index: reading a block takes less time than starting a process."""
_MOST_BLOCKS = 1024
"""The most blocks (6 KB of JSON); when they are full, neighbours are merged, which doubles the block size."""

_WRITEBACK_EVERY = 8 * 1024 * 1024
"""The least bytes between two hints to start writing to disk: enough for long writes, without long idle times."""


class Writer:
    """Writes one item to a file descriptor. The stub of the compiled module describes the arguments."""

    def __init__(self, fd: int, name: str, /, *, codec: str = "none", sync: bool = False) -> None:
        self._fd = fd
        self._name = name
        # The end of the last hint to start writing to disk; None if nobody will wait for the disk.
        self._synced_upto = 0 if sync else None
        self._codec = codec_of(codec)
        self._pending = bytearray()
        # The sizes of all frames, if the file ends with a table of them: small, as there is one for each MiB of data.
        self._sizes: list[FrameSizes] = []
        self._prefix = bytearray()
        self._last = b""
        self._last_nonblank: int | None = None
        self._block = _SMALLEST_BLOCK
        self._counts: list[int] = []
        self._filled = 0
        self.byte_size = 0
        self.stored_size = 0
        self.crc32 = 0

    def write(self, data: bytes, /) -> None:
        """Write `data`."""
        for at in range(0, len(data), descriptor.CHUNK):
            self._take(data[at : at + descriptor.CHUNK])

    def copy_from(self, source: int, limit: int, name: str, /) -> bool:
        """Copy from a descriptor up to its end, or `limit` bytes; return whether the end was reached."""
        descriptor.widen_pipe(source)
        while limit > 0:
            chunk = descriptor.read(source, min(descriptor.CHUNK, limit), name)
            if not chunk:
                return True
            self._take(chunk)
            limit -= len(chunk)
        return False

    def finish(self) -> None:
        """Write what is pending; nothing may be written afterwards."""
        codec = self._codec
        if codec is None:
            return
        # An empty item is one empty frame, since an empty file is not a compressed file.
        if self._pending or not self.stored_size:
            self._store_frame(codec, bytes(self._pending))
            self._pending.clear()
        if codec.HAS_TABLE:
            self._store(codec.trailer(self._sizes))
            self._sizes.clear()

    def _take(self, chunk: bytes) -> None:
        self.crc32 = zlib.crc32(chunk, self.crc32)
        self._count(chunk)
        self.byte_size += len(chunk)
        self._last = chunk[-1:]
        rest = chunk.rstrip(BLANK)
        self._last_nonblank = rest[-1] if rest else self._last_nonblank
        self._prefix += chunk[: max(0, PREFIX - len(self._prefix))]
        codec = self._codec
        if codec is None:
            self._store(chunk)
            return
        self._pending += chunk
        while len(self._pending) >= FRAME:
            self._store_frame(codec, bytes(self._pending[:FRAME]))
            del self._pending[:FRAME]

    def _store_frame(self, codec: "Codec", data: bytes) -> None:
        frame = codec.compress(data)
        if codec.HAS_TABLE:
            self._sizes.append((len(frame), len(data)))
        self._store(frame)

    def _store(self, data: bytes) -> None:
        write_all(self._fd, data, self._name)
        self.stored_size += len(data)
        upto = self._synced_upto
        if upto is not None and self.stored_size - upto >= _WRITEBACK_EVERY:
            descriptor.start_writeback(self._fd, upto, self.stored_size - upto)
            self._synced_upto = self.stored_size

    def _count(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._filled == 0:
                self._open_block()
            end = min(at + self._block - self._filled, len(data))
            self._counts[-1] += data.count(b"\n", at, end)
            self._filled = (self._filled + end - at) % self._block
            at = end

    def _open_block(self) -> None:
        if len(self._counts) == _MOST_BLOCKS:
            self._counts = [sum(self._counts[at : at + 2]) for at in range(0, _MOST_BLOCKS, 2)]
            self._block *= 2
        self._counts.append(0)

    @property
    def line_count(self) -> int:
        """The number of lines, including an unterminated last one."""
        return sum(self._counts) + (self._last not in (b"", b"\n"))

    @property
    def prefix(self) -> bytes:
        """The first bytes, at most 64 KiB."""
        return bytes(self._prefix)

    @property
    def line_index(self) -> tuple[int, list[int]]:
        """Bytes in a block, and the newlines of each block."""
        return self._block, list(self._counts)

    @property
    def content_type(self) -> "ContentType":
        """The detected content type."""
        # Compiling the regular expressions in `detect` takes longer than staging most text.
        first = bytes(self._prefix.lstrip(BLANK)[:1])
        if first not in (b"", b"{", b"["):
            return "text"
        from maxstage._pure.detect import content_type

        return content_type(
            self.prefix,
            whole=self.byte_size == len(self._prefix),
            lines=self.line_count,
            last_nonblank=self._last_nonblank,
        )

"""Writing an item: bytes in, file out; counted, checksummed and sampled on the way, in constant memory."""

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
"""Bytes kept of the beginning, to tell the content type and the source from."""

_SMALLEST_BLOCK = 1024 * 1024
"""Bytes in a block of the line index, at first: reading it takes less time than starting a process."""
_MOST_BLOCKS = 1024
"""Blocks at most (6 KB of JSON); when full, neighbours are merged and blocks are twice as long."""

_WRITEBACK_EVERY = 8 * 1024 * 1024
"""Bytes written between two hints to the disk to begin: long writes, and it is never idle for long."""


class Writer:
    """Writes one item to a file descriptor. See the stub of the compiled module."""

    def __init__(self, fd: int, name: str, /, *, codec: str = "none", sync: bool = False) -> None:
        self._fd = fd
        self._name = name
        # Where the disk was last told to begin; None where nobody will wait for it.
        self._synced_upto = 0 if sync else None
        self._codec = codec_of(codec)
        self._pending = bytearray()
        # Where the file ends with a table of its frames: 8 bytes for each MiB of data there, some more here.
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
        """Copy from a descriptor until its end or `limit` bytes; true at the end."""
        descriptor.widen_pipe(source)
        while limit > 0:
            chunk = descriptor.read(source, min(descriptor.CHUNK, limit), name)
            if not chunk:
                return True
            self._take(chunk)
            limit -= len(chunk)
        return False

    def finish(self) -> None:
        """Write what is pending; nothing may be written after it."""
        codec = self._codec
        if codec is None:
            return
        # An empty item is one empty frame: no bytes at all are not a compressed file.
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
        """Lines taken in; an unterminated last one counts."""
        return sum(self._counts) + (self._last not in (b"", b"\n"))

    @property
    def prefix(self) -> bytes:
        """The first bytes taken in, 64 KiB at most."""
        return bytes(self._prefix)

    @property
    def line_index(self) -> tuple[int, list[int]]:
        """Bytes in a block, and the newlines of each block."""
        return self._block, list(self._counts)

    @property
    def content_type(self) -> "ContentType":
        """What the bytes look like."""
        # Its regular expressions take longer to import than most text takes to stage.
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

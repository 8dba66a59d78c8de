"""Gzip in independent members, each of which records its own size. ``rust/src/codec/gzip.rs`` documents the format."""

import struct
import zlib

from maxstage._pure import descriptor
from maxstage._pure.codec import DAMAGED, FRAME, Frame
from maxstage.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._pure.codec import FrameSizes

HAS_TABLE = False

_LEVEL = 1
"""In pipelines, time matters more than the last few percent of size."""

_LEAD = bytes((0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 4, 255, 16, 0)) + b"MX" + bytes((12, 0))
_SIZES = struct.Struct("<III")
_TRAILER = struct.Struct("<II")
_HEADER_SIZE = len(_LEAD) + _SIZES.size
_LEAST, _MOST = _HEADER_SIZE + _TRAILER.size, 2 * FRAME


def compress(data: bytes, /) -> bytes:
    """Compress at most `FRAME` bytes into a gzip member."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    sizes = _SIZES.pack(_LEAST + len(body), len(data), data.count(b"\n"))
    return b"".join((_LEAD, sizes, body, _TRAILER.pack(zlib.crc32(data), len(data))))


def trailer(sizes: "list[FrameSizes]", /) -> bytes:  # noqa: ARG001
    """Return nothing: each member records its own sizes."""
    return b""


def read_index(fd: int, file_size: int, name: str, /) -> list[Frame]:
    """Read the members' headers, skipping from one to the next."""
    frames: list[Frame] = []
    file_offset = offset = 0
    while file_offset < file_size:
        header = descriptor.read_exact_at(fd, _HEADER_SIZE, file_offset, name)
        file_len, length, newlines = _SIZES.unpack_from(header, len(_LEAD))
        if not header.startswith(_LEAD) or length > FRAME or not _LEAST <= file_len <= _MOST:
            raise Corrupt(DAMAGED)
        frames.append(Frame(file_offset, file_len, offset, length, newlines))
        file_offset += file_len
        offset += length
    if file_offset != file_size:
        raise Corrupt(DAMAGED)
    return frames


def inflate(packed: bytes, frame: Frame, /) -> bytes:
    """Inflate a member and verify its checksum."""
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        data = unpacker.decompress(packed, frame.len + 1)
    except zlib.error:
        raise Corrupt(DAMAGED) from None
    whole = unpacker.eof and not unpacker.unused_data and len(data) == frame.len
    # The trailer's checksum covers the data, but not the number of newlines in our header.
    if not whole or data.count(b"\n") != frame.newlines:
        raise Corrupt(DAMAGED)
    return data

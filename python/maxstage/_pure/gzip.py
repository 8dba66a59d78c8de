"""Gzip in independent members, each of which names its own size; the format is told in ``rust/src/gzip.rs``."""

import struct
import zlib

from maxstage._pure import descriptor
from maxstage.errors import Corrupt

MEMBER = 1024 * 1024
"""Bytes of data in one member."""

_LEVEL = 1
"""Staging sits in pipelines, where time is worth more than the last few percent of size."""

_LEAD = bytes((0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 4, 255, 16, 0)) + b"MX" + bytes((12, 0))
_SIZES = struct.Struct("<III")
_TRAILER = struct.Struct("<II")
_HEADER_SIZE = len(_LEAD) + _SIZES.size
_LEAST, _MOST = _HEADER_SIZE + _TRAILER.size, 2 * MEMBER
_DAMAGED = "the compressed data is damaged"


def compress_member(data: bytes) -> bytes:
    """Compress at most `MEMBER` bytes into a gzip member."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    sizes = _SIZES.pack(_LEAST + len(body), len(data), data.count(b"\n"))
    return b"".join((_LEAD, sizes, body, _TRAILER.pack(zlib.crc32(data), len(data))))


class Member:
    """Where a member lies: in the file, and its data in the whole, inflated."""

    __slots__ = ("file_len", "file_offset", "len", "newlines", "newlines_before", "offset")

    def __init__(
        self, file_offset: int, file_len: int, offset: int, length: int, newlines: int, newlines_before: int
    ) -> None:
        self.file_offset = file_offset
        self.file_len = file_len
        self.offset = offset
        self.len = length
        self.newlines = newlines
        self.newlines_before = newlines_before


def read_index(fd: int, file_size: int, name: str) -> list[Member]:
    """Read the members' headers, hopping from one to the next."""
    members: list[Member] = []
    file_offset = offset = newlines_before = 0
    while file_offset < file_size:
        header = descriptor.read_exact_at(fd, _HEADER_SIZE, file_offset, name)
        file_len, length, newlines = _SIZES.unpack_from(header, len(_LEAD))
        if not header.startswith(_LEAD) or length > MEMBER or not _LEAST <= file_len <= _MOST:
            raise Corrupt(_DAMAGED)
        members.append(Member(file_offset, file_len, offset, length, newlines, newlines_before))
        file_offset += file_len
        offset += length
        newlines_before += newlines
    if file_offset != file_size:
        raise Corrupt(_DAMAGED)
    return members


def inflate(fd: int, member: Member, name: str) -> bytes:
    """Read and inflate a member, checking its checksum."""
    packed = descriptor.read_exact_at(fd, member.file_len, member.file_offset, name)
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        data = unpacker.decompress(packed, member.len + 1)
    except zlib.error:
        raise Corrupt(_DAMAGED) from None
    whole = unpacker.eof and not unpacker.unused_data and len(data) == member.len
    # The trailer's checksum covers the data; the count of newlines is in nothing but our header.
    if not whole or data.count(b"\n") != member.newlines:
        raise Corrupt(_DAMAGED)
    return data

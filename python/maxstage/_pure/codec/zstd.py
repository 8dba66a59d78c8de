"""Zstandard in independent frames with a table at the end. ``rust/src/codec/zstd.rs`` documents the format."""

import struct

from maxstage._pure import descriptor
from maxstage._pure.codec import DAMAGED, FRAME, Frame
from maxstage.errors import Corrupt, MissingDependency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage._pure.codec import FrameSizes

HAS_TABLE = True

_LEVEL = 3
"""zstd's own default: beyond it, time grows faster than size shrinks."""

_TABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1
_HEADER = struct.Struct("<II")
_ENTRY = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_MOST_PACKED = 2 * FRAME
_MOST_FRAMES = 1 << 27
"""The most frames that the format allows in one file: 128 TiB of data."""


def _import_zstd() -> "Any":
    """Return the standard library's module, or its backport for older interpreters."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return __import__(name, fromlist=["ZstdCompressor"])
        except ModuleNotFoundError:
            continue
    raise MissingDependency(
        "zstd needs Python 3.14, or the package backports.zstd where maxstage has no compiled module: "
        "pip install 'maxstage[zstd]'"
    )


_zstd = _import_zstd()


def compress(data: bytes, /) -> bytes:
    """Compress at most `FRAME` bytes into a frame."""
    parameter = _zstd.CompressionParameter
    options = {parameter.compression_level: _LEVEL, parameter.checksum_flag: 1}
    frame: bytes = _zstd.compress(data, options=options)
    return frame


def trailer(sizes: "list[FrameSizes]", /) -> bytes:
    """Return the table of all frames."""
    if len(sizes) > _MOST_FRAMES:
        import errno
        import os

        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    length = len(sizes) * _ENTRY.size + _FOOTER.size
    entries = b"".join(_ENTRY.pack(*size) for size in sizes)
    # Descriptor 0: no checksums in the table, since each frame has its own.
    return _HEADER.pack(_TABLE_MAGIC, length) + entries + _FOOTER.pack(len(sizes), 0, _SEEKABLE_MAGIC)


def read_index(fd: int, file_size: int, name: str, /) -> list[Frame]:
    """Read the table at the end."""
    footer_at = file_size - _FOOTER.size
    if footer_at < 0:
        raise Corrupt(DAMAGED)
    count, descriptor_byte, magic = _FOOTER.unpack(
        descriptor.read_exact_at(fd, _FOOTER.size, footer_at, name)
    )
    length = count * _ENTRY.size + _FOOTER.size
    table_at = file_size - _HEADER.size - length
    # Checked against the file size before anything that large is allocated.
    if magic != _SEEKABLE_MAGIC or descriptor_byte != 0 or table_at < 0:
        raise Corrupt(DAMAGED)
    table = descriptor.read_exact_at(fd, footer_at - table_at, table_at, name)
    if _HEADER.unpack_from(table) != (_TABLE_MAGIC, length):
        raise Corrupt(DAMAGED)
    frames: list[Frame] = []
    file_offset = offset = 0
    for packed, size in _ENTRY.iter_unpack(table[_HEADER.size :]):
        if not 0 < packed <= _MOST_PACKED or size > FRAME:
            raise Corrupt(DAMAGED)
        frames.append(Frame(file_offset, packed, offset, size, None))
        file_offset += packed
        offset += size
    if file_offset != table_at:
        raise Corrupt(DAMAGED)
    return frames


def inflate(packed: bytes, frame: Frame, /) -> bytes:
    """Inflate a frame and verify its checksum."""
    unpacker = _zstd.ZstdDecompressor()
    try:
        data: bytes = unpacker.decompress(packed, frame.len + 1)
    except _zstd.ZstdError:
        raise Corrupt(DAMAGED) from None
    if not unpacker.eof or unpacker.unused_data or len(data) != frame.len:
        raise Corrupt(DAMAGED)
    return data

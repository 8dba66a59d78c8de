"""Looking at bytes: line ends, white space, the checksum."""

import zlib

BLANK = b" \t\n\r"
"""JSON's white space (RFC 8259, section 2)."""


def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""
    return data.count(b"\n")


def crc32(data: bytes, crc: int = 0, /) -> int:
    """Return the CRC-32 of what `crc` is of, followed by `data`."""
    return zlib.crc32(data, crc)

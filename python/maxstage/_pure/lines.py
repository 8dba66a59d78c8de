"""Functions of bytes: line ends, white space, characters, checksums."""

import zlib

BLANK = b" \t\n\r"
"""JSON's white space (RFC 8259, section 2)."""

CHARACTER = 4
"""Bytes kept beyond the limit at either end, to see all of a character that the limit would cut."""


def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""
    return data.count(b"\n")


def crc32(data: bytes, crc: int = 0, /) -> int:
    """Return `crc`, the CRC-32 of earlier data, updated with `data`."""
    return zlib.crc32(data, crc)


def cut_head(text: bytes, budget: int) -> int:
    """Return how many of the first bytes of `text` to keep: at most `budget`, without cutting a character."""
    if budget >= len(text):
        return len(text)
    around = character_around(text, budget)
    return budget if around is None else around[0]


def cut_tail(text: bytes, budget: int) -> int:
    """Return how many of the last bytes of `text` to keep: at most `budget`, without cutting a character."""
    start = len(text) - budget
    if start < 0:
        return len(text)
    around = character_around(text, start)
    return len(text) - (start if around is None else around[1])


def character_around(text: bytes, at: int) -> tuple[int, int] | None:
    """Return where the character that a cut at `at` would split begins and ends; None if it would split none."""
    if at >= len(text) or text[at] & 0xC0 != 0x80:  # noqa: PLR2004 - a continuation byte is 10xxxxxx
        return None
    for start in range(at - 1, max(-1, at - CHARACTER), -1):
        if text[start] & 0xC0 == 0x80:  # noqa: PLR2004
            continue
        length = 2 if 0xC0 <= text[start] <= 0xDF else 3 if 0xE0 <= text[start] <= 0xEF else 4  # noqa: PLR2004
        try:
            text[start : start + length].decode()
        except UnicodeDecodeError:
            return None
        return (start, start + length) if 0xC0 <= text[start] <= 0xF7 and start + length > at else None  # noqa: PLR2004
    return None

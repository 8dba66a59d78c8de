"""Counting line ends, and what else concerns lines."""

BLANK = b" \t\n\r"
"""JSON's white space (RFC 8259, section 2)."""


def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""
    return data.count(b"\n")

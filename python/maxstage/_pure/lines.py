"""Counting line ends."""


def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""
    return data.count(b"\n")

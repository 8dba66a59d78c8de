"""Sizes as people write them (``65536``, ``512KiB``, ``1MB``), and in LLM tokens."""

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}

_MOST = 1 << 60
"""An exbibyte: more than any disk has, and within the 64 bits of the data path."""

_LONGEST_NUMBER = 40
"""Digits: enough for any size, and few enough for Python, which refuses to parse thousands of them."""

MOST_COUNT = 10**18
"""Larger counts are capped at this: no data has so many lines, and the data path counts in 64 bits."""

_EXPECTED = 'must be a positive number of bytes, or text like "512KiB" or "1MB"'


def parse_size(value: object) -> int:
    """Return a size in bytes from a number or from text with a unit.

    KB, MB, GB and TB are powers of 1000; KiB, MiB, GiB and TiB of 1024; upper or lower case.

    Raises:
        ValueError: It is negative, zero or not a size.

    >>> parse_size("512KiB"), parse_size("1.5 MB"), parse_size(100)
    (524288, 1500000, 100)
    """
    size = _parse_text(value) if isinstance(value, str) else value
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MOST:
        raise ValueError(_EXPECTED)
    return size


def parse_count(text: str) -> int:
    """Return the whole number in `text`, which may have any number of digits, but at most `MOST_COUNT`.

    Raises:
        ValueError: `text` is not just ASCII digits.

    >>> parse_count("007"), parse_count("9" * 5000) == MOST_COUNT
    (7, True)
    """
    if not (text.isascii() and text.isdigit()):
        raise ValueError("must be a whole number")
    digits = text.lstrip("0")
    return min(int(digits or "0"), MOST_COUNT) if len(digits) <= _LONGEST_NUMBER else MOST_COUNT


BYTES_PER_LLM_TOKEN = 4
"""The usual estimate for English text, code and JSON."""


def llm_tokens(byte_size: int) -> int:
    """Return about how many tokens `byte_size` bytes are for a language model.

    >>> llm_tokens(10)
    3
    """
    return -(-byte_size // BYTES_PER_LLM_TOKEN)


def _parse_text(text: str) -> int:
    text = text.strip().lower()
    number = text.rstrip("kmgtib").rstrip()
    unit = _UNITS.get(text[len(number) :].strip())
    whole, point, fraction = number.partition(".")
    digits = whole + fraction
    if unit is None or not whole or (point and not fraction) or not (digits.isascii() and digits.isdigit()):
        raise ValueError(_EXPECTED)
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(_EXPECTED)
    size: int = int(digits) * unit // 10 ** len(fraction)
    return size

"""Sizes in bytes as people write them: ``65536``, ``512KiB``, ``1MB``."""

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
"""No disk has an exbibyte; the data path counts in 64 bits."""

_EXPECTED = 'wants a positive number of bytes, or text like "512KiB" or "1MB"'


def parse_size(value: object) -> int:
    """Return a size in bytes from a number or from text with a unit.

    KB, MB, GB and TB are powers of 1000; KiB, MiB, GiB and TiB of 1024; upper or lower case.

    Raises:
        ValueError: It is negative, zero or no size at all.

    >>> parse_size("512KiB"), parse_size("1.5 MB"), parse_size(100)
    (524288, 1500000, 100)
    """
    size = _parse_text(value) if isinstance(value, str) else value
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MOST:
        raise ValueError(_EXPECTED)
    return size


def _parse_text(text: str) -> int:
    text = text.strip().lower()
    number = text.rstrip("kmgtib").rstrip()
    unit = _UNITS.get(text[len(number) :].strip())
    whole, point, fraction = number.partition(".")
    digits = whole + fraction
    if unit is None or not whole or (point and not fraction) or not (digits.isascii() and digits.isdigit()):
        raise ValueError(_EXPECTED)
    size: int = int(digits) * unit // 10 ** len(fraction)
    return size

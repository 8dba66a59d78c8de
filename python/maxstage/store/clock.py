"""Times as the metadata writes them: ISO 8601 in UTC, whole seconds (``jq``'s ``fromdate`` takes no others).

`datetime` would cost start-up time that the hot commands don't have.
"""

import time

_MONTH_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
# Month, day, hour, minute, second (60 is a leap second).
_LEAST = (1, 1, 0, 0, 0)
_MOST = (12, 31, 23, 59, 60)
_DAY = 86400
_EPOCH_DAYS = 719162
"""Days from 0001-01-01 to 1970-01-01 in the Gregorian calendar."""


def format_time(seconds: float) -> str:
    """Return Unix time `seconds` as the metadata writes it.

    >>> format_time(1706443200)
    '2024-01-28T12:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_time(text: str) -> float:
    """Return the Unix time in `text`; a fraction of a second is accepted, as JavaScript writes it.

    Raises:
        ValueError: `text` is of another form.

    >>> parse_time("2024-01-28T12:00:00Z"), parse_time("2024-01-28T12:00:00.250Z")
    (1706443200.0, 1706443200.25)
    """
    fields = (text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    fraction = text[19:-1]
    separators = text[4:5] + text[7:8] + text[10:11] + text[13:14] + text[16:17] + text[-1:]
    plain = all(field.isascii() and field.isdigit() for field in fields)
    if separators != "--T::Z" or not plain or (fraction and not _is_fraction(fraction)):
        raise ValueError(f"not a time in UTC like 2024-01-28T12:00:00Z: {text!r}")
    year, month, day, hour, minute, second = map(int, fields)
    limits = zip((month, day, hour, minute, second), _LEAST, _MOST, strict=True)
    if not year or not all(least <= field <= most for field, least, most in limits):
        raise ValueError(f"no such time: {text!r}")
    leap = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)  # noqa: PLR2004
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - _EPOCH_DAYS
    days += _MONTH_DAYS[month - 1] + leap + day - 1
    return days * _DAY + hour * 3600 + minute * 60 + second + float("0" + fraction)


def _is_fraction(text: str) -> bool:
    return text[0] == "." and text[1:].isascii() and text[1:].isdigit()

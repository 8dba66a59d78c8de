"""Times as the metadata has them: ISO 8601 in UTC, whole seconds (``jq``'s ``fromdate`` accepts nothing else).

`datetime` is not used since importing it would slow down the start of hot commands.
"""

import time

from maxstage.errors import Error

_MONTH_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAY = 86400
_EPOCH_DAYS = 719162
"""Days from 0001-01-01 to 1970-01-01 in the Gregorian calendar."""

_MOST = 2**63 - 1
"""The last moment, in nanoseconds, that fits in 63 bits: in the year 2262."""

_LAST = 253402300799.0
"""9999-12-31T23:59:59Z: the last second of a year with four digits."""

_MOST_DATES = 1000
"""Dates that are cached: a store may have a hundred thousand items, but they are from few days."""
_dates: dict[str, int] = {}


def is_nameable(seconds: float) -> bool:
    """Return whether Unix time `seconds`, in nanoseconds, fits in 63 bits and so can be an item's creation time."""
    return 0 <= seconds <= _MOST / 10**9


def check_clock(now: float) -> None:
    """Refuse to write times that could not be read back.

    Raises:
        Error: The machine's clock is wrong by centuries.
    """
    if not is_nameable(now):
        raise Error("The clock of this machine is not between 1970 and 2262; set it, and try again")


def format_time(seconds: float) -> str:
    """Return Unix time `seconds` as the metadata writes it.

    >>> format_time(1706443200)
    '2024-01-28T12:00:00Z'
    """
    # `strftime` writes the year 999 with three digits on some systems, with four on others.
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*time.gmtime(seconds)[:6])


def parse_time(text: str) -> float:
    """Return the Unix time in `text`; fractions of a second, which JavaScript writes, are accepted.

    Raises:
        ValueError: `text` is not in this format.

    >>> parse_time("2024-01-28T12:00:00Z"), parse_time("2024-01-28T12:00:00.250Z")
    (1706443200.0, 1706443200.25)
    """
    date, hour, minute, second, fraction = text[:10], text[11:13], text[14:16], text[17:19], text[19:-1]
    good = text.isascii() and text[10:11] + text[13:14] + text[16:17] + text[-1:] == "T::Z"
    good = good and hour.isdigit() and minute.isdigit() and second.isdigit()
    if not good or not _is_date(date) or (fraction and not _is_fraction(fraction)):
        raise ValueError(f"not a time in UTC like 2024-01-28T12:00:00Z: {text!r}")
    # 60 is a leap second.
    if hour > "23" or minute > "59" or second > "60":
        raise ValueError(f"no such time: {text!r}")
    seconds = _seconds(date, text) + int(hour) * 3600 + int(minute) * 60 + int(second)
    # A leap second, or rounding, must not lead to a five-digit year, which can't be written or read.
    return min(seconds + float("0" + fraction), _LAST)


def _is_date(text: str) -> bool:
    if text in _dates:
        return True
    year, month, day = text[0:4], text[5:7], text[8:10]
    return text == f"{year}-{month}-{day}" and (year + month + day).isdigit()


def _seconds(date: str, text: str) -> int:
    """Return the Unix time at which a date begins; `text` is quoted in errors."""
    known = _dates.get(date)
    if known is not None:
        return known
    year, month, day = int(date[0:4]), int(date[5:7]), int(date[8:10])
    if not year or not 1 <= month <= 12 or not 1 <= day <= _last_day(year, month):  # noqa: PLR2004
        raise ValueError(f"no such time: {text!r}")
    leap = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)  # noqa: PLR2004
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - _EPOCH_DAYS
    days += _MONTH_DAYS[month - 1] + leap + day - 1
    if len(_dates) >= _MOST_DATES:
        _dates.clear()
    _dates[date] = days * _DAY
    return _dates[date]


def _last_day(year: int, month: int) -> int:
    """Return the last day of a month in the Gregorian calendar."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 + is_leap if month == 2 else 30 + ((month + month // 8) % 2)  # noqa: PLR2004


def _is_fraction(text: str) -> bool:
    return text[0] == "." and text[1:].isascii() and text[1:].isdigit()

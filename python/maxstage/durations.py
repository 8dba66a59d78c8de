"""Durations as people write them: ``90`` (minutes), ``2h``, ``1d``, ``1.5w``."""

_MINUTES = {"": 1.0, "s": 1 / 60, "m": 1.0, "h": 60.0, "d": 24 * 60.0, "w": 7 * 24 * 60.0}

MOST_MINUTES = 100 * 365 * 24 * 60
"""A hundred years, so that no date overflows; items that must stay longer can be pinned."""

_LONGEST_NUMBER = 18
"""Digits before the point: more than any duration within a hundred years needs."""

EXPECTED = (
    'must be from 1 minute to 100 years: a number of minutes, or text like "90s", "30m", "2h", "1d" or "2w"'
)


def parse_minutes(value: object) -> float:
    """Return a duration in minutes, from a number of minutes or from text with a unit.

    Raises:
        ValueError: It is not a duration, less than a minute, or more than a hundred years.

    >>> parse_minutes("90"), parse_minutes("2h"), parse_minutes("90s"), parse_minutes(5)
    (90, 120, 1.5, 5)
    """
    minutes = _parse_text(value) if isinstance(value, str) else value
    # The comparison is false for "nan" as well.
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 1 <= minutes <= MOST_MINUTES:
        raise ValueError(EXPECTED)
    return int(minutes) if minutes == int(minutes) else minutes


def _parse_text(text: str) -> float:
    text = text.strip().lower()
    number = text.rstrip("smhdw").rstrip()
    unit = _MINUTES.get(text[len(number) :].strip())
    whole, point, fraction = number.partition(".")
    digits = whole + fraction
    if unit is None or not whole or (point and not fraction) or not (digits.isascii() and digits.isdigit()):
        raise ValueError(EXPECTED)
    if len(whole.lstrip("0")) > _LONGEST_NUMBER:
        raise ValueError(EXPECTED)
    return float(number) * unit

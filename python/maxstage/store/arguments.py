"""Checks of the arguments that callers pass to the store."""

from maxstage.errors import wrong_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import timedelta


def check_count(name: str, value: object, *, least: int) -> None:
    """Check that an argument is a whole number of at least `least`, or None.

    Raises:
        TypeError: It is neither a whole number nor None.
        ValueError: It is too small.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a whole number or None")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_flag(name: str, value: object) -> None:
    """Check that an argument is true or false.

    Raises:
        TypeError: It is neither.
    """
    if not isinstance(value, bool):
        raise wrong_type(name, value, "true or false")


def minutes_of(ttl: "timedelta | float | str") -> float:
    """Return the minutes of a time to live.

    Raises:
        TypeError: It is neither a timedelta, nor a number of minutes, nor text like ``2h``.
        ValueError: It is too short or too long.
    """
    from maxstage.durations import parse_minutes

    seconds = getattr(ttl, "total_seconds", None)
    if seconds is None and not isinstance(ttl, int | float | str):
        raise wrong_type("ttl", ttl, 'a timedelta, minutes, or text like "2h"')
    try:
        return parse_minutes(ttl if seconds is None else seconds() / 60)
    except ValueError as error:
        raise ValueError(f"ttl {error}") from None

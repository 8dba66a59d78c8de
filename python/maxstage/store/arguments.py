"""Checks of the arguments that callers pass to the store."""

from maxstage.errors import wrong_type


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

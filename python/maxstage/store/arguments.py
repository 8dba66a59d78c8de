"""What callers give the store, checked."""

from maxstage.errors import wrong_type


def check_count(name: str, value: object, *, least: int) -> None:
    """Check an argument that is a number, or None.

    Raises:
        TypeError, ValueError: It is not, or it is too small.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, value, "a whole number or None")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_flag(name: str, value: object) -> None:
    """Check an argument that is true or false.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, bool):
        raise wrong_type(name, value, "true or false")

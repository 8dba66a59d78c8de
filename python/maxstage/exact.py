"""Numbers that remember how they were written: ``1.10`` in data is passed on as ``1.10``, not as ``1.1``.

In computations they behave as `int` or `float`. Most numbers are written as Python would write them; only the others
have a class of their own.

>>> loads("[1.10, 1e2, -0, 5]")
[1.1, 100.0, 0, 5]
>>> dumps(loads("[1.10, 1e2, -0, 5]"))
'[1.10, 1e2, -0, 5]'
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST = 4000
"""The most characters of a number: Python refuses to convert whole numbers with slightly more digits."""
_SHOWN = 40
"""The most characters of a number that an error quotes."""
_NUMBER = re.compile(r"([-+]?)0*([0-9]*)(?:\.([0-9]*))?([eE][-+]?[0-9]+)?")


class NoNumberError(ValueError):
    """A number can't be passed on."""


class _Written:
    """A number with the text that it was parsed from; mixed into a class of numbers.

    Attributes:
        text: How it was written.
    """

    text: str

    def __new__(cls, text: str) -> Self:
        """Parse the number."""
        number = super().__new__(cls, text)  # type: ignore[call-arg]
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[str]:
        return (self.text,)

    def __str__(self) -> str:
        return self.text


class WrittenInt(_Written, int):  # type: ignore[misc] # as copying and pickling need it
    """A whole number that Python would write differently, like ``-0``."""


class WrittenFloat(_Written, float):  # type: ignore[misc] # the same
    """A number that Python would write differently, like ``1.10``, or round, like one with thirty digits."""


def integer(text: str) -> int:
    """Return a whole number.

    Raises:
        NoNumberError: It has too many digits.
    """
    _check_length(text)
    value = int(text)
    return value if str(value) == text else WrittenInt(text)


def real(text: str) -> float:
    """Return a number with a point or an exponent.

    Raises:
        NoNumberError: It has too many digits.
    """
    _check_length(text)
    value = float(text)
    return value if repr(value) == text else WrittenFloat(text)


def shortened(text: str) -> str:
    """Return a number as errors quote it."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _check_length(text: str) -> None:
    if len(text) > _LONGEST:
        raise NoNumberError(
            f"a number of {len(text):,} characters, {shortened(text)}, and {_LONGEST:,} is the most; "
            "write it as text, in quotes"
        )


def _constant(text: str) -> float:
    raise NoNumberError(f"{text}, which is no JSON; write null, or text in quotes")


decoder = json.JSONDecoder(parse_int=integer, parse_float=real, parse_constant=_constant)
"""Parses JSON; its numbers remember how they were written."""


def loads(text: str) -> Any:
    """Return a JSON text as a value.

    Raises:
        ValueError: It is not JSON, or has a number that can't be passed on.
        RecursionError: It is nested too deeply.
    """
    return decoder.decode(text)


def why_no_json(error: Exception) -> str:
    """Return in words why a text is no JSON, given what reading it has raised."""
    if isinstance(error, json.JSONDecodeError):
        text = error.msg[:1].lower() + error.msg[1:]
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return f"{text} at {line}column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1:,} is not UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def dumps(value: Any, *, ensure_ascii: bool = False, default: Callable[[Any], Any] | None = None) -> str:
    """Return a value as one line of JSON, with its numbers as they were written.

    Numbers that are not valid in JSON, like YAML's ``+5`` and ``.5``, are converted. The arguments are those of
    `json.dumps`.
    """

    def plain(one: Any) -> str:
        return json.dumps(one, ensure_ascii=ensure_ascii, default=default)

    if not any(isinstance(one, WrittenInt | WrittenFloat) for one in numbers_in(value)):
        return plain(value)
    parts: list[str] = []
    left: list[tuple[str, Any]] = [("", value)]
    # Without recursion, whose depth is limited. Each entry is a value and the text before it.
    while left:
        before, one = left.pop()
        parts.append(before)
        if isinstance(one, WrittenInt | WrittenFloat):
            parts.append(_as_json(one.text))
        elif isinstance(one, dict) and one:
            names = [("{" if number == 0 else ", ") + plain(key) + ": " for number, key in enumerate(one)]
            left.append(("}", _NOTHING))
            left += reversed(list(zip(names, one.values(), strict=True)))
        elif isinstance(one, list | tuple) and one:
            left.append(("]", _NOTHING))
            left += reversed([("[" if number == 0 else ", ", part) for number, part in enumerate(one)])
        elif one is not _NOTHING:
            parts.append(plain(one))
    return "".join(parts)


_NOTHING = object()


def _as_json(text: str) -> str:
    match = _NUMBER.fullmatch(text)
    assert match is not None  # noqa: S101 - it was parsed as a number
    sign, whole, fraction, exponent = match.groups()
    point = "" if fraction is None else f".{fraction or 0}"
    return f"{sign.removeprefix('+')}{whole or 0}{point}{exponent or ''}"


def numbers_in(value: Any) -> Iterator[int | float]:
    """Yield the numbers within a value, at any depth."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield one


def is_double(number: float) -> bool:
    """Return whether a number fits in a double: a whole number by its range, any other without loss."""
    try:
        if not math.isfinite(number):
            return False
    except OverflowError:  # a whole number beyond the range of doubles
        return False
    return not isinstance(number, WrittenFloat) or _is_same(number, float(number))


def equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal: numbers by value, however they are written, even if one of them is text."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if not isinstance(one, int | float) and not isinstance(other, int | float):
        return bool(one == other)
    return _is_number(one) and _is_number(other) and _is_same(one, other)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST and any(map(str.isdigit, value)) and bool(_NUMBER.fullmatch(value))
    return isinstance(value, int | float)


def _is_same(one: Any, other: Any) -> bool:
    from decimal import Decimal, InvalidOperation  # 3 ms, and few compare numbers

    try:
        return Decimal(str(one)) == Decimal(str(other))
    except (InvalidOperation, ValueError):  # an exponent, or a whole number, of too many digits
        return str(one) == str(other)

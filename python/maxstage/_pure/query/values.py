"""Values of fields, filters, and the keys that values are sorted and counted by."""

from maxstage._pure.query.walk import is_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Value = tuple[str, bytes]
    Test = Callable[[Callable[[int], Value]], bool]

NULL = ("null", b"")
"""Null, or a field that is missing. Other values are ``text``, ``number``, ``bool`` or ``nested``, with their text."""

_MOST_EXPONENT = 10**18
_MOST_DIGITS = 18

Decimal = tuple[int, int, bytes]
"""A sign, a power of ten, and digits: the number is ``0.DIGITS`` times ten to that power."""


def decimal(number: bytes) -> Decimal:
    """Return the number that a JSON number is, exactly.

    >>> decimal(b"-1.50e3") == decimal(b"-1500"), decimal(b"0.0")
    (True, (0, 0, b''))
    """
    mantissa, _, power = number.lower().removeprefix(b"-").partition(b"e")
    whole, _, fraction = mantissa.partition(b".")
    digits = whole + fraction
    stripped = digits.lstrip(b"0")
    zeros = len(digits) - len(stripped)
    stripped = stripped.rstrip(b"0")
    if not stripped:
        return 0, 0, b""
    return -1 if number[:1] == b"-" else 1, _exponent(power) + len(whole) - zeros, stripped


def _exponent(text: bytes) -> int:
    sign = -1 if text[:1] == b"-" else 1
    digits = text.lstrip(b"+-").lstrip(b"0")
    return sign * (_MOST_EXPONENT if len(digits) > _MOST_DIGITS else int(digits or b"0"))


def decimal_key(number: bytes) -> bytes:
    """Return bytes whose order is that of the numbers."""
    sign, power, digits = decimal(number)
    if not sign:
        return b"\x01"
    key = (power + 2**63).to_bytes(8, "big") + digits + b"\0"
    return b"\x02" + key if sign > 0 else b"\x00" + _inverted(key)


def _inverted(data: bytes) -> bytes:
    return bytes(255 - byte for byte in data)


def sort_key(value: "Value", *, descending: bool) -> bytes:
    """Return what a value is sorted by: numbers, then texts; null at the end, in either direction."""
    kind, text = value
    if kind == "null":
        return b"\xff"
    ends = text.replace(b"\0", b"\0\xff") + b"\0\0"
    key = b"\x10" + decimal_key(text) if kind == "number" else b"\x20" + ends
    return _inverted(key) if descending else key


def number_of(value: "Value") -> bytes | None:
    """Return the number that a value is, or that its text is written like."""
    kind, text = value
    return text if kind == "number" or (kind == "text" and is_number(text)) else None


def test_of(test: "tuple[Any, ...]") -> "Test":
    """Return a filter as a function of the fields' values."""
    kind = test[0]
    if kind in {"and", "or"}:
        tests = [test_of(one) for one in test[1]]
        over = all if kind == "and" else any
        return lambda value: over(one(value) for one in tests)
    if kind == "not":
        inner = test_of(test[1])
        return lambda value: not inner(value)
    field = test[1]
    if kind == "null":
        return lambda value: value(field) == NULL
    if kind == "like":
        matches = like(test[2])
        return lambda value: (found := value(field)) != NULL and matches(found[1])
    _, _, operator, text, number = test
    return _compare(field, _OPERATORS[operator], operator == "=", text, number)


_OPERATORS: "dict[str, Callable[[Any, Any], bool]]" = {
    "=": lambda a, b: bool(a == b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _compare(
    field: int, holds: "Callable[[Any, Any], bool]", equal: bool, text: bytes, number: bytes | None
) -> "Test":
    if number is None:
        return lambda value: (found := value(field)) != NULL and holds(found[1], text)
    wanted = decimal_key(number)

    def compare(value: "Callable[[int], Value]") -> bool:
        found = value(field)
        if found == NULL:
            return False
        written = number_of(found)
        if written is None:
            return equal and found[1] == text
        return holds(decimal_key(written), wanted)

    return compare


def like(parts: "tuple[bytes | str, ...]") -> "Callable[[bytes], bool]":
    """Return whether a text matches a pattern, as a function of the text."""
    import re

    rows: list[bytes] = [b""]
    for part in parts:
        if part == "*":
            rows.append(b"")
        else:
            # One character: a byte, and what goes on from it.
            rows[-1] += b".[\x80-\xbf]*+" if isinstance(part, str) else re.escape(part)
    first, *rest = rows
    pattern = first
    if rest:
        # What lies in the middle is taken where it comes first: anything that follows may lie behind it.
        pattern += b"".join(b"(?>.*?%b)" % row for row in rest[:-1]) + b".*" + rest[-1]
    compiled = re.compile(pattern, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None

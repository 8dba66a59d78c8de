"""What kinds of values each field has, elements of arrays included. As the compiled module does it."""

import re

from maxstage._pure.query.shapes import DEEPEST, MOST_FIELDS
from maxstage._pure.query.walk import decode_text, skip_blank, skip_value, string_end

NULL, BOOL, INTEGER, LONG, DECIMAL, HUGE, TEXT, DATE, TIME, ZONED, OBJECT, ARRAY, TWICE, DEEP, BROKEN = (
    1 << bit for bit in range(15)
)

_INTEGER_DIGITS = 18
_LONG_DIGITS = 38
_DECIMAL_DIGITS = 300
_MOST_INTEGER = 2**63

_DATE = re.compile(rb"(\d\d\d\d)-(\d\d)-(\d\d)")
_TIME = re.compile(rb"[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:[0-5]\d)?)?")
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2

_PAIR_OR_HALF = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape: a pair of surrogates, half of one, or any other."""

_WORDS = {b"t": BOOL, b"f": BOOL, b"n": NULL}


class _Node:
    """A field, and the fields in it.

    Attributes:
        path: Its names from outside in, None for the elements of an array.
        kinds: A bit for each kind.
        inner: The fields in it, by name; None: its elements.
        serial: The object in which it came last.
    """

    __slots__ = ("inner", "kinds", "path", "serial")

    def __init__(self, path: "tuple[bytes | None, ...]") -> None:
        self.path = path
        self.kinds = 0
        self.inner: dict[bytes | None, _Node] = {}
        self.serial = 0


class Kinds:
    """The fields of records, with the kinds of their values.

    Attributes:
        more: Whether there were more fields than are told apart.
    """

    def __init__(self) -> None:
        self._nodes = [_Node(())]
        self._objects = 0
        self.more = False

    def add(self, json: bytes) -> None:
        """Take in a record, which is JSON."""
        self._value(json, skip_blank(json, 0), self._nodes[0], 0)
        if _is_broken(json):
            self._nodes[0].kinds |= BROKEN

    def described(self) -> "list[tuple[list[bytes | None], int]]":
        """Return all fields, in the order in which they came first; the first is the whole record."""
        return [(list(node.path), node.kinds) for node in self._nodes]

    def _value(self, json: bytes, at: int, node: _Node, depth: int) -> int:
        first = json[at : at + 1]
        deep = 0 if depth < DEEPEST else DEEP
        if first == b"{" and not deep:
            end = self._object(json, at + 1, node, depth)
            kind = OBJECT
        elif first == b"[" and not deep:
            end = self._array(json, at + 1, node, depth)
            kind = ARRAY
        else:
            end = skip_value(json, at)
            if first in {b"{", b"["}:
                kind = deep | (OBJECT if first == b"{" else ARRAY)
            elif first == b'"':
                kind = _kind_of_text(json[at + 1 : end - 1])
            else:
                kind = _WORDS.get(first) or _kind_of_number(json[at:end])
        node.kinds |= kind
        return end

    def _object(self, json: bytes, at: int, node: _Node, depth: int) -> int:
        at = skip_blank(json, at)
        if json[at : at + 1] == b"}":
            return at + 1
        self._objects += 1
        serial = self._objects
        while True:
            after = string_end(json, at)
            inner = self._inner(node, decode_text(json[at + 1 : after - 1]))
            at = skip_blank(json, skip_blank(json, after) + 1)
            if inner is None:
                at = skip_value(json, at)
            else:
                if inner.serial == serial:
                    node.kinds |= TWICE
                inner.serial = serial
                at = self._value(json, at, inner, depth + 1)
            at = skip_blank(json, at)
            if json[at : at + 1] != b",":
                return at + 1
            at = skip_blank(json, at + 1)

    def _array(self, json: bytes, at: int, node: _Node, depth: int) -> int:
        at = skip_blank(json, at)
        if json[at : at + 1] == b"]":
            return at + 1
        elements = node.inner.get(None) or self._new(node, None)
        while True:
            at = skip_blank(json, self._value(json, at, elements, depth + 1))
            if json[at : at + 1] != b",":
                return at + 1
            at = skip_blank(json, at + 1)

    def _inner(self, outer: _Node, name: bytes) -> _Node | None:
        node = outer.inner.get(name)
        if node is None and len(self._nodes) <= MOST_FIELDS:
            return self._new(outer, name)
        self.more |= node is None
        return node

    def _new(self, outer: _Node, name: bytes | None) -> _Node:
        node = outer.inner[name] = _Node((*outer.path, name))
        self._nodes.append(node)
        return node


def _is_broken(json: bytes) -> bool:
    """Whether a record is no UTF-8, or has escapes that name no character."""
    try:
        json.decode()
    except UnicodeDecodeError:
        return True
    return b"\\" in json and any(match[1] for match in _PAIR_OR_HALF.finditer(json))


def _kind_of_number(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if digits.isdigit():
        if len(digits) <= _INTEGER_DIGITS:
            return INTEGER
        if len(digits) > _LONG_DIGITS:
            return HUGE
        return INTEGER if -_MOST_INTEGER <= int(text) < _MOST_INTEGER else LONG
    fits = len(text) < _DECIMAL_DIGITS and b"e" not in text and b"E" not in text
    return DECIMAL if fits or abs(float(text)) != float("inf") else HUGE


def _kind_of_text(text: bytes) -> int:
    """Return the kind of a JSON string, given without its quotes."""
    date = _DATE.match(text)
    if date is None:
        return TEXT
    year, month, day = map(int, date.groups())
    if not year or not 1 <= month <= len(_DAYS):
        return TEXT
    leap = month == _FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS[month - 1] + leap:
        return TEXT
    if date.end() == len(text):
        return DATE
    time = _TIME.fullmatch(text, date.end())
    return TEXT if time is None else ZONED if time[4] else TIME

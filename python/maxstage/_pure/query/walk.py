"""Walking through one JSON text: all of it is checked, and the places of the fields asked for are found.

The same steps as in the compiled module, for what `json` can't tell: where a value lies, data that is no UTF-8, and any
nesting.
"""

import re

_STRING = re.compile(rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_SCALAR = re.compile(
    _STRING.pattern + rb"|true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
)
_BLANK = re.compile(rb"[ \t\n\r]*")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL
)
"""A pair of surrogates, another unit, or a single character."""
_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}

_CLOSING = {b"{": b"}", b"[": b"]"}
_HIGH, _LOW = 0xD800, 0xDC00

Path = tuple[bytes | int, ...]
Spans = list[tuple[int, int] | None]


class NotJson(ValueError):
    """The text is no JSON."""


def is_number(text: bytes) -> bool:
    """Whether a text is a number as JSON writes them."""
    return _NUMBER.fullmatch(text) is not None


def decode_text(string: bytes) -> bytes:
    """Return the text of a JSON string, which is given without its quotes."""
    if b"\\" not in string:
        return string
    return _ESCAPE.sub(_decoded, string)


def _decoded(match: re.Match[bytes]) -> bytes:
    high, low, unit, other = match.groups()
    if other is not None:
        return _ESCAPES.get(other, other)
    if high is not None:
        return _encode(0x10000 + ((int(high, 16) - _HIGH) << 10) + (int(low, 16) - _LOW))
    return _encode(int(unit, 16))


def _encode(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass")


class Node:
    """A part of the fields asked for, which form a tree."""

    __slots__ = ("field", "items", "keys", "within")

    def __init__(self) -> None:
        self.keys: dict[bytes, Node] = {}
        self.items: dict[int, Node] = {}
        self.field: int | None = None
        self.within: list[int] = []


def tree_of(paths: list[Path]) -> Node:
    """Return the tree of fields."""
    root = Node()
    for number, path in enumerate(paths):
        node = root
        node.within.append(number)
        for part in path:
            node = (
                node.items.setdefault(part, Node())
                if isinstance(part, int)
                else node.keys.setdefault(part, Node())
            )
            node.within.append(number)
        node.field = number
    return root


def walk(data: bytes, root: Node) -> Spans:
    """Return where the values of the fields lie; None for each that is missing.

    Raises:
        NotJson: It is none.
    """
    found: Spans = [None] * len(root.within)
    end = skip_blank(data, _value(data, skip_blank(data, 0), root, found))
    if end != len(data):
        raise NotJson
    return found


def skip_blank(data: bytes, at: int) -> int:
    """Return where the next byte that is no white space lies."""
    match = _BLANK.match(data, at)
    return match.end() if match else at


def _value(data: bytes, at: int, node: Node, found: Spans) -> int:
    first = data[at : at + 1]
    if first == b"{" and node.keys:
        end = _object(data, at + 1, node, found)
    elif first == b"[" and node.items:
        end = _array(data, at + 1, node, found)
    else:
        end = skip_value(data, at)
    if node.field is not None:
        found[node.field] = (at, end)
    return end


def _object(data: bytes, at: int, node: Node, found: Spans) -> int:
    at = skip_blank(data, at)
    if data[at : at + 1] == b"}":
        return at + 1
    while True:
        end = string_end(data, at)
        child = node.keys.get(decode_text(data[at + 1 : end - 1]))
        at = _after_colon(data, end)
        if child is None:
            at = skip_value(data, at)
        else:
            # A key that comes again: the last one wins, with all that is in it.
            for field in child.within:
                found[field] = None
            at = _value(data, at, child, found)
        at, is_closed = _next(data, at, b"}")
        if is_closed:
            return at


def _array(data: bytes, at: int, node: Node, found: Spans) -> int:
    at = skip_blank(data, at)
    if data[at : at + 1] == b"]":
        return at + 1
    number = 0
    while True:
        child = node.items.get(number)
        at = skip_value(data, at) if child is None else _value(data, at, child, found)
        number += 1
        at, is_closed = _next(data, at, b"]")
        if is_closed:
            return at


def _next(data: bytes, at: int, closing: bytes) -> tuple[int, bool]:
    """Return where the next member begins, or where the object or array ends, and whether it does."""
    at = skip_blank(data, at)
    sign = data[at : at + 1]
    if sign == closing:
        return at + 1, True
    if sign != b",":
        raise NotJson
    return skip_blank(data, at + 1), False


def string_end(data: bytes, at: int) -> int:
    """Return where the string at `at` ends, its quotes included.

    Raises:
        NotJson: There is none.
    """
    match = _STRING.match(data, at)
    if match is None:
        raise NotJson
    return match.end()


def skip_value(data: bytes, at: int) -> int:
    """Return where the value at `at` ends.

    Raises:
        NotJson: There is none.
    """
    opened: list[bytes] = []
    while True:
        close = _CLOSING.get(data[at : at + 1])
        if close is not None:
            at = skip_blank(data, at + 1)
            if data[at : at + 1] != close:
                opened.append(close)
                at = _skip_key(data, at) if close == b"}" else at
                continue
            at += 1
        else:
            match = _SCALAR.match(data, at)
            if match is None:
                raise NotJson
            at = match.end()
        at = _skip_closed(data, at, opened)
        if not opened:
            return at


def _skip_closed(data: bytes, at: int, opened: list[bytes]) -> int:
    """Close what ends after a value; return where the next value begins, or where all of it ends."""
    while opened:
        at = skip_blank(data, at)
        sign = data[at : at + 1]
        if sign == b",":
            at = skip_blank(data, at + 1)
            return _skip_key(data, at) if opened[-1] == b"}" else at
        if sign != opened.pop():
            raise NotJson
        at += 1
    return at


def _skip_key(data: bytes, at: int) -> int:
    return _after_colon(data, string_end(data, at))


def _after_colon(data: bytes, at: int) -> int:
    at = skip_blank(data, at)
    if data[at : at + 1] != b":":
        raise NotJson
    return skip_blank(data, at + 1)

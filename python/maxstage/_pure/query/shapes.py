"""What records have: their fields, with types, and what values they have. As the compiled module does it."""

import bisect
import zlib

from maxstage._pure.query.values import decimal_key
from maxstage._pure.query.walk import decode_text, skip_blank, skip_value, string_end

MOST_FIELDS = 1000
DEEPEST = 16
_EXAMPLES = 3
_MOST_KEPT = 256
_EXACT = 256
_BITS = 12
_ALL = 2**64 - 1

_NULL, _BOOL, _NUMBER, _TEXT, _OBJECT, _ARRAY = range(6)
_TYPES = {b"n": _NULL, b"t": _BOOL, b"f": _BOOL, b'"': _TEXT, b"{": _OBJECT, b"[": _ARRAY}

Range = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


def _spread(crc: int) -> int:
    hashed = (crc + 0x9E3779B97F4A7C15) & _ALL
    hashed = ((hashed ^ hashed >> 30) * 0xBF58476D1CE4E5B9) & _ALL
    hashed = ((hashed ^ hashed >> 27) * 0x94D049BB133111EB) & _ALL
    return hashed ^ hashed >> 31


class _Distinct:
    """How many different values there are: their hashes as long as they are few, then the registers of a sketch."""

    def __init__(self) -> None:
        self.few: list[int] = []
        self.registers = bytearray()

    def add(self, hashed: int) -> None:
        if self.registers:
            at = hashed >> (64 - _BITS)
            rank = 65 - ((hashed << _BITS & _ALL) | 1 << (_BITS - 1)).bit_length()
            self.registers[at] = max(self.registers[at], rank)
            return
        at = bisect.bisect_left(self.few, hashed)
        if at == len(self.few) or self.few[at] != hashed:
            self.few.insert(at, hashed)
            if len(self.few) > _EXACT:
                self.registers = bytearray(1 << _BITS)
                few, self.few = self.few, []
                for one in few:
                    self.add(one)


class _Shape:
    """What is known of a field."""

    def __init__(self) -> None:
        self.types = [0] * 6
        self.numbers: Range | None = None
        self.texts: Range | None = None
        self.distinct = _Distinct()
        self.examples: list[bytes] = []

    def add(self, json: bytes) -> None:
        kind = _TYPES.get(json[:1], _NUMBER)
        self.types[kind] += 1
        if kind == _NULL:
            return
        shown = json[:_MOST_KEPT]
        if len(self.examples) < _EXAMPLES and shown not in self.examples:
            self.examples.append(shown)
        if kind in {_OBJECT, _ARRAY}:
            return
        text = key = decode_text(json[1:-1]) if kind == _TEXT else json
        if kind == _NUMBER:
            key = decimal_key(json)
            self.numbers = _widened(self.numbers, key, json)
        elif kind == _TEXT:
            self.texts = _widened(self.texts, text, text)
        self.distinct.add(_spread(zlib.crc32(key, kind)))


def _widened(found: Range | None, key: bytes, shown: bytes) -> Range:
    one = key[:_MOST_KEPT], shown[:_MOST_KEPT]
    if found is None:
        return one, one
    least, greatest = found
    # Of the ways to write a number the least is shown.
    if one[0] > greatest[0] or (one[0] == greatest[0] and one[1] < greatest[1]):
        greatest = one
    return min(least, one), greatest


class _Node:
    """A field, and the fields in it."""

    def __init__(self, path: tuple[bytes, ...]) -> None:
        self.path = path
        self.shape = _Shape()
        self.inner: dict[bytes, _Node] = {}


class Shapes:
    """The fields of records."""

    def __init__(self) -> None:
        self._nodes = [_Node(())]
        self._values: dict[_Node, tuple[int, int]] = {}
        self.more = False

    def add(self, json: bytes) -> None:
        """Take in a record, which is JSON."""
        self._values = {}
        self._value(json, skip_blank(json, 0), self._nodes[0], 0)
        for node, (start, end) in self._values.items():
            node.shape.add(json[start:end])

    def described(self) -> "list[tuple[list[bytes], list[int], object, object, int, bytes, list[bytes]]]":
        """Return all fields, in the order in which they came first; the first is the whole record."""
        return [
            (
                list(node.path),
                node.shape.types,
                _shown(node.shape.numbers),
                _shown(node.shape.texts),
                len(node.shape.distinct.few),
                bytes(node.shape.distinct.registers),
                node.shape.examples,
            )
            for node in self._nodes
        ]

    def _value(self, json: bytes, at: int, node: _Node, depth: int) -> int:
        is_object = json[at : at + 1] == b"{" and depth < DEEPEST
        end = self._object(json, at + 1, node, depth) if is_object else skip_value(json, at)
        self._values[node] = (at, end)
        return end

    def _object(self, json: bytes, at: int, node: _Node, depth: int) -> int:
        at = skip_blank(json, at)
        if json[at : at + 1] == b"}":
            return at + 1
        while True:
            after = string_end(json, at)
            inner = self._inner(node, decode_text(json[at + 1 : after - 1]))
            at = skip_blank(json, skip_blank(json, after) + 1)
            if inner is None:
                at = skip_value(json, at)
            else:
                if inner in self._values:
                    # A key that comes again: the last one wins, with all that is in it.
                    self._forget(inner)
                at = self._value(json, at, inner, depth + 1)
            at = skip_blank(json, at)
            if json[at : at + 1] != b",":
                return at + 1
            at = skip_blank(json, at + 1)

    def _forget(self, node: _Node) -> None:
        self._values.pop(node, None)
        for inner in node.inner.values():
            self._forget(inner)

    def _inner(self, outer: _Node, name: bytes) -> _Node | None:
        node = outer.inner.get(name)
        if node is None and len(self._nodes) <= MOST_FIELDS:
            node = _Node((*outer.path, name))
            outer.inner[name] = node
            self._nodes.append(node)
        self.more |= node is None
        return node


def _shown(found: Range | None) -> tuple[bytes, bytes] | None:
    return None if found is None else (found[0][1], found[1][1])

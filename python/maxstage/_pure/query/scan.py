"""Looking through data: which records match, how many, their values."""

import json
import re

from maxstage._pure.query.kinds import Kinds
from maxstage._pure.query.shapes import Shapes
from maxstage._pure.query.values import NULL, decimal_key, sort_key, test_of
from maxstage._pure.query.walk import NotJson, decode_text, tree_of, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from maxstage._pure.query.values import Value
    from maxstage._pure.query.walk import Spans
    from maxstage._pure.read import Reader

_STEP = 1024 * 1024
MOST_RECORD = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_OVERHEAD = 96


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _refuse(word: str) -> "NoReturn":
    raise ValueError(word)


_decoder = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
_MISSING: "Any" = object()
_KINDS = {b"{": "nested", b"[": "nested", b"t": "bool", b"f": "bool"}


class Scan:
    """Looks through records that come bit by bit. See the stub of the compiled module."""

    def __init__(self, plan: "Any", /) -> None:
        self._plan = plan
        self._tree = tree_of(plan.fields)
        self._paths = [
            tuple(part if isinstance(part, int) else part.decode("utf-8", "surrogatepass") for part in path)
            for path in plan.fields
        ]
        self._test = None if plan.test is None else test_of(plan.test)
        self._line_field = next((at for at, path in enumerate(plan.fields) if path == (b"line",)), None)
        try:
            self._regex = None if plan.regex is None else re.compile(plan.regex)
        except re.error as error:
            raise ValueError(str(error)) from None
        self._sorted = plan.wanted in {"ascending", "descending"}
        self._carry = b""
        self._too_long = False
        self._at = self._line_start = self._lines = 0
        self.matched = self.bad = self.given = 0
        self.first_bad: int | None = None
        self._given: list[tuple[int, int, bytes, bytes]] = []
        self.resume = (0, 0)
        self.full = False
        self._shapes = Shapes()
        self._kinds = Kinds()
        self._groups: dict[tuple[str, bytes], tuple[bytes, int]] = {}
        self.group_bytes = 0
        self._line = b""
        self._parsed: Any = None
        self._spans: Spans | None = None

    def begin(self, offset: int = 0, lines: int = 0, /) -> None:
        """Begin with other data."""
        self._carry = b""
        self._too_long = False
        self._at = self._line_start = offset
        self._lines = lines
        self.resume = (offset, lines)

    def feed(self, data: bytes, /) -> None:
        """Look at more data."""
        for at in range(0, len(data), _STEP):
            if self.full:
                break
            self._feed(data[at : at + _STEP])
        self._sort()

    def read(self, reader: "Reader", start: int, end: int, /) -> None:
        """Look at the data of a reader from `start` to before `end`."""
        for at in range(start, end, _STEP):
            if self.full:
                break
            self._feed(reader.read(at, min(end, at + _STEP)))
        self._sort()

    def finish(self) -> None:
        """Look at a last line that nothing ends."""
        if self._carry or self._too_long:
            line, self._carry = self._carry, b""
            self._own_line(line)
            self._sort()

    def take(self) -> list[tuple[int, int, bytes]]:
        """Take the records given since."""
        given, self._given = self._given, []
        return [(line, start, record) for line, start, _, record in given]

    def take_sorted(self) -> list[tuple[bytes, bytes]]:
        """Take the records given since, with what they are sorted by."""
        given, self._given = self._given, []
        return [(key, record) for _, _, key, record in given]

    def take_text(self) -> bytes:
        """Take the records given since, each with a newline."""
        given, self._given = self._given, []
        return b"".join([record + b"\n" for _, _, _, record in given])

    def take_groups(self) -> list[tuple[str, bytes, int]]:
        """Take what was counted by value since."""
        groups, self._groups = self._groups, {}
        self.group_bytes = 0
        return [(kind, text, count) for (kind, _), (text, count) in groups.items()]

    def take_shapes(self) -> "tuple[bool, list[tuple[Any, ...]]]":
        """Take what was described since."""
        shapes, self._shapes = self._shapes, Shapes()
        return shapes.more, list(shapes.described())

    def take_kinds(self) -> "tuple[bool, list[tuple[list[bytes | None], int]]]":
        """Take the kinds of values that were seen since."""
        kinds, self._kinds = self._kinds, Kinds()
        return kinds.more, kinds.described()

    def _sort(self) -> None:
        if self._sorted:
            self._given.sort(key=lambda one: one[2])
            del self._given[self._plan.skip + self._plan.most :]

    def _feed(self, data: bytes) -> None:
        # The first line may go on what was carried, and may begin with a byte order mark.
        first = data.find(b"\n") + 1
        head = data[:first] if first else data
        if not self._too_long:
            self._carry += head
        self._at += len(head)
        if len(self._carry) > MOST_RECORD:
            self._too_long = True
            self._carry = b""
        if not first:
            return
        line, self._carry = self._carry, b""
        self._own_line(line)
        self._lines += 1
        if self.full:
            return
        last = data.rfind(b"\n") + 1
        self._block(data[first:last], self._at)
        self._at += len(data) - first
        self._carry = data[last:]
        self._line_start = self._at - len(self._carry)

    def _own_line(self, line: bytes) -> None:
        if self._too_long:
            self._too_long = False
            self._note_bad()
        else:
            text = line.removeprefix(_BOM) if self._line_start == 0 else line
            plan = self._plan
            if (
                not plan.needles
                or any(needle in text for needle in plan.needles)
                or (plan.escapes and b"\\u" in text)
            ):
                self._look(text, self._line_start, self._at)
        self._line_start = self._at

    def _note_bad(self) -> None:
        self.bad += 1
        if self.first_bad is None:
            self.first_bad = self._lines + 1

    def _block(self, data: bytes, offset: int) -> None:
        needles = list(self._plan.needles)
        if not needles:
            at = 0
            while at < len(data) and not self.full:
                end = data.index(b"\n", at) + 1
                self._look(data[at:end], offset + at, offset + end)
                self._lines += 1
                at = end
            return
        if self._plan.escapes:
            needles.append(b"\\u")
        places = [data.find(needle) for needle in needles]
        at = counted = 0
        while not self.full:
            for number, needle in enumerate(needles):
                if 0 <= places[number] < at:
                    places[number] = data.find(needle, at)
            place = min((place for place in places if place >= 0), default=-1)
            if place < 0:
                break
            start = data.rfind(b"\n", at, place) + 1 or at
            if self._plan.numbered:
                self._lines += data.count(b"\n", counted, start)
            at = counted = data.index(b"\n", place) + 1
            self._look(data[start:at], offset + start, offset + at)
            self._lines += 1
        if self._plan.numbered:
            self._lines += data.count(b"\n", counted)

    def _look(self, line: bytes, start: int, end: int) -> None:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        plan = self._plan
        if (plan.is_json and not line.strip(_BLANK)) or not all(text in line for text in plan.contains):
            return
        if self._regex is not None and not self._regex.search(line.decode("utf-8", "surrogateescape")):
            return
        self._line, self._spans = line, None
        if plan.is_json:
            try:
                self._parse(line)
            except NotJson:
                self._note_bad()
                return
        if self._test is not None and not self._test(self._value):
            return
        self.matched += 1
        if plan.wanted == "groups":
            self._count()
        elif plan.wanted == "shapes":
            self._shapes.add(line)
        elif plan.wanted == "kinds":
            self._kinds.add(line)
        elif plan.wanted != "count":
            self._give(start, end)

    def _parse(self, line: bytes) -> None:
        """Parse a line: by `json` where that tells the same, else by steps of our own."""
        try:
            self._parsed = _decoder.decode(line.decode())
        except (ValueError, RecursionError):
            self._parsed = _MISSING
            self._spans = walk(line, self._tree)

    def _value(self, field: int) -> "Value":
        if not self._plan.is_json:
            return ("text", self._line) if field == self._line_field else NULL
        if self._parsed is _MISSING:
            return self._value_at(field)
        value = self._parsed
        for part in self._paths[field]:
            if isinstance(part, int):
                if not isinstance(value, list) or part >= len(value):
                    return NULL
                value = value[part]
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return self._value_at(field) if isinstance(value, dict | list) else _scalar(value)

    def _value_at(self, field: int) -> "Value":
        json_text = self._json_at(field)
        first = json_text[:1]
        if first == b'"':
            return "text", decode_text(json_text[1:-1])
        return NULL if first == b"n" else (_KINDS.get(first, "number"), json_text)

    def _json_at(self, field: int) -> bytes:
        if self._spans is None:
            self._spans = walk(self._line, self._tree)
        span = self._spans[field]
        return b"null" if span is None else self._line[span[0] : span[1]]

    def _count(self) -> None:
        kind, text = self._value(self._plan.field)
        if kind in {"bool", "nested"}:
            kind = "json"
        key = (kind, decimal_key(text) if kind == "number" else text)
        found = self._groups.get(key)
        if found is None:
            self.group_bytes += len(key[1]) + _OVERHEAD
            self._groups[key] = (text, 1)
        else:
            self._groups[key] = (min(found[0], text), found[1] + 1)

    def _give(self, start: int, end: int) -> None:
        plan = self._plan
        if self._sorted:
            key = sort_key(self._value(plan.field), descending=plan.wanted == "descending")
            self._given.append((self._lines + 1, start, key, self._record()))
            self.given += 1
            return
        if self.matched <= plan.skip or self.given >= plan.most:
            return
        self._given.append((self._lines + 1, start, b"", self._record()))
        self.resume = (end, self._lines + 1)
        self.given += 1
        self.full = self.given == plan.most and not plan.count_rest

    def _record(self) -> bytes:
        plan = self._plan
        if plan.columns is None:
            return self._line
        if plan.is_json:
            values = [before + self._json_at(field) for before, field in plan.columns]
        else:
            values = [
                before + (b"null" if self._value(field) == NULL else encode_text(self._line))
                for before, field in plan.columns
            ]
        return b"{" + b"".join(values) + b"}"


def _scalar(value: "Any") -> "Value":
    if value is None:
        return NULL
    if isinstance(value, _Number):
        return "number", value.encode()
    if isinstance(value, bool):
        return "bool", b"true" if value else b"false"
    text: str = value
    return "text", text.encode("utf-8", "surrogatepass")


_TO_ESCAPE = re.compile(rb'["\\\x00-\x1f\x7f]')
_SHORT = {b'"': b'\\"', b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}


def encode_text(text: bytes) -> bytes:
    """Return a text as a JSON string; bytes above 0x7F stay as they are."""
    return b'"' + _TO_ESCAPE.sub(lambda match: _SHORT.get(match[0]) or b"\\u%04x" % match[0][0], text) + b'"'

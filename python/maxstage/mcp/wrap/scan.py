"""Where things are in JSON of any length: it is read once, a step at a time, and only what is asked for is held.

What a reader of JSON would refuse is not looked for, except where it hides the end of a value: whoever gets the message
reads it.
"""

import json.decoder
import re

from maxstage.mcp.wrap.body import STEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.mcp.wrap.body import Bytes

_BLANK = re.compile(rb"[ \t\r\n]*+")
_PLAIN = re.compile(rb'[^ \t\r\n,:\[\]{}"]*+')
"""A number, true, false or null, as far as anything that is no JSON."""
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""What a string holds, as far as it is there."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WITH_WHOLE_STRINGS = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*+', re.DOTALL)
"""All that comes before a string whose end is not there."""
_BRACKET = re.compile(rb"[\[\]{}]")

_scan = json.decoder.scanstring  # type: ignore[attr-defined]  # in C where there is that, in Python elsewhere

_LONGEST_KEY = 1024
"""Bytes of a key that are held: none of those that are looked for has more."""

_QUOTE, _BACKSLASH, _COMMA, _COLON = b'"\\,:'
_OPEN = {ord("{"): ord("}"), ord("["): ord("]")}


_SHORTEST = 256
"""Bytes of an array or an object that are looked at first; twice as many then, since most are short."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DEEPEST = 32
"""How often pairs of brackets are taken out; of what is nested more deeply each bracket is looked at."""


class NotJson(ValueError):
    """It ends too early, or a comma, a colon or a quote is not where it must be."""


def read_string(written: str) -> str:
    """Return what a string of JSON says, given without the quote that it begins with; control characters may be in it.

    Raises:
        ValueError: It is none.

    >>> read_string('a\\\\n"')
    'a\\n'
    """
    return _scan(written, 0, False)[0]  # type: ignore[no-any-return]


class Member:
    """A member of an object.

    Attributes:
        name: Its key; empty where that is too long to be one that is looked for.
        key: Where its key begins.
        start, end: From where to before where its value is.
    """

    __slots__ = ("end", "key", "name", "start")

    def __init__(self, name: str, key: int, start: int, end: int) -> None:
        self.name = name
        self.key = key
        self.start = start
        self.end = end


class Scanner:
    """Reads JSON from its beginning, or from a place in it."""

    def __init__(self, data: "Bytes", start: int = 0) -> None:
        self._data = data
        self._base = start
        self._buffer = b""
        self._at = 0

    @property
    def offset(self) -> int:
        """How far it is."""
        return self._base + self._at

    def peek(self) -> int:
        """Pass over blanks; return the next byte.

        Raises:
            NotJson: There is none.
        """
        while True:
            found = _BLANK.match(self._buffer, self._at)
            self._at = self._at if found is None else found.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                raise NotJson("it ends too early")

    def at_end(self) -> bool:
        """Whether nothing but blanks is left."""
        try:
            self.peek()
        except NotJson:
            return True
        return False

    def members(self) -> "Iterator[Member]":
        """Pass over an object; yield its members, each once it has been passed over.

        Raises:
            NotJson: There is none here, or it is broken.
        """
        for is_first in self._parts(ord("{")):
            del is_first
            key = self.offset
            name = self.text(_LONGEST_KEY)
            self._take(_COLON)
            self.peek()
            start = self.offset
            self.skip()
            yield Member(name or "", key, start, self.offset)

    def elements(self) -> "Iterator[tuple[int, int]]":
        """Pass over an array; yield from where to before where each element is, once it has been passed over.

        Raises:
            NotJson: There is none here, or it is broken.
        """
        for _ in self._parts(ord("[")):
            start = self.offset
            self.skip()
            yield start, self.offset

    def _parts(self, opening: int) -> "Iterator[bool]":
        """Pass over brackets and commas; stop before each part, which must be passed over meanwhile."""
        self._take(opening)
        is_first = True
        while self.peek() != _OPEN[opening]:
            if not is_first:
                self._take(_COMMA)
                self.peek()
            yield is_first
            is_first = False
        self._at += 1

    def _take(self, byte: int) -> None:
        if self.peek() != byte:
            raise NotJson(f"there is no {chr(byte)} at byte {self.offset:,}")
        self._at += 1

    def text(self, most: int) -> str | None:
        """Pass over a string; return what it says, or None if it has more than `most` bytes.

        Raises:
            NotJson: There is none here, or it has no end.
        """
        self.peek()
        start = self.offset
        self._skip_string()
        if self.offset - start > most:
            return None
        written = self._data.read(start + 1, self.offset).decode("utf-8", "replace")
        try:
            return read_string(written)
        except ValueError as error:
            raise NotJson(f"the string at byte {start:,} is none: {error}") from None

    def skip(self) -> None:
        """Pass over a value.

        Raises:
            NotJson: There is none, or it has no end.
        """
        first = self.peek()
        if first == _QUOTE:
            self._skip_string()
        elif first in _OPEN:
            self._skip_nested()
        else:
            self._skip_plain()

    def _skip_plain(self) -> None:
        start = self.offset
        while True:
            found = _PLAIN.match(self._buffer, self._at)
            self._at = self._at if found is None else found.end()
            if self._at < len(self._buffer) or not self._more():
                break
        if self.offset == start:
            raise NotJson(f"there is no value at byte {start:,}")

    def _skip_string(self) -> None:
        start = self.offset
        if self._buffer[self._at] != _QUOTE:
            raise NotJson(f"there is no string at byte {start:,}")
        self._at += 1
        while True:
            found = _IN_STRING.match(self._buffer, self._at)
            self._at = self._at if found is None else found.end()
            if self._at < len(self._buffer) and self._buffer[self._at] == _QUOTE:
                self._at += 1
                return
            # Here is the end of what was read, perhaps with a backslash before it.
            if not self._more():
                raise NotJson(f"the string at byte {start:,} has no end")

    def _skip_nested(self) -> None:
        """Pass over an array or an object: whole stretches at once, while there are too few brackets to end it."""
        start, depth, stretch = self.offset, 0, _SHORTEST
        while True:
            limit = min(len(self._buffer), self._at + stretch)
            found = _WITH_WHOLE_STRINGS.match(self._buffer, self._at, limit)
            end = self._at if found is None else found.end()
            closing, opening = _unmatched(self._buffer[self._at : end])
            if closing < depth:
                depth += opening - closing
                self._at = end
            else:
                depth = self._step_by_step(depth, end)
                if depth == 0:
                    return
            stretch = min(2 * stretch, STEP)
            if self._at == len(self._buffer):
                if not self._more():
                    raise NotJson(f"what begins at byte {start:,} has no end")
            elif self._buffer[self._at] == _QUOTE:
                # A string that reaches beyond the stretch, and perhaps beyond what was read.
                self._skip_string()

    def _step_by_step(self, depth: int, end: int) -> int:
        """Pass over what there is up to `end`, or to where the depth is 0; return the depth."""
        while self._at < end:
            if self._buffer[self._at] == _QUOTE:
                found = _STRING.match(self._buffer, self._at)
                self._at = end if found is None else found.end()
            bracket, quote = (
                _BRACKET.search(self._buffer, self._at, end),
                self._buffer.find(b'"', self._at, end),
            )
            if bracket is None or 0 <= quote < bracket.start():
                self._at = end if quote < 0 else quote
                continue
            depth += 1 if self._buffer[bracket.start()] in _OPEN else -1
            self._at = bracket.end()
            if depth == 0:
                break
        return depth

    def _more(self) -> bool:
        """Read on, keeping what was not passed over; return whether there was anything."""
        rest = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        begin = self._base + len(rest)
        more = self._data.read(begin, begin + max(STEP, len(rest))) if begin < self._data.size else b""
        self._buffer = rest + more
        return bool(more)


def _unmatched(piece: bytes) -> "tuple[int, int]":
    """Return how many closing and opening brackets of a piece that holds whole strings have no partner in it.

    Both may be too many where it is nested deeply.
    """
    brackets = _STRING.sub(b"", piece).translate(None, _NO_BRACKETS)
    for _ in range(_DEEPEST):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    closing = brackets.count(b"]") + brackets.count(b"}")
    return closing, len(brackets) - closing

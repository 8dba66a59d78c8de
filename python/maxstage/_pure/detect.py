"""Detects the content type from the beginning of the data, by the rules of ``rust/src/detect.rs``."""

import re

from maxstage._pure.lines import BLANK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    ContentType = Literal["ndjson", "json", "text"]

INCOMPLETE = -1
"""Returned by `scan` for a text that is valid so far but ends too early."""
INVALID = -2
"""Returned by `scan` for a text that is not a JSON object or array."""

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_ESCAPE_SO_FAR = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_WORD = re.compile(rb"[0-9A-Za-z+.-]*")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_LITERALS = (b"true", b"false", b"null")


def content_type(prefix: bytes, /, *, whole: bool, lines: int, last_nonblank: int | None) -> "ContentType":
    """Detect ``ndjson``, ``json`` or ``text`` from the first bytes of the data.

    Args:
        prefix: The first bytes.
        whole: Whether `prefix` is all of the data.
        lines: How many lines all of the data has.
        last_nonblank: The last byte of all of the data that is not white space.
    """
    if lines >= 2 and _is_ndjson(prefix, whole=whole):  # noqa: PLR2004
        return "ndjson"
    return "json" if _is_json(prefix, whole, last_nonblank) else "text"


def _is_ndjson(prefix: bytes, *, whole: bool) -> bool:
    seen = at = 0
    while seen < 2 and at < len(prefix):  # noqa: PLR2004
        end = prefix.find(b"\n", at) + 1 or len(prefix)
        line = prefix[at:end]
        at = end
        if not line.strip(BLANK):
            continue
        seen += 1
        cut = end == len(prefix) and not whole and not line.endswith(b"\n")
        stop = scan(line)
        if stop == INVALID or (stop == INCOMPLETE and not cut) or (stop >= 0 and line[stop:].strip(BLANK)):
            return False
    return seen > 0


def _is_json(prefix: bytes, whole: bool, last_nonblank: int | None) -> bool:
    end = scan(prefix)
    if end == INVALID or (end == INCOMPLETE and whole) or (end >= 0 and prefix[end:].strip(BLANK)):
        return False
    opener = prefix.lstrip(BLANK)[:1]
    return (opener, last_nonblank) in ((b"{", ord("}")), (b"[", ord("]")))


def scan(data: bytes) -> int:  # noqa: C901 - a state machine reads best in one piece
    """Scan the JSON object or array at the beginning of `data`, after white space.

    Returns:
        The offset past its end, or `INCOMPLETE`, or `INVALID`. Bytes above 0x7F are accepted inside strings
        without checking that they are UTF-8.

    >>> scan(b'{"a": [1]} x'), scan(b'{"a": [1'), scan(b"[01]")
    (10, -1, -2)
    """
    closers: list[int] = []
    expect = "value"
    at = 0
    while True:
        at = _SPACE.match(data, at).end()  # type: ignore[union-attr]
        if at == len(data):
            return INCOMPLETE
        char = data[at : at + 1]
        if expect in ("value", "value or close") and char in b"{[":
            closers.append(ord("}") if char == b"{" else ord("]"))
            expect = "key or close" if char == b"{" else "value or close"
            at += 1
        elif _closes(expect, char):
            if closers.pop() != char[0]:
                return INVALID
            at += 1
            if not closers:
                return at
            expect = "comma or close"
        elif expect in ("value", "value or close") and closers:
            at = _scan_string(data, at) if char == b'"' else _scan_word(data, at)
            expect = "comma or close"
        elif expect in ("key", "key or close") and char == b'"':
            at = _scan_string(data, at)
            expect = "colon"
        elif expect == "colon" and char == b":":
            at += 1
            expect = "value"
        elif expect == "comma or close" and char == b",":
            at += 1
            expect = "key" if closers[-1] == ord("}") else "value"
        else:
            return INVALID
        if at < 0:
            return at


def _closes(expect: str, char: bytes) -> bool:
    if char == b"]":
        return expect in ("value or close", "comma or close")
    return char == b"}" and expect in ("key or close", "comma or close")


def _scan_string(data: bytes, at: int) -> int:
    end = _STRING.match(data, at).end()  # type: ignore[union-attr]
    if end == len(data) or _ESCAPE_SO_FAR.match(data, end):
        return INCOMPLETE
    return end + 1 if data[end] == ord('"') else INVALID


def _scan_word(data: bytes, at: int) -> int:
    """Scan a number or a literal; one cut off by the end of the data is only invalid if its beginning is."""
    end = _WORD.match(data, at).end()  # type: ignore[union-attr]
    word = data[at:end]
    cut = end == len(data)
    if word in _LITERALS or (cut and any(name.startswith(word) for name in _LITERALS)):
        return INCOMPLETE if cut else end
    if word[:1] not in (b"-", *(b"%d" % digit for digit in range(10))):
        return INVALID
    if cut:
        return INCOMPLETE
    return end if _NUMBER.match(word) else INVALID


def field_names(data: bytes) -> list[bytes]:
    """Return the field names of the objects on the first lines, as they are written, in order of appearance.

    A last line that is cut off is ignored.

    >>> field_names(b'{"a": 1, "b": 2}\\n{"c": [3]}\\n{"cut')
    [b'a', b'b', b'c']
    """
    names: dict[bytes, None] = {}
    for line in data[: data.rfind(b"\n") + 1].split(b"\n"):
        names.update(dict.fromkeys(_keys(line)))
    return list(names)


def _keys(line: bytes) -> "Iterator[bytes]":
    """Yield the keys of the object in `line`, or as many as can be read."""
    at = _skip_blank(line, 0)
    if line[at : at + 1] != b"{":
        return
    while True:
        start = _skip_blank(line, at + 1)
        end = _scan_string(line, start) if line[start : start + 1] == b'"' else INVALID
        value = _skip_blank(line, _skip_blank(line, end) + 1)
        if end < 0 or value >= len(line):
            return
        yield line[start + 1 : end - 1]
        at = _skip_blank(line, _scan_value(line, value))
        if at < 0 or line[at : at + 1] != b",":
            return


def _scan_value(line: bytes, at: int) -> int:
    first = line[at : at + 1]
    if first in (b"{", b"["):
        length = scan(line[at:])
        return length if length < 0 else at + length
    return _scan_string(line, at) if first == b'"' else _scan_word(line, at)


def _skip_blank(data: bytes, at: int) -> int:
    return at if at < 0 else _SPACE.match(data, at).end()  # type: ignore[union-attr]

"""What a string of JSON says, as UTF-8, piece by piece."""

import codecs
import re

from maxstage.mcp.wrap.body import pieces
from maxstage.mcp.wrap.scan import NotJson, read_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.mcp.wrap.body import Bytes

_WHOLE = re.compile(rb"[^\\]*+(?:\\(?:[^u]|u[0-9A-Fa-f]{4})[^\\]*+)*+", re.DOTALL)
"""All that comes before an escape that is cut."""
_LONGEST_ESCAPE = 6
_HALF = re.compile(rb"\\u[dD][89abAB][0-9A-Fa-f]{2}")
"""The first half of a character that takes two escapes."""
_HALVES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def decoded(data: "Bytes", start: int, end: int) -> "Iterator[bytes]":
    r"""Return what a string says that is written, with its quotes, from `start` to before `end`.

    Half of a character, and what is no UTF-8, becomes U+FFFD.

    Raises:
        NotJson: It has an escape that is none.

    >>> from maxstage.mcp.wrap.body import Body
    >>> body = Body()
    >>> body.add(rb'"a\n\u00e9\ud83d\ude00"')
    >>> b"".join(decoded(body, 0, body.size)).decode()
    'a\né😀'
    """
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = b""
    for piece in pieces(data, start + 1, end - 1):
        written = rest + piece
        cut = _cut(written)
        rest = written[cut:]
        if len(rest) > 2 * _LONGEST_ESCAPE:
            raise NotJson("a string has an escape that is none")
        yield _said(decode(written[:cut]))
    yield _said(decode(rest, True))


def _cut(written: bytes) -> int:
    """Return how much of this can be read by itself."""
    found = _WHOLE.match(written)
    cut = 0 if found is None else found.end()
    if _HALF.fullmatch(written, max(0, cut - _LONGEST_ESCAPE), cut):
        before = written[: cut - _LONGEST_ESCAPE]
        # Of an odd number of backslashes before it, the last makes a text of it.
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            cut -= _LONGEST_ESCAPE
    return cut


def _said(written: str) -> bytes:
    try:
        text = read_string(written + '"')
    except ValueError as error:
        raise NotJson(f"a string can't be read: {error}") from None
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_HALVES).encode()


def size_within(data: "Bytes", start: int, end: int, most: int) -> int:
    """Return how many bytes a string says; or more than `most`, if it is more than that."""
    size = 0
    for piece in decoded(data, start, end):
        size += len(piece)
        if size > most:
            break
    return size

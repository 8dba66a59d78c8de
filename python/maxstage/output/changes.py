"""The differences between two outputs of a command: lines that are new and lines that are gone.

Times, durations, addresses, process ids and temporary paths differ every time and mean nothing: two lines that differ
only in these are the same. The order of lines does not matter, nor how often one occurs.
"""

from __future__ import annotations

import re
import zlib

from maxstage._backend import core
from maxstage.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SHOWN = 200
"""The most lines of either kind that are reported."""
_CLIP = 500
"""The most bytes of a line that are reported."""
_LOOKED_AT = 4096
"""Bytes of a line in which times and the like are ignored; the rest is compared as it is."""
_KINDS = 50_000
"""The most different lines of either output that are compared: about 10 MB."""

_SAME = [
    (re.compile(pattern), to)
    for pattern, to in (
        # Dates with times, and times alone.
        (rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?", b"<time>"),
        ((rb"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)?,? ?(?:\d{1,2} )?"
         rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* +\d{1,2}(?:,? \d{4})?[ ,]+\d\d:\d\d(?::\d\d)?"),
         b"<time>"),
        (rb"\b\d{4}-\d\d-\d\d\b", b"<time>"),
        (rb"\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b", b"<time>"),
        # Durations: 12.3s, 5 ms, 1m 2s, 2 minutes, (0:00:12).
        (rb"\b\d+(?:\.\d+)? ?(?:ns|\xc2\xb5s|us|ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b", b"<duration>"),
        (rb"(?:<duration>[ ,]*){2,}", b"<duration>"),
        # Addresses, and ids that are new every time.
        (rb"\b0x[0-9a-fA-F]{4,}\b", b"<address>"),
        (rb"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", b"<id>"),
        (rb"\bmax:[0-9a-f]{8,32}\b", b"<token>"),
        (rb"(?i)\b(pid|process|thread|tid)([ =:#\[(]{1,3})\d+", rb"\1\2<pid>"),
        (rb"(?<=[A-Za-z])\[\d+\](?=:)", b"[<pid>]"),  # as syslog has it
        # Temporary paths.
        (rb"(?:/private)?(?:/var)?/tmp/[^\s:'\"),]+|/var/folders/[^\s:'\"),]+|/dev/shm/[^\s:'\"),]+", b"<temporary>"),
    )
]  # fmt: skip
_LOUD = re.compile(
    rb"(?i)error|fail|warn|panic|fatal|exception|traceback|assert|undefined|not ok|cannot|denied"
)
"""What goes first if there are too many lines. What matters most is for the strategy `summary` to decide."""


class Changes(Record):
    """What has changed.

    Attributes:
        added: New lines, in order, shortened; if there are too many, those that look like an error come first.
        gone: Lines that are gone.
        more_added: How many more lines are new.
        more_gone: How many more lines are gone.
        is_partial: Whether an output has so many different lines that the rest of it was not compared.
    """

    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    more_added: int = 0
    more_gone: int = 0
    is_partial: bool = False


def compare(before: Iterable[bytes], after: Iterable[bytes]) -> Changes:
    """Compare two outputs, each given in parts.

    >>> changes = compare([b"a: FAILED in 1.2s\\nb: ok\\n"], [b"a: FAILED in 3.4s\\nc: ok\\n"])
    >>> changes.gone, changes.added
    (('b: ok',), ('c: ok',))
    """
    old, new = _lines_of(before), _lines_of(after)
    added = [line for kind, line in new.items() if kind not in old]
    gone = [line for kind, line in old.items() if kind not in new]
    return Changes(
        tuple(_told(added)),
        tuple(_told(gone)),
        max(0, len(added) - MOST_SHOWN),
        max(0, len(gone) - MOST_SHOWN),
        max(len(old), len(new)) >= _KINDS,
    )


def normalized(line: bytes) -> bytes:
    """Return a line without what differs every time.

    >>> normalized(b"12:00:01 worker[123]: done in 1.5s at /tmp/tmp.x1/a, 0x7ffe1234")
    b'<time> worker[<pid>]: done in <duration> at <temporary>, <address>'
    """
    for pattern, to in _SAME:
        line = pattern.sub(to, line)
    return line


def _lines_of(parts: Iterable[bytes]) -> dict[int, bytes]:
    """Return the different lines, by their normalized form."""
    found: dict[int, bytes] = {}
    seen: set[int] = set()
    for line, beyond in _lines(parts):
        exact = hash((line, beyond))
        if exact in seen or not (line.strip() or beyond[0]):
            continue
        if len(seen) >= _KINDS:
            break
        seen.add(exact)
        found.setdefault(hash((normalized(line), beyond)), _clipped(line))
    return found


def _clipped(line: bytes) -> bytes:
    if len(line) <= _CLIP:
        return line
    at = _CLIP
    while at > _CLIP - 3 and line[at] & 0xC0 == 0x80:  # noqa: PLR2004 - amid a character of UTF-8
        at -= 1
    return line[:at] + "…".encode()


def _lines(parts: Iterable[bytes]) -> Iterable[tuple[bytes, tuple[int, int]]]:
    """Yield the lines as they are read, without escape sequences for terminals.

    A line that is too long is given as its beginning, and the size and a checksum of the rest.
    """
    head, beyond = b"", (0, 0)
    for part in _plain(parts):
        *ended, last = part.split(b"\n")
        for piece in ended:
            head, beyond = _joined(head, beyond, piece)
            yield head.rstrip(), beyond
            head, beyond = b"", (0, 0)
        head, beyond = _joined(head, beyond, last)
    yield head.rstrip(), beyond


def _plain(parts: Iterable[bytes]) -> Iterable[bytes]:
    plain = core.Plain()
    for part in parts:
        yield plain.feed(part)
    yield plain.finish()


def _joined(head: bytes, beyond: tuple[int, int], more: bytes) -> tuple[bytes, tuple[int, int]]:
    head += more
    if len(head) <= _LOOKED_AT:
        return head, beyond
    rest = head[_LOOKED_AT:]
    return head[:_LOOKED_AT], (beyond[0] + len(rest), zlib.crc32(rest, beyond[1]))


def _told(lines: list[bytes]) -> list[str]:
    if len(lines) > MOST_SHOWN:
        loud = {at for at, line in enumerate(lines) if _LOUD.search(line)}
        chosen = sorted([*sorted(loud), *(at for at in range(len(lines)) if at not in loud)][:MOST_SHOWN])
        lines = [lines[at] for at in chosen]
    return [line.decode("utf-8", "replace") for line in lines]

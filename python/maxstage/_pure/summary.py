"""A summary of a text that streams by, for an agent that debugs; the rules are told in ``rust/src/summary.rs``."""

import bisect
import re
from collections import deque

from maxstage._pure.detect import content_type, field_names
from maxstage._pure.lines import BLANK, cut_head
from maxstage.humanize import counted

_CLIP = 240
_OF_A_KIND = 3
_KINDS = 4096
_BEFORE = 2
_AFTER = 2
_SAMPLE = 64 * 1024
_FIRST = 8
_LAST = 4

_WORDS = re.compile(
    rb"error|warn|fail|exception|traceback|panic|fatal|critical|caused by|undefined|fault|assert|abort|e   ",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    rb"passed|0 error|no error|errors: 0|errors=0|0 failed|0 warning|\.\.\. ok|without error", re.IGNORECASE
)
_CERTAIN = re.compile(
    rb"^(?:error:|error |failed |fail:|panic:)|: error:|error\[|panicked at|traceback \(most recent call last\)"
    rb"|caused by:|exception in thread|segmentation fault|undefined reference|fatal|critical|assertionerror|unhandled",
    re.IGNORECASE,
)
_PROBABLE = re.compile(rb"error|fail|exception|panic|fault|abort", re.IGNORECASE)
_WARNING = re.compile(rb"warn", re.IGNORECASE)
_DIGITS = b"0123456789"

_CERTAINLY, _PROBABLY, _CONTEXT, _WARN = 4, 3, 2, 1


class Summary:
    """Keeps the lines that matter, within a bound."""

    def __init__(self, max_bytes: int) -> None:
        self._bound = max_bytes
        # By what matters least last: (-score, number), and the clipped line of each number.
        self._order: list[tuple[int, int]] = []
        self._lines: dict[int, bytes] = {}
        self._kept_bytes = 0
        self._kinds: dict[bytes, int] = {}
        self._before: deque[bytes] = deque(maxlen=_BEFORE)
        self._after = 0
        self._line = b""
        self._number = 1
        self._sample = bytearray()

    def feed(self, data: bytes) -> None:
        """Take in the next part of the text."""
        self._sample += data[: max(0, _SAMPLE - len(self._sample))]
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._take_line((self._line + data[start : min(end, start + _CLIP)])[:_CLIP])
            self._line = b""
            start = end + 1
        self._line = (self._line + data[start : start + _CLIP])[:_CLIP]

    def _take_line(self, line: bytes) -> None:
        score = self._rate(line) if _WORDS.search(line) else 0
        if score == _CERTAINLY:
            for back, text in enumerate(self._before, 1):
                self._keep(_CONTEXT, self._number - back, text)
            self._before.clear()
        if score:
            self._keep(score, self._number, line)
        elif self._after:
            self._keep(_CONTEXT, self._number, line)
        self._after = _AFTER if score == _CERTAINLY else max(0, self._after - 1)
        self._before.appendleft(line)
        self._number += 1

    def _rate(self, line: bytes) -> int:
        """Return how much a line matters; 0 for one that does not, or that is like enough others."""
        score = _rate(line)
        if not score:
            return 0
        # Lines that differ in nothing but numbers are of one kind.
        kind = line.translate(None, _DIGITS)
        if len(self._kinds) >= _KINDS and kind not in self._kinds:
            return 0
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return 0 if self._kinds[kind] > _OF_A_KIND else score

    def _keep(self, score: int, number: int, line: bytes) -> None:
        if not line or number in self._lines:
            return
        self._kept_bytes += len(line)
        self._lines[number] = line
        bisect.insort(self._order, (-score, number))
        while self._kept_bytes > self._bound and self._order:
            self._kept_bytes -= len(self._lines.pop(self._order.pop()[1]))

    def parts(
        self, head: bytes, tail: bytes, lines: int, budget: int
    ) -> tuple[bytes, bytes, bytes, bytes, int, int]:
        """Return facts, first lines, lines that matter, last lines; bytes of the third shown, and its whole lines."""
        facts = self._facts(lines, budget // _LAST)
        budget -= len(facts)
        first = head[: budget // _FIRST]
        first = first[: first.rfind(b"\n") + 1]
        last = tail[max(0, len(tail) - budget // _LAST) :]
        skip = last.find(b"\n", 0, max(0, len(last) - 1))
        last = b"" if skip < 0 else last[skip + 1 :]
        upto = lines - last.count(b"\n") - (last[-1:] not in (b"", b"\n"))
        found, shown_bytes, whole = self._between(
            first.count(b"\n") + 1, upto, budget - len(first) - len(last)
        )
        return facts, first, found, last, shown_bytes, whole

    def _facts(self, lines: int, most: int) -> bytes:
        """For NDJSON: how many records there are, and what fields the first ones have."""
        sample = bytes(self._sample)
        rest = sample.rstrip(BLANK)
        last = rest[-1] if rest else None
        if content_type(sample, whole=False, lines=lines, last_nonblank=last) != "ndjson":
            return b""
        names = b", ".join(field_names(sample))
        text = f"{counted(lines, 'record')}; fields:".encode() + (b" " + names if names else b"")
        text = text[: cut_head(text, max(0, most - 1))]
        return text + b"\n" if text else b""

    def _between(self, first: int, last: int, room: int) -> tuple[bytes, int, int]:
        chosen: dict[int, bytes] = {}
        used = 0
        for _, number in self._order:
            if not first <= number <= last:
                continue
            text = b"%d: %s\n" % (number, self._lines[number])
            if used + len(text) > room:
                break
            used += len(text)
            chosen[number] = text
        sizes = [len(self._lines[number]) for number in chosen]
        whole = sum(size < _CLIP for size in sizes)
        return b"".join(chosen[number] for number in sorted(chosen)), sum(sizes) + whole, whole


def _rate(line: bytes) -> int:
    if _HARMLESS.search(line):
        return 0
    if line.startswith(b"E   ") or _CERTAIN.search(line):
        return _CERTAINLY
    if _PROBABLE.search(line):
        return _PROBABLY
    return _WARN if _WARNING.search(line) else 0

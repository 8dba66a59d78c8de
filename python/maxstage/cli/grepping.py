"""The lines of items that match a regular expression, with the lines around them, as ``grep`` shows them."""

from maxstage._backend import core
from maxstage.cli.printing import write_all
from maxstage.cli.transfer import note_read
from maxstage.query.inputs import STEP
from maxstage.query.plan import Plan
from maxstage.query.regex import check_regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maxstage.cli.transfer import Part
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store

_LINES = 1000
"""Lines around a match that are read at a time."""


class Grep:
    """What is looked for, and how it is shown.

    Args:
        regex: What a line matches somewhere.
        numbered: Whether the numbers of lines are shown.
        before: Lines shown before each that matches.
        after: Lines shown after it.

    Raises:
        InvalidQuery: The regular expression can't be understood.
    """

    def __init__(self, regex: str, *, numbered: bool = False, before: int = 0, after: int = 0) -> None:
        check_regex(regex)
        self.regex = regex
        self.numbered = numbered
        self.before = before
        self.after = after


def grep(store: "Store", tokens: "Sequence[str]", part: "Part", what: Grep, target: str | None) -> None:
    """Write the lines that match to stdout, or to a file. Raises as `transfer.retrieve` does."""
    opened: list[OpenItem] = []
    holders: list[Store] = []
    try:
        for token in tokens:
            holder, item = store.here_or_own(lambda one, token=token: (one, one.open_item(token)))  # type: ignore[misc]
            opened.append(item)
            holders.append(holder)
        if target in {None, "-"}:
            sent = _write(opened, part, what, 1, "<stdout>")
        else:
            from maxstage.cli.target import Target

            with Target(str(target)) as (fd, name, writing), writing:
                sent = _write(opened, part, what, fd, name)
        for holder, item, size in zip(holders, opened, sent, strict=True):
            note_read(holder, item.item, size)
    finally:
        for item in opened:
            item.close()


def _write(items: "Sequence[OpenItem]", part: "Part", what: Grep, fd: int, name: str) -> "list[int]":
    """Write what is found in each item; return how many bytes that was."""
    sent = []
    for opened in items:
        size = 0
        for text in _found(opened, part, what):
            write_all(fd, text, name)
            size += len(text)
        sent.append(size)
    return sent


def _found(opened: "OpenItem", part: "Part", what: Grep) -> "Iterator[bytes]":
    """Give what is shown of an item, bit by bit."""
    start, end = part.of(opened)
    first, last = part.numbers(opened.item.record_count)
    around = _Around(opened, first, last, what)
    scan = core.Scan(Plan(is_json=False, regex=what.regex, numbered=True))
    scan.begin(start, first - 1)
    for at in range(start, end, STEP):
        opened.scan(scan, at, min(at + STEP, end))
        yield from around.show(scan.take())
    scan.finish()
    yield from around.show(scan.take())
    yield from around.finish()


class _Around:
    """Shows the lines that match with those around them, each line once."""

    def __init__(self, opened: "OpenItem", first: int, last: int, what: Grep) -> None:
        self._opened = opened
        self._last = last
        self._what = what
        self._next = first  # the first line that was not shown
        self._until = first - 1  # the last line that is shown after a match
        self._has_shown = False

    def show(self, found: "list[tuple[int, int, bytes]]") -> "Iterator[bytes]":
        if not self._what.before and not self._what.after:
            yield b"".join([self._line(number, b":", record) for number, _, record in found])
            return
        for number, _, record in found:
            yield from self._context(self._next, min(self._until, number - 1))
            begin = max(number - self._what.before, self._next)
            if begin > self._next and self._has_shown:
                yield b"--\n"
            yield from self._context(begin, number - 1)
            yield self._line(number, b":", record)
            self._has_shown = True
            self._next, self._until = number + 1, number + self._what.after

    def finish(self) -> "Iterator[bytes]":
        yield from self._context(self._next, min(self._until, self._last))

    def _context(self, first: int, last: int) -> "Iterator[bytes]":
        for at in range(first, last + 1, _LINES):
            upto = min(at + _LINES - 1, last)
            text = self._opened.read(*self._opened.lines(at, upto)).removesuffix(b"\n")
            lines = [line.removesuffix(b"\r") for line in text.split(b"\n")]
            yield b"".join([self._line(at + place, b"-", line) for place, line in enumerate(lines)])
            self._next = upto + 1

    def _line(self, number: int, sign: bytes, text: bytes) -> bytes:
        return b"%d%b%b\n" % (number, sign, text) if self._what.numbered else text + b"\n"

"""What a model sees in place of data that was staged: a summary of text, the shape of JSON; and how to read on."""

import time

from maxstage._backend import core
from maxstage.humanize import counted, printable
from maxstage.mcp.wrap.scan import NotJson, Scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from maxstage.mcp.wrap.body import Bytes
    from maxstage.store.metadata import Item
    from maxstage.store.reading import OpenItem

_READ = 1024 * 1024
"""Bytes read at a time for a summary."""
_MOST_COUNTED = 10_000
"""Elements of an array that are counted; of longer ones it is told that there are more."""
_MOST_MEMBERS = 20
"""Members of an object that are shown."""
_DEEPEST = 3
"""Levels of objects that are shown."""
_SAMPLE, _LONGEST_RECORD = 100, 16 * 1024
"""Records whose fields are described, and the bytes of one."""
_SHOWN_RECORD, _SHOWN_VALUE = 300, 60
"""Characters of a record, and of a value, that are shown."""
_LONG_LINE = 4096
"""Bytes of a line, on average, above which pieces are better asked for by bytes."""
_LEAST = 512
"""Bytes that a preview has at least: less says nothing."""


class Reading:
    """How the client reads on.

    Args:
        retrieve: What the tool is called that reads a piece; None where the client has none.
        search: The same of the one that searches.
    """

    def __init__(self, retrieve: str | None, search: str | None) -> None:
        self._retrieve = retrieve
        self._search = search

    def of(self, token: str) -> str:
        """Return how to read an item."""
        return f"max retrieve {token}" if self._retrieve is None else f'{self._retrieve} token="{token}"'

    def on(self, item: "Item", records: "Item | None") -> str:
        """Return how to read on, and how to search: the records of an item, where they were kept by themselves."""
        if self._retrieve is None:
            return f"read on with: max retrieve {item.token}"
        few = item.byte_size > _LONG_LINE * max(1, item.record_count)
        read = f'read on with {self.of(item.token)} {"bytes" if few else "lines"}="{"0:8192" if few else "100:200"}"'
        if self._search is None:
            return read
        found = item if records is None else records
        what = "what you need" if records is None else "records"
        how = 'pattern="…"' if found.content_type == "text" else "filter='id = 42'"
        return f'{read}; find {what} with {self._search} token="{found.token}" {how}'


def preview(opened: "OpenItem", what: str, room: int, reading: Reading, records: "Item | None") -> str:
    """Return what stands for an item.

    Args:
        opened: The item.
        what: What it is, in a few words.
        room: Bytes at most.
        reading: How the client reads on.
        records: An item that has the records in it alone; None where there is none.
    """
    item = opened.item
    from maxstage.store.description import format_remaining  # which most sessions of a server do without

    left = "" if item.expires is None else f" (expires in {format_remaining(item.expires, time.time())})"
    size = f"{counted(item.byte_size, 'byte')}, {counted(item.record_count, 'line')}"
    last = f"[{what}: {size}, kept whole as {item.token}{left}; {reading.on(item, records)}]"
    room = max(_LEAST, room - len(last.encode()) - 1)
    shown = _shape(opened, room) if item.content_type != "text" else None
    if shown is None:
        shown = _summary(opened, room, reading.of(item.token))
    return f"{shown}{'' if shown.endswith(chr(10)) else chr(10)}{last}"


def _summary(opened: "OpenItem", room: int, hint: str) -> str:
    truncator = core.Truncator("summary", room, 1000)
    size = opened.item.byte_size
    for at in range(0, size, _READ):
        truncator.feed(opened.read(at, min(at + _READ, size)))
    return truncator.render(room, hint).content.decode("utf-8", "replace")


def _shape(opened: "OpenItem", room: int) -> str | None:
    """Return the shape of JSON; None where it is none after all."""
    data = _Data(opened)
    try:
        lines = [*(_records(data) if opened.item.content_type == "ndjson" else _outline(data))]
    except NotJson:
        return None
    return core.truncate("\n".join(lines).encode(), "head", room, 1000, None).content.decode()


def records_in(opened: "OpenItem") -> "tuple[int, int] | None":
    """Return from where to before where the array is that makes up most of a JSON object; None where none does.

    Many an interface wraps what it lists: ``{"data": {"items": […]}, "next": …}``.
    """
    data = _Data(opened)
    size, at = data.size, 0
    try:
        for _ in range(_DEEPEST):
            if Scanner(data, at).peek() != ord("{"):
                return None
            for member in Scanner(data, at).members():
                if 2 * (member.end - member.start) > size:
                    break
            else:
                return None
            at = member.start
            if data.read(at, at + 1) == b"[":
                return (at, member.end) if data.read(at + 1, at + _SAMPLE).lstrip()[:1] == b"{" else None
    except NotJson:
        return None
    return None


class _Data:
    """The data of an item, to be scanned."""

    def __init__(self, opened: "OpenItem") -> None:
        self._opened = opened
        self.size = opened.item.byte_size

    def read(self, start: int, end: int) -> bytes:
        """Return a piece of it."""
        return self._opened.read(start, min(end, self.size))


def _records(data: "Bytes") -> "Iterator[str]":
    """Describe a record a line."""
    yield "JSON, a record a line."
    scanner = Scanner(data)
    spans: list[tuple[int, int]] = []
    while len(spans) < _SAMPLE and not scanner.at_end():
        start = scanner.offset
        scanner.skip()
        spans.append((start, scanner.offset))
    yield from _sampled(data, spans)


def _outline(data: "Bytes") -> "Iterator[str]":
    """Describe one value."""
    scanner = Scanner(data)
    if scanner.peek() == ord("["):
        spans, count = _elements(data, scanner.offset)
        yield f"A JSON array of {count}."
        yield from _sampled(data, spans)
    elif scanner.peek() == ord("{"):
        yield "A JSON object:"
        yield from _members(data, scanner.offset, 1)
    else:
        yield f"JSON: {_value(data, *_span(data, scanner.offset))}"


def _span(data: "Bytes", start: int) -> "tuple[int, int]":
    scanner = Scanner(data, start)
    scanner.skip()
    return start, scanner.offset


def _elements(data: "Bytes", start: int) -> "tuple[list[tuple[int, int]], str]":
    """Return where the first elements of an array are, and how many there are."""
    first: list[tuple[int, int]] = []
    count = 0
    for span in Scanner(data, start).elements():
        count += 1
        if count > _MOST_COUNTED:
            return first, f"more than {_MOST_COUNTED:,} elements"
        if len(first) < _SAMPLE:
            first.append(span)
    return first, counted(count, "element")


def _sampled(data: "Bytes", spans: "list[tuple[int, int]]") -> "Iterator[str]":
    """Show the first record, and describe the fields of those that are not too long for it."""
    if not spans:
        return
    start, end = spans[0]
    shown = data.read(start, min(end, start + 4 * _SHOWN_RECORD)).decode("utf-8", "replace")
    yield f"The first: {printable(shown, _SHOWN_RECORD)}"
    from maxstage.store.description import fields_lines
    from maxstage.store.preview import fields_of, parse_record

    values: list[Any] = [
        parse_record(data.read(*span)) for span in spans if span[1] - span[0] <= _LONGEST_RECORD
    ]
    yield from fields_lines(fields_of([value for value in values if isinstance(value, dict)]))


def _members(data: "Bytes", start: int, depth: int) -> "Iterator[str]":
    """Describe an object: a line for each member, indented."""
    blank = "  " * depth
    for number, member in enumerate(Scanner(data, start).members()):
        if number == _MOST_MEMBERS:
            yield f"{blank}… and more members"
            return
        name = printable(member.name, _SHOWN_VALUE)
        first = data.read(member.start, member.start + 1)
        if first == b"[":
            spans, count = _elements(data, member.start)
            yield f"{blank}{name}: array of {count}, {counted(member.end - member.start, 'byte')}"
            if spans and data.read(spans[0][0], spans[0][0] + 1) == b"{" and depth < _DEEPEST:
                yield f"{blank}  the first:"
                yield from _members(data, spans[0][0], depth + 2)
        elif first == b"{" and depth < _DEEPEST:
            yield f"{blank}{name}: object, {counted(member.end - member.start, 'byte')}"
            yield from _members(data, member.start, depth + 1)
        else:
            yield f"{blank}{name}: {_value(data, member.start, member.end)}"


def _value(data: "Bytes", start: int, end: int) -> str:
    """Show a value as far as there is room for it on a line."""
    shown = printable(
        data.read(start, min(end, start + 4 * _SHOWN_VALUE)).decode("utf-8", "replace"), _SHOWN_VALUE
    )
    return shown if end - start <= _SHOWN_VALUE else f"{shown} ({counted(end - start, 'byte')})"

"""A piece of an item as text within a limit, with a last line that says what was left out and how to go on."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.reading import OpenItem

    Span = tuple[int, int | None]

_FOOTER = 400
"""Bytes that the last line takes at most: it is pure ASCII, and its numbers have 20 digits."""

_CHARACTER = 4
"""Bytes of the longest character."""


class Piece:
    """What is wanted of an item; all of it where nothing is said.

    Args:
        lines: From which line (1 is the first) to which, both included; None for the last.
        tail: The last so many lines.
        span: From which byte (0 is the first) to before which; None for the end.
    """

    __slots__ = ("lines", "span", "tail")

    def __init__(
        self, lines: "Span | None" = None, tail: int | None = None, span: "Span | None" = None
    ) -> None:
        self.lines = lines
        self.tail = tail
        self.span = span

    def of(self, opened: "OpenItem") -> "tuple[int, int]":
        """Return from which byte to before which."""
        size = opened.item.byte_size
        if self.lines is not None:
            return opened.lines(*self.lines)
        if self.tail is not None:
            return opened.tail(self.tail)
        if self.span is not None:
            start, end = self.span
            return min(start, size), size if end is None else min(end, size)
        return 0, size

    @property
    def first_line(self) -> int | None:
        """The number of its first line; None where only the data can tell."""
        if self.lines is not None:
            return self.lines[0]
        return 1 if self.tail is None and self.span is None else None


class Text:
    """What was read.

    Attributes:
        text: The text, with its last line.
        data: The bytes, if they are all that was asked for; else None.
        is_text: Whether all of them are UTF-8.
    """

    __slots__ = ("data", "is_text", "text")

    def __init__(self, text: str, data: bytes | None, *, is_text: bool = True) -> None:
        self.text = text
        self.data = data
        self.is_text = is_text


def parse_lines(text: str) -> "Span":
    """Return the lines that ``A:B``, ``A:`` , ``:B`` or ``A`` names.

    Raises:
        ValueError: It names none.
    """
    first, last = _parse(text, 'lines must be like "5", "10:20" or "100:", the first line is 1')
    if ":" not in text:
        last = first
    if first == 0 and text.startswith(":"):
        first = 1
    if first < 1 or (last is not None and last < first):
        raise ValueError(f'lines must be like "5", "10:20" or "100:", the first line is 1, not {text[:40]!r}')
    return first, last


def parse_range(text: str) -> "Span":
    """Return the bytes that ``A:B``, ``A:`` or ``:B`` names.

    Raises:
        ValueError: It names none.
    """
    wanted = 'bytes must be like "0:4096" or "4096:", the first byte is 0'
    start, end = _parse(text, wanted)
    if ":" not in text or (end is not None and end < start):
        raise ValueError(f"{wanted}, not {text[:40]!r}")
    return start, end


def _parse(text: str, wanted: str) -> "Span":
    from maxstage.sizes import parse_count

    first, _, last = text.strip().partition(":")
    try:
        return parse_count(first) if first else 0, parse_count(last) if last else None
    except ValueError:
        raise ValueError(f"{wanted}, not {text[:40]!r}") from None


def read_piece(opened: "OpenItem", piece: Piece, max_bytes: int, tool: str = "retrieve") -> Text:
    """Read a piece of an item, `max_bytes` of text at most; where more is wanted, whole lines of it if possible.

    Args:
        opened: The item.
        piece: Which piece.
        max_bytes: Bytes of text at most.
        tool: What the tool is called that reads on.

    Raises:
        Corrupt: The item was read whole, and is not what was staged.
    """
    start, end = piece.of(opened)
    end = max(start, end)
    item = opened.item
    room = max_bytes - _FOOTER
    if end - start <= max_bytes:
        data = opened.read(start, end)
        if (start, end) == (0, item.byte_size):
            import zlib

            opened.check_crc(zlib.crc32(data))
        if not data:
            return Text(_nothing(opened, start), data)
        if _is_text(data):
            return Text(data.decode(), data)
        if _decode(data, room) is not None:
            return Text(_with_footer(data, f"{len(data):,} bytes"), data, is_text=False)
    if piece.tail is not None and item.record_count > 0:
        return _end_of(opened, start, end, room, tool)
    return _beginning_of(opened, start, end, room, piece.first_line, tool)


def _nothing(opened: "OpenItem", start: int) -> str:
    item = opened.item
    if item.byte_size == 0:
        return f"[{item.token} is empty]"
    where = "the end" if start >= item.byte_size else f"byte {start:,}"
    return (
        f"[nothing at {where} of {item.token}: it has {item.record_count:,} lines, {item.byte_size:,} bytes]"
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode(data: bytes, most: int) -> str | None:
    """Return data as text; None where it takes more than `most` bytes as such: what is no UTF-8 becomes U+FFFD."""
    text = data.decode("utf-8", "replace")
    return text if len(text.encode()) <= most else None


def _beginning_of(
    opened: "OpenItem", start: int, end: int, room: int, first_line: int | None, tool: str
) -> Text:
    """Return the first bytes of a piece, up to the end of a line if there is one."""
    data = opened.read(start, min(end, start + room))
    data = _fitting(data, room)
    cut = data.rfind(b"\n") + 1
    lines = data.count(b"\n")
    whole_lines = cut > 0 and first_line is not None
    if whole_lines:
        data = data[:cut]
    elif start + len(data) < end:
        data = _whole_characters(data)
    told = []
    if first_line is not None:
        last = first_line + max(lines - 1, 0) if whole_lines else first_line
        told.append(f"lines {first_line:,}-{last:,} of {opened.item.record_count:,}")
    told.append(f"bytes {start:,}-{start + len(data):,} of {opened.item.byte_size:,}")
    token = opened.item.token
    if whole_lines and first_line is not None:
        following = first_line + lines
        go_on = f'next_line: {following}; go on with {tool} token="{token}" lines="{following}:"'
    else:
        following = start + len(data)
        go_on = f'next_byte: {following}; go on with {tool} token="{token}" bytes="{following}:"'
    return Text(_with_footer(data, f"{', '.join(told)}; {go_on}"), None)


def _end_of(opened: "OpenItem", start: int, end: int, room: int, tool: str) -> Text:
    """Return the last bytes of a piece that ends with the item, from the beginning of a line if there is one."""
    data = _fitting(opened.read(max(start, end - room), end), room, from_end=True)
    cut = data.find(b"\n", 0, len(data) - 1) + 1
    item = opened.item
    if cut:
        data = data[cut:]
        count = data.count(b"\n") + (not data.endswith(b"\n"))
        first = item.record_count - count + 1
        told = f"the last {count:,} of {item.record_count:,} lines, from line {first:,}"
        go_back = f'what comes before: {tool} token="{item.token}" lines="A:{first - 1}"'
    else:
        while data and data[0] & 0xC0 == 0x80:  # noqa: PLR2004 - the rest of a character
            data = data[1:]
        at = end - len(data)
        told = f"bytes {at:,}-{end:,} of {item.byte_size:,}"
        go_back = f'what comes before: {tool} token="{item.token}" bytes="A:{at}"'
    return Text(_with_footer(data, f"{told}; {go_back}"), None)


def _fitting(data: bytes, room: int, *, from_end: bool = False) -> bytes:
    """Return as much of the data as takes no more than `room` bytes as text."""
    while _decode(data, room) is None:
        # Each byte that is no UTF-8 takes three.
        keep = max(1, len(data) * 2 // 3) if len(data) > 1 else 0
        data = data[len(data) - keep :] if from_end else data[:keep]
    return data


def _whole_characters(data: bytes) -> bytes:
    """Return data without the beginning of a character at its end; what is no UTF-8 at all stays as it is."""
    for back in range(1, min(_CHARACTER, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:  # noqa: PLR2004 - the first byte of a character
            length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4  # noqa: PLR2004
            return data[:-back] if length > back and len(data) > back else data
    return data


def _with_footer(data: bytes, footer: str) -> str:
    text = data.decode("utf-8", "replace")
    replaced = "" if _is_text(data) else "; bytes that are not UTF-8 are shown as U+FFFD"
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}[{footer}{replaced}]"

"""Messages that come as a stream of events (`text/event-stream`), each of any length."""

from maxstage.mcp.wrap.body import Body, TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA = b"data:"

_LONGEST_FIELD = 1024
"""Bytes of a line that is kept, if it has no data: the id of an event is far shorter."""

_LONGEST_PAUSE = 60.0
"""Seconds that a server may have us wait before we ask again."""


class Events:
    r"""Takes a stream apart.

    Args:
        folder: Where a file for a long message goes; None for the system's own place.

    Attributes:
        last_id: What the stream can be resumed after; None as long as the server has told nothing.
        pause: The seconds after which it may be asked for again; None as long as the server has told nothing.

    >>> events = Events(None)
    >>> [body.read(0, body.size) for body, _ in events.feed(b": hello\ndata: {\r\ndata:}\r\n\r\nid: 5\n\ndata: 1\n\n")]
    [b'{\n}', b'1']
    >>> events.last_id
    b'5'
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._body = Body(folder)
        self._problem: TooLong | None = None
        self._line = b""
        """A line as far as it has come and may matter, if it has no data."""
        self._is_data = False
        self._at_start = False
        """Whether the next byte is the first of a line's data: a blank there is no part of it."""
        self._kind = b""
        self._after_return = False
        """Whether an end of a line was the last that came, and may be half of one."""
        self.last_id: bytes | None = None
        self.pause: float | None = None

    def feed(self, data: bytes) -> "Iterator[tuple[Body, TooLong | None]]":
        """Take bytes; return the messages that they complete, each with why there is only its beginning, if so.

        Each is to be closed by whoever gets it.
        """
        if self._after_return:
            data = data.removeprefix(b"\n")
        self._after_return = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *rest = data.split(b"\n")
        for more in rest:
            self._take(first)
            yield from self._end_line()
            first = more
        self._take(first)

    def begin_again(self) -> None:
        """Forget an event that has no end: the stream has."""
        self._body.close()
        self._body, self._problem = Body(self._folder), None
        self._line = self._kind = b""
        self._is_data = self._at_start = self._after_return = False

    def close(self) -> None:
        """Let go of what has come."""
        self._body.close()

    def _take(self, data: bytes) -> None:
        """Take a part of a line."""
        if not self._is_data:
            begun = self._line + data
            if not begun.startswith(_DATA):
                self._line = begun[:_LONGEST_FIELD]
                return
            if self._body.size:
                self._add(b"\n")
            self._line, data = b"", begun[len(_DATA) :]
            self._is_data = self._at_start = True
        if data and self._at_start:
            data = data.removeprefix(b" ")
            self._at_start = False
        if data:
            self._add(data)

    def _end_line(self) -> "Iterator[tuple[Body, TooLong | None]]":
        line, self._line = self._line, b""
        if self._is_data:
            self._is_data = False
        elif line:
            self._note(line)
        else:
            # The end of an event. What is no message is of no concern here.
            taken, self._body = (self._body, self._problem), Body(self._folder)
            kind, self._kind, self._problem = self._kind, b"", None
            if taken[0].size and kind in {b"", b"message"}:
                yield taken
            else:
                taken[0].close()

    def _note(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._kind = value
        elif name == b"id" and b"\0" not in value:
            self.last_id = value or None
        elif name == b"retry" and value.isdigit():
            self.pause = min(int(value) / 1000, _LONGEST_PAUSE)

    def _add(self, data: bytes) -> None:
        if self._problem is None:
            try:
                self._body.add(data)
            except TooLong as error:
                self._problem = error

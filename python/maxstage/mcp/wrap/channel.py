"""The client at the other end of our stdin and stdout; and messages, one a line, whoever sends them."""

import os
import select
import threading

from maxstage.files import write_all
from maxstage.mcp.wrap.body import Body, TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READ = 256 * 1024
"""Bytes read at a time: a pipe gives no more than it holds."""


class Splitter:
    """Makes messages of what comes, a line each.

    Args:
        folder: Where a file for a long one goes; None for the system's own place.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._body = Body(folder)
        self._problem: TooLong | None = None

    def feed(self, data: bytes) -> "Iterator[tuple[Body, TooLong | None]]":
        """Take bytes; return the messages that they complete, each with why there is only its beginning, if so.

        Each is to be closed by whoever gets it.
        """
        first, *rest = data.split(b"\n")
        for more in rest:
            self._add(first)
            yield self._taken()
            first = more
        self._add(first)

    def finish(self) -> "Iterator[tuple[Body, TooLong | None]]":
        """Return the message that has no end of a line, if there is one."""
        if self._body.size:
            yield self._taken()

    def close(self) -> None:
        """Let go of what has come."""
        self._body.close()

    def _taken(self) -> "tuple[Body, TooLong | None]":
        taken = self._body, self._problem
        self._body, self._problem = Body(self._folder), None
        return taken

    def _add(self, data: bytes) -> None:
        if self._problem is not None:
            return
        try:
            self._body.add(data)
        except TooLong as error:
            self._problem = error


class Out:
    """Where the client reads.

    Attributes:
        is_gone: Whether it does not read any more.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self.is_gone = False

    def write(self, message: "Iterable[bytes]") -> None:
        """Write a message, given bit by bit, and the end of its line. If the client has gone, nobody gets it."""
        with self._lock:
            try:
                last = b""
                for piece in message:
                    # The last piece and the end of the line go together, so that a short message is one write.
                    if last and not self.is_gone:
                        write_all(self._fd, last, "<stdout>")
                    last = piece
                if not self.is_gone:
                    write_all(self._fd, last + b"\n", "<stdout>")
            except OSError as error:
                if error.filename != "<stdout>":
                    raise
                self.is_gone = True

    def has_reader(self) -> bool:
        """Whether somebody still holds the other end."""
        if self.is_gone:
            return False
        poll = select.poll()
        poll.register(self._fd, 0)
        return not any(
            event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0)
        )


class Bell:
    """Wakes a thread that polls."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self.fd, False)

    def ring(self) -> None:
        """Make it readable, for good."""
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # it is full: it rings already

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)
        os.close(self._write)

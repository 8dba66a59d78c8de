"""Messages by stdin and stdout, one a line.

Three kinds of threads: one reads, one writes, and one for each request that takes a while. A client that does not read
what we write must not keep us from noticing that it has gone, so the reader waits for nothing but the client.
"""

import os
import select
import threading
import time
from collections import deque

from maxstage.files import write_all
from maxstage.mcp.calls import Connection
from maxstage.mcp.protocol import INVALID_REQUEST, RpcError, Session
from maxstage.mcp.waiting import Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.mcp.server import Server

LONGEST = 16 * 1024 * 1024
"""Bytes of a message: more text than any model writes. A file is staged by its path."""

_READ = 64 * 1024
"""Bytes read at a time: what a pipe holds."""

_WAITING = 4 * 1024 * 1024
"""Bytes of answers that wait for a client to read them; until it does, nothing more is answered."""

_TICK = 0.2
"""Seconds between two looks whether a client that does not read is still there."""

_GRACE = 0.5
"""Seconds that a client which has asked, and closed its end at once, has its answers come: a script does so. Clients
that leave wait two seconds for us, as a rule."""

_PATIENCE = 5.0
"""Seconds for what runs to end, once the client has gone: commands get SIGTERM, and 2 s later SIGKILL."""

_TOO_LONG = RpcError(
    INVALID_REQUEST, f"Invalid Request: a message may have {LONGEST:,} bytes; stage a file by its path"
)


def serve(server: "Server", stdin: int = 0, stdout: int = 1) -> None:
    """Answer messages until there are no more.

    Raises:
        BaseException: What a handler of signals raises ends it; what was begun is undone first.
    """
    with Waiting(stdin) as waiting:
        out = _Out(stdin, stdout)
        connection = Connection(server, Session(), out.send)
        try:
            for line in _Lines(stdin, out, waiting):
                if line is None:
                    connection.refuse(_TOO_LONG)
                elif line.strip():
                    connection.receive(line)
            if not out.is_gone:
                connection.wait(_GRACE, waiting.signal_came)
        finally:
            connection.close(_PATIENCE, waiting.signal_came)
            out.close()


class _Lines:
    """The lines that come; None for one that is too long. Ends where the input does, or the client has gone."""

    def __init__(self, stdin: int, out: "_Out", waiting: Waiting) -> None:
        self._stdin = stdin
        self._out = out
        self._waiting = waiting
        self._begun = bytearray()
        self._is_skipping = False
        self._ready: deque[bytes | None] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> bytes | None:
        while not self._ready:
            if self._out.is_gone or not self._out.wait_for_room(self._waiting):
                raise StopIteration
            self._read()
        return self._ready.popleft()

    def _read(self) -> None:
        if not self._waiting.wait():
            return
        try:
            data = os.read(self._stdin, _READ)
        except BlockingIOError:
            return  # somebody else has read it
        if not data:
            # The last line may have no end.
            if not self._begun and not self._is_skipping:
                raise StopIteration
            self._finish_line()
            return
        first, *rest = data.split(b"\n")
        for more in rest:
            self._add(first)
            self._finish_line()
            first = more
        self._add(first)

    def _finish_line(self) -> None:
        self._ready.append(None if self._is_skipping else bytes(self._begun))
        self._begun.clear()
        self._is_skipping = False

    def _add(self, part: bytes) -> None:
        if len(self._begun) + len(part) > LONGEST:
            self._is_skipping = True
            self._begun.clear()
        elif not self._is_skipping:
            self._begun += part


class _Out:
    """What is written: a thread writes, the others only wait where there is too much of it.

    Attributes:
        is_gone: Whether nobody reads any more.
    """

    def __init__(self, stdin: int, stdout: int) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self.is_gone = False
        self._reader = threading.get_ident()
        threading.Thread(target=self._write, daemon=True).start()

    def send(self, message: bytes) -> None:
        """Take a message; wait while too many are unread, unless it is the reader who calls."""
        with self._changed:
            if threading.get_ident() != self._reader:
                self._changed.wait_for(lambda: self._size < _WAITING or self._is_over)
            if self._is_over:
                return
            self._waiting.append(message)
            self._size += len(message)
            self._changed.notify_all()

    @property
    def _is_over(self) -> bool:
        return self.is_gone or self._is_closed

    def wait_for_room(self, waiting: Waiting) -> bool:
        """Wait, as the reader, until the client has read enough; return false if it has gone instead.

        Raises:
            BaseException: What a signal's handler raises.
        """
        while self._is_full():
            waiting.handle_signals()
            with self._changed:
                self._changed.wait(_TICK)
            poll = select.poll()
            poll.register(self._stdin, 0)
            if self._is_full() and poll.poll(0):
                return False
        return True

    def _is_full(self) -> bool:
        with self._changed:
            return self._size >= _WAITING and not self.is_gone

    def close(self) -> None:
        """Wait for what is left to be written, though not for long: nobody may read it."""
        deadline = time.monotonic() + 1
        with self._changed:
            self._changed.wait_for(lambda: not self._size or self.is_gone, deadline - time.monotonic())
            self._is_closed = True
            self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
                if not self._waiting or self.is_gone:
                    return
                message = self._waiting.popleft()
            try:
                write_all(self._stdout, message + b"\n", "<stdout>")
            except OSError:
                self._end()
                return
            with self._changed:
                self._size -= len(message)
                self._changed.notify_all()

    def _end(self) -> None:
        """Note that nobody reads; the reader, who may wait for a message, learns of it when one comes."""
        with self._changed:
            self.is_gone = True
            self._changed.notify_all()

"""Messages by stdin and stdout, one a line.

Three kinds of threads: one reads, one writes, and one for each request that takes a while. A client that does not read
what we write must not keep us from noticing that it has gone, so the reader waits for nothing but the client.
"""

# The C module behind `signal`, whose own import makes enums of all signals.
import _signal  # type: ignore[import-not-found]
import os
import select
import threading
import time
from collections import deque

from maxstage.files import write_all
from maxstage.mcp.calls import Connection
from maxstage.mcp.protocol import INVALID_REQUEST, RpcError, Session

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


def serve(server: "Server", stdin: int = 0, stdout: int = 1) -> None:
    """Answer messages until there are no more.

    Raises:
        BaseException: What a handler of signals raises ends it; what was begun is undone first.
    """
    out = _Out(stdin, stdout)
    connection = Connection(server, Session(), out.send)
    alarm = _Alarm()
    try:
        for line in _Lines(stdin, out, alarm):
            if line is None:
                connection.refuse(
                    RpcError(
                        INVALID_REQUEST,
                        f"Invalid Request: a message may have {LONGEST:,} bytes; stage a file by its path",
                    )
                )
            elif line.strip():
                connection.receive(line)
        if not out.is_gone:
            connection.wait(_GRACE)
    finally:
        connection.close(_PATIENCE)
        out.close()
        alarm.close()


class _Alarm:
    """A pipe that becomes readable when a signal comes.

    One that comes right before a read, or to another thread, would not interrupt it: its handler would run, in this
    thread, once the client says something.
    """

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self._before = _signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def clear(self) -> None:
        """Take note of the signals: their handlers run after this."""
        try:
            os.read(self.fd, _READ)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Put all back as it was."""
        _signal.set_wakeup_fd(self._before)
        os.close(self.fd)
        os.close(self._write)


class _Lines:
    """The lines that come; None for one that is too long. Ends where the input does, or the client has gone."""

    def __init__(self, stdin: int, out: "_Out", alarm: _Alarm) -> None:
        self._stdin = stdin
        self._out = out
        self._alarm = alarm
        self._waiting = select.poll()
        self._waiting.register(stdin, select.POLLIN)
        self._waiting.register(alarm.fd, select.POLLIN)
        self._begun = bytearray()
        self._is_skipping = False
        self._ready: deque[bytes | None] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> bytes | None:
        while not self._ready:
            if self._out.is_gone or not self._out.wait_for_room():
                raise StopIteration
            self._read()
        return self._ready.popleft()

    def _read(self) -> None:
        ready = [fd for fd, _ in self._waiting.poll()]
        if self._alarm.fd in ready:
            self._alarm.clear()
        if self._stdin not in ready:
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

    def wait_for_room(self) -> bool:
        """Wait, as the reader, until the client has read enough; false where it has gone instead."""
        with self._changed:
            while self._size >= _WAITING and not self.is_gone:
                self._changed.wait(_TICK)
                poll = select.poll()
                poll.register(self._stdin, 0)
                if self._size >= _WAITING and poll.poll(0):
                    return False
        return True

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

"""Capturing the output of a process; the rules are told in ``rust/src/capture.rs``."""

import enum
import select
import time

from maxstage._pure import descriptor
from maxstage._pure.plain import Plain
from maxstage._pure.truncation import Truncator, check_limit
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage._pure.copy import Writer
    from maxstage._pure.redact import RedactionRules, Redactor
    from maxstage._pure.truncation import Truncated


_NOT_YET, _WRITER, _NEVER = range(3)


class StreamLimits:
    """What may be held of one stream. See the stub of the compiled module."""

    def __init__(
        self, strategy: str, max_bytes: int, max_lines: int, keep_above: int | None, /, *, plain: bool = False
    ) -> None:
        check_limit(strategy, max_bytes, max_lines)
        self.strategy = strategy
        self.max_bytes = max_bytes
        self.max_lines = max_lines
        self.keep_above = keep_above
        self.plain = plain


class Event(enum.IntEnum):
    """Why `Capture.pump` came back. See the stub of the compiled module."""

    END = 0
    KEEP_STDOUT = 1
    KEEP_STDERR = 2
    EXITED = 3
    TIMEOUT = 4
    DATA = 5


class _Stream:
    """One of the two streams."""

    def __init__(self, fd: int, limits: StreamLimits, live: int) -> None:
        self.fd = fd
        self.open = fd >= 0
        self.max_bytes = limits.max_bytes
        self.truncator = Truncator(limits.strategy, limits.max_bytes, limits.max_lines)
        self.keep_above = limits.keep_above
        self.keeping = _NEVER if limits.keep_above is None else _NOT_YET
        self.pending = bytearray()
        self.writer: Writer | None = None
        self.size = 0
        self.plain = Plain() if limits.plain else None
        self.begun = bytearray()
        self.live = live
        self.ended = False
        # What masks secrets: whatever becomes of them, and then in what is shown alone.
        self.mask_everywhere: Redactor | None = None
        self.mask_shown: Redactor | None = None

    def take(self, data: bytes) -> None:
        """Take in what was read. Nothing of it is lost where the writer fails."""
        self.size += len(data)
        self._put(data if self.mask_everywhere is None else self.mask_everywhere.feed(data))

    def end(self) -> None:
        """Take in what is held back: nothing follows it. Nothing of it is lost where the writer fails."""
        self.ended = True
        try:
            self._put(b"" if self.mask_everywhere is None else self.mask_everywhere.finish())
        finally:
            if self.plain is not None:
                self._mask_and_show(self.plain.finish())
            if self.mask_shown is not None:
                self._show(self.mask_shown.finish())

    def _show(self, data: bytes) -> None:
        self.begun += data[: max(0, self.live - len(self.begun))]
        self.truncator.feed(data)

    def _mask_and_show(self, data: bytes) -> None:
        self._show(data if self.mask_shown is None else self.mask_shown.feed(data))

    def _put(self, data: bytes) -> None:
        # Sequences of a terminal go first: one may stand amid a secret.
        self._mask_and_show(data if self.plain is None else self.plain.feed(data))
        if self.keeping == _NOT_YET:
            self.pending += data
        elif self.writer is not None:
            self.writer.write(data)

    def must_be_kept(self) -> bool:
        if self.keeping != _NOT_YET or self.keep_above is None:
            return False
        held = 0 if self.plain is None else self.plain.held
        shown = self.truncator.size + held
        return self.size > self.keep_above or shown > self.max_bytes or self.truncator.is_over


class Capture:
    """Captures the output of one process. See the stub of the compiled module."""

    def __init__(
        self,
        stdout: int,
        stderr: int,
        exit_fd: int,
        stdout_limits: StreamLimits,
        stderr_limits: StreamLimits,
        max_combined: int,
        /,
        *,
        live: int = 0,
    ) -> None:
        self._streams = [_Stream(stdout, stdout_limits, live), _Stream(stderr, stderr_limits, live)]
        self._max_combined = max_combined
        self._exit_fd = exit_fd
        self._poll = select.poll()
        for fd in (stdout, stderr, exit_fd):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        descriptor.widen_pipe(stdout)

    def mask(
        self, literals: "Sequence[bytes]", rules: "RedactionRules | None", /, *, everywhere: bool
    ) -> None:
        """Mask secrets in what is read from now on."""
        from maxstage._pure.redact import Redactor

        of_all, of_shown = (rules, None) if everywhere else (None, rules)
        for stream in self._streams:
            if literals or of_all is not None:
                stream.mask_everywhere = Redactor(literals, of_all)
            if stream.plain is not None:
                stream.mask_shown = Redactor(literals, rules)
            elif of_shown is not None:
                stream.mask_shown = Redactor([], of_shown)

    def close(self) -> None:
        """Note that no more is read; what was held back comes with the next `pump`."""
        for stream in self._streams:
            if stream.open:
                self._close(stream)

    def _close(self, stream: _Stream) -> None:
        stream.open = False
        self._poll.unregister(stream.fd)

    def pump(self, timeout_ms: int, /) -> Event:
        """Read until something happens, at most `timeout_ms` milliseconds; tell what."""
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            for stream in self._streams:
                if not (stream.open or stream.ended):
                    with Deferred():
                        stream.end()
            for number, event in enumerate((Event.KEEP_STDOUT, Event.KEEP_STDERR)):
                if self._is_to_be_kept(number):
                    return event
            if not any(stream.open for stream in self._streams):
                return Event.END
            left = max(0, deadline - time.monotonic())
            ready = {fd for fd, _ in self._poll.poll(left * 1000)}
            # What was read must reach the writer: an item with a hole in it would be published else.
            with Deferred():
                data = [
                    self._read_once(stream) for stream in self._streams if stream.open and stream.fd in ready
                ]
            if any(data):
                return Event.DATA
            if self._exit_fd in ready:
                self._poll.unregister(self._exit_fd)
                return Event.EXITED
            if time.monotonic() >= deadline:
                return Event.TIMEOUT

    def _read_once(self, stream: _Stream) -> bool:
        """Read a chunk; return whether a live follower must be told."""
        data = descriptor.read(stream.fd, descriptor.CHUNK, "<output of the command>")
        if not data:
            self._close(stream)
            return False
        before = len(stream.begun)
        stream.take(data)
        return before < len(stream.begun)

    def _is_to_be_kept(self, number: int) -> bool:
        stream = self._streams[number]
        if stream.must_be_kept():
            return True
        kept = sum(min(stream.size, stream.max_bytes) for stream in self._streams)
        return kept > self._max_combined and stream.keeping == _NOT_YET and stream.size > 0

    def keep(self, stream: int, writer: "Writer", /) -> None:
        """Give a stream a writer: it gets all of it from the first byte."""
        kept = self._stream(stream)
        kept.keeping = _WRITER
        kept.writer = writer
        with Deferred():
            pending, kept.pending = bytes(kept.pending), bytearray()
            writer.write(pending)

    def never_keep(self, stream: int, /) -> None:
        """Note that a stream won't be kept whole."""
        kept = self._stream(stream)
        kept.keeping = _NEVER
        kept.writer = None
        kept.pending = bytearray()

    def render(self, stream: int, max_bytes: int, hint: str | None = None, /) -> "Truncated":
        """Return the text of a stream so far, cut to `max_bytes`."""
        return self._stream(stream).truncator.render(max_bytes, hint)

    def size(self, stream: int, /) -> int:
        """Return the bytes of a stream so far, as they came."""
        return self._stream(stream).size

    def redacted(self, stream: int, /, *, kept: bool = False) -> dict[str, int]:
        """Return how much of a stream was masked, by name."""
        of = self._stream(stream)
        counts: dict[str, int] = {}
        for mask in (of.mask_everywhere, None if kept else of.mask_shown):
            for name, count in ({} if mask is None else mask.counts).items():
                counts[name] = counts.get(name, 0) + count
        return dict(sorted(counts.items()))

    def take(self, stream: int, /) -> bytes:
        """Return the bytes of a stream that have come since the last call, as they are shown."""
        of = self._stream(stream)
        taken, of.begun = bytes(of.begun), bytearray()
        return taken

    def head(self, stream: int, start: int, end: int, /) -> bytes:
        """Return the first bytes of a stream, from `start` to before `end`, as far as they have come."""
        return bytes(self._stream(stream).begun[start:end])

    def _stream(self, stream: int) -> _Stream:
        if stream not in (0, 1):
            raise ValueError("a stream is 0 or 1")
        return self._streams[stream]

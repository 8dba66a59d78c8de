"""Progress of long operations, on stderr, if that is a terminal."""

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE = 0.5
"""Seconds before anything is shown: most operations are finished by then."""
_EVERY = 0.1
"""Seconds between two updates: faster ones would only flicker."""
_WIDTH = 24


class Progress:
    """A bar if the size is known, else the amount so far. Called with what was done since the last call.

    Args:
        verb: What is done.
        total: How much there is to do.
        noun: What is counted; None for bytes.
    """

    def __init__(self, verb: str, total: int | None = None, noun: str | None = None) -> None:
        self._verb = verb
        self._noun = noun
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._next = self._started + _PATIENCE
        self._shown = False
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, count: int) -> None:
        """Add `count` to what is done."""
        self._done += count
        now = time.monotonic()
        if self._terminal and now >= self._next:
            self._next = now + _EVERY
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{self._line(now)}")
            sys.stderr.flush()

    def _line(self, now: float) -> str:
        from maxstage.humanize import format_size

        rate = int(self._done / max(now - self._started, _EVERY))
        if self._noun is None:
            line = f"{self._verb} {format_size(self._done)}, {format_size(rate)}/s"
        else:
            line = f"{self._verb} {self._done:,} of {self._total or 0:,} {self._noun}, {rate:,}/s"
        if not self._total:
            return line
        share = min(1.0, self._done / self._total)
        filled = int(share * _WIDTH)
        return f"{line} [{'#' * filled}{'-' * (_WIDTH - filled)}] {share:.0%}"

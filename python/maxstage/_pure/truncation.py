"""Truncates text to a limit. ``rust/src/truncate.rs`` documents the rules."""

from maxstage._pure.lines import CHARACTER, cut_head, cut_tail
from maxstage._pure.summary import Summary
from maxstage.humanize import counted

STRATEGIES = ("head", "tail", "both", "head_lines", "tail_lines", "summary")


class Truncated:
    """A text after truncation, cut or short enough. The stub of the compiled module describes it."""

    __slots__ = ("content", "dropped_bytes", "dropped_lines", "original_size", "truncated")

    def __init__(
        self,
        content: bytes,
        original_size: int,
        *,
        truncated: bool,
        dropped_bytes: int = 0,
        dropped_lines: int = 0,
    ) -> None:
        self.content = content
        self.original_size = original_size
        self.truncated = truncated
        self.dropped_bytes = dropped_bytes
        self.dropped_lines = dropped_lines


def truncate(
    data: bytes, strategy: str, max_bytes: int, max_lines: int, hint: str | None = None, /
) -> Truncated:
    """Truncate a text that is in memory."""
    check_limit(strategy, max_bytes, max_lines)
    if strategy == "summary" and len(data) > max_bytes:
        truncator = Truncator(strategy, max_bytes, max_lines)
        truncator.feed(data)
        return truncator.render(max_bytes, hint)
    if len(data) <= max_bytes and not strategy.endswith("_lines"):
        return Truncated(data, len(data), truncated=False)
    lines = data.count(b"\n") + (data[-1:] not in (b"", b"\n"))
    return truncate_ends(data, data, len(data), lines, strategy, max_bytes, max_lines, hint)


def truncate_ends(
    head: bytes,
    tail: bytes,
    size: int,
    lines: int,
    strategy: str,
    max_bytes: int,
    max_lines: int,
    hint: str | None = None,
    /,
) -> Truncated:
    """Truncate a text whose two ends are known; not for ``summary``."""
    check_limit(strategy, max_bytes, max_lines)
    if strategy == "summary":
        raise ValueError("a summary needs all of the text")
    if size <= max_bytes and (not strategy.endswith("_lines") or lines <= max(1, max_lines)):
        return Truncated(head if len(head) == size else tail, size, truncated=False)
    room = max(0, max_bytes - reserve(size, lines, hint))
    budget = room or max_bytes
    from_head = from_tail = 0
    if strategy == "head":
        from_head = cut_head(head, budget)
    elif strategy == "tail":
        from_tail = cut_tail(tail, budget)
    elif strategy == "both":
        from_head = cut_head(head, budget // 2)
        from_tail = cut_tail(tail, budget - budget // 2)
    elif strategy == "head_lines":
        from_head = _cut_head_lines(head, budget, max_lines)
    else:
        from_tail = _cut_tail_lines(tail, budget, max_lines)
    kept_head, kept_tail = head[:from_head], tail[len(tail) - from_tail :]
    dropped_bytes = size - from_head - from_tail
    dropped_lines = lines - kept_head.count(b"\n") - line_count(kept_tail)
    text = marker(dropped_bytes, dropped_lines, hint) if room else ""
    content = join(kept_head, text, kept_tail)
    return Truncated(content, size, truncated=True, dropped_bytes=dropped_bytes, dropped_lines=dropped_lines)


def check_limit(strategy: str, max_bytes: int, max_lines: int) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"'{strategy}' is not a strategy; use one of: {', '.join(STRATEGIES)}")
    if max_bytes < 0 or max_lines < 0:
        raise OverflowError("can't convert negative int to unsigned")


def line_count(text: bytes) -> int:
    """Return how many lines `text` has, including an unterminated last one."""
    return text.count(b"\n") + (text[-1:] not in (b"", b"\n"))


def join(head: bytes, text: str, tail: bytes) -> bytes:
    """Return head, marker and tail, with the marker on its own line; it is empty if there is no room for it."""
    if not text:
        return head + tail
    newline = b"\n" if head and not head.endswith(b"\n") else b""
    return b"".join((head, newline, text.encode(), b"\n", tail))


def reserve(size: int, lines: int, hint: str | None) -> int:
    """Return the bytes to reserve for the marker and the newlines around it: no marker for this text is longer."""
    return len(marker(size, max(lines, 2), hint).encode()) + 2


def marker(dropped_bytes: int, dropped_lines: int, hint: str | None) -> str:
    """Return the marker."""
    lines = f" ({counted(dropped_lines, 'line')})" if dropped_lines else ""
    tail = "" if hint is None else f"; whole output: {hint}"
    return f"--- [{counted(dropped_bytes, 'byte')}{lines} truncated{tail}] ---"


def _cut_head_lines(text: bytes, budget: int, most: int) -> int:
    region = text[:budget]
    most = max(most, 1)
    if most <= region.count(b"\n"):
        at = 0
        for _ in range(most):
            at = region.index(b"\n", at) + 1
        return at
    return region.rfind(b"\n") + 1 or cut_head(text, budget)


def _cut_tail_lines(text: bytes, budget: int, most: int) -> int:
    start = max(0, len(text) - budget)
    region = text[start:]
    # A newline at the very end ends the last line; it does not begin another.
    inner = region[:-1]
    skip = max(most, 1)
    newlines = inner.count(b"\n")
    if newlines >= skip:
        at = -1
        for _ in range(newlines - skip + 1):
            at = inner.index(b"\n", at + 1)
        return len(region) - at - 1
    if start == 0 or text[start - 1 : start] == b"\n":
        return len(region)
    at = inner.find(b"\n")
    return cut_tail(text, budget) if at < 0 else len(region) - at - 1


class Truncator:
    """Truncates a streamed text, holding no more than about three times the limit, and some MiB."""

    def __init__(self, strategy: str, max_bytes: int, max_lines: int, /) -> None:
        check_limit(strategy, max_bytes, max_lines)
        self._strategy = strategy
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._capacity = max_bytes + CHARACTER
        self._head = bytearray() if strategy in ("head", "both", "head_lines", "summary") else None
        self._tail = bytearray() if strategy in ("tail", "both", "tail_lines", "summary") else None
        self._summary = Summary(max_bytes) if strategy == "summary" else None
        self._newlines = 0
        self._last = b""
        self.size = 0

    def feed(self, data: bytes, /) -> None:
        """Take the next part of the text."""
        self.size += len(data)
        self._newlines += data.count(b"\n")
        self._last = data[-1:] or self._last
        if self._head is not None:
            self._head += data[: self._capacity - len(self._head)]
        if self._tail is not None:
            self._tail += data[-self._capacity :]
            if len(self._tail) > 2 * self._capacity:
                del self._tail[: -self._capacity]
        if self._summary is not None:
            self._summary.feed(data)

    @property
    def _lines(self) -> int:
        return self._newlines + (self._last not in (b"", b"\n"))

    @property
    def is_over(self) -> bool:
        """Whether `render` will drop something."""
        by_lines = self._strategy.endswith("_lines")
        return self.size > self._max_bytes or (by_lines and self._lines > max(1, self._max_lines))

    def render(self, max_bytes: int, hint: str | None = None, /) -> Truncated:
        """Return the text so far, cut to `max_bytes`, which is at most the truncator's own."""
        max_bytes = min(max_bytes, self._max_bytes)
        head, tail = bytes(self._head or b""), bytes((self._tail or b"")[-self._capacity :])
        if self._summary is None:
            limits = (self._strategy, max_bytes, self._max_lines, hint)
            return truncate_ends(head, tail, self.size, self._lines, *limits)
        if self.size <= max_bytes:
            return Truncated(head, self.size, truncated=False)
        return self._render_summary(self._summary, head, tail, max_bytes, hint)

    def _render_summary(
        self, summary: Summary, head: bytes, tail: bytes, max_bytes: int, hint: str | None
    ) -> Truncated:
        size, lines = self.size, self._lines
        room = max(0, max_bytes - reserve(size, lines, hint))
        parts = summary.parts(head, tail, lines, room or max_bytes)
        dropped_bytes, dropped_lines = size - parts.shown_bytes, lines - parts.shown_lines
        text = marker(dropped_bytes, dropped_lines, hint) if room else ""
        content = join(parts.first, text, parts.last)
        return Truncated(
            content, size, truncated=True, dropped_bytes=dropped_bytes, dropped_lines=dropped_lines
        )

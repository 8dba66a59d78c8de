"""The lines that may be shown, within a bound; the rules are told in ``rust/src/summary/pool.rs``."""

import heapq
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple[int, int]
    """The number of a line, and which of the things that it showed one after the other."""


class Candidate(NamedTuple):
    """A line that may be shown.

    Attributes:
        score: How much it matters.
        text: The line, clipped around what matters.
        at: Where that is.
        stands: Whether this is what a terminal shows of the line at the end.
        whole: Whether it is all of that.
        template: What it has in common with lines of its sort, where these are counted.
        brief: What to show where not all of it fits, if that is not just a clip.
    """

    score: int
    text: bytes
    at: int
    stands: bool
    whole: bool
    template: bytes | None
    brief: bytes | None

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return len(self.text) + len(self.brief or b"")


class Pool:
    """Keeps the candidates that matter most."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._bytes = 0
        # What is dropped first comes first: the lowest score, of these the last line.
        self._order: list[tuple[int, int, int]] = []
        self.lines: dict[Key, Candidate] = {}

    def offer(self, key: "Key", candidate: Candidate) -> None:
        """Take a candidate in; of two of the same line, the one that matters more."""
        known = self.lines.get(key)
        if known is not None:
            if candidate.score <= known.score:
                return
            self._bytes -= known.size
        self.lines[key] = candidate
        self._bytes += candidate.size
        heapq.heappush(self._order, (candidate.score, -key[0], -key[1]))
        while self._bytes > self._bound:
            score, number, part = heapq.heappop(self._order)
            worst = self.lines.get((-number, -part))
            # One that was replaced by a better one is still in the order.
            if worst is not None and worst.score == score:
                del self.lines[-number, -part]
                self._bytes -= worst.size

    def copy(self) -> "Pool":
        """Return one that goes its own way."""
        other = Pool(self._bound)
        other._bytes, other._order, other.lines = self._bytes, list(self._order), dict(self.lines)
        return other

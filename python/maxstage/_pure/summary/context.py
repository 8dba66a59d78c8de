"""The lines around an error; the rules are told in ``rust/src/summary/context.rs``."""

from maxstage._pure.summary.rating import (
    begins_with_time,
    has_place,
    is_detail,
    is_fine,
    is_library,
    starts_entry,
)

BEFORE = 12
AFTER = 40
SEEN = 8
ENTRIES = 2
NEAR = 6
"""Lines from an error up to which one that names no place may follow a blank line."""


def before(score: int, distance: int, line: bytes) -> int:
    """Return how much a line matters that stands `distance` lines before an error."""
    low = line.lower()
    if is_fine(low):
        return 0
    if starts_entry(line) or begins_with_time(line):
        return score * 15 // (100 * distance) if distance <= 2 else 0  # noqa: PLR2004
    if has_place(low):
        return score * (30 if is_library(low) else 75) // (90 + 10 * distance)
    if distance <= 2:  # noqa: PLR2004
        return score * 45 // (100 * distance)
    return score * 45 // (90 + 10 * distance) if is_detail(low) else 0


class Trail:
    """Follows the lines after an error as long as they belong to it."""

    def __init__(self, score: int, first_place: int) -> None:
        self._score = score
        self._first_place = first_place
        self._distance = self._blanks = self._places = self._libraries = 0
        self._seen: tuple[bytes, ...] = ()
        self.is_over = False

    def follow(self, line: bytes) -> int:
        """Return how much the next line matters."""
        self._distance += 1
        self.is_over = self._distance >= AFTER
        if not line.strip(b" \t"):
            self._blanks += 1
            return 0
        low = line.lower()
        if starts_entry(line) or is_fine(low):
            self.is_over = True
            return 0
        if begins_with_time(line):
            self.is_over = self._distance >= ENTRIES
            return self._score * 30 // (60 + 60 * self._distance)
        return self._place(low) if has_place(low) else self._other(line, low)

    def _other(self, line: bytes, low: bytes) -> int:
        if self._blanks and self._distance > NEAR and line[0] not in b" \t":
            self.is_over = True
            return 0
        if is_detail(low):
            return self._score * 75 // (95 + 5 * self._distance + 30 * self._blanks)
        return self._score * 60 // (80 + 20 * self._distance + 60 * self._blanks)

    def _place(self, low: bytes) -> int:
        if low in self._seen:
            # One function calls itself: the same frames, over and over.
            return self._score // 16
        self._seen = (*self._seen, low)[-SEEN:]
        if is_library(low):
            self._libraries += 1
            return self._first_place * 40 // (100 + 15 * self._libraries)
        self._places += 1
        worth = self._first_place if self._places == 1 else self._score
        return worth * 92 // (96 + 4 * self._places)

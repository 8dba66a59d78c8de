"""A part of the text, as lines; the rules are told in ``rust/src/summary/block.rs``."""

from functools import cached_property
from typing import NamedTuple

from maxstage._pure.summary.rating import kinds_of
from maxstage._pure.summary.terminal import PIECE, plain, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._pure.summary.pool import Key

CARRIED = 12
"""Lines of the block before that are still known."""


class Row(NamedTuple):
    """A line, or a part of one.

    Attributes:
        key: The number of the line, and which of the things that it showed one after the other.
        text: What it says.
        stands: Whether this is what a terminal shows of the line at the end.
        whole: Whether it is all of that.
    """

    key: "Key"
    text: bytes
    stands: bool
    whole: bool


class Block:
    """Lines that were fed, and those right before them."""

    def __init__(self, data: bytes, number: int, part: int, before: list[bytes], *, is_last: bool) -> None:
        self.text = plain(data)
        self.ended = self.text.count(b"\n")
        """How many of the lines are complete: those that a newline ends, and the last of the text."""
        self._has_rest = not self.text.endswith(b"\n") and self.text != b""
        if is_last and self._has_rest:
            self.ended += 1
            self._has_rest = False
        self.number = number
        self._part = part
        self._before = before

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines; most blocks are never asked for them."""
        lines = self.text.split(b"\n")
        return lines if lines[-1] else lines[:-1]

    @cached_property
    def is_plain(self) -> bool:
        """Whether each line is one part."""
        return b"\r" not in self.text and max(map(len, self.lines), default=0) <= PIECE

    @cached_property
    def kinds(self) -> list[bytes]:
        """The kinds of the lines."""
        return kinds_of(self.text).split(b"\n")[: len(self.lines)]

    def first_part(self, index: int) -> int:
        """Return which part of its line a line of the block begins with: the first may have begun before it."""
        return 0 if index else self._part

    def row(self, index: int) -> Row:
        """Return what stands there of a complete line."""
        return _standing(self.lines[index], self.number + index, self.first_part(index))

    def row_before(self, index: int, back: int) -> Row | None:
        """Return the same of the line `back` lines before, if it is still known."""
        place = index - back
        if place >= 0:
            return self.row(place)
        if place < -len(self._before):
            return None
        return _standing(self._before[place], self.number + place, 0)

    def parts(self, index: int) -> list[Row]:
        """Return all that a line showed."""
        parts, stands, whole = units(self.lines[index])
        first, ended = self.first_part(index), index < self.ended
        return [
            Row(
                (self.number + index, first + at),
                part,
                ended and at == stands,
                whole and ended and at == stands,
            )
            for at, part in enumerate(parts)
        ]

    def next(self) -> tuple[int, int, list[bytes]]:
        """Return number, part and lines before of the block that follows."""
        # One more than are carried, and what ends them all.
        *ended, rest = self.text.rsplit(b"\n", CARRIED + 1)
        before = [*self._before, *(ended[1:] if len(ended) > CARRIED else ended)][-CARRIED:]
        part = self.first_part(self.ended) + len(units(rest)[0]) if self._has_rest else 0
        return self.number + self.ended, part, before


def _standing(line: bytes, number: int, first_part: int) -> Row:
    parts, stands, whole = units(line)
    return Row((number, first_part + stands), parts[stands], stands=True, whole=whole)

"""Filling the room with what matters most; the rules are told in ``rust/src/summary/layout.rs``."""

from itertools import pairwise

from maxstage._pure.summary.terminal import GAP, clip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._pure.summary.pool import Candidate, Key

SHORTEST, LONGEST, SHARE, SHARE_OF_ERRORS = 160, 500, 8, 4
CERTAIN = 880
"""What matters as much is an error, the first of its sort."""
ATTEMPTS = 8
ENOUGH = 16

Points = tuple[tuple[int, int], ...]
FIRST: Points = ((0, 800), (20, 420), (60, 260), (150, 120), (1000, 30))
LAST: Points = ((0, 960), (30, 900), (120, 620), (250, 420), (500, 170), (1000, 60))


def worth_at(points: Points, at: int) -> int:
    """Return how much a line matters for standing `at` thousandths of the room from an end of the text."""
    for (left, high), (right, low) in pairwise(points):
        if at <= right:
            return high - (high - low) * (at - left) // (right - left)
    return 0


class Line:
    """A line as it would be shown."""

    __slots__ = ("cost", "key", "shown", "stands", "template", "text", "whole")

    def __init__(self, key: "Key", candidate: "Candidate", most: int, times: int) -> None:
        self.key = key
        text, at = candidate.text, candidate.at
        is_brief = candidate.brief is not None and (len(text) > most or not candidate.whole)
        if candidate.brief is not None and is_brief:
            text, at = candidate.brief, 0
        self.text, _, self.shown = clip(text, at, most)
        self.stands = candidate.stands
        self.whole = candidate.whole and not is_brief and self.shown == len(text)
        if is_brief:
            self.shown -= len(GAP) * self.text[: self.shown].count(GAP)
        self.template = candidate.template
        self.cost = len(_numbered(key[0], times, self.text))


class Layout:
    """The chosen lines, where they stand."""

    def __init__(self, chosen: list[Line], counts: dict[bytes, int], lines: int) -> None:
        self.chosen = sorted(chosen, key=lambda line: line.key)
        self._counts = counts
        first, last = self._ends(lines)
        self.first = b"".join(line.text + b"\n" for line in self.chosen[:first])
        self.found = self._found(first, last)
        self.last = b"".join(line.text + b"\n" for line in self.chosen[last:])

    def __len__(self) -> int:
        return len(self.first) + len(self.found) + len(self.last)

    def _ends(self, lines: int) -> tuple[int, int]:
        """Return how many lines stand at the beginning without a gap, and where those at the end begin."""
        first, last = 0, len(self.chosen)
        while first < last and self.chosen[first].key[0] == first + 1 and self.chosen[first].stands:
            first += 1
        number = lines
        while last > first and self.chosen[last - 1].key[0] == number and self.chosen[last - 1].stands:
            last -= 1
            number -= 1
        return first, last

    def _found(self, first: int, last: int) -> bytes:
        shown: dict[bytes | None, int] = {}
        for line in self.chosen:
            shown[line.template] = shown.get(line.template, 0) + 1
        found = []
        for line in self.chosen[first:last]:
            times = 0 if line.template is None else self._counts.get(line.template, 0)
            found.append(_numbered(line.key[0], times if times > shown[line.template] else 0, line.text))
            # Said once of each.
            shown[line.template] = max(times, shown[line.template])
        return b"".join(found)


def _numbered(number: int, times: int, text: bytes) -> bytes:
    if times > 1:
        return f"{number} ×{times}: ".encode() + text + b"\n"
    return b"%d: %s\n" % (number, text)


def fill(candidates: "dict[Key, Candidate]", counts: dict[bytes, int], lines: int, room: int) -> Layout:
    """Choose what matters most of what fits."""
    most = max(SHORTEST, min(LONGEST, room // SHARE))
    wide = max(SHORTEST, min(LONGEST, room // SHARE_OF_ERRORS))

    def times_of(key: "Key") -> int:
        template = candidates[key].template
        return 0 if template is None else counts.get(template, 0)

    # Of those that matter as much, the rarer come first: they say more.
    order = sorted(candidates, key=lambda key: (-candidates[key].score, times_of(key), key))
    by_worth = [
        Line(key, candidates[key], wide if candidates[key].score >= CERTAIN else most, times_of(key))
        for key in order
    ]
    best = Layout([], counts, lines)
    # Lines at the ends need no number: what that leaves is filled in further attempts.
    allowance = step = room
    for _ in range(ATTEMPTS):
        layout = Layout(_affordable(by_worth, allowance), counts, lines)
        if len(layout) <= room:
            best, step = layout, room - len(layout)
            if len(layout.chosen) == len(by_worth):
                break
        else:
            allowance -= step
            step //= 2
        if step < ENOUGH:
            break
        allowance += step
    return best


def _affordable(lines: list[Line], allowance: int) -> list[Line]:
    chosen = []
    for line in lines:
        if line.cost <= allowance:
            allowance -= line.cost
            chosen.append(line)
    return chosen

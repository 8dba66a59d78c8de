"""A summary of a text that streams by, for an agent that debugs; the rules are told in ``rust/src/summary/mod.rs``."""

import re
from collections import Counter
from copy import copy
from itertools import chain
from typing import NamedTuple

from maxstage._pure.detect import content_type, field_names
from maxstage._pure.lines import BLANK, cut_head, cut_tail
from maxstage._pure.summary import context, layout
from maxstage._pure.summary.block import Block, Row
from maxstage._pure.summary.pool import Candidate, Pool
from maxstage._pure.summary.rating import (
    has_place,
    has_stem,
    is_finding,
    is_fine,
    is_frame,
    is_library,
    kinds_of,
    rate,
    subject,
    template,
)
from maxstage._pure.summary.record import brief
from maxstage._pure.summary.signals import ERROR, FAILED, FATAL, FINDING, MAYBE, MENTION, NOTHING, WARNING
from maxstage._pure.summary.terminal import PIECE, clip, plain
from maxstage.humanize import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage._pure.summary.pool import Key

BLOCK = 256 * 1024
LOOKED_AT = 2 * 1024 * 1024
RECENT = 4
"""Blocks of which the last lines are taken at once: of most, others come after them."""
KINDS = 4096
CLIP = 500
SAMPLE = 64 * 1024
SPARE = 64 * 1024
ALIKE_WITHIN = 400
CACHED, CACHED_LENGTH = 50_000, 400
"""How many kinds are remembered, and how long they may be."""

WORTH = {FATAL: 1000, FAILED: 960, ERROR: 880, FINDING: 520, MAYBE: 430, WARNING: 230, MENTION: 60}
WORTH_OF_TALLY = 930
WORTH_OF_RARITY = 40
RARE = 3
LEAST = 8
FOLLOWED, FOLLOWED_ALIKE = 20, 8
SAME_STACK = 4

_RUNS = re.compile(rb"[0-9]+|[^0-9]+")


class Rated(NamedTuple):
    """What is known of all lines of a kind.

    Attributes:
        matters: How much they matter by their words.
        is_tally: Whether they count errors.
        at: Where the word is, in the kind, that says so.
        is_frame: Whether they are frames of a stack.
        is_finding: Whether they are what a linter found.
        template: What lines of their sort have in common.
        subject: What they are about, if that stands in quotes.
    """

    matters: int
    is_tally: bool
    at: int
    is_frame: bool
    is_finding: bool
    template: bytes
    subject: bytes


class Sort:
    """How many lines have a template, and the first of them."""

    __slots__ = ("count", "row")

    def __init__(self, row: Row, count: int) -> None:
        self.row = row
        self.count = count


class Parts(NamedTuple):
    """What stands before the marker and after it, and how much of the text that is."""

    first: bytes
    last: bytes
    shown_bytes: int
    shown_lines: int


class Summary:
    """Keeps the lines that matter, within a bound."""

    def __init__(self, max_bytes: int) -> None:
        self._bound = max_bytes
        self._buffer = bytearray()
        self._sample = bytearray()
        self._is_terminated = False
        self._taken = 0
        self._next: tuple[int, int, list[bytes]] = (1, 0, [])
        self._pool = Pool(max_bytes + SPARE)
        self._templates: dict[bytes, int] = {}
        self._alike: dict[bytes, int] = {}
        self._subjects: set[bytes] = set()
        self._abouts: dict[bytes, int] = {}
        self._trail: context.Trail | None = None
        self._last_error = 0
        self._last_frame = -SAME_STACK
        self._first: list[Row] = []
        self._first_bytes = 0
        self._last: list[Row] = []
        self._recent: list[Block] = []
        self._sorts: dict[bytes, Sort] = {}
        self._looked_at = 0
        # These remember what would be found out again.
        self._rated: dict[bytes, Rated] = {}
        self._idle: set[bytes] = set()
        self._spent: set[bytes] = set()
        self._stemless: set[bytes] = set()
        self._stemmed: set[bytes] = set()

    def feed(self, data: bytes) -> None:
        """Take in the next part of the text."""
        self._sample += data[: max(0, SAMPLE - len(self._sample))]
        self._is_terminated = data[-1:] == b"\n" if data else self._is_terminated
        start = 0
        # What a block is depends on the text alone, however it is fed.
        while len(self._buffer) + len(data) - start >= BLOCK:
            missing = BLOCK - len(self._buffer)
            block = bytes(self._buffer) + data[start : start + missing]
            end = block.rfind(b"\n") + 1 or BLOCK
            start += missing
            self._buffer[:] = block[end:]
            self._take_block(block[:end], is_last=False)
        self._buffer += data[start:]

    def _take_block(self, data: bytes, *, is_last: bool) -> None:
        block = Block(data, *self._next, is_last=is_last)
        self._keep_ends(block)
        is_looked_at = self._taken < LOOKED_AT
        self._taken += len(data)
        if is_looked_at:
            self._look_at(block)
        done = 0
        for index in range(len(block.lines)) if is_looked_at else self._with_stems(block):
            kind = block.kinds[index]
            if kind in self._idle:
                continue
            self._follow(block, done, index)
            if kind in self._spent and self._trail is None and len(block.lines[index]) <= PIECE:
                self._templates[self._rated[kind].template] += 1
                self._last_error = block.number + index
                done = index + 1
                continue
            self._take_line(block, index, is_looked_at=is_looked_at)
            done = index + 1
        self._follow(block, done, block.ended)
        self._next = block.next()
        if is_looked_at and self._taken >= LOOKED_AT:
            # What is no finding any more matters otherwise.
            self._spent.clear()

    def _with_stems(self, block: Block) -> "Iterator[int]":
        """Give the indices of the lines that may have a signal."""
        # A line has a stem only if it has one without its digits; and there are few kinds of lines without these.
        without = block.text.translate(None, b"0123456789").split(b"\n")
        if self._stemless.issuperset(without):
            return
        for index in [index for index, line in enumerate(without) if line not in self._stemless]:
            line = without[index]
            if line in self._stemmed or b"\r" in line or len(line) > CACHED_LENGTH:
                yield index
            elif has_stem(line.lower()):
                self._stemmed.add(line)
                yield index
            else:
                self._stemless.add(line)
        for known in (self._stemless, self._stemmed):
            if len(known) > CACHED:
                known.clear()

    def _keep_ends(self, block: Block) -> None:
        """Keep the first lines, and the last so far."""
        for index in range(block.ended):
            if self._first_bytes > self._bound:
                break
            row = block.row(index)
            self._first.append(row)
            self._first_bytes += len(row.text) + 1
        self._recent.append(block)
        if len(self._recent) == RECENT:
            self._keep_last()

    def _keep_last(self) -> None:
        """Keep the last lines of the recent blocks, and of those before as many as there is room for."""
        recent = (
            block.row(index) for block in reversed(self._recent) for index in range(block.ended - 1, -1, -1)
        )
        used = 0
        last = []
        for row in chain(recent, reversed(self._last)):
            if used > self._bound:
                break
            last.append(row)
            used += len(row.text) + 1
        self._last = last[::-1]
        self._recent = []

    def _look_at(self, block: Block) -> None:
        """Count the lines of each sort."""
        kinds = block.kinds[: block.ended]
        if block.is_plain:
            first = dict(zip(reversed(kinds), range(len(kinds) - 1, -1, -1), strict=True))
            for kind, count in Counter(kinds).items():
                self._look_at_row(block.row(first[kind]), kind, count)
            return
        for index, kind in enumerate(kinds):
            row = block.row(index)
            self._look_at_row(row, kind if row.text is block.lines[index] else kinds_of(row.text), 1)

    def _look_at_row(self, row: Row, kind: bytes, count: int) -> None:
        """Count lines of a kind, of which a row is the first."""
        if not kind.strip(BLANK):
            return
        self._looked_at += count
        sort = self._rate(kind).template
        known = self._sorts.get(sort)
        if known is not None:
            known.count += count
        elif len(self._sorts) < KINDS:
            text = row.text[: cut_head(row.text, 2 * CLIP)]
            self._sorts[sort] = Sort(row._replace(text=text, whole=row.whole and text == row.text), count)

    def _rate(self, kind: bytes) -> Rated:
        known = self._rated.get(kind)
        if known is None:
            known = Rated(*rate(kind), is_frame(kind), is_finding(kind), template(kind), subject(kind))
            if len(kind) <= CACHED_LENGTH:
                if len(self._rated) >= CACHED:
                    self._rated.clear()
                    self._spent.clear()
                self._rated[kind] = known
        return known

    def _take_line(self, block: Block, index: int, *, is_looked_at: bool) -> None:
        rows = block.parts(index)
        if len(rows) == 1:
            kind = block.kinds[index] if rows[0].text is block.lines[index] else kinds_of(rows[0].text)
            rated = self._rate(kind)
            if not (rated.matters or rated.is_frame or rated.is_finding) and len(kind) <= CACHED_LENGTH:
                if len(self._idle) >= CACHED:
                    self._idle.clear()
                self._idle.add(kind)
            self._take(block, index, rows[0], rated, is_looked_at=is_looked_at)
            return
        for row in rows:
            self._take(block, index, row, self._rate(kinds_of(row.text)), is_looked_at=is_looked_at)

    def _take(self, block: Block, index: int, row: Row, rated: Rated, *, is_looked_at: bool) -> None:
        matters = rated.matters
        if rated.is_frame:
            matters = NOTHING
            if self._trail is None and row.key[0] > self._last_frame + SAME_STACK:
                self._blame(block, index)
            self._last_frame = row.key[0]
        elif matters in (NOTHING, MAYBE) and is_looked_at and rated.is_finding:
            matters = FINDING
            followed = 0 if rated.matters else self._step(row)
            if followed >= WORTH[FINDING] or (followed and is_library(row.text.lower())):
                # It is a place of the error before it.
                alike = _count(self._alike, row.text[:ALIKE_WITHIN])
                self._offer(row, 0, followed if alike == 1 else followed // (2 * alike), None)
                return
        followed = self._step(row) if matters < FINDING else 0
        if not matters:
            self._offer(row, 0, followed, None)
            return
        score = max(followed, self._score(block, (index, 0), row, rated, matters))
        self._offer(row, rated.at, score, rated.template)

    def _score(self, block: Block, at: tuple[int, int], row: Row, rated: Rated, matters: int) -> int:
        """Return how much a line with a signal matters among those like it; begin to follow an error.

        Args:
            block: Where it is.
            at: The index of a line there, and how many lines before that this one is.
            row: The line.
            rated: What is known of its kind.
            matters: How much it matters by itself.
        """
        worth = max(WORTH[matters], WORTH_OF_TALLY if rated.is_tally else 0)
        rank = self._rank(rated, matters)
        # Of what a linter found, one of each sort comes first.
        fresh = worth * 2 // (1 + rank) if matters == FINDING else worth * 5 // (4 + rank)
        if matters >= FINDING:
            self._trail = None
        if fresh < LEAST:
            # Nobody will ask how many were like this one.
            if matters >= FINDING:
                self._last_error = row.key[0]
                self._spend(block, at, rated)
            return fresh
        # Names of tests, and places, that differ in digits are different things.
        is_exact = matters == FAILED or rated.is_tally or (matters >= ERROR and has_place(row.text.lower()))
        alike = _count(self._alike, (row.text if is_exact else kinds_of(row.text))[:ALIKE_WITHIN])
        score = fresh if alike == 1 else fresh // (2 * alike)
        if matters < FINDING:
            return score
        if rank <= FOLLOWED and alike <= FOLLOWED_ALIKE:
            if alike == 1:
                self._look_back(block, at, score)
            self._trail = context.Trail(score, fresh)
        self._last_error = row.key[0]
        return score

    def _rank(self, rated: Rated, matters: int) -> int:
        """Count a line, and return which of its sort it is; of what errors are about, each is counted once."""
        rank = _count(self._templates, rated.template)
        if matters < ERROR or not rated.subject:
            return rank
        about = rated.template + b"\n" + rated.subject
        if about in self._subjects or len(self._subjects) >= KINDS:
            return rank
        self._subjects.add(about)
        return _count(self._abouts, rated.template)

    def _spend(self, block: Block, at: tuple[int, int], rated: Rated) -> None:
        """Remember a kind of errors of which there were so many that they are only counted."""
        kind, line = block.kinds[at[0]], block.lines[at[0]]
        if self._rated.get(kind) is rated and not at[1] and b"\r" not in line and len(line) <= PIECE:
            self._spent.add(kind)

    def _look_back(self, block: Block, at: tuple[int, int], score: int) -> None:
        index, back = at
        for distance in range(1, context.BEFORE + 1):
            row = self._row_before(block, index, back + distance)
            if row is not None:
                self._offer(row, 0, context.before(score, distance, row.text), None)

    def _row_before(self, block: Block, index: int, back: int) -> Row | None:
        """Return a line before an error, unless there was another error meanwhile."""
        if block.number + index - back <= self._last_error:
            return None
        row = block.row_before(index, back)
        return row if row is not None and row.text.strip(BLANK) else None

    def _blame(self, block: Block, index: int) -> None:
        """Take the line before a stack for an error: it says what happened, in whatever words."""
        row = self._row_before(block, index, 1)
        if row is not None:
            rated = self._rate(kinds_of(row.text))
            score = self._score(block, (index, 1), row, rated, ERROR)
            self._offer(row, 0, score, rated.template)

    def _follow(self, block: Block, start: int, end: int) -> None:
        """Follow an error through the lines from `start` to before `end`."""
        for index in range(start, min(end, block.ended)):
            if self._trail is None:
                break
            row = block.row(index)
            self._offer(row, 0, self._step(row), None)

    def _step(self, row: Row) -> int:
        """Return how much a line matters for what it follows."""
        if self._trail is None or not row.stands:
            return 0
        score = self._trail.follow(row.text)
        if self._trail.is_over:
            self._trail = None
        return score

    def _offer(self, row: Row, at: int, score: int, sort: bytes | None) -> None:
        if score >= LEAST:
            self._pool.offer(row.key, _candidate(row, at, score, sort))

    def parts(self, head: bytes, tail: bytes, lines: int, room: int) -> Parts:
        """Return the summary of the text so far.

        Args:
            head: Its first bytes, as many as there is room for.
            tail: Its last ones.
            lines: How many lines it has.
            room: How many bytes there may be.
        """
        return self._copy().finish(head, tail, lines, room)

    def _copy(self) -> "Summary":
        """Return one that goes its own way."""
        other = copy(self)
        other.__dict__.update(
            _pool=self._pool.copy(),
            _templates=dict(self._templates),
            _alike=dict(self._alike),
            _subjects=set(self._subjects),
            _abouts=dict(self._abouts),
            _trail=copy(self._trail),
            _first=list(self._first),
            _last=list(self._last),
            _recent=list(self._recent),
            _sorts={sort: copy(known) for sort, known in self._sorts.items()},
            # What is spent is so by the counts, and is looked up among the rated.
            _rated=dict(self._rated),
            _spent=set(self._spent),
        )
        return other

    def finish(self, head: bytes, tail: bytes, lines: int, room: int) -> Parts:
        """Return the summary of a text that is complete; nothing can be fed afterwards."""
        if self._buffer:
            self._take_block(bytes(self._buffer), is_last=True)
        self._keep_last()
        facts = self._facts(lines, room // 8)
        room -= len(facts)
        if lines == 1:
            return self._one_line(head, tail, room)
        filled = layout.fill(self._candidates(room), self._templates, lines, room)
        if not filled.chosen:
            return _by_bytes(facts, head, tail, room)
        shown_lines = sum(line.whole for line in filled.chosen)
        shown_bytes = sum(line.shown for line in filled.chosen) + shown_lines
        last = filled.last
        if last and not self._is_terminated:
            last = last[:-1]
            shown_bytes -= filled.chosen[-1].whole
        return Parts(facts + filled.first + filled.found, last, shown_bytes, shown_lines)

    def _one_line(self, head: bytes, tail: bytes, room: int) -> Parts:
        """Return both ends of a line, and what matters in it."""
        inside = {key: one for key, one in self._pool.lines.items() if not one.stands}
        filled = layout.fill(inside, {}, 1, room // 3)
        ends = _by_bytes(b"", head, tail, room - len(filled.found))
        newline = b"\n" if filled.found and ends.first else b""
        if newline:
            ends = _by_bytes(b"", head, tail, room - len(filled.found) - 1)
        shown_bytes = ends.shown_bytes + sum(line.shown for line in filled.chosen)
        return Parts(ends.first + newline + filled.found, ends.last, shown_bytes, ends.shown_lines)

    def _candidates(self, room: int) -> "dict[Key, Candidate]":
        """Return the lines that may be shown: those with signals, the rare ones, and those at the ends."""
        found = dict(self._pool.lines)
        self._add_rare(found)
        used = 0
        for row in self._first:
            if used > room:
                break
            _add(found, row, layout.worth_at(layout.FIRST, used * 1000 // max(room, 1)))
            used += len(row.text) + 1
        used = 0
        for row in reversed(self._last):
            if used > room:
                break
            _add(found, row, layout.worth_at(layout.LAST, used * 1000 // max(room, 1)))
            used += len(row.text) + 1
        return found

    def _add_rare(self, found: "dict[Key, Candidate]") -> None:
        """Add the first line of each sort that is rare: the rarer these are among all, the more each says."""
        few = [
            sort for sort in self._sorts.values() if sort.count <= RARE and not is_fine(sort.row.text.lower())
        ]
        if few:
            bits = (self._looked_at // sum(sort.count for sort in few)).bit_length() - 1
            for sort in few:
                _add(found, sort.row, WORTH_OF_RARITY * bits // sort.count)

    def _facts(self, lines: int, most: int) -> bytes:
        """For NDJSON: how many records there are, and what fields the first ones have."""
        sample = bytes(self._sample)
        rest = sample.rstrip(BLANK)
        last = rest[-1] if rest else None
        if content_type(sample, whole=False, lines=lines, last_nonblank=last) != "ndjson":
            return b""
        names = b", ".join(field_names(sample))
        text = f"{counted(lines, 'record')}; fields:".encode() + (b" " + names if names else b"")
        text = text[: cut_head(text, max(0, most - 1))]
        return text + b"\n" if text else b""


def _count(counts: dict[bytes, int], key: bytes) -> int:
    """Count one more; where no more can be told apart, each is a new one."""
    seen = counts.get(key, 0) + 1
    if seen > 1 or len(counts) < KINDS:
        counts[key] = seen
    return seen


def _add(found: "dict[Key, Candidate]", row: Row, score: int) -> None:
    """Add a line, or let it matter more."""
    known = found.get(row.key)
    if known is None:
        if score > 0:
            found[row.key] = _candidate(row, 0, score, None)
    elif known.score < score:
        found[row.key] = known._replace(score=score)


def _candidate(row: Row, at: int, score: int, sort: bytes | None) -> Candidate:
    place = _text_at(row.text, at)
    text, at, _ = clip(row.text, place, CLIP)
    whole = row.whole and len(row.text) <= CLIP
    return Candidate(score, text, at, row.stands, whole, sort, brief(row.text, place))


def _text_at(text: bytes, at: int) -> int:
    """Return the place in a line of a place in its kind, where each number is one digit."""
    place = 0
    for run in _RUNS.finditer(text) if at else ():
        length = 1 if run[0].isdigit() else len(run[0])
        if place + length > at:
            return run.start() + at - place
        place += length
    return 0 if not at else len(text)


def _by_bytes(facts: bytes, head: bytes, tail: bytes, room: int) -> Parts:
    """Return both ends: where no line fits, they tell more than nothing."""
    first = plain(head[: cut_head(head, room // 2)])
    last = plain(tail[len(tail) - cut_tail(tail, room - room // 2) :])
    shown_lines = first.count(b"\n") + last.count(b"\n") + (last[-1:] not in (b"", b"\n"))
    return Parts(facts + first, last, len(first) + len(last), shown_lines)

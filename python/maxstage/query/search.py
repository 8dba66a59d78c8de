"""Searching: the records that match, a page of them or all."""

from maxstage._backend import core
from maxstage.errors import Error, InvalidQuery
from maxstage.query.inputs import STEP, Input, NotRecords
from maxstage.query.plan import MOST, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

__all__ = ["STEP", "Looked", "Page", "Position", "Query", "read_all", "read_page"]

LIMIT = 50
"""Records of a page, unless something else is asked for."""


def _order(sort: str) -> tuple[str, bool]:
    """Return the field to sort by, and whether the largest comes first.

    >>> _order("amount:desc"), _order("dc:title")
    (('amount', True), ('dc:title', False))
    """
    field, _, order = sort.rpartition(":")
    if field and order.lower() in {"asc", "desc"}:
        return field, order.lower() == "desc"
    if field:
        import difflib

        # A field's name may hold a colon; a word that is nearly one of the two is a mistake.
        if difflib.get_close_matches(order.lower(), ["asc", "desc", "ascending", "descending"]):
            raise InvalidQuery(f'"{order}" is not an order; sort by FIELD:desc or FIELD:asc')
    return sort, False


class Query:
    """What is looked for.

    Args:
        filters: Filters, all of which hold: see `maxstage.query.filter`.
        type: What the field ``type`` is.
        pattern: A text that a record holds, as it is written.
        regex: A regular expression that a record, as it is written, matches somewhere.
        fields: The fields that are given; None for whole records.
        sort: A field to sort by, with ``:desc`` for the largest first; None for the order of the data.
        strict: Whether a record that is no JSON is an error.

    Raises:
        InvalidQuery: One of these can't be understood.
    """

    __slots__ = ("descending", "fields", "filters", "pattern", "regex", "sort", "strict")

    def __init__(
        self,
        *,
        filters: "Sequence[str]" = (),
        type: str | None = None,  # noqa: A002 - it is the option's name
        pattern: str | None = None,
        regex: str | None = None,
        fields: "Sequence[str] | None" = None,
        sort: str | None = None,
        strict: bool = False,
    ) -> None:
        self.filters = [*filters, *([] if type is None else [f"type = {quoted(type)}"])]
        self.pattern = pattern
        self.regex = regex
        self.fields = None if fields is None else list(fields)
        self.sort: str | None = None
        self.descending = False
        if sort is not None:
            self.sort, self.descending = _order(sort)
        self.strict = strict
        if pattern == "":
            raise InvalidQuery("the pattern is empty; leave it out to find all records")
        if regex is not None:
            from maxstage.query.regex import check_regex

            check_regex(regex)
        self.plan(is_json=True)

    def plan(self, *, is_json: bool, **options: "Any") -> Plan:
        """Return the plan of this query, for JSON or for lines of text."""
        wanted = {} if self.sort is None else {"wanted": "descending" if self.descending else "ascending"}
        return Plan(
            is_json=is_json,
            filters=self.filters,
            contains=[] if self.pattern is None else [self.pattern.encode("utf-8", "surrogateescape")],
            regex=self.regex,
            columns=self.fields,
            every=self.strict,
            **{"field": self.sort} | wanted | options,
        )

    def to_dict(self) -> "dict[str, Any]":
        """Return what is looked for as plain data."""
        sort = None if self.sort is None else f"{self.sort}:{'desc' if self.descending else 'asc'}"
        known = {
            "filters": self.filters,
            "pattern": self.pattern,
            "regex": self.regex,
            "fields": self.fields,
            "sort": sort,
            "strict": self.strict,
        }
        return {key: value for key, value in known.items() if value}

    @classmethod
    def from_dict(cls, known: "dict[str, Any]") -> "Query":
        """Return the query that `to_dict` told of."""
        return cls(**known)


def quoted(text: str) -> str:
    """Return a text as a filter has it.

    >>> quoted('say "x"')
    '"say \\\\"x\\\\""'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Position:
    """Where a search goes on.

    Attributes:
        number: In which of the inputs.
        offset: At which byte of it.
        lines: How many lines lie before.
        skip: How many records that match, from there on, were given already.
    """

    __slots__ = ("lines", "number", "offset", "skip")

    def __init__(self, number: int = 0, offset: int = 0, lines: int = 0, skip: int = 0) -> None:
        self.number = number
        self.offset = offset
        self.lines = lines
        self.skip = skip

    def to_list(self) -> list[int]:
        """Return it as plain data."""
        return [self.number, self.offset, self.lines, self.skip]


class Looked:
    """What was found out on the way.

    Attributes:
        matched: Records that match.
        bad: Records that were looked at and are no JSON.
        first_bad: Where the first of them is, if that is known.
        looked: Bytes that were looked at.
    """

    def __init__(self) -> None:
        self.matched = 0
        self.bad = 0
        self.first_bad: str | None = None
        self.looked = 0

    def note(self) -> str | None:
        """Return what is to be told of records that are no JSON; None where there are none."""
        if not self.bad:
            return None
        from maxstage.humanize import counted

        where = f" (the first: {self.first_bad})" if self.first_bad else ""
        are = "is" if self.bad == 1 else "are"
        return f"{counted(self.bad, 'record')} {are} not JSON and left out{where}"

    def follow(
        self, one: Input, scan: core.Scan, *, strict: bool, start: Position | None = None, again: bool = False
    ) -> "Iterator[None]":
        """Show an input to a scan; come back after each step, when what was found can be taken.

        Args:
            one: The input.
            scan: The scan.
            strict: Whether a record that is no JSON is an error.
            start: Where to begin.
            again: Whether the scan was shown all the other inputs, too.

        Raises:
            NotRecords: A record is no JSON, where that is an error.
        """
        start = start or Position()
        matched, bad = (0, 0) if again else (self.matched, self.bad)
        for size in one.look(scan, start.offset, start.lines):
            self.looked += size
            self.bad = bad + scan.bad
            self.matched = matched + scan.matched
            if scan.bad and scan.first_bad is not None and self.first_bad is None:
                self.first_bad = f"{one.name}, {'line' if one.is_lines else 'record'} {scan.first_bad:,}"
            if strict and scan.bad:
                raise NotRecords(f"{self.first_bad} is not JSON")
            yield


class Page:
    """A page of results.

    Attributes:
        records: The number of the line of each, 0 where it is not known, and the record as it is given.
        offset: How many matched before them.
        limit: How many a page has at most.
        total: How many match in all.
        position: Where the next page begins; None where there is none.
        looked: What else was found out.
    """

    def __init__(self, offset: int, limit: int) -> None:
        self.records: list[tuple[int, bytes]] = []
        self.offset = offset
        self.limit = limit
        self.total = 0
        self.position: Position | None = None
        self.looked = Looked()

    @property
    def end(self) -> int:
        """How many match up to the last of these."""
        return self.offset + len(self.records)

    @property
    def has_more(self) -> bool:
        """Whether there are more."""
        return self.end < self.total


def read_page(
    inputs: "Sequence[Input]",
    query: Query,
    *,
    offset: int = 0,
    limit: int = LIMIT,
    numbered: bool = False,
    start: Position | None = None,
    total: int | None = None,
) -> Page:
    """Return a page of the records that match.

    Args:
        inputs: What is searched.
        query: What is looked for.
        offset: How many are passed over; with `start`, how many were given before.
        limit: How many are given at most, 1 or more.
        numbered: Whether the numbers of lines are asked for.
        start: Where an earlier page ended.
        total: How many match in all, where an earlier page has counted them.

    Raises:
        Corrupt, NotRecords, OSError: Something can't be read, or is not what it is read as.
    """
    page = Page(offset, limit)
    if query.sort is not None:
        _sorted_page(inputs, query, page)
    else:
        at = Position(skip=offset) if start is None else start
        _page(inputs, query, page, at, numbered=numbered, count_rest=total is None)
    page.total = page.looked.matched if total is None else total
    if not page.has_more:
        page.position = None
    return page


def _page(
    inputs: "Sequence[Input]", query: Query, page: Page, at: Position, *, numbered: bool, count_rest: bool
) -> None:
    skip = at.skip
    for number, one in enumerate(inputs):
        if number < at.number:
            continue
        begin = at if number == at.number else Position()
        room = page.limit - len(page.records)
        if not room and not count_rest:
            break
        options: dict[str, Any] = {"skip": skip, "most": room, "count_rest": count_rest} if room else {}
        if not room:
            options["wanted"] = "count"
        scan = core.Scan(query.plan(is_json=one.is_json, numbered=numbered, **options))
        for _ in page.looked.follow(one, scan, strict=query.strict, start=begin):
            page.records += [(line, record) for line, _, record in scan.take()]
        if scan.given:
            page.position = _after(one, number, scan, skip)
        skip = max(0, skip - scan.matched)


def _after(one: Input, number: int, scan: core.Scan, skip: int) -> Position:
    """Return the position after what a scan has given."""
    if one.is_lines:
        offset, lines = scan.resume
        return Position(number, offset, lines)
    return Position(number, skip=skip + scan.given)


def _sorted_page(inputs: "Sequence[Input]", query: Query, page: Page) -> None:
    most = page.offset + page.limit
    best: list[tuple[bytes, bytes]] = []
    for one in inputs:
        scan = core.Scan(query.plan(is_json=one.is_json, most=most))
        for _ in page.looked.follow(one, scan, strict=query.strict):
            found = scan.take_sorted()
            if found:
                # Both are sorted, and what came first stays first.
                best = sorted(best + found, key=_key)[:most]
    page.records = [(0, record) for _, record in best[page.offset :]]
    page.position = Position(skip=page.offset + len(page.records))


def _key(row: tuple[bytes, bytes]) -> bytes:
    return row[0]


def read_all(
    inputs: "Sequence[Input]",
    query: Query,
    looked: Looked,
    *,
    offset: int = 0,
    most: int = MOST,
    scratch: str | None = None,
) -> "Iterator[bytes]":
    """Give the records that match, each with a newline, many at a time.

    Args:
        inputs: What is searched.
        query: What is looked for.
        looked: What is found out on the way.
        offset: How many are passed over.
        most: How many are given at most.
        scratch: A folder for what does not fit into memory while it is sorted; None for the system's.

    Raises:
        Corrupt, NotRecords, OSError: Something can't be read, or is not what it is read as.
    """
    if query.sort is not None:
        yield from _all_sorted(inputs, query, looked, offset, most, scratch)
        return
    given = 0
    for one in inputs:
        plan = query.plan(
            is_json=one.is_json, skip=max(0, offset - looked.matched), most=max(1, most - given)
        )
        scan = core.Scan(plan)
        for _ in looked.follow(one, scan, strict=query.strict):
            text = scan.take_text()
            if text:
                yield text
        given += scan.given
        if given >= most:
            break


def _all_sorted(
    inputs: "Sequence[Input]", query: Query, looked: Looked, offset: int, most: int, scratch: str | None
) -> "Iterator[bytes]":
    from itertools import islice

    from maxstage.query.sorting import Sorter

    with Sorter(scratch) as sorter:
        for one in inputs:
            scan = core.Scan(query.plan(is_json=one.is_json))
            for _ in looked.follow(one, scan, strict=query.strict):
                sorter.add(scan.take_sorted())
        for _, record in islice(sorter.merged(), offset, min(offset + most, MOST)):
            yield record + b"\n"


def check_limit(limit: int, offset: int) -> None:
    """Refuse a page that is none.

    Raises:
        Error: It would have no records, or begin before the first.
    """
    if limit < 1 or offset < 0:
        raise Error(f"a page has at least 1 record and begins at 0 or later, not {limit} from {offset}")

"""Counting the records that match: all of them, or by the values of a field."""

from maxstage._backend import core
from maxstage.query.search import Looked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maxstage.query.inputs import Input
    from maxstage.query.search import Query

_MOST_BYTES = 16 * 1024 * 1024
"""Bytes of values that are held before they go into a file; the core holds some of them twice while it counts."""


class Group:
    """A value, and how many records have it.

    Attributes:
        kind: ``text``, ``number``, ``json`` (true, false, arrays, objects) or ``null``, missing included.
        text: The value: a text as it is, anything else as JSON has it.
        count: How many records have it.
    """

    __slots__ = ("count", "kind", "text")

    def __init__(self, kind: str, text: bytes, count: int) -> None:
        self.kind = kind
        self.text = text
        self.count = count


def count(inputs: "Sequence[Input]", query: "Query", looked: Looked) -> int:
    """Return how many records match. Raises as `maxstage.query.search.read_page` does."""
    for one in inputs:
        scan = core.Scan(query.plan(is_json=one.is_json, wanted="count"))
        for _ in looked.follow(one, scan, strict=query.strict):
            pass
    return looked.matched


def count_by(
    inputs: "Sequence[Input]",
    query: "Query",
    field: str,
    looked: Looked,
    *,
    top: int | None = None,
    scratch: str | None = None,
) -> "Iterator[Group]":
    """Give the values of a field, the most frequent first; among equals numbers, then texts, in their order.

    Args:
        inputs: What is searched.
        query: Which records are counted.
        field: The field.
        looked: What is found out on the way.
        top: Only so many values; None for all.
        scratch: A folder for what does not fit into memory; None for the system's.

    Raises:
        InvalidQuery: The field can't be understood.
        Corrupt, NotRecords, OSError: As for `maxstage.query.search.read_page`.
    """
    from itertools import islice

    from maxstage._pure.query.values import sort_key
    from maxstage.query.sorting import Sorter

    def rows(scan: core.Scan) -> "list[tuple[bytes, str, bytes, int]]":
        # A number's key is one for all the ways to write it; no text has the key of JSON that reads like it.
        kinds = {"json": "text"}
        return [
            (sort_key((kinds.get(kind, kind), text), descending=False) + kind.encode(), kind, text, count)
            for kind, text, count in scan.take_groups()
        ]

    with Sorter(scratch) as by_value, Sorter(scratch) as by_count:
        for one in inputs:
            scan = core.Scan(query.plan(is_json=one.is_json, wanted="groups", field=field))
            for _ in looked.follow(one, scan, strict=query.strict):
                if scan.group_bytes > _MOST_BYTES:
                    by_value.add(rows(scan))
            by_value.add(rows(scan))
        for group in _summed(by_value.merged()):
            by_count.add([group])
        found = (Group(kind, text, -count) for (count, _), kind, text in by_count.merged())
        yield from islice(found, top)


def _summed(
    rows: "Iterator[tuple[bytes, str, bytes, int]]",
) -> "Iterator[tuple[tuple[int, bytes], str, bytes]]":
    """Add up the counts of equal values; of the ways in which a number is written the least is given."""
    last: tuple[bytes, str, bytes, int] | None = None
    for row in rows:
        if last is not None and row[0] == last[0]:
            last = (last[0], last[1], min(last[2], row[2]), last[3] + row[3])
            continue
        if last is not None:
            yield (-last[3], last[0]), last[1], last[2]
        last = row
    if last is not None:
        yield (-last[3], last[0]), last[1], last[2]

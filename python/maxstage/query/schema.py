"""What records have: their fields, with types, how often each is there, and what values it has."""

import math

from maxstage._backend import core
from maxstage.query.plan import MOST, Plan
from maxstage.query.search import read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.query.inputs import Input
    from maxstage.query.search import Looked, Query

TYPES = ("null", "boolean", "number", "string", "object", "array")
"""Types of values, in the order in which the core counts them."""
_NO_SCALARS = {"null", "object", "array"}


class Field:
    """What is known of a field.

    Attributes:
        name: Its name, nested ones as ``a.b``; empty for the whole record, where that is no object.
        types: How many values are of each type; none that has no value.
        present: In how many records it is, null included.
        share: The same as a part of all records, from 0 to 1.
        distinct: How many of its values differ, arrays and objects aside; an estimate where they are many.
        is_exact: Whether that is exact.
        least, greatest: Of its numbers, if it has any, as they are written; else of its texts; or None.
        is_number: Whether those are numbers.
        examples: The first values that differ, as JSON; what is long is cut.
    """

    def __init__(
        self,
        path: list[bytes],
        types: list[int],
        numbers: tuple[bytes, bytes] | None,
        texts: tuple[bytes, bytes] | None,
        few: int,
        registers: bytes,
        examples: list[bytes],
        records: int,
    ) -> None:
        self.name = ".".join(_quoted(name) for name in path)
        self.types = {name: count for name, count in zip(TYPES, types, strict=True) if count}
        self.present = sum(types)
        self.share = self.present / records if records else 0.0
        # An estimate is off to both sides, and there can't be more values than values.
        scalars = sum(count for name, count in self.types.items() if name not in _NO_SCALARS)
        self.distinct = min(_estimate(registers), scalars) if registers else few
        self.is_exact = not registers
        self.is_number = numbers is not None
        ends = numbers or texts
        self.least = None if ends is None else _text(ends[0])
        self.greatest = None if ends is None else _text(ends[1])
        self.examples = [_text(one) for one in examples]


class Schema:
    """What records have.

    Attributes:
        records: How many were looked at.
        fields: Their fields, in the order in which they came first.
        more: Whether there are more fields than are told apart; then the counts of some may be too low.
    """

    def __init__(self, records: int, fields: list[Field], *, more: bool) -> None:
        self.records = records
        self.fields = fields
        self.more = more


def describe(
    inputs: "Sequence[Input]", query: "Query", looked: "Looked", *, sample: int | None = None
) -> Schema:
    """Describe the records that match.

    Args:
        inputs: What is searched; the records are JSON, or lines of text with the field ``line``.
        query: Which records are described.
        looked: What is found out on the way.
        sample: Only so many of the first records; None for all.

    Raises:
        Corrupt, NotRecords, OSError: As for `maxstage.query.search.read_page`.
    """
    # One scan for all, so that a field is one, whichever input it is in.
    direct = sample is None and all(one.is_json for one in inputs)
    scan = core.Scan(query.plan(is_json=True, wanted="shapes") if direct else Plan(wanted="shapes"))
    if direct:
        for one in inputs:
            for _ in looked.follow(one, scan, strict=query.strict, again=True):
                pass
    else:
        _describe_found(inputs, query, looked, scan, MOST if sample is None else sample)
    more, rows = scan.take_shapes()
    records = scan.matched
    fields = [Field(*row, records) for row in rows]
    # The first is the whole record, which is told of where it is no object. One that is in no record was
    # below a key that came again: the last one counts.
    shown = [field for field in fields if (field.types if field.name else set(field.types) - {"object"})]
    return Schema(records, shown, more=more)


def _describe_found(
    inputs: "Sequence[Input]", query: "Query", looked: "Looked", scan: core.Scan, most: int
) -> None:
    """Find records as a search does, and show them to a scan: so many and no more, or lines of text as JSON."""
    if not all(one.is_json for one in inputs):
        query.fields = ["line"]
    for text in read_all(inputs, query, looked, most=most):
        scan.feed(text)
    scan.finish()


def _quoted(name: bytes) -> str:
    text = _text(name)
    plain = bool(text) and not set(text) & set("=!<>~.[](),\"' \t\r\n") and text.isprintable()
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _estimate(registers: bytes) -> int:
    """Return how many different values a HyperLogLog sketch has seen, within about 2%."""
    size = len(registers)
    zeros = registers.count(0)
    estimate = 0.7213 / (1 + 1.079 / size) * size * size / sum([2.0**-rank for rank in registers])
    if estimate <= 2.5 * size and zeros:
        estimate = size * math.log(size / zeros)
    return round(estimate)

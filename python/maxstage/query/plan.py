"""What a query looks for, as both backends take it."""

from maxstage.query.filter import Fields, parse_filter, parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maxstage.query.filter import Path, Test

MOST = 2**63 - 1
"""No data has more records; the data path counts in 64 bits."""

_MOST_NEEDLES = 8
"""Texts that are looked for at once; more take longer than looking at each record."""

_MANY_SPELLINGS = frozenset(b'"\\/\x7f')
"""What a JSON string may hold in another spelling than itself or ``\\u``; so may control characters."""


class Plan:
    """What `core.Scan` looks for, and what is wanted of it.

    Attributes:
        is_json: Whether records are JSON; else they are lines of text, with the field ``line``.
        fields: The fields that are looked at.
        test: The filter, as `maxstage.query.filter` has it; None for all records.
        contains: Texts that a record holds, as it is written.
        regex: What a record, as it is written, matches; or None.
        needles: A record that matches holds one of these; empty: any record may match.
        escapes: Whether one with ``\\u`` in it may match without.
        wanted: ``count``, ``records``, ``groups``, ``shapes`` (the fields are described), ``kinds`` (the kinds of their
            values are told), or records in ``ascending`` or ``descending`` order.
        field: For groups and for order, the number of the field.
        columns: What is given of a record: before each of these fields' values, a text; None: all of it.
        skip: Records that match and are passed over.
        most: Records given at most.
        count_rest: Whether what comes after those is counted.
        numbered: Whether the numbers of lines are known.
    """

    __slots__ = (
        "columns",
        "contains",
        "count_rest",
        "escapes",
        "field",
        "fields",
        "is_json",
        "most",
        "needles",
        "numbered",
        "regex",
        "skip",
        "test",
        "wanted",
    )

    def __init__(
        self,
        *,
        is_json: bool = True,
        filters: "Sequence[str]" = (),
        contains: "Sequence[bytes]" = (),
        regex: str | None = None,
        wanted: str = "records",
        field: str | None = None,
        columns: "Sequence[str] | None" = None,
        skip: int = 0,
        most: int = MOST,
        count_rest: bool = False,
        numbered: bool = False,
        every: bool = False,
    ) -> None:
        """Make a plan of what a user says; `every` looks at each record, also at those that can't match.

        Raises:
            InvalidQuery: A filter or a field can't be understood.
        """
        fields = Fields()
        tests = tuple(parse_filter(text, fields) for text in filters)
        self.is_json = is_json
        self.test: Test | None = None if not tests else tests[0] if len(tests) == 1 else ("and", tests)
        self.contains = list(contains)
        self.regex = regex
        self.wanted = wanted
        self.field = fields.number_of(parse_path(field)) if field is not None else 0
        self.columns = None if columns is None else _columns(columns, fields)
        self.fields = [_as_data(path) for path in fields.paths]
        self.skip = skip
        self.most = most
        self.count_rest = count_rest
        # A text as it is written has no other spelling.
        self.needles = [] if every else self.contains[:1] or (needles_of(self.test) or [])
        self.escapes = is_json and not self.contains
        self.numbered = numbered or not self.needles


def _as_data(path: "Path") -> "tuple[bytes | int, ...]":
    return tuple(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in path)


def _columns(names: "Sequence[str]", fields: Fields) -> "list[tuple[bytes, int]]":
    from maxstage import light_json

    columns: list[tuple[bytes, int]] = []
    for name in names:
        comma = ", " if columns else ""
        before = f"{comma}{light_json.dumps(name)}: ".encode("utf-8", "surrogatepass")
        columns.append((before, fields.number_of(parse_path(name))))
    return columns


def needles_of(test: "Test | None") -> list[bytes] | None:
    """Return texts of which a record that matches holds one, unless an escape hides it; None where there are none.

    >>> needles_of(("and", (("cmp", 0, "=", b"x", None), ("like", 1, ("*", b'the "end"', "*")))))
    [b'the ']
    """
    find = None if test is None else _NEEDLES.get(test[0])
    return None if find is None or test is None else find(test)


def _of_value(test: "Test") -> list[bytes] | None:
    return _longest_run([test[3]]) if test[2] == "=" and test[4] is None else None


def _of_pattern(test: "Test") -> list[bytes] | None:
    return _longest_run([part for part in test[2] if isinstance(part, bytes)])


def _of_all(test: "Test") -> list[bytes] | None:
    found = [needles for one in test[1] if (needles := needles_of(one))]
    return max(found, key=lambda needles: min(map(len, needles)), default=None)


def _of_any(test: "Test") -> list[bytes] | None:
    parts = [needles_of(one) for one in test[1]]
    every = sorted({needle for part in parts for needle in part or ()})
    return every if all(parts) and len(every) <= _MOST_NEEDLES else None


_NEEDLES: "dict[str, Callable[[Test], list[bytes] | None]]" = {
    "cmp": _of_value,
    "like": _of_pattern,
    "and": _of_all,
    "or": _of_any,
}


def _longest_run(texts: list[bytes]) -> list[bytes] | None:
    """Return the longest part that JSON can spell in no other way than by ``\\u``."""
    longest = b""
    for text in texts:
        start = 0
        for at in range(len(text) + 1):
            if at == len(text) or text[at] in _MANY_SPELLINGS or text[at] < ord(" "):
                longest = max(longest, text[start:at], key=len)
                start = at + 1
    return [longest] if longest else None

"""Which columns a table of records has, and of which types.

DuckDB guesses types from the first 20,000 records, and a guess can be wrong without an error: after whole numbers it
reads 1.5 as 2, and a field that is null in all of them stays null. To look at all records takes it four times as long
as most queries. So the core looks at them, and tells what kinds of values each field has.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Described = Sequence[tuple[list[bytes | None], int]]

NULL, BOOL, INTEGER, LONG, DECIMAL, HUGE, TEXT, DATE, TIME, ZONED, OBJECT, ARRAY, TWICE, DEEP, BROKEN = (
    1 << bit for bit in range(15)
)
"""The bits of kinds, in the order of ``rust/src/query/kinds.rs``."""

_TYPES = (
    (BOOL, "BOOLEAN"),
    (INTEGER, "BIGINT"),
    (INTEGER | LONG, "HUGEINT"),
    (INTEGER | LONG | DECIMAL, "DOUBLE"),
    (DATE, "DATE"),
    (DATE | TIME, "TIMESTAMP"),
    (ZONED, "TIMESTAMPTZ"),
)
"""Kinds, and the type that holds them all; the first that fits is taken. Other texts and numbers are text."""

_JSON = "JSON"
_WHOLE = "json"
"""The column of records that are not objects, or have fields that can't be columns."""

_MOST_FIELDS = 200
"""Fields of an object that is a STRUCT: what has more uses its keys as data."""


class Field:
    """A field, and the fields in it.

    Attributes:
        kinds: A bit for each kind of value that it has.
        inner: The fields in it by name; None: the elements of an array.
    """

    __slots__ = ("inner", "kinds")

    def __init__(self) -> None:
        self.kinds = 0
        self.inner: dict[str | None, Field] = {}

    def has(self, kind: int) -> bool:
        """Whether there is a value of a kind, here or further in."""
        return bool(self.kinds & kind) or any(field.has(kind) for field in self.inner.values())


def tree_of(described: "Described") -> Field:
    """Return all of a record as a field."""
    root = Field()
    for path, kinds in described:
        field = root
        for name in path:
            key = None if name is None else name.decode("utf-8", "replace")
            field = field.inner.setdefault(key, Field())
        field.kinds |= kinds
    return root


def columns_of(root: Field, *, more: bool) -> dict[str, str]:
    """Return the columns and their types; where records are no objects, one that holds each as JSON.

    Args:
        root: What records have.
        more: Whether they have fields besides.

    >>> columns_of(tree_of([([], OBJECT), ([b"id"], INTEGER), ([b"tags"], ARRAY), ([b"tags", None], TEXT)]), more=False)
    {'id': 'BIGINT', 'tags': 'VARCHAR[]'}
    """
    if more or root.kinds != OBJECT or not _are_names(root.inner):
        return {_WHOLE: _JSON}
    return {str(name): _type(field) for name, field in root.inner.items()}


def is_whole(columns: dict[str, str]) -> bool:
    """Whether there is the one column that holds each record as JSON."""
    return columns == {_WHOLE: _JSON}


def _are_names(fields: "dict[str | None, Field]") -> bool:
    """Whether these can be names of columns, which DuckDB tells apart without regard to case."""
    names = [str(name) for name in fields]
    return (
        bool(names)
        and all(name and "\0" not in name for name in names)
        and len({name.lower() for name in names}) == len(names)
    )


def _type(field: Field) -> str:
    kinds = field.kinds & ~NULL
    if not kinds:
        return _JSON
    if kinds == OBJECT and len(field.inner) <= _MOST_FIELDS and _are_names(field.inner):
        inner = ", ".join(f"{identifier(str(name))} {_type(one)}" for name, one in field.inner.items())
        return f"STRUCT({inner})"
    if kinds == ARRAY:
        elements = field.inner.get(None)
        return (_JSON if elements is None else _type(elements)) + "[]"
    if kinds & (OBJECT | ARRAY):
        return _JSON
    return next((name for held, name in _TYPES if not kinds & ~held), "VARCHAR")


def identifier(name: str) -> str:
    """Return a name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL quotes it."""
    return "'" + text.replace("'", "''") + "'"

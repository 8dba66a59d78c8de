"""A preview of an item: its first lines and its fields."""

from typing import NamedTuple

from maxstage.humanize import printable
from maxstage.store.reading import OpenItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINES = 3
"""Lines of the preview."""
LINE_CHARACTERS = 100
"""Characters of each line of the preview."""
MOST_FIELDS = 50
"""The most fields described: objects keyed by record have as many fields as records."""
_NAME_CHARACTERS = 60
"""Characters of a field's name."""
_EXAMPLE_CHARACTERS = 40
"""Characters of an example, as text."""
_VALUE_CHARACTERS = 200
"""The most characters that an example may take as JSON and be returned as a value instead of cut text."""
_SAMPLE = 256 * 1024
"""Bytes examined, whatever the size of the item."""
_MOST_DIGITS = 300
"""The most digits of an integer that Python, and readers of our JSON, can parse."""


class _Literal(str):
    """A number that Python can't represent, as it was written: ``1e999``, ``NaN``, a thousand digits."""

    __slots__ = ()


_TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    _Literal: "number",
    dict: "object",
    list: "array",
}


def preview_lines(opened: OpenItem) -> list[str]:
    """Return the first lines, each cut at `LINE_CHARACTERS`, without control characters."""
    lines = opened.read(0, _SAMPLE).split(b"\n", LINES)
    return [_clip(line) for line in lines[: min(LINES, opened.item.record_count)]]


def _clip(line: bytes) -> str:
    # A character takes at most four bytes.
    text = line[: 4 * LINE_CHARACTERS + 4].decode("utf-8", "replace").removesuffix("\r")
    return printable(text, LINE_CHARACTERS)


class Fields(NamedTuple):
    """The fields of an item's records.

    Attributes:
        sampled: How many records were examined.
        fields: The first `MOST_FIELDS` fields by name, each with its ``type`` (several are joined by ``|``), the
            share of records that have it as ``present``, and an ``example``.
        more: How many other fields there are.
    """

    sampled: int
    fields: "dict[str, dict[str, Any]]"
    more: int


def describe_fields(opened: OpenItem) -> Fields:
    """Describe the fields of the records in the first bytes of a JSON item; invalid records are skipped."""
    return fields_of(_records(opened))


def fields_of(records: "list[dict[str, Any]]") -> Fields:
    """Describe the fields of records."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        for name, value in record.items():
            field = found.setdefault(name, {"type": [], "present": 0, "example": value})
            kind = "null" if value is None else _TYPES[type(value)]
            field["present"] += 1
            if kind not in field["type"]:
                field["type"].append(kind)
            if field["example"] is None:
                field["example"] = value
    fields: dict[str, dict[str, Any]] = {}
    for name, field in found.items():
        if len(fields) == MOST_FIELDS:
            break
        fields[printable(name, _NAME_CHARACTERS)] = {
            "type": "|".join(field["type"]),
            "present": field["present"] / len(records),
            "example": _shorten(field["example"]),
        }
    return Fields(len(records), fields, len(found) - len(fields))


def _records(opened: OpenItem) -> "list[dict[str, Any]]":
    item = opened.item
    sample = opened.read(0, _SAMPLE)
    whole = len(sample) == item.byte_size
    values: list[Any] = []
    if item.content_type == "json" and whole:
        parsed = parse_record(sample)
        values = parsed if isinstance(parsed, list) else [parsed]
    elif item.content_type == "ndjson":
        complete = sample if whole else sample[: sample.rfind(b"\n") + 1]
        values = [parse_record(line) for line in complete.split(b"\n") if line.strip()]
    return [value for value in values if isinstance(value, dict)]


def parse_record(text: bytes) -> object:
    """Return the parsed JSON, or None if it is invalid: the content type may be the caller's claim."""
    import json

    try:
        return json.loads(
            text.decode("utf-8", "replace").removeprefix("\ufeff"),
            parse_constant=_Literal,
            parse_float=_number,
            parse_int=_integer,
        )
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> "float | _Literal":
    number = float(text)
    return number if number - number == 0 else _Literal(text)  # infinity minus itself is NaN


def _integer(text: str) -> "int | _Literal":
    return int(text) if len(text) <= _MOST_DIGITS else _Literal(text)


def _shorten(value: object) -> object:
    """Return an example as it is or, if it is long, the beginning of its text."""
    text = value if isinstance(value, str) else _compact(value)
    return value if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "..."


def _compact(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def show_example(value: object) -> str:
    """Return an example of a field as one short line of JSON."""
    text = str(value) if isinstance(value, _Literal) else _compact(value)
    return printable(text, _EXAMPLE_CHARACTERS)

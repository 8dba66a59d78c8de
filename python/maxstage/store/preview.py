"""What a person wants to see of an item before reading it: the first lines, the fields, the cost in a prompt."""

from typing import NamedTuple

from maxstage.humanize import printable
from maxstage.store.reading import OpenItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINES = 3
"""Lines of the preview."""
LINE_CHARACTERS = 100
"""Characters of each."""
MOST_FIELDS = 50
"""Fields that are described; data with a name for each record has as many as it has records."""
_NAME_CHARACTERS = 60
"""Characters of a field's name."""
_EXAMPLE_CHARACTERS = 40
"""Characters of an example, as text."""
_VALUE_CHARACTERS = 200
"""Characters that an example may have as JSON and still be given as the value that it is."""
_SAMPLE = 256 * 1024
"""Bytes looked at, whatever the size of the item."""
_MOST_DIGITS = 300
"""Of a number that Python and the readers of our JSON have as a number."""


class _Literal(str):
    """A number that Python has no number for, as it was written: ``1e999``, ``NaN``, a thousand digits."""

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
    """Return the first lines, each cut at `LINE_CHARACTERS`, with nothing in them that a terminal obeys."""
    lines = opened.read(0, _SAMPLE).split(b"\n", LINES)
    return [_clip(line) for line in lines[: min(LINES, opened.item.record_count)]]


def _clip(line: bytes) -> str:
    # Four bytes are the most that a character takes.
    text = line[: 4 * LINE_CHARACTERS + 4].decode("utf-8", "replace").removesuffix("\r")
    return printable(text, LINE_CHARACTERS)


class Fields(NamedTuple):
    """What the records of an item have.

    Attributes:
        sampled: How many records were looked at.
        fields: For each field that they have, by name, the first `MOST_FIELDS`: its ``type`` (several are joined by
            ``|``), the share of records that have it as ``present``, and an ``example``.
        more: How many other fields there are.
    """

    sampled: int
    fields: "dict[str, dict[str, Any]]"
    more: int


def describe_fields(opened: OpenItem) -> Fields:
    """Look at the records in the first bytes of a JSON item; those that can't be read are passed over."""
    records = _records(opened)
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
        parsed = _parse(sample)
        values = parsed if isinstance(parsed, list) else [parsed]
    elif item.content_type == "ndjson":
        complete = sample if whole else sample[: sample.rfind(b"\n") + 1]
        values = [_parse(line) for line in complete.split(b"\n") if line.strip()]
    return [value for value in values if isinstance(value, dict)]


def _parse(text: bytes) -> object:
    """Return what JSON says; None where it is none: its type may have been told to us, not found."""
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
    return number if number - number == 0 else _Literal(text)  # infinity less itself is NaN


def _integer(text: str) -> "int | _Literal":
    return int(text) if len(text) <= _MOST_DIGITS else _Literal(text)


def _shorten(value: object) -> object:
    """Return an example as it is, or where it is long the beginning of its text."""
    text = value if isinstance(value, str) else _compact(value)
    return value if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "..."


def _compact(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def show_example(value: object) -> str:
    """Return an example of a field as one short line of JSON."""
    text = str(value) if isinstance(value, _Literal) else _compact(value)
    return printable(text, _EXAMPLE_CHARACTERS)

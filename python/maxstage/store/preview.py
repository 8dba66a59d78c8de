"""What a person wants to see of an item before reading it: the first lines, the fields, the cost in a prompt."""

from maxstage.store.reading import OpenItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINES = 3
"""Lines of the preview."""
LINE_CHARACTERS = 100
"""Characters of each."""
_SAMPLE = 256 * 1024
"""Bytes looked at, whatever the size of the item."""
_BYTES_PER_TOKEN = 4
"""The usual estimate for English text and JSON."""
_EXAMPLE_CHARACTERS = 40

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


def estimate_tokens(byte_size: int) -> int:
    """Return about how many tokens of a language model `byte_size` bytes are.

    >>> estimate_tokens(10)
    3
    """
    return -(-byte_size // _BYTES_PER_TOKEN)


def preview_lines(opened: OpenItem) -> list[str]:
    """Return the first lines, each cut at `LINE_CHARACTERS`, with nothing in them that a terminal obeys."""
    lines = opened.read(0, _SAMPLE).split(b"\n", LINES)
    return [_clip(line, LINE_CHARACTERS) for line in lines[: min(LINES, opened.item.record_count)]]


def describe_fields(opened: OpenItem) -> "tuple[int, dict[str, dict[str, Any]]]":
    """Look at the records in the first bytes of a JSON item.

    Returns:
        How many records were looked at, and for each field of theirs that are objects: its ``type``
        (several are joined by ``|``), the share of records that have it as ``present``, and an ``example``.
    """
    records = _records(opened)
    fields: dict[str, dict[str, Any]] = {}
    for record in records:
        for name, value in record.items():
            field = fields.setdefault(name, {"type": [], "present": 0, "example": value})
            kind = "null" if value is None else _TYPES[type(value)]
            field["present"] += 1
            if kind not in field["type"]:
                field["type"].append(kind)
            if field["example"] is None:
                field["example"] = value
    for field in fields.values():
        field["type"] = "|".join(field["type"])
        field["present"] /= len(records)
    return len(records), fields


def _records(opened: OpenItem) -> "list[dict[str, Any]]":
    import json

    item = opened.item
    sample = opened.read(0, _SAMPLE)
    values: list[Any] = []
    try:
        if item.content_type == "json" and len(sample) == item.byte_size:
            whole = json.loads(sample)
            values = whole if isinstance(whole, list) else [whole]
        elif item.content_type == "ndjson":
            complete = sample if len(sample) == item.byte_size else sample[: sample.rfind(b"\n") + 1]
            values = [json.loads(line) for line in complete.split(b"\n") if line.strip()]
    except (ValueError, RecursionError):
        return []  # a type that was told to us, not found: there are no fields to show
    return [value for value in values if isinstance(value, dict)]


def show_example(value: object) -> str:
    """Return an example of a field as one short line of JSON."""
    import json

    return _clip(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), _EXAMPLE_CHARACTERS)


def _clip(line: bytes, characters: int) -> str:
    # Four bytes are the most that a character takes.
    text = line[: 4 * characters + 4].decode("utf-8", "replace").removesuffix("\r")
    shown = "".join(char if char.isprintable() else _escape(char) for char in text[:characters])
    return shown + ("..." if len(text) > characters else "")


def _escape(char: str) -> str:
    return " " if char == "\t" else char.encode("unicode_escape").decode()

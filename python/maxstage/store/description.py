"""Items as text for people and models: one in full detail, or many as a table."""

import itertools
import math
import time

from maxstage.codecs import NONE
from maxstage.humanize import counted, format_duration, format_size, printable
from maxstage.redaction import counts_text
from maxstage.sizes import llm_tokens
from maxstage.store.preview import describe_fields, preview_lines, show_example

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.metadata import Item
    from maxstage.store.preview import Fields
    from maxstage.store.reading import OpenItem

_SOURCE_CHARACTERS = 60
"""Characters of a source in a table: longer ones would push the other columns out of sight."""
_CHARACTERS = 200
"""Characters of the source, and of each label, that are shown for a single item."""
_LABELS = 20
"""Labels that are shown."""


def describe(opened: "OpenItem") -> str:
    """Return the description of an item: its metadata, cost in a prompt, a preview and, for JSON, its fields."""
    item = opened.item
    return "\n".join(
        [*_facts(item), *_preview(item, preview_lines(opened)), *fields_lines(describe_fields(opened))]
    )


def table_of(items: "list[Item]") -> str:
    """Return items as a table, one line each."""
    now = time.time()
    rows = [
        (
            item.token,
            counted(item.record_count, "record"),
            format_size(item.byte_size),
            printable(item.source or "unknown", _SOURCE_CHARACTERS),
            f"{format_duration(now - item.created)} ago",
            f"expires: {format_remaining(item.expires, now)}",
        )
        for item in items
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Right-aligned numbers are easier to compare.
    aligned = [(str.ljust, str.rjust, str.rjust, str.ljust, str.rjust, str.ljust)] * len(rows)
    return "\n".join(
        "  ".join(align(cell, width) for cell, width, align in zip(row, widths, how, strict=True)).rstrip()
        for row, how in zip(rows, aligned, strict=True)
    )


_MINUTE = 60
"""Seconds; what is less is told in seconds, as `format_duration` does."""


def format_remaining(expires: float | None, now: float) -> str:
    """Return how long an item has left.

    In begun minutes, the unit of ``--ttl``: what was given for five hours has `5 h` left, and not `4 h` a second later.

    >>> format_remaining(18000.0, now=2.5), format_remaining(60.0, now=0.5), format_remaining(50.0, now=0.5)
    ('5 h', '1 min', '50 s')
    """
    if expires is None:
        return "never"
    left = math.ceil(expires - now)
    return format_duration(left if left < _MINUTE else -(-left // _MINUTE) * _MINUTE)


def _facts(item: "Item") -> "Iterator[str]":
    now = time.time()
    yield f"Token:      {item.token}"
    yield f"Records:    {item.record_count:,}"
    yield f"Size:       {format_size(item.byte_size)}"
    yield f"Source:     {printable(item.source or 'unknown', _CHARACTERS)}"
    yield f"Created:    {format_duration(now - item.created)} ago"
    yield f"Expires:    {format_remaining(item.expires, now)}"
    yield f"Type:       {item.content_type}"
    yield f"LLM tokens: about {llm_tokens(item.byte_size):,} in a prompt"
    if item.codec != NONE:
        yield f"Stored:     {format_size(item.stored_size)}, {item.codec}"
    if item.redacted:
        yield f"Masked:     {printable(counts_text(item.redacted), _CHARACTERS)}"
    derived = (item.extra or {}).get("derivedFrom")
    if derived is not None:
        yield f"Derived:    {printable(_as_json(derived), _CHARACTERS)}"
    statuses = (item.extra or {}).get("statuses")
    if isinstance(statuses, dict):  # of the operations that a result tells of
        told = ", ".join(f"{count:,} {name}" for name, count in statuses.items() if isinstance(count, int))
        yield f"Statuses:   {printable(told, _CHARACTERS)}"
    if item.labels:
        yield f"Labels:     {_labels(item.labels)}"


def _labels(labels: dict[str, str]) -> str:
    shown = [
        printable(f"{key}={value}", _CHARACTERS) for key, value in itertools.islice(labels.items(), _LABELS)
    ]
    more = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _preview(item: "Item", lines: list[str]) -> "Iterator[str]":
    yield ""
    yield "Preview:"
    yield from (f"  {line}" for line in lines)
    if item.record_count > len(lines):
        yield f"  ... ({item.record_count - len(lines)} more)"


def fields_lines(described: "Fields") -> "Iterator[str]":
    """Return a line for each field, after an empty one and a heading; nothing if there are none."""
    fields = described.fields
    if not fields:
        return
    yield ""
    sampled = described.sampled
    yield f"Fields (of the first {sampled:,} records):" if sampled > 1 else "Fields:"
    name_width = max(map(len, fields))
    type_width = max(len(field["type"]) for field in fields.values())
    for name, field in fields.items():
        example = show_example(field["example"])
        yield f"  {name:{name_width}}  {field['type']:{type_width}}  {field['present']:4.0%}  {example}"
    if described.more:
        yield f"  ... (and {described.more:,} more)"


def _as_json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)

"""``copy``: a file gets a second one like it, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maxstage.intent.operations.operation import Back, Filled, Operation, kept, template_of
from maxstage.intent.paths import relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.intent.journal import Entry, Row


def fill_both(templates: Mapping[str, Any], record: Any, number: int) -> Filled:
    """Return source and target for a record."""
    source = relative(template_of(templates, "from").fill(record, number), "the source")
    return Filled(source, relative(template_of(templates, "to").fill_path(record, number), "the target"))


def _back(row: Row, entry: Entry) -> list[Back]:
    target = entry.target or row.target or b""
    # Only if nobody has changed it.
    return [Back("delete", target, None, entry.made or ""), *kept(entry, target)]


COPY = Operation("copy", "copied", "copies a file", ("from", "to"), fill_both, _back)

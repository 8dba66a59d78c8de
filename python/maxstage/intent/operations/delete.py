"""``delete``: a file goes into the trash, where it lies until the result expires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maxstage.intent.identity import inode
from maxstage.intent.operations.operation import Back, Filled, Operation, name_of, template_of
from maxstage.intent.paths import relative

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.intent.journal import Entry, Row


def _fill(templates: Mapping[str, Any], record: Any, number: int) -> Filled:
    return Filled(relative(template_of(templates, "from").fill(record, number), "the file"))


def _back(row: Row, entry: Entry) -> list[Back]:
    return [Back("restore", name_of(row.n), row.source, inode(entry.made or ""))]


DELETE = Operation("delete", "deleted", "deletes a file", ("from",), _fill, _back, removes_source=True)

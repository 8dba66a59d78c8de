"""``move``: a file gets another name; into another file system it is copied, compared, and then deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.intent.identity import inode
from maxstage.intent.operations.copy import fill_both
from maxstage.intent.operations.operation import Back, Operation, kept

if TYPE_CHECKING:
    from maxstage.intent.journal import Entry, Row


def _back(row: Row, entry: Entry) -> list[Back]:
    target = entry.target or row.target or b""
    # Whatever was written into it since: moving loses nothing.
    return [Back("move", target, row.source, inode(entry.made or "")), *kept(entry, target)]


MOVE = Operation("move", "moved", "moves a file", ("from", "to"), fill_both, _back, removes_source=True)

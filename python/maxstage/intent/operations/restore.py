"""``restore``: a file comes back out of the trash. Only taking back an intent plans it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.intent.identity import inode
from maxstage.intent.operations.operation import Back, Operation

if TYPE_CHECKING:
    from maxstage.intent.journal import Entry, Row


def _back(row: Row, entry: Entry) -> list[Back]:
    return [Back("delete", entry.target or row.target or b"", None, inode(entry.made or ""))]


RESTORE = Operation(
    "restore", "restored", "restores a file", (), None, _back, removes_source=True, uses_trash=True
)

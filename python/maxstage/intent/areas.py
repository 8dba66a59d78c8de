"""The folders that operations on files work in, and an operation that is about to be done in them.

An operation goes in steps, so that a process may be killed after each of them:

1. `maxstage.intent.looking`: is the source what it was, is the target free, what must be done. Nothing is changed.
2. `maxstage.intent.transfer.prepare`: where content must be written, it is, to a file next to the target with a name
   of its own.
3. `maxstage.intent.transfer.act`: a file that is in the way goes into the trash, where that is wanted; then the file,
   or the one prepared, gets its name by a rename that never replaces anything; a source on another file system is then
   deleted.

The journal has what step 3 does before it does it; each step is told from the files to have been done or not
(`maxstage.intent.recovery`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from maxstage.intent.journal import FAILED, Entry, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.operations.operation import name_of, name_of_old
from maxstage.intent.paths import PART, shown

if TYPE_CHECKING:
    from maxstage.intent.paths import Folders

CONFLICTS = {
    "fail": "it fails, and nothing is changed",
    "skip": "it is passed over",
    "overwrite": "what is there goes into the trash",
    "rename": 'it gets another name, like "name (1).txt"',
}
"""What is done where something has the name of a target."""


class Areas:
    """The folders that operations work in.

    Args:
        intent_id: The intent, in the names of unfinished files.
        root: The root of the intent.
        trash: Its trash.
        taken_back: The trash of the intent that it takes back, if it does.
        on_conflict: What is done where a target is taken: a name in `CONFLICTS`.
        sync: Whether files must be on disk before the journal says that they are there.

    Attributes:
        again: The operations that were looked at again, since somebody took the name that they were about to get.
        numbers: For each target whose name was taken, the number to try next, as in ``name (2).txt``.
    """

    def __init__(
        self,
        intent_id: str,
        root: Folders,
        trash: Folders,
        taken_back: Folders | None,
        *,
        on_conflict: str = "fail",
        sync: bool = False,
    ) -> None:
        self.root = root
        self.trash = trash
        self.on_conflict = on_conflict
        self.sync = sync
        self.again: set[int] = set()
        self.numbers: dict[bytes, int] = {}
        self._taken_back = taken_back
        self._devices: dict[int, int] = {}
        self._part = PART.encode() + intent_id.encode() + b"-"

    def source_of(self, row: Row) -> tuple[Folders, bytes]:
        """Return where the source of an operation is."""
        if OPERATIONS[row.op].uses_trash:
            assert self._taken_back is not None  # noqa: S101 - only taking back plans it
            return self._taken_back, row.source or b""
        return self.root, row.source or b""

    def target_of(self, row: Row, target: bytes | None = None) -> tuple[Folders, bytes]:
        """Return where the target of an operation is; `target` is another than planned."""
        planned = target or row.target
        return (self.trash, name_of(row.n)) if planned is None else (self.root, planned)

    def part_of(self, row: Row, target: bytes | None = None) -> tuple[Folders, bytes]:
        """Return where the unfinished file of an operation is: next to its target."""
        area, path = self.target_of(row, target)
        folder, slash, _ = path.rpartition(b"/")
        return area, folder + slash + self._part + name_of(row.n)

    def old_of(self, row: Row) -> tuple[int, bytes]:
        """Return where in the trash lies what an operation replaced, by a descriptor, and its name there."""
        return self.trash.of(name_of_old(row.n))

    def device_of(self, folder: int) -> int:
        """Return the file system of a folder, by its descriptor."""
        known = self._devices.get(folder)
        if known is None:
            known = self._devices[folder] = os.fstat(folder).st_dev
        return known

    def forget(self) -> None:
        """Close the descriptors of folders."""
        self.root.forget()
        self._devices.clear()

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to `forget`."""
        return self.root.is_crowded


class Step:
    """An operation that is about to be done.

    Attributes:
        row: The operation.
        entry: What the journal is to say of it before it is done.
        folders: The folders that must be made first.
        content: Bytes that must be written.
        prepare: Whether content must be written; if not, one rename does it.
        is_same_file: Whether the target is the source under another spelling of its name.
        move: The rename that does it, where that was known at once.
    """

    __slots__ = ("content", "entry", "folders", "is_same_file", "move", "prepare", "row")

    def __init__(
        self,
        row: Row,
        entry: Entry,
        folders: list[bytes],
        content: int,
        *,
        prepare: bool,
        is_same_file: bool,
        move: tuple[int, bytes, int, bytes] | None = None,
    ) -> None:
        self.move = move
        self.row = row
        self.entry = entry
        self.folders = folders
        self.content = content
        self.prepare = prepare
        self.is_same_file = is_same_file


def failed(row: Row, error: str, **more: str) -> Entry:
    """Return the entry of an operation that failed."""
    return Entry(row.n, FAILED, error, **more)  # type: ignore[arg-type]


def about(row: Row) -> str:
    """Return which files an operation is about, for errors that could be about either."""
    return " → ".join(shown(path) for path in (row.source, row.target) if path is not None)

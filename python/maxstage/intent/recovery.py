"""After a kill: what became of operations that were going on is told from the files, and they are finished."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from maxstage.intent.aside import put_back, with_kept
from maxstage.intent.identity import inode, is_inode, look
from maxstage.intent.journal import PREPARING, SUCCEEDED, UNKNOWN, Entry, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.paths import Refused, shown
from maxstage.intent.transfer import act_one, discard, is_prepared

if TYPE_CHECKING:
    from maxstage.intent.areas import Areas


def recover(areas: Areas, row: Row, entry: Entry) -> Entry | None:
    """Tell from the files what became of an operation that was going on when its process was killed; finish it.

    Returns:
        Its final entry; None if nothing was done, so that it is to be done from the beginning.
    """
    if entry.status == PREPARING:
        discard(areas, row, entry)
        return None
    try:
        return _recover(areas, row, entry)
    except Refused as refused:
        return Entry(row.n, UNKNOWN, f"it was being done when it was interrupted: {refused}")
    except OSError as error:
        return Entry(row.n, UNKNOWN, f"it was being done when it was interrupted: {error.strerror}")


def _recover(areas: Areas, row: Row, entry: Entry) -> Entry | None:
    made = entry.made or ""
    area, path = areas.target_of(row, entry.target)
    there = look(area, path)
    is_there = there is not None and is_inode(there, made)
    prepared = is_prepared(row, entry)
    origin_area, origin = areas.part_of(row, entry.target) if prepared else areas.source_of(row)
    left = look(origin_area, origin)
    is_left = left is not None and is_inode(left, made)
    # What is to be replaced may be another name of the file itself.
    is_other = entry.over is None or inode(entry.over) != inode(made)
    if is_there and is_left and is_other and left is not None:
        if left.st_nlink == 1:
            # Two spellings of one name.
            return act_one(areas, row, entry, is_same_file=True)
        # The system renames by a link and its removal, and the second is still missing.
        folder, name = origin_area.of(origin)
        os.unlink(name, dir_fd=folder)
    if is_there or (is_left and (entry.over is not None or prepared)):
        return act_one(areas, row, entry)
    if is_left:
        return None
    if prepared:
        # What was prepared is gone, so it got its name; somebody has changed or taken it since.
        return _recover_changed(areas, row, entry, is_gone=there is None)
    text = (
        f"when it was interrupted, {shown(origin)} was being {OPERATIONS[row.op].done}, and neither it nor its "
        "target is that file any more"
    )
    return put_back(areas, row, entry, Entry(row.n, UNKNOWN, text))


def _recover_changed(areas: Areas, row: Row, entry: Entry, *, is_gone: bool) -> Entry:
    """Finish an operation whose target was published and has been changed by others since, or taken away."""
    entry = with_kept(areas, row, entry)
    if entry.crossed is not None:
        area, path = areas.source_of(row)
        if look(area, path) is not None:
            return Entry(row.n, UNKNOWN, "its target was made and has changed since; its source is kept")
    elif is_gone:
        text = "when it was interrupted, its file was written, and is gone now"
        return put_back(areas, row, entry, Entry(row.n, UNKNOWN, text))
    return entry._replace(status=SUCCEEDED)

"""What is at the target of an operation that overwrites goes into the trash first, and back if the operation fails."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from maxstage._backend import core
from maxstage.intent.copying import copy_file, copy_link
from maxstage.intent.identity import LINK, identity, is_inode, is_same, kind_of, look
from maxstage.intent.journal import FAILED
from maxstage.intent.paths import Refused, shown

if TYPE_CHECKING:
    from maxstage.intent.areas import Areas
    from maxstage.intent.journal import Entry, Row

    Place = tuple[int, bytes]


def put_aside(areas: Areas, row: Row, entry: Entry) -> Entry:
    """Move what is at the target of an operation into the trash, if it is what was there when it was looked at.

    Returns:
        The entry, with what lies in the trash now: a copy, where that is on another file system.

    Raises:
        Refused: Something else is there.
        OSError: It can't be moved, and is where it was.
    """
    area, path = areas.target_of(row, entry.target)
    old, there = areas.old_of(row), look(area, path)
    kept = _status(old)
    if there is not None and is_same(there, entry.over or ""):
        place = area.of(path)
        if kept is None:
            carry(place, old, old[1] + b".part", there, sync=areas.sync)
        elif _is_its_copy(kept, there):
            # A kill came after it was copied, or linked, and before this.
            os.unlink(place[1], dir_fd=place[0])
        else:
            raise Refused(f"an earlier file of {shown(path)} lies in the trash, as {os.fsdecode(old[1])}")
    elif there is not None and kept is None:
        raise Refused(f"{shown(path)} has changed since it was looked at, and was left alone")
    return with_kept(areas, row, entry)


def with_kept(areas: Areas, row: Row, entry: Entry) -> Entry:
    """Return an entry with what lies in the trash of what was at its target."""
    kept = _status(areas.old_of(row))
    return entry._replace(over=None if kept is None else identity(kept))


def put_back(areas: Areas, row: Row, entry: Entry, ended: Entry) -> Entry:
    """Put what was at the target of an operation that failed back there; return its final entry.

    Args:
        areas: The folders.
        row: The operation.
        entry: What the journal has of it.
        ended: How it failed.
    """
    if entry.over is None:
        return ended
    old = areas.old_of(row)
    kept = _status(old)
    if kept is None:
        return ended
    try:
        area, path = areas.target_of(row, entry.target)
        carry(old, area.of(path), areas.part_of(row)[1].rpartition(b"/")[2], kept, sync=areas.sync)
    except (Refused, OSError):
        where = f"what was there before lies in the trash, as {os.fsdecode(old[1])}"
        status = ended.status if ended.error else FAILED
        return ended._replace(
            status=status, over=identity(kept), error=f"{ended.error or 'it failed'}; {where}"
        )
    return ended._replace(over=None)


def carry(source: Place, target: Place, part: bytes, status: os.stat_result, *, sync: bool) -> None:
    """Move a file, also into another file system; never over another.

    Args:
        source: Its folder and name.
        target: The folder and name that it gets.
        part: The name of an unfinished copy, in the folder of the target.
        status: What it is.
        sync: Whether a copy must be on disk before it is deleted.

    Raises:
        Refused: It has changed.
        OSError: It can't be moved, and is where it was.
    """
    code = core.rename_new([(*source, *target)])[0]
    if code == errno.EXDEV:
        code = _carry_far(source, target, part, status, sync=sync)
    if code:
        raise OSError(code, os.strerror(code))


def _carry_far(source: Place, target: Place, part: bytes, status: os.stat_result, *, sync: bool) -> int:
    folder = target[0]
    remove(folder, part)
    try:
        if kind_of(status) == LINK:
            copy_link(source, (folder, part), identity(status))
        else:
            copy_file(source, (folder, part), identity(status), verify=True, sync=sync)
        code = core.rename_new([(folder, part, *target)])[0]
    finally:
        remove(folder, part)
    if code == 0:
        try:
            os.unlink(source[1], dir_fd=source[0])
        except OSError:
            os.unlink(target[1], dir_fd=folder)
            raise
    return code


def remove(folder: int, name: bytes) -> None:
    """Delete a file, if it is there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _status(place: Place) -> os.stat_result | None:
    try:
        return os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_its_copy(kept: os.stat_result, there: os.stat_result) -> bool:
    """Return whether a file in the trash is a file, or the copy that was made of it."""
    as_made = (kept.st_size, kept.st_mtime_ns) == (there.st_size, there.st_mtime_ns)
    return is_inode(kept, identity(there)) or (kept.st_dev != there.st_dev and as_made)

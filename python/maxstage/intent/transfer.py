"""The second and third step of every operation on files: content is written, and files get their names.

What an operation on files does, it does whole: one that fails has left everything as it was.
"""

from __future__ import annotations

import errno
import itertools
import os
from typing import TYPE_CHECKING

from maxstage._backend import core
from maxstage.intent.areas import about, failed
from maxstage.intent.aside import put_aside, put_back, remove, with_kept
from maxstage.intent.copying import copy_file, copy_link, write_file
from maxstage.intent.identity import LINK, identity, is_inode, is_same, kind_of, look
from maxstage.intent.journal import PREPARING, SKIPPED, SUCCEEDED, Entry, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.paths import Refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maxstage.intent.areas import Areas, Step

FAR = "far"
"""The status of an operation whose target turned out to be on another file system: it must be prepared first."""
LEFT = "left"
"""The status of an operation that was not begun, since one before it failed."""
AGAIN = "again"
"""The status of an operation whose target was taken since it was looked at, and that gets another name then."""


# Step 2


def preparing(steps: Iterable[Step]) -> list[Entry]:
    """Return what the journal is to say before files are prepared: where unfinished ones may lie."""
    return [step.entry._replace(status=PREPARING) for step in steps if step.prepare]


def prepare(areas: Areas, step: Step, progress: Callable[[int], None] | None = None) -> Entry | None:
    """Write the content of an operation next to its target; return the entry of one that failed.

    Folders were made before; files of an earlier attempt are replaced.
    """
    row, entry = step.row, step.entry
    try:
        area, path = areas.part_of(row, entry.target)
        folder, name = area.of(path)
        remove(folder, name)
        try:
            made = _write(areas, row, entry, (folder, name), progress)
        except BaseException:
            remove(folder, name)
            raise
    except Refused as refused:
        return failed(row, str(refused))
    except OSError as error:
        return failed(row, f"{error.strerror}: {about(row)}")
    step.entry = entry._replace(made=made)
    return None


def _write(
    areas: Areas, row: Row, entry: Entry, part: tuple[int, bytes], progress: Callable[[int], None] | None
) -> str:
    if row.source is None:
        area, path = areas.target_of(row, entry.target)
        before = look(area, path) if entry.over is not None else None
        return write_file(row.body or b"", part, before, sync=areas.sync)
    area, path = areas.source_of(row)
    status = look(area, path)
    if status is None:
        raise Refused(f"{shown(path)} is missing")
    seen = entry.crossed or row.seen or identity(status)
    if kind_of(status) == LINK:
        return copy_link(area.of(path), part, seen)
    return copy_file(
        area.of(path), part, seen, verify=entry.crossed is not None, sync=areas.sync, progress=progress
    )


def discard(areas: Areas, row: Row, entry: Entry) -> None:
    """Delete the unfinished file of an operation, if there is one."""
    area, path = areas.part_of(row, entry.target)
    try:
        folder, name = area.of(path)
        remove(folder, name)
    except (Refused, OSError):
        return  # its folder is gone, or nothing may be deleted there; the result tells of the operation itself


# Step 3


def act(areas: Areas, steps: list[Step], *, stop: bool = False) -> list[Entry]:
    """Do operations that were prepared, in their order; return their final entries. Nothing here takes long.

    Args:
        areas: The folders.
        steps: The operations.
        stop: Whether to leave all that come after the first that fails.
    """
    ended: list[Entry] = []
    for is_plain, group in itertools.groupby(steps, key=_is_plain):
        some = list(group)
        if is_plain:
            ended += _act_plainly(areas, some, stop=stop)
        else:
            for step in some:
                entry = act_one(areas, step.row, step.entry, is_same_file=step.is_same_file, again=True)
                ended.append(entry)
                if stop and has_failed(ended[-1]):
                    break
        if stop and has_failed(ended[-1]):
            break
    return ended + [_left(areas, step) for step in steps[len(ended) :]]


def has_failed(entry: Entry) -> bool:
    """Return whether an operation failed, or was left because one did."""
    return entry.status not in {SUCCEEDED, SKIPPED, FAR, AGAIN}


def _is_plain(step: Step) -> bool:
    """Return whether one rename does an operation."""
    return step.entry.over is None and step.entry.crossed is None and not step.is_same_file


def _left(areas: Areas, step: Step) -> Entry:
    if step.prepare:
        discard(areas, step.row, step.entry)
    return step.entry._replace(status=LEFT)


def _act_plainly(areas: Areas, steps: list[Step], *, stop: bool) -> list[Entry]:
    """Do operations by a rename each, all at once."""
    moves = []
    refused: dict[int, Entry] = {}
    for step in steps:
        try:
            moves.append(step.move or _rename_of(areas, step.row, step.entry, prepared=step.prepare))
        except Refused as error:
            discard(areas, step.row, step.entry)
            refused[step.row.n] = failed(step.row, str(error))
            if stop:
                break
    codes = iter(core.rename_new(moves, stop=stop))
    ended = []
    for step in steps:
        entry = refused.get(step.row.n)
        if entry is None:
            code = next(codes, None)
            if code is None:
                entry = _left(areas, step)
            else:
                entry = _ended(areas, step.row, step.entry, code, prepared=step.prepare, again=True)
        ended.append(entry)
    return ended


def _rename_of(areas: Areas, row: Row, entry: Entry, *, prepared: bool) -> tuple[int, bytes, int, bytes]:
    """Return the rename that gives a file, or the one prepared, its name."""
    origin_area, origin = areas.part_of(row, entry.target) if prepared else areas.source_of(row)
    area, path = areas.target_of(row, entry.target)
    return (*origin_area.of(origin), *area.of(path))


def _ended(areas: Areas, row: Row, entry: Entry, code: int, *, prepared: bool, again: bool) -> Entry:
    """Return the entry of an operation whose rename gave an errno, 0 for success."""
    if code == 0:
        return Entry(row.n, SUCCEEDED, None, entry.target, entry.made, entry.crossed, entry.over)
    if code == errno.EXDEV and not prepared:
        return entry._replace(status=FAR)
    if prepared:
        discard(areas, row, entry)
    if code == errno.EEXIST:
        return _taken(areas, row, entry, again=again)
    if code == errno.ENOENT:
        return failed(row, f"{shown(row.source or row.target or b'')} has disappeared since it was looked at")
    return failed(row, f"{os.strerror(code)}: {about(row)}")


def _taken(areas: Areas, row: Row, entry: Entry, *, again: bool) -> Entry:
    """Return the entry of an operation whose target was taken since it was looked at."""
    path = areas.target_of(row, entry.target)[1]
    if areas.on_conflict == "skip":
        return Entry(row.n, SKIPPED, f"{shown(path)} exists already")
    if again and areas.on_conflict == "rename" and row.n not in areas.again:
        areas.again.add(row.n)
        return entry._replace(status=AGAIN)
    return failed(row, f"{shown(path)} has appeared since it was looked at, and was left alone")


def act_one(
    areas: Areas, row: Row, entry: Entry, *, is_same_file: bool = False, again: bool = False
) -> Entry:
    """Do one operation that takes several steps; each is passed over if it was done before.

    Args:
        areas: The folders.
        row: The operation.
        entry: What the journal has of it.
        is_same_file: Whether its target is its source under another spelling.
        again: Whether it can be looked at again, if its target was taken.
    """
    prepared = is_prepared(row, entry)
    try:
        if is_same_file:
            return _respell(areas, row, entry)
        if _is_published(areas, row, entry):
            entry = with_kept(areas, row, entry)
        else:
            if entry.over is not None:
                entry = put_aside(areas, row, entry)
            code = core.rename_new([_rename_of(areas, row, entry, prepared=prepared)])[0]
            if code:
                ended = _ended(areas, row, entry, code, prepared=prepared, again=again)
                return put_back(areas, row, entry, ended)
        if entry.crossed is not None:
            _remove_crossed(areas, row, entry)
        return entry._replace(status=SUCCEEDED)
    except Refused as refused:
        ended = failed(row, str(refused))
    except OSError as error:
        ended = failed(row, f"{error.strerror}: {about(row)}")
    if prepared:
        discard(areas, row, entry)
    return put_back(areas, row, entry, ended)


def is_prepared(row: Row, entry: Entry) -> bool:
    """Return whether an operation's content was written next to its target."""
    return entry.crossed is not None or not OPERATIONS[row.op].removes_source


def _respell(areas: Areas, row: Row, entry: Entry) -> Entry:
    """Give a file another spelling of its name, in a folder that takes both for one."""
    old_folder, old, folder, name = _rename_of(areas, row, entry, prepared=False)
    os.rename(old, name, src_dir_fd=old_folder, dst_dir_fd=folder)
    return entry._replace(status=SUCCEEDED)


def _is_published(areas: Areas, row: Row, entry: Entry) -> bool:
    """Return whether the file of an operation has got its name, before a kill."""
    area, path = areas.target_of(row, entry.target)
    there = look(area, path)
    if there is None or not is_inode(there, entry.made or ""):
        return False
    # A target that was replaced may be another name of the source itself.
    origin_area, origin = (
        areas.part_of(row, entry.target) if is_prepared(row, entry) else areas.source_of(row)
    )
    return look(origin_area, origin) is None


def _remove_crossed(areas: Areas, row: Row, entry: Entry) -> None:
    """Delete a source that was copied to another file system, unless it has changed since.

    Raises:
        Refused: It has, or it can't be deleted; the copy is deleted instead.
    """
    area, path = areas.source_of(row)
    status = look(area, path)
    if status is None:
        return
    if not is_same(status, entry.crossed or ""):
        _unpublish(areas, row, entry, f"{shown(path)} changed while it was {OPERATIONS[row.op].done}")
    try:
        folder, name = area.of(path)
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        _unpublish(areas, row, entry, f"{error.strerror}: {shown(path)} can't be removed from where it is")


def _unpublish(areas: Areas, row: Row, entry: Entry, why: str) -> None:
    """Delete the copy of a source that stays, if it is still what was made.

    Raises:
        Refused: Always: why the source stays.
    """
    area, path = areas.target_of(row, entry.target)
    there = look(area, path)
    if there is not None and is_same(there, entry.made or ""):
        folder, name = area.of(path)
        os.unlink(name, dir_fd=folder)
        raise Refused(why)
    raise Refused(f"{why}; both files are kept")

"""The first step of every operation on files: is the source what it was, is the target free, what must be done.

Nothing is changed here.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from maxstage.intent.areas import Step, about, failed
from maxstage.intent.identity import FILE, LINK, identity, is_same, kind_of, look
from maxstage.intent.journal import ACTING, FAILED, SKIPPED, Entry, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.paths import Folders, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Container

    from maxstage.intent.areas import Areas
    from maxstage.intent.operations.operation import Operation

_MOST_NAMES = 10_000
"""Names that are tried for a target whose own is taken."""


def look_at(areas: Areas, row: Row, claimed: set[bytes], *, far: bool = False) -> Step | Entry:
    """Find out what must be done for an operation; nothing is changed.

    Args:
        areas: The folders.
        row: The operation.
        claimed: The targets of operations that are about to be done; this one's is added.
        far: Whether the target is on another file system, which the system has told.

    Returns:
        The step; or the entry of an operation that fails, or is passed over.
    """
    if row.fault is not None:
        return failed(row, row.fault)
    if row.op == "move" and not far:
        step = _look_at_plain(areas, row, claimed)
        if step is not None:
            return step
    try:
        return _look_at(areas, row, OPERATIONS[row.op], claimed, far=far)
    except Refused as refused:
        return failed(row, str(refused))
    except OSError as error:
        return failed(row, f"{error.strerror}: {about(row)}")


def _look_at_plain(areas: Areas, row: Row, claimed: set[bytes]) -> Step | None:
    """Do the same for the most frequent case, which a hundred thousand renames are: nothing is in the way of a move.

    Returns:
        The step; None if anything is out of the ordinary.
    """
    target = row.target
    if target is None or row.source is None or target in claimed:
        return None
    source_at, target_at = areas.root.known(row.source), areas.root.known(target)
    if source_at is None or target_at is None:
        return None
    fd, name = source_at
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return None
    made = identity(status)
    is_it = made == row.seen or made.startswith(f"{row.seen}:")
    if not is_it or not stat.S_ISREG(status.st_mode) or status.st_dev != areas.device_of(target_at[0]):
        return None
    if os.access(target_at[1], os.F_OK, dir_fd=target_at[0], follow_symlinks=False):
        return None
    claimed.add(target)
    entry = Entry(row.n, ACTING, None, None, made)
    return Step(row, entry, [], 0, prepare=False, is_same_file=False, move=(*source_at, *target_at))


def _look_at(areas: Areas, row: Row, operation: Operation, claimed: set[bytes], *, far: bool) -> Step | Entry:
    status = _source(areas, row, operation)
    wanted = row.target
    over: os.stat_result | None = None
    is_same_file = False
    if wanted is not None:
        there = look(areas.root, wanted)
        is_same_file = there is not None and status is not None and _is_respelt(row, status, there)
        if wanted in claimed or (there is not None and not is_same_file):
            chosen = _resolve(areas, wanted, there, claimed)
            if isinstance(chosen, str):
                skipped = areas.on_conflict == "skip"
                return Entry(row.n, SKIPPED if skipped else FAILED, chosen)
            over = there if chosen == wanted else None
            wanted = chosen
        claimed.add(wanted)
    area, path = areas.target_of(row, wanted)
    missing = area.missing(path)
    is_far = far or (status is not None and _device(area, path) != status.st_dev)
    keeps = status is not None and not operation.removes_source
    prepare = status is None or keeps or is_far
    entry = Entry(
        row.n,
        ACTING,
        target=None if wanted == row.target else wanted,
        made=None if prepare or status is None else identity(status),
        crossed=identity(status) if prepare and status is not None and not keeps else None,
        over=None if over is None else identity(over),
    )
    content = len(row.body or b"") if status is None else status.st_size
    return Step(row, entry, missing, content if prepare else 0, prepare=prepare, is_same_file=is_same_file)


def _source(areas: Areas, row: Row, operation: Operation) -> os.stat_result | None:
    """Return the status of the source; None if the operation has none.

    Raises:
        Refused: It is missing, has changed, or is not a file.
    """
    if row.source is None:
        return None
    area, path = areas.source_of(row)
    status = look(area, path)
    if status is None:
        # Say which folder it is, if one is no folder.
        raise Refused(
            f"{shown(path)} is missing" if not operation.uses_trash else "it is not in the trash any more"
        )
    problem = source_problem(row, status, operation)
    if problem is not None:
        raise Refused(problem)
    return status


def source_problem(row: Row, status: os.stat_result, operation: Operation) -> str | None:
    """Return why a source can't be used as it is now; None if it can."""
    if not is_file(status, operation):
        kind = "symbolic link" if kind_of(status) == LINK else kind_of(status)
        return f"{shown(row.source or b'')} is a {kind}; only files are {operation.done}"
    if row.seen is not None and not is_same(status, row.seen):
        if row.seen == "":
            return f"{shown(row.source or b'')} was missing when the intent was made"
        return f"{shown(row.source or b'')} has changed since the intent was made"
    return None


def is_file(status: os.stat_result, operation: Operation) -> bool:
    """Return whether a source is something that an operation handles: links are moved and deleted as they are."""
    kind = kind_of(status)
    return kind == FILE or (kind == LINK and operation.removes_source)


def _is_respelt(row: Row, status: os.stat_result, there: os.stat_result) -> bool:
    """Return whether the target is the source itself, in a folder that doesn't tell the two names apart."""
    if row.op != "move" or identity(status) != identity(there) or status.st_nlink != 1:
        return False
    return row.source is not None and row.target is not None


def _resolve(areas: Areas, target: bytes, there: os.stat_result | None, claimed: set[bytes]) -> bytes | str:
    """Return the target to take where the wanted one is taken; or why there is none."""
    if areas.on_conflict == "overwrite" and there is not None and target not in claimed:
        if kind_of(there) in {FILE, LINK}:
            return target
        return f"{shown(target)} is a {kind_of(there)}, which is not overwritten"
    if areas.on_conflict == "rename":
        other = free_name(areas.root, target, claimed, areas.numbers)
        if other is not None:
            return other
    return f"{shown(target)} exists already"


def free_name(
    root: Folders, target: bytes, claimed: Container[bytes], numbers: dict[bytes, int]
) -> bytes | None:
    """Return the name that a file gets whose own is taken, like ``name (1).txt``; None if all of them are, too.

    Args:
        root: The folders below the root.
        target: The name that is taken.
        claimed: Other names that are about to be taken.
        numbers: The number to try first, by target; what is used up is noted here. A thousand files of one name are
            not looked at a thousand times each.
    """
    folder, slash, name = target.rpartition(b"/")
    stem, extension = os.path.splitext(name)
    for number in range(numbers.get(target, 1), _MOST_NAMES):
        other = b"%b%b%b (%d)%b" % (folder, slash, stem, number, extension)
        if other not in claimed and look(root, other) is None:
            numbers[target] = number + 1
            return other
    return None


def _device(area: Folders, path: bytes) -> int:
    """Return the file system that a target is on, whether its folder is there or not."""
    return os.fstat(area.nearest(path)).st_dev

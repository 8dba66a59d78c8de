"""What every operation on files is: a file gets to its target, from elsewhere or as a new one, and never over another.

It goes in steps, so that a process may be killed after each of them:

1. *look*: is the source what it was, is the target free, what must be done. Nothing is changed.
2. *prepare*: where content must be written, it is, to a file next to the target with a name of its own.
3. *act*: a file that is in the way goes into the trash, where that is wanted; then the file, or the one prepared, gets
   its name by a rename that never replaces anything; a source on another file system is then deleted.

The journal has what step 3 does before it does it; each step is told from the files to have been done or not.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from maxstage._backend import core
from maxstage.intent.copying import copy_file, write_file
from maxstage.intent.identity import FILE, LINK, identity, is_inode, is_same, kind_of, look
from maxstage.intent.journal import ACTING, FAILED, PREPARING, SKIPPED, SUCCEEDED, UNKNOWN, Entry, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.operations.operation import name_of, name_of_old
from maxstage.intent.paths import PART, Folders, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maxstage.intent.operations.operation import Operation

CONFLICTS = {
    "fail": "it fails, and nothing is changed",
    "skip": "it is passed over",
    "overwrite": "what is there goes into the trash",
    "rename": 'it gets another name, like "name (1).txt"',
}
"""What is done where something has the name of a target."""

_MOST_NAMES = 10_000
"""Names that are tried for a target whose own is taken."""


class Areas:
    """The folders that operations work in.

    Args:
        intent_id: The intent, in the names of unfinished files.
        root: The root of the intent.
        trash: Its trash.
        taken_back: The trash of the intent that it takes back, if it does.
        on_conflict: What is done where a target is taken: a name in `CONFLICTS`.
        sync: Whether files must be on disk before the journal says that they are there.
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
        return failed(row, f"{error.strerror}: {_about(row)}")


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


def _about(row: Row) -> str:
    return shown(row.target or row.source or b"")


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
    if prepare and status is not None and kind_of(status) == LINK:
        where = "into another file system" if is_far else "by copying"
        raise Refused(f"{_about(row)} is a symbolic link, which can't go {where}")
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
    kind = kind_of(status)
    if kind != FILE and (kind != LINK or not operation.removes_source):
        kind = "symbolic link" if kind == LINK else kind
        return f"{shown(row.source or b'')} is a {kind}; only files are {operation.done}"
    if row.seen is not None and not is_same(status, row.seen):
        if row.seen == "":
            return f"{shown(row.source or b'')} was missing when the intent was made"
        return f"{shown(row.source or b'')} has changed since the intent was made"
    return None


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
        folder, slash, name = target.rpartition(b"/")
        stem, extension = os.path.splitext(name)
        for number in range(1, _MOST_NAMES):
            other = b"%b%b%b (%d)%b" % (folder, slash, stem, number, extension)
            if other not in claimed and look(areas.root, other) is None:
                return other
    return f"{shown(target)} exists already"


def _device(area: Folders, path: bytes) -> int:
    """Return the file system that a target is on, whether its folder is there or not."""
    return os.fstat(area.nearest(path)).st_dev


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
        _remove(folder, name)
        try:
            made = _write(areas, row, entry, (folder, name), progress)
        except BaseException:
            _remove(folder, name)
            raise
    except Refused as refused:
        return failed(row, str(refused))
    except OSError as error:
        return failed(row, f"{error.strerror}: {_about(row)}")
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
    return copy_file(
        area.of(path), part, seen, verify=entry.crossed is not None, sync=areas.sync, progress=progress
    )


def _remove(folder: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


# Step 3


FAR = "far"
"""The status of an operation whose target turned out to be on another file system: it must be prepared first."""


def act(areas: Areas, steps: list[Step]) -> list[Entry]:
    """Do operations that were prepared; return their final entries. Nothing here takes long."""
    entries: dict[int, Entry] = {}
    plain: list[Step] = []
    for step in steps:
        if step.entry.over is not None or step.entry.crossed is not None or step.is_same_file:
            entries[step.row.n] = act_one(areas, step.row, step.entry, is_same_file=step.is_same_file)
        else:
            plain.append(step)
    moves = []
    for step in plain:
        if step.move is not None:
            moves.append(step.move)
            continue
        source_area, source = (
            areas.part_of(step.row, step.entry.target) if step.prepare else areas.source_of(step.row)
        )
        target_area, target = areas.target_of(step.row, step.entry.target)
        try:
            moves.append((*source_area.of(source), *target_area.of(target)))
        except Refused as refused:
            discard(areas, step.row, step.entry)
            entries[step.row.n] = failed(step.row, str(refused))
    codes = core.rename_new(moves)
    done = [step for step in plain if step.row.n not in entries]
    for step, code in zip(done, codes, strict=True):
        entries[step.row.n] = _ended(areas, step.row, step.entry, code, prepared=step.prepare)
    return [entries[step.row.n] for step in steps]


def _ended(areas: Areas, row: Row, entry: Entry, code: int, *, prepared: bool) -> Entry:
    """Return the final entry of an operation whose rename gave an errno, 0 for success."""
    if code == 0:
        return Entry(row.n, SUCCEEDED, None, entry.target, entry.made, entry.crossed, entry.over)
    if code == errno.EXDEV and not prepared:
        return entry._replace(status=FAR)
    if prepared:
        discard(areas, row, entry)
    if code == errno.EEXIST:
        path = areas.target_of(row, entry.target)[1]
        if areas.on_conflict == "skip":
            return Entry(row.n, SKIPPED, f"{shown(path)} exists already")
        return failed(row, f"{shown(path)} has appeared since it was looked at, and was left alone")
    if code == errno.ENOENT:
        return failed(row, f"{shown(row.source or row.target or b'')} has disappeared since it was looked at")
    return failed(row, f"{os.strerror(code)}: {_about(row)}")


def discard(areas: Areas, row: Row, entry: Entry) -> None:
    """Delete the unfinished file of an operation, if there is one."""
    area, path = areas.part_of(row, entry.target)
    try:
        folder, name = area.of(path)
        _remove(folder, name)
    except (Refused, OSError):
        return  # its folder is gone, or nothing may be deleted there; the result tells of the operation itself


def act_one(areas: Areas, row: Row, entry: Entry, *, is_same_file: bool = False) -> Entry:
    """Do one operation that takes several steps; each is passed over if it was done before."""
    prepared = _is_prepared(row, entry)
    try:
        if entry.over is not None:
            _put_aside(areas, row, entry)
        area, path = areas.target_of(row, entry.target)
        origin_area, origin = areas.part_of(row, entry.target) if prepared else areas.source_of(row)
        there = look(area, path)
        if there is None or not is_inode(there, entry.made or "") or is_same_file:
            pair = (*origin_area.of(origin), *area.of(path))
            if is_same_file:
                os.rename(pair[1], pair[3], src_dir_fd=pair[0], dst_dir_fd=pair[2])
                return entry._replace(status=SUCCEEDED)
            code = core.rename_new([pair])[0]
            if code:
                ended = _ended(areas, row, entry, code, prepared=prepared)
                return ended if ended.status == FAR else _put_back(areas, row, entry, ended)
        if entry.crossed is not None:
            _remove_crossed(areas, row, entry)
    except Refused as refused:
        return failed(row, str(refused))._replace(over=None)
    except OSError as error:
        return failed(row, f"{error.strerror}: {_about(row)}")
    return entry._replace(status=SUCCEEDED)


def _is_prepared(row: Row, entry: Entry) -> bool:
    """Return whether an operation's content was written next to its target."""
    return entry.crossed is not None or not OPERATIONS[row.op].removes_source


def _put_aside(areas: Areas, row: Row, entry: Entry) -> None:
    """Move what is at the target of an operation into the trash, if it is what was there when it was looked at.

    Raises:
        Refused: Something else is there.
    """
    area, path = areas.target_of(row, entry.target)
    old = name_of_old(row.n)
    if look(areas.trash, old) is not None:
        return
    there = look(area, path)
    if there is None:
        return
    if not is_same(there, entry.over or ""):
        raise Refused(f"{shown(path)} has changed since it was looked at, and was left alone")
    pair = (*area.of(path), *areas.trash.of(old))
    code = core.rename_new([pair])[0]
    if code == errno.EXDEV:
        _copy_aside(areas, pair, entry.over or "")
    elif code:
        raise OSError(code, os.strerror(code))


def _put_back(areas: Areas, row: Row, entry: Entry, ended: Entry) -> Entry:
    """Put what was at the target of an operation that failed back there; return its entry."""
    if entry.over is None:
        return ended
    area, path = areas.target_of(row, entry.target)
    old = areas.trash.of(name_of_old(row.n))
    if core.rename_new([(*old, *area.of(path))])[0] == 0:
        return ended
    return ended._replace(
        over=entry.over,
        error=f"{ended.error}; what was there before lies in the trash, as {os.fsdecode(old[1])}",
    )


def _copy_aside(areas: Areas, pair: tuple[int, bytes, int, bytes], seen: str) -> None:
    """Do the same where the trash is on another file system."""
    folder, name, trash, old = pair
    part = old + b".part"
    _remove(trash, part)
    copy_file((folder, name), (trash, part), seen, verify=True, sync=areas.sync)
    code = core.rename_new([(trash, part, trash, old)])[0]
    if code:
        raise OSError(code, os.strerror(code))
    os.unlink(name, dir_fd=folder)


def _remove_crossed(areas: Areas, row: Row, entry: Entry) -> None:
    """Delete a source that was copied to another file system, unless it has changed since.

    Raises:
        Refused: It has.
    """
    area, path = areas.source_of(row)
    status = look(area, path)
    if status is None:
        return
    if not is_same(status, entry.crossed or ""):
        raise Refused(f"{shown(path)} changed while it was {OPERATIONS[row.op].done}; both files are kept")
    folder, name = area.of(path)
    os.unlink(name, dir_fd=folder)


# After a kill


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
    prepared = _is_prepared(row, entry)
    origin_area, origin = areas.part_of(row, entry.target) if prepared else areas.source_of(row)
    left = look(origin_area, origin)
    is_left = left is not None and is_inode(left, made)
    if is_there and is_left and left is not None:
        if left.st_nlink == 1:
            # Two spellings of one name.
            return act_one(areas, row, entry, is_same_file=True)
        # The system renames by a link and its removal, and the second is still missing.
        folder, name = origin_area.of(origin)
        os.unlink(name, dir_fd=folder)
    if is_there:
        return act_one(areas, row, entry)
    if is_left:
        if entry.over is not None or prepared:
            return act_one(areas, row, entry)
        return None
    if prepared:
        # What was prepared is gone, so it got its name; somebody has changed or taken it since.
        return _recover_changed(areas, row, entry)
    return Entry(
        row.n,
        UNKNOWN,
        f"when it was interrupted, {shown(origin)} was being {OPERATIONS[row.op].done}, and neither it nor its "
        "target is that file any more",
    )


def _recover_changed(areas: Areas, row: Row, entry: Entry) -> Entry:
    """Finish an operation whose target was published and has been changed by others since."""
    if entry.crossed is not None:
        area, path = areas.source_of(row)
        if look(area, path) is not None:
            return Entry(row.n, UNKNOWN, "its target was made and has changed since; its source is kept")
    return entry._replace(status=SUCCEEDED)

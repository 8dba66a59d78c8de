"""What an intent would do, and what stands in its way: found out by looking alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import InvalidQuery
from maxstage.intent import names
from maxstage.intent.areas import CONFLICTS
from maxstage.intent.identity import FILE, LINK, identity, kind_of, look
from maxstage.intent.journal import RUNNING, UNKNOWN
from maxstage.intent.looking import free_name, is_file, source_problem
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.operations.run import RUN, words_of
from maxstage.intent.paths import Folders, Refused, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maxstage.intent.journal import Journal, Row

PROBLEMS = {
    "refused": "can't be used as they are",
    "program": "have a program that can't be started",
    "missing": "have no source",
    "nofile": "have a source that is no file",
    "changed": "have a source that is not what it was",
    "exists": "have a target that exists",
    "twice": "have a target that an earlier one has",
    "permission": "lack a permission",
    "space": "lack space",
}
"""The kinds of problems, and what is said of the operations that have them."""

_MOST_PROBLEMS = 1000
"""Problems that are kept in full; of the others only the kind is counted."""
_SAMPLE = 10
_ODDITIES = ("largest", "longest name", "hidden", "unusual characters", "other extension")
"""What makes an operation worth a look."""
_LONG_NAME = 80
"""Bytes above which the longest name is worth a look."""
_MOST_DIFFED = 256 * 1024
"""Bytes of a file that is compared with what would be written."""


class Problem(NamedTuple):
    """What stands in the way of an operation.

    Attributes:
        n: The operation; 0 for all of them.
        kind: A name in `PROBLEMS`.
        text: What it is.
    """

    n: int
    kind: str
    text: str


class Change(NamedTuple):
    """What an operation would do.

    Attributes:
        row: The operation.
        size: The bytes of the file; None where there is none.
        effect: ``overwrites``, ``skips`` or ``renames``, where its target is taken; else "".
        becomes: The name that it gets instead of its target's; None as a rule.
        maker: The earlier operation that makes its source; 0 as a rule.
        why: Why it is among the samples: ``first``, ``last`` or what is odd about it.
    """

    row: Row
    size: int | None = None
    effect: str = ""
    becomes: bytes | None = None
    maker: int = 0
    why: str = ""


class Preview:
    """What an intent would do.

    Attributes:
        count: The operations that are still to be done.
        done: The operations that are done already.
        unknown: Those of them of which nobody knows whether they were done.
        kinds: How many of each sort.
        bytes: The bytes of the files that are copied, moved, deleted or written, by sort of operation.
        written: The bytes that need space on disk.
        effects: How many would overwrite something, be passed over, or get another name.
        problems: What stands in the way, in the order of the operations; at most a thousand.
        problem_counts: How many operations have each sort of problem.
        overwritten: Examples of files that would be replaced.
        renamed: Examples of operations whose file would get another name.
        samples: Operations from the beginning and the end, and what is odd.
        cannot: Operations that can't be taken back, of those that the intent takes back.
        digest: What tells whether the problems, and the files in the way, are the same.
    """

    def __init__(self, cannot: int) -> None:
        self.count = 0
        self.done = 0
        self.unknown = 0
        self.kinds: dict[str, int] = {}
        self.bytes: dict[str, int] = {}
        self.written = 0
        self.effects: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.problem_counts: dict[str, int] = {}
        self.overwritten: list[Change] = []
        self.renamed: list[Change] = []
        self.samples: list[Change] = []
        self.cannot = cannot
        self.digest = ""

    @property
    def has_problems(self) -> bool:
        """Whether anything stands in the way."""
        return bool(self.problem_counts)

    @property
    def bad(self) -> int:
        """How many problems there are."""
        return sum(self.problem_counts.values())


class Looker:
    """Looks at what an intent would do.

    Args:
        journal: The intent.
        facts: What is known of the whole.
        root: The folders below its root; closed at the end.
        on_conflict: What would be done where a target is taken: a name in `CONFLICTS`.
        sample: How many operations are shown from the beginning, half of that from the end; None for all.
    """

    def __init__(
        self,
        journal: Journal,
        facts: dict[str, Any],
        root: Folders,
        on_conflict: str = "fail",
        sample: int | None = _SAMPLE,
    ) -> None:
        if on_conflict not in CONFLICTS:
            raise InvalidQuery(f"on_conflict must be one of {', '.join(CONFLICTS)}, not {on_conflict!r}")
        self._journal = journal
        self._count = facts["count"]
        self._on_conflict = on_conflict
        self._sample = sample
        self._preview = Preview(facts.get("cannot", 0))
        self._root = root
        self._writable: dict[bytes, bool] = {}
        self._sticky: set[bytes] = set()
        self._not_done: set[int] = set()
        self._renamed: set[bytes] = set()
        self._numbers: dict[bytes, int] = {}
        self._program: str | None = None
        self._equality: dict[bytes, str] = {}
        self._seen_names: dict[bytes, bytes] = {}
        self._targets: dict[bytes, tuple[bool, int]] = {}
        self._space: dict[int, tuple[int, int]] = {}
        self._odd: dict[str, tuple[int, Change | None]] = dict.fromkeys(_ODDITIES, (0, None))
        most = 0 if sample is None else max(1, sample // 2)
        self._last: deque[Change] = deque(maxlen=most)
        self._hash = hashlib.sha256()

    def look(self) -> Preview:
        """Return what it would do.

        Raises:
            Error, OSError: The intent can't be read.
        """
        preview = self._preview
        try:
            for row in self._pending():
                self._look_at(row)
                if self._root.is_crowded:
                    self._root.forget()
            self._check_space()
        finally:
            self._root.close()
        counts = self._journal.counts()
        preview.done = self._count - preview.count
        preview.unknown = counts.get(UNKNOWN, 0) + counts.get(RUNNING, 0)
        preview.digest = self._hash.hexdigest()
        # What is among the first or the last needs no second mention.
        last = [change._replace(why="last") for change in self._last]
        known = {change.row.n for change in preview.samples + last}
        preview.samples += [change for change in self._merged_odd() if change.row.n not in known] + last
        return preview

    def _merged_odd(self) -> list[Change]:
        """Return what is odd, each operation once with all that is odd about it."""
        merged: dict[int, Change] = {}
        for name, (_, change) in self._odd.items():
            if change is not None:
                before = merged.get(change.row.n)
                why = name if before is None else f"{before.why}, {name}"
                merged[change.row.n] = change._replace(why=why)
        return [merged[number] for number in sorted(merged)]

    def _pending(self) -> Iterable[Row]:
        at = 1
        while rows := self._journal.pending(at, 2000, failed=True):
            yield from rows
            at = rows[-1].n + 1

    def _look_at(self, row: Row) -> None:
        preview = self._preview
        preview.count += 1
        preview.kinds[row.op] = preview.kinds.get(row.op, 0) + 1
        change = Change(row)
        if row.fault is not None:
            self._problem(row.n, "refused", row.fault)
        elif row.op == RUN.name:
            self._look_at_program(row)
        else:
            change = self._look_at_files(row)
        if change.effect:
            preview.effects[change.effect] = preview.effects.get(change.effect, 0) + 1
            self._hash.update(f"{row.n} {change.effect}\n".encode())
            if change.effect == "skips":
                self._not_done.add(row.n)
        if change.size is not None:
            preview.bytes[row.op] = preview.bytes.get(row.op, 0) + change.size
        self._keep(change)

    def _look_at_program(self, row: Row) -> None:
        """Look whether there is a program, which is the same for all operations."""
        word = words_of(row.body)[0]
        if self._program is None:
            path = os.path.join(os.fsdecode(self._root.root), word) if "/" in word else word
            self._program = shutil.which(path) or ""
        if self._program:
            return
        counts = self._preview.problem_counts
        if not counts.get("program"):
            where = "is no program that can be started" if "/" in word else "is not on PATH"
            self._problem(0, "program", f"{shown(os.fsencode(word))} {where}")
        else:
            counts["program"] += 1

    def _look_at_files(self, row: Row) -> Change:
        """Look at source and target of an operation."""
        plain = self._look_at_plain(row)
        if plain is not None:
            return Change(row, plain)
        operation = OPERATIONS[row.op]
        size: int | None = len(row.body) if row.body is not None else None
        device, maker = None, 0
        effect, becomes = "", None
        try:
            if row.source is not None and not operation.uses_trash:
                status, maker = self._source(row)
                if status is not None:
                    size, device = status.st_size, status.st_dev
            if row.target is not None:
                effect, becomes = self._target(row)
                self._need(row, size or 0, device)
                self._note_folder(row.target)
        except Refused as refused:
            self._problem(row.n, "permission" if refused.denied else "refused", str(refused))
        return Change(row, size, effect, becomes, maker)

    def _look_at_plain(self, row: Row) -> int | None:
        """Look at a move with nothing out of the ordinary, of which there may be a hundred thousand; return its bytes.

        Returns:
            None if anything is out of the ordinary, or its folders were not looked at yet.
        """
        source, target = row.source, row.target
        if row.op != "move" or row.after is not None or source is None or target is None:
            return None
        known = self._targets.get(target.rpartition(b"/")[0])
        source_at = self._root.known(source)
        folder = source.rpartition(b"/")[0]
        if known is None or source_at is None or not self._writable.get(folder) or folder in self._sticky:
            return None
        is_there, device = known
        try:
            status = os.stat(source_at[1], dir_fd=source_at[0], follow_symlinks=False)
        except OSError:
            return None
        if identity(status) != row.seen or not stat.S_ISREG(status.st_mode) or status.st_dev != device:
            return None
        if is_there:
            target_at = self._root.known(target)
            if target_at is None or os.access(
                target_at[1], os.F_OK, dir_fd=target_at[0], follow_symlinks=False
            ):
                return None
        return status.st_size

    def _note_folder(self, target: bytes) -> None:
        """Note that nothing is out of the ordinary about the folder of a target, if so it is."""
        folder = target.rpartition(b"/")[0]
        if (
            folder not in self._targets
            and self._equality.get(folder) == names.EXACT
            and self._writable.get(folder)
        ):
            device = os.fstat(self._root.nearest(target)).st_dev
            self._targets[folder] = not self._root.missing(target), device

    def _earlier(self, row: Row, column: str, path: bytes, *, removing: bool = False) -> int:
        """Return the last operation before one that has this source or target, and will be done; 0 if none is."""
        if row.after is None:
            return 0
        number = self._journal.earlier(column, path, row.n, removing=removing)
        while number in self._not_done:
            number = self._journal.earlier(column, path, number, removing=removing)
        return number

    def _source(self, row: Row) -> tuple[os.stat_result | None, int]:
        """Look at a source; return what it is now, and the earlier operation that makes it."""
        source = row.source or b""
        status = look(self._root, source)
        maker = self._earlier(row, "target", source)
        taker = self._earlier(row, "source", source, removing=True)
        if taker > maker:
            self._problem(row.n, "missing", f"{shown(source)} is gone by then: {taker:,} removes it")
        elif maker:
            return status, maker
        elif status is None:
            self._problem(row.n, "missing", f"{shown(source)} is missing")
        else:
            self._look_at_status(row, source, status)
        return status, 0

    def _look_at_status(self, row: Row, source: bytes, status: os.stat_result) -> None:
        operation = OPERATIONS[row.op]
        problem = source_problem(row, status, operation)
        if problem is not None:
            self._problem(row.n, "changed" if is_file(status, operation) else "nofile", problem)
            return
        folder, name = self._root.of(source)
        if operation.removes_source and not self._may_change(source):
            text = f"{_folder(source)} can't be changed, so {shown(name)} can't leave it"
            self._problem(row.n, "permission", text)
        elif operation.removes_source and self._is_held(source, status):
            text = (
                f"{shown(source)} is another user's, in a folder where only owners may move or delete files"
            )
            self._problem(row.n, "permission", text)
        if row.op == "copy" and not _access(folder, name, os.R_OK):
            self._problem(row.n, "permission", f"{shown(source)} can't be read")

    def _is_held(self, source: bytes, status: os.stat_result) -> bool:
        """Return whether the folder of a file, like ``/tmp``, keeps it for its owner."""
        return source.rpartition(b"/")[0] in self._sticky and status.st_uid != os.geteuid()

    def _target(self, row: Row) -> tuple[str, bytes | None]:
        """Look at a target; return what the operation would do to another file, or which name it would get instead."""
        target = row.target or b""
        there = look(self._root, target)
        if there is not None and not self._is_freed(row, target) and not self._is_itself(row, there):
            if self._on_conflict == "overwrite" and kind_of(there) not in {FILE, LINK}:
                self._problem(
                    row.n, "exists", f"{shown(target)} is a {kind_of(there)}, which is not overwritten"
                )
                return "", None
            self._hash.update(identity(there).encode())
            later = self._journal.later_taker(target, row.n)
            also = f"; {later:,} takes it away, but only afterwards" if later else ""
            return self._conflict(row, "exists", f"{shown(target)} exists{also}")
        maker = self._earlier(row, "target", target)
        if maker > self._earlier(row, "source", target, removing=True):
            return self._conflict(row, "twice", f"{shown(target)} is the target of {maker:,}, too")
        twin = self._twin(target)
        if twin is not None:
            return self._conflict(
                row, "twice", f"{shown(target)} is the same name as {shown(twin)} on this file system"
            )
        if not self._may_change(target):
            self._problem(
                row.n, "permission", f"{_folder(target)} can't be changed, so {shown(target)} can't be made"
            )
        return "", None

    def _is_itself(self, row: Row, there: os.stat_result) -> bool:
        """Return whether a target is the source under another spelling of its name."""
        if row.op != "move" or row.source is None or there.st_nlink != 1:
            return False
        status = look(self._root, row.source)
        return status is not None and (status.st_dev, status.st_ino) == (there.st_dev, there.st_ino)

    def _is_freed(self, row: Row, target: bytes) -> bool:
        """Return whether an earlier operation takes away what is at a target."""
        return bool(self._earlier(row, "source", target, removing=True))

    def _conflict(self, row: Row, kind: str, text: str) -> tuple[str, bytes | None]:
        effect = {"skip": "skips", "overwrite": "overwrites", "rename": "renames"}.get(self._on_conflict, "")
        if not effect or (kind == "twice" and effect == "overwrites"):
            self._problem(row.n, kind, text)
            return "", None
        becomes = None
        if effect == "renames":
            becomes = free_name(self._root, row.target or b"", self._renamed, self._numbers)
            if becomes is None:
                self._problem(row.n, kind, text)
                return "", None
            self._renamed.add(becomes)
        return effect, becomes

    def _twin(self, target: bytes) -> bytes | None:
        """Return the earlier target that the file system takes for the same name; None if there is none."""
        folder = target.rpartition(b"/")[0]
        how = self._equality.get(folder)
        if how is None:
            how = self._equality[folder] = names.equality(self._root.nearest(target))
        if how == names.EXACT:
            return None
        key = names.folded(target, how)
        first = self._seen_names.setdefault(key, target)
        return None if first == target else first

    def _may_change(self, path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        known = self._writable.get(folder)
        if known is None:
            fd = self._root.nearest(path)
            known = _access(fd, b".", os.W_OK | os.X_OK)
            self._writable[folder] = known
            status = os.fstat(fd)
            if status.st_mode & stat.S_ISVTX and os.geteuid() not in {0, status.st_uid}:
                self._sticky.add(folder)
        return known

    def _need(self, row: Row, size: int, device: int | None) -> None:
        """Count the bytes that an operation needs on a file system."""
        fd = self._root.nearest(row.target or b"")
        there = os.fstat(fd).st_dev
        if row.op in {"move", "restore"} and device in {None, there}:
            return
        self._preview.written += size
        needed, free = self._space.get(there, (0, -1))
        if free < 0:
            found = os.fstatvfs(fd)
            free = found.f_bavail * found.f_frsize
        self._space[there] = needed + size, free

    def _check_space(self) -> None:
        from maxstage.humanize import format_size

        for needed, free in self._space.values():
            if needed > free:
                text = f"{format_size(needed)} would be written, and {format_size(free)} are free"
                self._problem(0, "space", text)

    def _problem(self, number: int, kind: str, text: str) -> None:
        preview = self._preview
        preview.problem_counts[kind] = preview.problem_counts.get(kind, 0) + 1
        self._not_done.add(number)
        if len(preview.problems) < _MOST_PROBLEMS:
            preview.problems.append(Problem(number, kind, text))
        self._hash.update(f"{number} {kind}\n".encode())

    def _keep(self, change: Change) -> None:
        """Keep an operation for display, if it is one of those that are shown."""
        preview, most = self._preview, self._sample
        examples = {"overwrites": preview.overwritten, "renames": preview.renamed}.get(change.effect)
        if examples is not None and len(examples) < _SAMPLE:
            examples.append(change)
        if most is None or preview.count <= most:
            preview.samples.append(change._replace(why="first" if most is not None else ""))
        else:
            self._last.append(change)
        # What is odd stands out from the first, too.
        self._note_odd(change)

    def _note_odd(self, change: Change) -> None:
        """Note what may be odd about an operation: of each sort the oddest is shown."""
        row, odd = change.row, self._odd
        size, path = change.size or 0, row.target or row.source or b""
        if size > odd["largest"][0]:
            odd["largest"] = size, change
        if len(path) > max(_LONG_NAME, odd["longest name"][0]):
            odd["longest name"] = len(path), change
        if (b"/." in path or path.startswith(b".")) and not odd["hidden"][0]:
            odd["hidden"] = 1, change
        if b" " in path or not path.isascii():
            weight = sum(byte > 127 for byte in path) + path.count(b" ")  # noqa: PLR2004
            if weight > odd["unusual characters"][0]:
                odd["unusual characters"] = weight, change
        if row.source is not None and row.target is not None and not odd["other extension"][0]:
            one, other = row.source.rpartition(b".")[2], row.target.rpartition(b".")[2]
            if one != other and _extension(row.source) != _extension(row.target):
                odd["other extension"] = 1, change


def _extension(path: bytes) -> bytes:
    return os.path.splitext(path)[1].lower()


def _folder(path: bytes) -> str:
    return shown(path.rpartition(b"/")[0] or b".")


def _access(folder: int, name: bytes, mode: int) -> bool:
    effective = os.access in os.supports_effective_ids
    try:
        return os.access(name, mode, dir_fd=folder, effective_ids=effective)
    except OSError:
        return False


def diff_of(root: bytes, row: Row) -> list[str] | None:
    """Return what a write would change in a file that is there, as lines of a diff; None if there is none.

    Args:
        root: The root.
        row: The operation.
    """
    import difflib

    folders = Folders(root)
    try:
        folder, name = folders.of(row.target or b"")
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except (OSError, Refused):
        return None
    finally:
        folders.close()
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        before = file.read(_MOST_DIFFED + 1)
    after = row.body or b""
    if len(before) > _MOST_DIFFED or len(after) > _MOST_DIFFED or b"\0" in before + after:
        return [f"(differs: {len(before):,} bytes are there, {len(after):,} would be written)"]
    old, new = (text.decode("utf-8", "surrogateescape").splitlines() for text in (before, after))
    return [line.rstrip("\n") for line in list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]]

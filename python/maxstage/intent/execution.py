"""Doing what was planned: in batches, each written ahead in the journal, so that a kill loses and repeats nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from maxstage.intent import areas, folder, looking, recovery, transfer
from maxstage.intent.journal import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    UNKNOWN,
    Entry,
    Journal,
    Row,
)
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.operations.run import RUN, run_one
from maxstage.intent.paths import Folders, Refused
from maxstage.interrupts import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from maxstage.intent.areas import Areas, Step
    from maxstage.store.store import Store

_BATCH = 2000
"""Operations between two writes to disk: enough that these cost little, few enough that a signal soon gets through."""
_BATCH_BYTES = 64 * 1024 * 1024
"""Bytes that are written before the operations of a batch are done."""
_BATCHES_OPEN = 5
"""Batches for which the descriptors of folders are kept: then it is seen again which folders there are."""
_MOST_FOLDERS = 200
"""Folders that are made for one batch, whose descriptors are open all at once."""
_RATE_SECONDS = 0.25
"""How long a batch may be ahead of a rate."""
_FIRST_PAUSE = 0.2
"""Seconds before an operation that failed is tried again; twice as long each time."""

AGAIN = (FAILED, UNKNOWN)
"""The statuses of operations that may be asked to be done again."""


class Options(NamedTuple):
    """How an intent is executed.

    Attributes:
        jobs: Programs, or copies, at a time.
        rate: Operations a second at most; None for no limit.
        retry: How often an operation that failed is tried again.
        again: Operations of these statuses, from an earlier execution, are done again.
        on_conflict: What is done where a target is taken: a name in `maxstage.intent.areas.CONFLICTS`.
        keep_going: Whether to go on after an operation that failed.
        timeout: Seconds that a program may take; None for no limit.
        ttl: Minutes until the result expires; None for the setting.
    """

    jobs: int = 1
    rate: float | None = None
    retry: int = 0
    again: tuple[str, ...] = ()
    on_conflict: str = "fail"
    keep_going: bool = False
    timeout: float | None = None
    ttl: float | None = None


class Execution:
    """Does the operations of an intent that are not done yet. Its caller holds the lock of the intent.

    It holds folders open; left as a context manager, it closes them.

    Args:
        store: The store of the intent.
        intent_id: The intent.
        journal: Its journal, open for writing.
        options: How it is done.
        progress: Called with the number of operations done since the last call.
    """

    def __init__(
        self,
        store: Store,
        intent_id: str,
        journal: Journal,
        options: Options,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._intent_id = intent_id
        self._journal = journal
        self._options = options
        self._progress = progress or (lambda _: None)
        self._pace = _Pace(options.rate)
        self._facts = journal.facts()
        self._root = self._facts["root"].encode("latin-1")
        self._stopped = False
        self._mover = concurrent.futures.ThreadPoolExecutor(1)
        self._going: tuple[concurrent.futures.Future[list[Entry]], list[Step]] | None = None
        self._since_forgotten = 0
        self._cancel = threading.Event()
        with contextlib.ExitStack() as opened:
            self._areas = self._open_areas(store, opened)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def _open_areas(self, store: Store, opened: contextlib.ExitStack) -> Areas:
        def kept(found: Folders) -> Folders:
            opened.callback(found.close)
            return found

        root = kept(folder.open_root(store, self._root, tuple(self._facts["rootIdentity"])))
        trash = kept(Folders(os.fsencode(folder.make_trash(store, self._intent_id))))
        undoes = self._facts.get("undoes")
        taken_back = None
        if undoes is not None:
            taken_back = kept(Folders(os.fsencode(folder.make_trash(store, undoes))))
        return areas.Areas(
            self._intent_id,
            root,
            trash,
            taken_back,
            on_conflict=self._options.on_conflict,
            sync=store.settings.sync,
        )

    def run(self) -> None:
        """Do what is left to do; stop at the first operation that fails, unless it is told to keep going.

        Raises:
            Error, OSError: The journal can't be written.
        """
        self.recover()
        files = [name for name in OPERATIONS if name != RUN.name]
        # An operation on files that failed has done nothing; a program that failed may have done something.
        self._journal.forget_all(FAILED, files)
        for status in self._options.again:
            self._journal.forget_all(status, OPERATIONS)
        try:
            for rows in self._batches():
                if rows[0].op == RUN.name:
                    self._settle()
                    if not self._stopped:
                        self._run_programs(rows)
                else:
                    self._run_files(rows)
                if self._stopped:
                    break
        finally:
            # Also where a signal has come: what was begun is noted.
            self._settle()
            self._mover.shutdown()
        if self._stopped:
            return
        self._remove_folders()

    # After a kill

    def recover(self) -> None:
        """Tell from the files what became of operations that were going on when an earlier execution was killed."""
        again = []
        for row, entry in self._journal.in_flight():
            if row.op == RUN.name:
                text = "it was running when its execution was killed; whether it was done is not known"
                self._journal.note([Entry(row.n, UNKNOWN, text)])
                continue
            with Deferred():
                ended = recovery.recover(self._areas, row, entry)
                if ended is None:
                    self._journal.forget([row.n])
                elif ended.status == transfer.FAR:
                    again.append((row, ended))
                else:
                    self._journal.note([ended])
            self._areas.forget()
        self._act_far(again)

    # Files

    def _batches(self) -> Iterator[list[Row]]:
        """Yield operations that can be done together: of one sort, and none about a file of another."""
        at = 1
        while True:
            found = self._journal.pending(at, self._size())
            if not found:
                return
            batch: list[Row] = []
            for row in found:
                depends = row.after is not None and bool(batch) and row.after >= batch[0].n
                if batch and (depends or (row.op == RUN.name) != (batch[0].op == RUN.name)):
                    break
                batch.append(row)
            at = batch[-1].n + 1
            yield batch

    def _size(self) -> int:
        rate = self._options.rate
        return _BATCH if rate is None else max(1, min(_BATCH, int(rate * _RATE_SECONDS)))

    def _run_files(self, rows: list[Row]) -> None:
        left = rows
        while left and not self._stopped:
            if self._must_settle(left):
                self._settle()
                self._areas.forget()
                self._since_forgotten = 0
            steps, ended, rest = self._look(left)
            looked = left[: len(left) - len(rest)]
            is_plain = not ended and all(step.move is not None for step in steps)
            # What may be looked at again is waited for.
            if is_plain and not self._options.retry and self._options.on_conflict != "rename":
                self._begin_moving(steps)
            else:
                self._settle()
                if self._stopped:
                    return
                self._pace.wait(len(steps))
                done, not_begun = self._do(steps)
                found = ended + done
                # What was only looked at waits, too, if a far one has failed.
                ended = done if self._stopped else self._upto_failure(found)
                not_begun |= {entry.n for entry in found} - {entry.n for entry in ended}
                if not_begun:
                    self._journal.forget(not_begun)
                self._end(self._tried_again(ended, {row.n: row for row in rows}))
                self._areas.forget()
                # Tried again, what failed may have succeeded: then what was left because of it is done. And a name
                # that was taken in between is looked for again.
                rest = [row for row in looked if row.n in not_begun] + rest
            left = rest

    # Plain moves are most of what is asked for. While those of one batch are done in a thread, the next is looked at.

    def _must_settle(self, rows: list[Row]) -> bool:
        """Return whether the moves that are going on must be over before these operations are looked at."""
        self._since_forgotten += 1
        if self._areas.is_crowded or self._since_forgotten > _BATCHES_OPEN:
            return True
        if self._going is None:
            return False
        first = self._going[1][0].row.n
        return any(row.after is not None and row.after >= first for row in rows)

    def _begin_moving(self, steps: list[Step]) -> None:
        """Begin to do plain moves, once those before are over."""
        self._settle()
        if self._stopped or not steps:
            return
        self._pace.wait(len(steps))
        with Deferred():
            self._journal.note(step.entry for step in steps)
            self._going = self._mover.submit(transfer.act, self._areas, steps, stop=self._stops), steps

    def _settle(self) -> None:
        """Wait until the moves that are going on are over, and note how they ended."""
        if self._going is None:
            return
        with Deferred():
            future, steps = self._going
            self._going = None
            ended, far, left = self._sort(steps, future.result())
            if left:
                self._journal.forget(left)
            if far:
                # These are being done as well, and have not ended.
                self._journal.note(ended)
            else:
                self._journal.finish(ended)
        self._progress(len(ended))
        self._stop_at_failure(ended)
        self._act_far(far)

    def _look(self, rows: list[Row]) -> tuple[list[Step], list[Entry], list[Row]]:
        """Find out what must be done; return that, the operations that ended so, and those that must wait."""
        steps: list[Step] = []
        ended: list[Entry] = []
        claimed: set[bytes] = set()
        content = folders = 0
        for at, row in enumerate(rows):
            if content >= _BATCH_BYTES or folders >= _MOST_FOLDERS or self._areas.is_crowded:
                return steps, ended, rows[at:]
            found = looking.look_at(self._areas, row, claimed)
            if isinstance(found, Entry):
                ended.append(found)
                if found.status == FAILED and self._stops:
                    return steps, ended, rows[at + 1 :]
                continue
            steps.append(found)
            content += found.content
            folders += len(found.folders)
        return steps, ended, []

    def _do(self, steps: list[Step]) -> tuple[list[Entry], set[int]]:
        """Do what was found; return the entries, which are not written yet, and the numbers of those not begun."""
        with Deferred() as signals:
            folders = list(dict.fromkeys(path for step in steps for path in step.folders))
            unfinished = transfer.preparing(steps)
            if unfinished or folders:
                self._journal.note(unfinished, folders)
            try:
                with signals.open():
                    bad = self._make_folders(steps, folders)
                    over = {entry.n for entry in bad}
                    bad += self._prepare([step for step in steps if step.prepare and step.row.n not in over])
            except BaseException:
                for step in steps:
                    if step.prepare:
                        transfer.discard(self._areas, step.row, step.entry)
                self._journal.forget(step.row.n for step in steps)
                raise
            bad, ready, not_begun = self._ready(steps, bad)
            self._journal.note(step.entry for step in ready)
            ended, far, left = self._sort(ready, transfer.act(self._areas, ready, stop=self._stops))
            ended += bad
            if not far:
                return ended, not_begun | left
            # Those that are far are being done as well, and have not ended.
            self._journal.note(ended)
        self._act_far(far)
        return ended, not_begun | left

    def _ready(self, steps: list[Step], bad: list[Entry]) -> tuple[list[Entry], list[Step], set[int]]:
        """Return the operations that failed, those that are ready, and the numbers of those that are left."""
        if not self._stops or not bad:
            over = {entry.n for entry in bad}
            return bad, [step for step in steps if step.row.n not in over], set()
        first = min(bad, key=lambda entry: entry.n)
        left = [step for step in steps if step.row.n > first.n]
        for step in left:
            if step.prepare:
                transfer.discard(self._areas, step.row, step.entry)
        return [first], [step for step in steps if step.row.n < first.n], {step.row.n for step in left}

    @staticmethod
    def _sort(steps: list[Step], done: list[Entry]) -> tuple[list[Entry], list[tuple[Row, Entry]], set[int]]:
        """Return the operations that ended, those that turned out to be far, and the numbers of those not begun."""
        far = [
            (step.row, entry) for step, entry in zip(steps, done, strict=True) if entry.status == transfer.FAR
        ]
        not_begun = {transfer.LEFT, transfer.AGAIN}
        left = {entry.n for entry in done if entry.status in not_begun}
        return [entry for entry in done if entry.status not in {transfer.FAR, *not_begun}], far, left

    def _make_folders(self, steps: list[Step], folders: list[bytes]) -> list[Entry]:
        """Make folders; return the entries of operations that fail because one can't be made."""
        refused: dict[bytes, str] = {}
        for path in folders:
            try:
                self._areas.root.make(path)
            except Refused as error:
                refused[path] = str(error)
        if not refused:
            return []
        return [
            areas.failed(step.row, refused[path])
            for step in steps
            for path in [next((path for path in step.folders if path in refused), None)]
            if path is not None
        ]

    def _prepare(self, steps: list[Step]) -> list[Entry]:
        """Write the contents of operations next to their targets; return the entries of those that fail."""
        if self._options.jobs == 1 or len(steps) == 1:
            bad: list[Entry] = []
            for step in steps:
                entry = transfer.prepare(self._areas, step)
                if entry is not None:
                    bad.append(entry)
                    if self._stops:
                        break
            return bad
        for step in steps:
            # Folders are opened here, one by one; the threads find them open.
            for area, path in (
                self._areas.part_of(step.row, step.entry.target),
                self._areas.source_of(step.row),
            ):
                with contextlib.suppress(Refused):
                    area.of(path)
        stopped = threading.Event()

        def prepare(step: Step) -> Entry | None:
            if stopped.is_set():
                return None  # one before it has failed, so that it is not ready anyway
            entry = transfer.prepare(self._areas, step)
            if entry is not None and self._stops:
                stopped.set()
            return entry

        with concurrent.futures.ThreadPoolExecutor(self._options.jobs) as pool:
            return [entry for entry in pool.map(prepare, steps) if entry is not None]

    def _act_far(self, far: list[tuple[Row, Entry]]) -> None:
        """Do operations whose target turned out to be on another file system, one by one; nothing was done of them."""
        for at, (row, _) in enumerate(far):
            if self._stopped:
                self._journal.forget(row.n for row, _ in far[at:])
                return
            step = looking.look_at(self._areas, row, set(), far=True)
            if isinstance(step, Entry):
                self._end([step])
                continue
            with Deferred() as signals:
                self._journal.note(transfer.preparing([step]))
                with signals.open():
                    entry = transfer.prepare(self._areas, step)
                if entry is None:
                    self._journal.note([step.entry])
                    entry = transfer.act_one(self._areas, row, step.entry)
                self._end([entry])

    def _tried_again(self, ended: list[Entry], rows: dict[int, Row]) -> list[Entry]:
        """Try operations that failed again, as often as asked; return all entries."""
        pause = _FIRST_PAUSE
        for _ in range(self._options.retry):
            bad = [entry for entry in ended if entry.status == FAILED and rows[entry.n].fault is None]
            if not bad:
                break
            time.sleep(pause)
            pause *= 2
            self._areas.forget()
            steps = []
            for entry in bad:
                found = looking.look_at(self._areas, rows[entry.n], set())
                if isinstance(found, Entry):
                    continue
                ended.remove(entry)
                steps.append(found)
            ended += self._do(steps)[0]
        return ended

    def _end(self, ended: list[Entry]) -> None:
        self._note_final(ended)
        self._stop_at_failure(ended)

    @property
    def _stops(self) -> bool:
        """Whether it stops at the first operation that fails."""
        return not self._options.keep_going

    def _upto_failure(self, ended: list[Entry]) -> list[Entry]:
        """Return the operations that ended up to the first that failed; those after it were only looked at."""
        bad = [entry.n for entry in ended if entry.status == FAILED]
        if not self._stops or not bad:
            return ended
        return [entry for entry in ended if entry.n <= min(bad)]

    def _stop_at_failure(self, ended: list[Entry]) -> None:
        if self._stops and any(entry.status == FAILED for entry in ended):
            self._stopped = True

    def _note_final(self, ended: list[Entry]) -> None:
        with Deferred():
            self._journal.finish(ended)
        self._progress(len(ended))

    def _remove_folders(self) -> None:
        """Remove the folders that an intent made which is taken back, those that are empty."""
        for name in self._facts.get("madeFolders", ()):
            self._areas.root.remove_empty(name.encode("latin-1"))

    # Programs

    def _run_programs(self, rows: list[Row]) -> None:
        waiting = iter(rows)
        with concurrent.futures.ThreadPoolExecutor(self._options.jobs) as pool:
            going: dict[concurrent.futures.Future[Entry], Row] = {}
            try:
                while True:
                    self._start(pool, waiting, going)
                    if not going:
                        return
                    done, _ = concurrent.futures.wait(going, return_when=concurrent.futures.FIRST_COMPLETED)
                    ended = [future.result() for future in done]
                    for future in done:
                        del going[future]
                    self._end(ended)
            except BaseException:
                self._cancel.set()
                self._note_interrupted(going)
                raise

    def _start(
        self,
        pool: concurrent.futures.ThreadPoolExecutor,
        waiting: Iterator[Row],
        going: dict[concurrent.futures.Future[Entry], Row],
    ) -> None:
        while len(going) < self._options.jobs and not self._stopped:
            row = next(waiting, None)
            if row is None:
                return
            if row.fault is not None:
                self._end([areas.failed(row, row.fault)])
                continue
            self._pace.wait(1)
            self._journal.note([Entry(row.n, RUNNING)])
            going[pool.submit(self._run_program, row)] = row

    def _run_program(self, row: Row) -> Entry:
        key = f"{self._intent_id}:{row.n}"
        pause = _FIRST_PAUSE
        for attempt in range(self._options.retry + 1):
            if attempt and self._cancel.wait(pause * 2**attempt):
                break
            good, error, did = run_one(row, key, os.fsdecode(self._root), self._options.timeout, self._cancel)
            if self._cancel.is_set():
                break
            if good:
                return Entry(row.n, SUCCEEDED, did=json.dumps(did))
        else:
            return Entry(row.n, FAILED, error, did=json.dumps(did))
        return Entry(row.n, UNKNOWN, "it was ended because its execution was interrupted")

    def _note_interrupted(self, going: Iterable[concurrent.futures.Future[Entry]]) -> None:
        with Deferred():
            ended = [future.result() for future in concurrent.futures.wait(going).done]
            self._journal.note(ended)


class _Pace:
    """Keeps operations to a rate."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = 0.0

    def wait(self, count: int) -> None:
        """Wait until so many may be done."""
        if self._rate is None or not count:
            return
        now = time.monotonic()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + count / self._rate

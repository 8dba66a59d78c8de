"""Splitting data into several items, between lines, so that several agents can share the work."""

import contextlib
import os
import stat

from maxstage._backend import core
from maxstage.errors import Error
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from maxstage.store.draft import Data, Draft, Progress
    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage

    Cutter = Callable[[core.Reader], Iterator[int]]

MOST_PARTS = 10_000
"""The most items that one call makes: each is two files, and a mistyped number would fill the directory."""

_LOOK = 64 * 1024
"""Bytes read at a time when looking for the end of a line."""


def by_size(parts: int) -> "Cutter":
    """Return a cutter that yields where each of `parts` parts of about equal size ends."""

    def cut(reader: "core.Reader") -> "Iterator[int]":
        at = 0
        for number in range(1, parts + 1):
            at = max(at, _line_end(reader, reader.size * number // parts))
            yield at

    return cut


def by_lines(count: int) -> "Cutter":
    """Return a cutter for parts of `count` lines; it raises `Error` for too many parts. Empty data is one part."""

    def cut(reader: "core.Reader") -> "Iterator[int]":
        at = _lines_end(reader, 0, count)
        yield at
        parts = 1
        while at < reader.size:
            if parts == MOST_PARTS:
                from maxstage.humanize import counted

                raise Error(
                    f"Cut into items of {counted(count, 'line')} the data would be more than {MOST_PARTS:,} items, "
                    "the most at once; take more lines for each"
                )
            at = _lines_end(reader, at, count)
            yield at
            parts += 1

    return cut


def _lines_end(reader: "core.Reader", start: int, count: int) -> int:
    """Return where the `count` lines that begin at `start` end, or the end of the data.

    Searching from the end of the previous part, not from the beginning of the data, keeps the total time linear.
    """
    at = start
    while chunk := reader.read(at, at + _LOOK):
        found = core.count_newlines(chunk)
        if found >= count:
            return at + _after_newline(chunk, count)
        count -= found
        at += len(chunk)
    return at


def _after_newline(chunk: bytes, number: int) -> int:
    """Return the offset after newline `number` (1 is the first), which the chunk has."""
    start, end = 0, len(chunk)
    while end - start > 1:
        middle = (start + end) // 2
        found = core.count_newlines(chunk[start:middle])
        if found < number:
            start, number = middle, number - found
        else:
            end = middle
    return end


def _line_end(reader: "core.Reader", offset: int) -> int:
    """Return the first offset at or after `offset` where a line begins, or the end of the data."""
    at = offset - 1
    while 0 <= at < reader.size:
        chunk = reader.read(at, at + _LOOK)
        newline = chunk.find(b"\n")
        if newline >= 0:
            return at + newline + 1
        at += len(chunk)
    return min(max(at, 0), reader.size)


def publish_parts(
    storage: "Storage",
    data: "Data",
    new_spool: "Callable[[], Draft]",
    cutter: "Cutter",
    new_draft: "Callable[[], Draft]",
    settings: "dict[str, Any]",
    progress: "Progress | None",
    *,
    is_masked: bool = False,
) -> "list[Item]":
    """Publish each part of `data` as an item; if one fails, none is left.

    Args:
        storage: Where the items go.
        data: What to stage.
        new_spool: Makes a temporary draft for data that is not a regular file.
        cutter: Yields where each part ends.
        new_draft: Makes a draft of a part.
        settings: Keyword arguments for `Draft.finalize`.
        progress: Called from time to time with the number of bytes read since the last call.
        is_masked: Whether the spool masks secrets; then all data goes through it.
    """
    items: list[Item] = []
    with Deferred() as signals:
        try:
            with _spool(data, new_spool, signals, progress, is_masked=is_masked) as (fd, name, redacted):
                start = 0
                with signals.open():
                    # Find all ends first, so that nothing is written if there are too many.
                    ends = list(cutter(core.Reader(fd, name, file_size=os.fstat(fd).st_size)))
                for end in ends:
                    with new_draft() as draft:
                        with signals.open():
                            os.lseek(fd, start, os.SEEK_SET)
                            draft.copy_from(fd, name, length=end - start)
                            draft.redacted = redacted
                            item = draft.finalize(**settings)
                            draft.sync()
                        draft.commit()
                    items.append(item)
                    start = end
        except BaseException:
            storage.take_back(items)
            raise
    return items


@contextlib.contextmanager
def _spool(
    data: "Data",
    new_draft: "Callable[[], Draft]",
    signals: Deferred,
    progress: "Progress | None",
    *,
    is_masked: bool,
) -> "Iterator[tuple[int, str, dict[str, int]]]":
    """Yield data as a regular file, the caller's or a private one, with its name and what was masked in it."""
    with contextlib.ExitStack() as stack:
        name = None
        if isinstance(data, str | os.PathLike):
            name = os.fspath(data)
            with signals.open():  # this may wait for the writer of a named pipe
                data = stack.enter_context(open(name, "rb", buffering=0)).fileno()
            if stat.S_ISREG(os.fstat(data).st_mode) and not is_masked:
                yield data, name, {}
                return
        draft = stack.enter_context(new_draft())
        with signals.open():
            if name is not None and isinstance(data, int) and not is_masked:
                draft.copy_from(data, name, progress=progress)
            else:
                draft.fill(data, progress)
        # A detached spool doesn't count towards the quota: its bytes would count twice, as the parts have them too.
        spooled = draft.upload.detach()
        stack.callback(os.close, spooled)
        yield spooled, draft.upload.name, draft.redacted

"""Cutting data into several items, between lines, so that several agents can share the work."""

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
"""Items that one call makes: each is two files and a line of output, and a mistyped number would fill the directory."""

_LOOK = 64 * 1024
"""Bytes read at a time when looking for the end of a line."""


def by_size(parts: int) -> "Cutter":
    """Cut into `parts` of about equal size; the offsets where they end, the last one the size of the data."""

    def cut(reader: "core.Reader") -> "Iterator[int]":
        at = 0
        for number in range(1, parts + 1):
            at = max(at, _line_end(reader, reader.size * number // parts))
            yield at

    return cut


def by_lines(count: int) -> "Cutter":
    """Cut into parts of `count` lines; empty data is one empty part. Raises `Error` where they would be too many."""

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
    """Return where `count` lines that begin at `start` end, or the end of the data.

    Each part is looked for from where the last one ends: from the beginning of the data it would be the longer the
    more parts there are.
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
    """Return the offset after the newline of this number, the first being 1; there are as many."""
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
    """Publish each part of `data` as an item; where one fails, none is left.

    Args:
        storage: Where they are to lie.
        data: What to stage.
        new_spool: Makes a draft for data that is no regular file, which is gone in the end.
        cutter: Tells where each part ends.
        new_draft: Makes a draft of a part.
        settings: What is to be known of each, as `Draft.finalize` takes it.
        progress: Called now and then with the bytes taken since.
        is_masked: Whether the spool masks secrets: then all data goes through it.
    """
    items: list[Item] = []
    with Deferred() as signals:
        try:
            with _spool(data, new_spool, signals, progress, is_masked=is_masked) as (fd, name, redacted):
                start = 0
                with signals.open():
                    # All of them first: where they are too many, nothing is begun.
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
    """Give data as a regular file, its name, and what was masked in it: the caller's file, or one nobody else sees."""
    with contextlib.ExitStack() as stack:
        name = None
        if isinstance(data, str | os.PathLike):
            name = os.fspath(data)
            with signals.open():  # a named pipe that nobody writes to yet
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
        # Its bytes are those of the parts: they count once.
        spooled = draft.upload.detach()
        stack.callback(os.close, spooled)
        yield spooled, draft.upload.name, draft.redacted

"""Cutting data into several items, between lines, so that several agents can share the work."""

import contextlib
import os
import stat

from maxstage._backend import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.store.draft import Data, Draft, Progress
    from maxstage.store.metadata import Item

    Cutter = Callable[[core.Reader], Iterator[int]]

MOST_PARTS = 10_000
"""Items that a caller may ask for by number: each is two files and a line of output, and a mistyped number would
fill the directory. By lines there may be more, since the data says how many."""

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
    """Cut into parts of `count` lines; empty data is one empty part."""

    def cut(reader: "core.Reader") -> "Iterator[int]":
        at, number = reader.line_offset(count + 1), 1
        yield at
        while at < reader.size:
            number += 1
            at = reader.line_offset(count * number + 1)
            yield at

    return cut


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


@contextlib.contextmanager
def spool(
    data: "Data", new_draft: "Callable[[], Draft]", progress: "Progress | None"
) -> "Iterator[tuple[int, str, tuple[int, list[int]] | None]]":
    """Give data as a regular file, its name and line index: the caller's file, or one that is gone afterwards."""
    if isinstance(data, str | os.PathLike):
        with open(data, "rb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                yield file.fileno(), os.fspath(data), None
                return
    with new_draft() as draft:
        draft.fill(data, progress)
        with open(draft.part, "rb", buffering=0) as file:
            yield file.fileno(), draft.part, draft.writer.line_index


def publish_parts(
    fd: int,
    name: str,
    line_index: tuple[int, list[int]] | None,
    cutter: "Cutter",
    new_draft: "Callable[[], Draft]",
    publish: "Callable[[Draft], Item]",
    remove: "Callable[[Item], object]",
) -> "list[Item]":
    """Publish each part of the regular file `fd` as an item; where one fails, none is left."""
    reader = core.Reader(fd, name, file_size=os.fstat(fd).st_size, line_index=line_index)
    items: list[Item] = []
    start = 0
    try:
        for end in cutter(reader):
            with new_draft() as draft:
                os.lseek(fd, start, os.SEEK_SET)
                draft.copy_from(fd, name, length=end - start)
                items.append(publish(draft))
            start = end
    except BaseException:
        for item in items:
            remove(item)
        raise
    return items

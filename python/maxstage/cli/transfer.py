"""Staging and retrieving, once the options are parsed; without the command-line library, for `fast_path`."""

import os
import sys

from maxstage.cli.printing import item_json, print_json, warn, write_all, write_out
from maxstage.errors import Corrupt, Error
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from maxstage.cli.progress import Progress
    from maxstage.store.metadata import Item
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store

    Range = tuple[int, int]

STDIN = "-"


def stage(
    store: "Store",
    files: "Sequence[str]",
    output: str,
    *,
    split: int | None = None,
    split_lines: int | None = None,
    **options: "Any",
) -> None:
    """Stage each file, or stdin for ``-``, and print its tokens; the options are those of `Store.stage`.

    Signals are deferred between staging and printing, so that the token of every staged item is printed.
    """
    with Deferred() as signals:
        for name in files:
            items = _stage_one(store, name, split, split_lines, options)
            _announce_all(store, items, output, signals)
            # If the data was split, each item has the counts for all of it.
            if items and items[0].redacted:
                from maxstage.redaction import counts_text

                warn(f"Masked in {'stdin' if name == STDIN else name}: {counts_text(items[0].redacted)}")


def _stage_one(
    store: "Store", name: str, split: int | None, split_lines: int | None, options: "dict[str, Any]"
) -> "list[Item]":
    data: Any = sys.stdin.fileno() if name == STDIN else name
    with watched("staged", _size_of(name)) as progress:
        if split is None and split_lines is None:
            return [store.stage(data, progress=progress, **options)]
        return store.split(data, parts=split, lines=split_lines, progress=progress, **options)


class _Unwatched:
    """Does nothing, in place of a progress bar that nobody would see."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def watched(verb: str, total: int | None) -> "Progress | _Unwatched":
    """Return a progress bar if stderr is a terminal, else a context manager that does nothing."""
    if sys.stderr is None or not sys.stderr.isatty():
        return _Unwatched()
    from maxstage.cli.progress import Progress

    return Progress(verb, total)


def _size_of(name: str) -> int | None:
    try:
        status = os.fstat(0) if name == STDIN else os.stat(name)
    except OSError:
        return None  # opening it will report the error
    return status.st_size


def _announce_all(store: "Store", items: "list[Item]", output: str, signals: Deferred) -> None:
    for told, item in enumerate(items):
        try:
            with signals.open():
                # The first line normally fits into a pipe; for the next we may have to wait for a slow reader.
                if told:
                    _wait_for_stdout()
        except BaseException:
            store.take_back(items[told:])
            raise
        _announce(item, output, items[told:])


def _wait_for_stdout() -> None:
    import select

    waiting = select.poll()
    waiting.register(1, select.POLLOUT)
    waiting.poll()


def _announce(item: "Item", output: str, left: "list[Item]") -> None:
    """Print the token of an item, the first of those `left` to print."""
    try:
        if output != "text":
            print_json(item_json(item), indent=None)
        else:
            write_out(item.token)
    except BrokenPipeError:
        raise
    except OSError as error:
        # The data is safe, and only this message can still say where.
        tokens = ", ".join(item.token for item in left)
        raise Error(f"Staged as {tokens}, but stdout could not be written: {error.strerror}") from None


class Part:
    """The part of an item to retrieve: its first lines, its last, a range of lines, or everything."""

    __slots__ = ("head", "lines", "tail")

    def __init__(
        self, head: int | None = None, tail: int | None = None, lines: tuple[int, int | None] | None = None
    ) -> None:
        self.head = head
        self.tail = tail
        self.lines = lines

    def of(self, opened: "OpenItem") -> "Range":
        """Return the range of bytes, without the end."""
        if self.head is not None:
            return opened.head(self.head) if self.head else (0, 0)
        if self.tail is not None:
            return opened.tail(self.tail)
        if self.lines is not None:
            return opened.lines(*self.lines)
        return 0, opened.item.byte_size

    def numbers(self, count: int) -> "Range":
        """Return the first and the last line of the part, from 1, in an item of `count` lines."""
        if self.head is not None:
            return 1, min(self.head, count)
        if self.tail is not None:
            return max(1, count - self.tail + 1), count
        first, last = self.lines or (1, None)
        return first, count if last is None else min(last, count)


def retrieve(
    store: "Store | None",
    tokens: "Sequence[str]",
    part: Part,
    *,
    cut: tuple[str, int, int] | None = None,
    target: str | None = None,
    output: str = "text",
) -> None:
    """Write items to stdout or a file.

    Args:
        store: The store; None if each item is named with its store.
        tokens: The items to write, in this order: tokens, or ``URL#TOKEN``.
        part: The part of each item.
        cut: The strategy, bytes and lines to truncate each item to; None to write all of it.
        target: A file; None or ``-`` is stdout.
        output: ``json`` prints what was written to the file.
    """
    opened: list[OpenItem] = []
    holders: list[Store | None] = []
    try:
        # Open all of them before writing anything, so that a mistyped token spoils nothing.
        for token in tokens:
            holder, item = _open(store, token)
            opened.append(item)
            holders.append(holder)
        if target in {None, STDIN}:
            sent = _send_all(opened, part, 1, "<stdout>", cut)
        else:
            from maxstage.cli.target import Target

            with Target(str(target)) as (fd, name, writing), writing:
                sent = _send_all(opened, part, fd, name, cut)
            if output == "json":
                tokens_json = [{"token": one.item.id, "ref": one.item.token} for one in opened]
                print_json({"to": target, "bytes": sent, "items": tokens_json})
        for holder, item in zip(holders, opened, strict=True):
            if holder is not None:
                note_read(holder, item.item, sent // len(opened))
    finally:
        for item in opened:
            item.close()


def _open(store: "Store | None", token: str) -> "tuple[Store | None, OpenItem]":
    """Open an item; return the store that has it, unless that was named with it."""
    if "#" in token:
        from maxstage.store.copying import open_reference

        opened = open_reference(token)
        if opened is not None:
            return None, opened
    if store is None:
        raise AssertionError("without a store, each item is named with its own")
    return store.here_or_own(lambda one: (one, one.open_item(token)))


def note_read(holder: "Store", item: "Item", sent: int) -> None:
    """Note for `max gain` that an item was read; what nobody cut, such as data from a pipe, has no source as a rule."""
    if item.source is not None and holder.settings.gain:
        from maxstage.store.gain import note_again

        note_again(holder.layout.project, item.id, sent)


def _send_all(
    opened: "Sequence[OpenItem]", part: Part, fd: int, name: str, cut: tuple[str, int, int] | None
) -> int:
    """Write the wanted part of each item; return the number of bytes written."""
    sent = 0
    for item in opened:
        if cut is None:
            sent += _send(item, part.of(item), fd, name)
        else:
            sent += _send_cut(item, part.of(item), fd, name, cut)
    return sent


def _send(opened: "OpenItem", part: "Range", fd: int, name: str) -> int:
    with watched("retrieved", part[1] - part[0]) as progress:
        try:
            opened.copy_to(fd, name, *part, progress=progress if fd != 1 or not os.isatty(1) else None)
        except Corrupt as error:
            raise Corrupt(f"{error} (do not use what was written so far)") from None
    return part[1] - part[0]


def _send_cut(opened: "OpenItem", part: "Range", fd: int, name: str, limits: tuple[str, int, int]) -> int:
    from maxstage.output.strategies import STRATEGIES
    from maxstage.output.truncation import truncate_item

    strategy, max_bytes, _ = limits
    if part[1] - part[0] <= max_bytes and not STRATEGIES[strategy].counts_lines:
        return _send(opened, part, fd, name)
    content = truncate_item(opened, part, *limits).content
    write_all(fd, content, name)
    return len(content)

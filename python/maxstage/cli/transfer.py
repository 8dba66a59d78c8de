"""Staging and retrieving, once the options are known; without the command-line library, as in `fast_path.py`."""

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

    A signal between staging and printing waits: whatever is listed, its token was printed.
    """
    with Deferred() as signals:
        for name in files:
            items = _stage_one(store, name, split, split_lines, options)
            _announce_all(store, items, output, signals)
            # Of split data each has the counts of all.
            if items and items[0].redacted:
                from maxstage.redaction import counts_text

                warn(f"Masked in {'stdin' if name == STDIN else name}: {counts_text(items[0].redacted)}")


def _stage_one(
    store: "Store", name: str, split: int | None, split_lines: int | None, options: "dict[str, Any]"
) -> "list[Item]":
    data: Any = sys.stdin.fileno() if name == STDIN else name
    with _progress("staged", _size_of(name)) as progress:
        if split is None and split_lines is None:
            return [store.stage(data, progress=progress, **options)]
        return store.split(data, parts=split, lines=split_lines, progress=progress, **options)


class _Unwatched:
    """Stands for a progress that nobody sees."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _progress(verb: str, total: int | None) -> "Progress | _Unwatched":
    """Return the progress that is shown on a terminal, and elsewhere one that is not."""
    if sys.stderr is None or not sys.stderr.isatty():
        return _Unwatched()
    from maxstage.cli.progress import Progress

    return Progress(verb, total)


def _size_of(name: str) -> int | None:
    try:
        status = os.fstat(0) if name == STDIN else os.stat(name)
    except OSError:
        return None  # opening it will tell
    return status.st_size


def _announce_all(store: "Store", items: "list[Item]", output: str, signals: Deferred) -> None:
    for told, item in enumerate(items):
        try:
            with signals.open():
                # One line has room in a pipe as a rule; before the next we may wait long for a slow reader.
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
    """Print a token, the first of those that are `left`."""
    try:
        if output != "text":
            print_json(item_json(item), indent=None)
        else:
            write_out(item.token)
    except BrokenPipeError:
        raise
    except OSError as error:
        # The data is safe, and this line is the only place that can still say where.
        tokens = ", ".join(item.token for item in left)
        raise Error(f"Staged as {tokens}, but stdout could not be written: {error.strerror}") from None


class Part:
    """Which part of an item is wanted: its first lines, its last, a range of lines, or all of it."""

    __slots__ = ("head", "lines", "tail")

    def __init__(
        self, head: int | None = None, tail: int | None = None, lines: tuple[int, int | None] | None = None
    ) -> None:
        self.head = head
        self.tail = tail
        self.lines = lines

    def of(self, opened: "OpenItem") -> "Range":
        """Return from which byte to before which."""
        if self.head is not None:
            return opened.head(self.head) if self.head else (0, 0)
        if self.tail is not None:
            return opened.tail(self.tail)
        if self.lines is not None:
            return opened.lines(*self.lines)
        return 0, opened.item.byte_size


def retrieve(
    store: "Store",
    tokens: "Sequence[str]",
    part: Part,
    *,
    cut: tuple[str, int, int] | None = None,
    target: str | None = None,
    output: str = "text",
) -> None:
    """Write items to stdout or a file.

    Args:
        store: The store.
        tokens: What to write, one after the other.
        part: Which part of each.
        cut: The strategy, bytes and lines that what is written is cut to.
        target: A file; None or ``-`` is stdout.
        output: ``json`` says what was written to the file.
    """
    opened: list[OpenItem] = []
    try:
        # All are opened before the first byte is written: a mistyped token spoils nothing.
        for token in tokens:
            opened.append(store.open_item_or_own(token))  # noqa: PERF401 - those that were opened are closed
        if target in {None, STDIN}:
            _send_all(opened, part, 1, "<stdout>", cut)
        else:
            from maxstage.cli.target import Target

            with Target(str(target)) as (fd, name, writing), writing:
                sent = _send_all(opened, part, fd, name, cut)
            if output == "json":
                tokens_json = [{"token": one.item.id, "ref": one.item.token} for one in opened]
                print_json({"to": target, "bytes": sent, "items": tokens_json})
    finally:
        for item in opened:
            item.close()


def _send_all(
    opened: "Sequence[OpenItem]", part: Part, fd: int, name: str, cut: tuple[str, int, int] | None
) -> int:
    """Write what is wanted of each item; return the bytes written."""
    sent = 0
    for item in opened:
        if cut is None:
            sent += _send(item, part.of(item), fd, name)
        else:
            sent += _send_cut(item, part.of(item), fd, name, cut)
    return sent


def _send(opened: "OpenItem", part: "Range", fd: int, name: str) -> int:
    with _progress("retrieved", part[1] - part[0]) as progress:
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

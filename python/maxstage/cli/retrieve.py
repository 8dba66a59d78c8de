"""``max retrieve``."""

import contextlib
import os
import re
import stat

import click

from maxstage.cli.common import STRATEGIES, SizeType, Store, TokenType, pass_store, write_all
from maxstage.cli.progress import Progress
from maxstage.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.reading import OpenItem

    Range = tuple[int, int]


def _parse_lines(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> "tuple[int, int | None] | None":
    if text is None:
        return None
    match = re.fullmatch(r"(\d*):(\d*)", text, re.ASCII)
    first, last = (int(match[1] or 1), int(match[2]) if match[2] else None) if match else (0, None)
    if not match or text == ":" or first < 1 or (last is not None and last < first):
        raise click.BadParameter(f"{text!r} is not A:B with 1 <= A <= B; either may be left out")
    return first, last


@click.command(
    epilog="""\b
Examples:
  max retrieve max:a1b2c3d4 | jq -r .firstName
  max retrieve max:a1b2c3d4 --lines 40000:40020
  max retrieve max:a1b2c3d4 --max-bytes 4KiB --strategy summary
  max retrieve max:a1b2c3d4 --to contacts.ndjson"""
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...", type=TokenType())
@click.option("--head", type=click.IntRange(min=0), metavar="N", help="Only the first N lines.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--lines", metavar="A:B", callback=_parse_lines, help="Only lines A to B; 1 is the first.")
@click.option("--max-bytes", type=SizeType(), help="Cut what is written to this size, like 64KiB.")
@click.option("--strategy", type=click.Choice(STRATEGIES), help="What to keep then (tail).")
@click.option(
    "--max-lines", type=click.IntRange(min=1), default=1000, help="For the two line strategies (1000)."
)
@click.option("--to", "target", metavar="FILE", help="Write to FILE: complete, or not at all.")
@pass_store
def retrieve(
    store: Store,
    tokens: tuple[str, ...],
    head: int | None,
    tail: int | None,
    lines: "tuple[int, int | None] | None",
    max_bytes: int | None,
    strategy: str | None,
    max_lines: int,
    target: str | None,
) -> None:
    """Write staged data to stdout, byte for byte as it was staged; several one after the other.

    All of an item is checked against its checksum. Where it does not match, some bytes were written by
    then: the command says so and exits 1.
    """
    if sum(option is not None for option in (head, tail, lines)) > 1:
        raise click.UsageError("--head, --tail and --lines exclude each other")
    if strategy is not None and max_bytes is None:
        raise click.UsageError("--strategy goes with --max-bytes")
    # All are opened before the first byte is written: a mistyped token spoils nothing.
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(store.open_item(token)) for token in tokens]
        fd, name = stack.enter_context(_open_target(target))
        for item in opened:
            part = _slice(item, head, tail, lines)
            if max_bytes is None:
                _send(item, part, fd, name)
            else:
                _send_cut(item, part, fd, name, (strategy or "tail", max_bytes, max_lines))
    store.sweep_if_due()


def _slice(
    opened: "OpenItem", head: int | None, tail: int | None, lines: "tuple[int, int | None] | None"
) -> "Range":
    if head is not None:
        return opened.head(head) if head else (0, 0)
    if tail is not None:
        return opened.tail(tail)
    if lines is not None:
        return opened.lines(*lines)
    return 0, opened.item.byte_size


def _send(opened: "OpenItem", part: "Range", fd: int, name: str) -> None:
    with Progress("retrieved", part[1] - part[0]) as progress:
        try:
            opened.copy_to(fd, name, *part, progress=progress if fd != 1 or not os.isatty(1) else None)
        except Corrupt as error:
            raise Corrupt(f"{error} (what was written so far is not to be trusted)") from None


def _send_cut(opened: "OpenItem", part: "Range", fd: int, name: str, limits: tuple[str, int, int]) -> None:
    from maxstage.output.truncation import truncate_item

    strategy, max_bytes, _ = limits
    if part[1] - part[0] <= max_bytes and strategy not in {"head_lines", "tail_lines"}:
        _send(opened, part, fd, name)
    else:
        write_all(fd, truncate_item(opened, part, *limits).content, name)


@contextlib.contextmanager
def _open_target(target: str | None) -> "Iterator[tuple[int, str]]":
    """Give a descriptor to write to, and its name in errors.

    A file appears under its name when it is complete; a device or a pipe is written as it is.
    """
    if target is None or target == "-":
        yield 1, "<stdout>"
        return
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
        try:
            yield fd, target
        finally:
            os.close(fd)
        return
    real = os.path.realpath(target)
    part = f"{os.path.dirname(real)}/.{os.path.basename(real)}.max-{os.getpid()}"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield fd, target
        os.rename(part, real)
    except BaseException:
        os.unlink(part)
        raise
    finally:
        os.close(fd)

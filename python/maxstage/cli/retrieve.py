"""``max retrieve``."""

import click

from maxstage.cli import transfer
from maxstage.cli.limits import BY_LINES_TEXT, line_strategy
from maxstage.cli.options import dir_option, named_folder, output_option
from maxstage.cli.process import open_store
from maxstage.cli.types import CountType, SizeType, TokenType, shorten
from maxstage.output.strategies import STRATEGIES
from maxstage.sizes import parse_count
from maxstage.store_urls import split_reference

_MOST_LINES = 1000
"""Lines that the line strategies keep without --max-lines: the default in `maxstage.output.limits`, too."""


def _parse_lines(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> "tuple[int, int | None] | None":
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        start = parse_count(first) if first or not last else 1
        end = parse_count(last) if last else None if colon else start
    except ValueError:
        start, end = 0, None
    if start < 1 or (end is not None and end < start):
        raise click.BadParameter(
            f"{shorten(text)} is neither a line, like 5, nor a range A:B with 1 <= A <= B; A or B may be omitted"
        )
    return start, end


@click.command(
    epilog="""\b
Examples:
  max retrieve max:a1b2c3d4 | jq -r .firstName
  max retrieve max:a1b2c3d4 --lines 40000:40020
  max retrieve max:a1b2c3d4 --max-bytes 4KiB --strategy summary
  max retrieve max:a1b2c3d4 --grep 'error|fatal' -n -C 3
  max retrieve max:a1b2c3d4 --to contacts.ndjson
  max retrieve s3://bucket/prefix#max:a1b2c3d4"""
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...", type=TokenType())
@click.option("--head", type=CountType(min=0), metavar="N", help="Only the first N lines.")
@click.option("--tail", type=CountType(min=0), metavar="N", help="Only the last N lines.")
@click.option(
    "--lines", metavar="A:B", callback=_parse_lines, help="Only lines A to B, or line A; 1 is the first."
)
@click.option("--max-bytes", type=SizeType(), help="Cut what is written to this size, like 64KiB.")
@click.option("--strategy", type=click.Choice(list(STRATEGIES)), help="What to keep when cutting (tail).")
@click.option(
    "--max-lines",
    type=CountType(min=1),
    metavar="N",
    help=f"Lines kept within --max-bytes (1000): for --strategy {BY_LINES_TEXT}; implies the latter.",
)
@click.option("--grep", "regex", metavar="REGEX", help="Only lines that match this somewhere.")
@click.option("-n", "--line-number", "numbered", is_flag=True, help="With --grep, show the numbers of lines.")
@click.option("-A", "after", type=CountType(min=0), metavar="N", help="With --grep, N lines after each.")
@click.option("-B", "before", type=CountType(min=0), metavar="N", help="With --grep, N lines before each.")
@click.option(
    "-C", "around", type=CountType(min=0), metavar="N", help="With --grep, N lines before and after."
)
@click.option(
    "--to", "target", type=click.Path(), metavar="FILE", help="Write to FILE: complete, or not at all."
)
@output_option
@dir_option
@click.pass_context
def retrieve(
    ctx: click.Context,
    tokens: tuple[str, ...],
    head: int | None,
    tail: int | None,
    lines: "tuple[int, int | None] | None",
    max_bytes: int | None,
    strategy: str | None,
    max_lines: int | None,
    regex: str | None,
    numbered: bool,
    after: int | None,
    before: int | None,
    around: int | None,
    target: str | None,
    output: str,
    folder: str | None,
) -> None:
    """Write staged data to stdout, byte for byte as it was staged; several one after the other.

    A TOKEN may also be URL#TOKEN, of a store on a server: that needs no project.

    A whole item is checked against its checksum. If it does not match, the command says so and exits with 1;
    some bytes may have been written by then.
    """
    if sum(option is not None for option in (head, tail, lines)) > 1:
        raise click.UsageError("use only one of --head, --tail and --lines")
    if max_bytes is None and strategy is not None:
        raise click.UsageError("--strategy needs --max-bytes")
    if max_bytes is None and max_lines is not None:
        raise click.UsageError("--max-lines needs --max-bytes; to select lines use --head, --tail or --lines")
    strategy = line_strategy(strategy, max_lines)
    if target == "":
        raise click.UsageError("--to is empty: name a file, or - for stdout")
    if output == "json" and target in {None, "-"}:
        raise click.UsageError("-o json describes the file that was written, so it needs --to FILE")
    part = transfer.Part(head, tail, lines)
    if regex is None and (numbered or {after, before, around} != {None}):
        raise click.UsageError("-n, -A, -B and -C need --grep REGEX")
    if regex is not None:
        if max_bytes is not None or output == "json":
            raise click.UsageError("--grep goes with neither --max-bytes nor -o json")
        from maxstage.cli.grepping import Grep, grep

        sides = [around or 0 if side is None else side for side in (before, after)]
        grep(
            open_store(named_folder(ctx, folder)),
            tokens,
            part,
            Grep(regex, numbered=numbered, before=sides[0], after=sides[1]),
            target,
        )
        return
    cut = None if max_bytes is None else (strategy or "tail", max_bytes, max_lines or _MOST_LINES)
    # What is named by a URL needs no project.
    store = None if all(map(split_reference, tokens)) else open_store(named_folder(ctx, folder))
    transfer.retrieve(store, tokens, part, cut=cut, target=target, output=output)

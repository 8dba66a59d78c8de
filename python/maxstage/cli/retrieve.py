"""``max retrieve``."""

import re

import click

from maxstage.cli import transfer
from maxstage.cli.common import STRATEGIES, SizeType, Store, TokenType, pass_store


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
    part = transfer.Part(head, tail, lines)
    cut = None if max_bytes is None else (strategy or "tail", max_bytes, max_lines)
    transfer.retrieve(store, tokens, part, cut=cut, target=target)

"""``max count``."""

import click

from maxstage.cli import searching
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.searching_options import FieldType, WhatType, filter_options
from maxstage.cli.types import CountType


@click.command(
    epilog="""\b
Examples:
  max count max:a1b2c3d4
  max count max:a1b2c3d4 -f 'amount > 1000'
  max count max:a1b2c3d4 --by company --top 10
  max count server.log -e 'timed? ?out'"""
)
@click.argument("what", nargs=-1, metavar="WHAT... [PATTERN]", type=WhatType())
@filter_options
@click.option(
    "--by", type=FieldType(), metavar="FIELD", help="Count by the values of a field, the most frequent first."
)
@click.option("--top", type=CountType(min=1), metavar="N", help="With --by, only the N most frequent.")
@click.option(
    "-o", "--output", type=click.Choice(list(searching.FORMATS)), default="text", show_default=True,
    help="Output format.",
)  # fmt: skip
@dir_option
def count(what: tuple[str, ...], folder: str | None, **options: object) -> None:
    """Print how many records match: of tokens, files, or - for stdin. See max search --help for filters."""
    searching.count(what, named_folder(click.get_current_context(), folder), **options)  # type: ignore[arg-type]

"""``max search``."""

import click

from maxstage.cli import searching
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.searching_options import FieldsType, OrderType, WhatType, filter_options
from maxstage.cli.types import CountType


@click.command(
    epilog="""\b
Examples:
  max search max:a1b2c3d4 -f 'company = "Hooli" and amount > 1000'
  max search max:a1b2c3d4 --sort amount:desc --limit 10 --fields name,amount
  max search contacts.csv -f 'name ~= Jo*' --all -o ndjson | max stage
  max search server.log timeout -n
  max search --state max:state:0123456789abcdef

\b
Filters:
  = != > >= < <=   numbers as numbers, however they are written; else text
  ~=               contains, or * and ? as wildcards: name ~= "Jo*"
  in (a, b)        is null, is not null, not in (...)
  not, and, or     in this order; parentheses; fields are a, a.b, a[0], "a b"
"""
)
@click.argument("what", nargs=-1, metavar="WHAT... [PATTERN]", type=WhatType())
@filter_options
@click.option("--fields", type=FieldsType(), metavar="A,B.C", help="Only these fields of each record.")
@click.option(
    "--sort",
    type=OrderType(),
    metavar="FIELD[:desc]",
    help="In the order of a field; the largest first with :desc.",
)
@click.option("--limit", type=CountType(min=1), metavar="N", help="At most N records (50).")
@click.option("--offset", type=CountType(min=0), default=0, metavar="N", help="Pass over the first N.")
@click.option("--all", "everything", is_flag=True, help="All records, streamed.")
@click.option("--state", metavar="STATE", help="Go on where an earlier search ended.")
@click.option("--stage", is_flag=True, help="Stage what is found, and print its token.")
@click.option("-n", "--line-number", "numbered", is_flag=True, help="Show the numbers of lines.")
@click.option(
    "-o", "--output", type=click.Choice(list(searching.FORMATS)), default="text", show_default=True,
    help="Output format.",
)  # fmt: skip
@dir_option
def search(what: tuple[str, ...], folder: str | None, **options: object) -> None:
    """Print the records that match, as they are: of tokens, files, or - for stdin.

    Records are lines of JSON, the elements of a JSON array, rows of CSV, or lines of text, which have the field
    "line". A last word that names nothing is a text that a record must hold, as it is written.
    """
    searching.search(what, named_folder(click.get_current_context(), folder), **options)  # type: ignore[arg-type]

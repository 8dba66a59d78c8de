"""``max schema``."""

import click

from maxstage.cli import describing
from maxstage.cli.options import dir_option, named_folder, output_option
from maxstage.cli.searching_options import WhatType, filter_options
from maxstage.cli.types import CountType


@click.command(
    epilog="""\b
Examples:
  max schema max:a1b2c3d4
  max schema contacts.csv --sample 1000
  max schema max:a1b2c3d4 -f 'company is null' -o json | jq '.fields[].name'"""
)
@click.argument("what", nargs=-1, metavar="WHAT... [PATTERN]", type=WhatType())
@filter_options
@click.option("--sample", type=CountType(min=1), metavar="N", help="Only the first N records.")
@output_option
@dir_option
def schema(what: tuple[str, ...], folder: str | None, **options: object) -> None:
    """Describe the fields of records: types, share present, different values, least, greatest, examples.

    Nested fields are a.b. All records are read, unless --sample says otherwise; above 256 different values their
    number is an estimate, within about 2%.
    """
    describing.schema(what, named_folder(click.get_current_context(), folder), **options)  # type: ignore[arg-type]

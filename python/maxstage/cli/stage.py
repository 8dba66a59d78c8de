"""``max stage``."""

import os
import sys

import click

from maxstage.cli import transfer
from maxstage.cli.app import did_you_mean, second_words
from maxstage.cli.compression import CompressCommand, compress_options
from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.process import closed_at_start
from maxstage.cli.transfer import STDIN
from maxstage.cli.types import CountType, NameType, TtlType, parse_labels, parse_source, shorten
from maxstage.store.split import MOST_PARTS
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _check_parts(_ctx: click.Context, _param: click.Parameter, parts: int | None) -> int | None:
    if parts is not None and parts > MOST_PARTS:
        raise click.BadParameter(
            f"at most {MOST_PARTS:,} items: each is two files and a line of output. --split-lines N cuts by lines"
        )
    return parts


@click.command(
    cls=CompressCommand,
    epilog="""\b
Examples:
  TOKEN=$(producer | max stage)
  max stage contacts.ndjson --ttl 2h --source hubspot/contact
  producer | max stage --split 8        # eight tokens, for eight agents
\b
Also: max stage list | info | renew | pin | unpin | gc | verify.
To stage a file of such a name, write ./list.""",
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=NameType())
@click.option(
    "--ttl", type=TtlType(), metavar="TIME", help="Time until it expires: minutes, or like 2h or 1d (60)."
)
@click.option(
    "--source", metavar="TEXT", callback=parse_source, help="Where the data came from, like hubspot/contact."
)
@click.option(
    "--type",
    "content_type",
    type=click.Choice(["ndjson", "json", "text"]),
    help="Content type (default: detected).",
)
@click.option(
    "--label", "labels", multiple=True, metavar="K=V", callback=parse_labels, help="A label to find it by."
)
@compress_options("compress", "the data")
@click.option(
    "--sync/--no-sync", default=None, help="Make it survive power loss before its token is printed."
)
@click.option(
    "--split",
    type=CountType(min=1),
    callback=_check_parts,
    metavar="N",
    help="Cut into N items of about equal size.",
)
@click.option(
    "--redact/--no-redact",
    default=None,
    help="Mask what looks like a credential: the item has the masked data.",
)
@click.option(
    "--split-lines",
    type=CountType(min=1),
    metavar="N",
    help="Cut into items of N lines, at most 10,000 items.",
)
@lines_option
@pass_store
def stage(
    store: Store,
    files: tuple[str, ...],
    split: int | None,
    split_lines: int | None,
    output: str,
    **options: "Any",
) -> None:
    """Stage stdin, or each FILE (- is stdin), and print one token a line.

    A token is printed once its data is stored completely. The data is private to you and expires automatically.
    """
    if split is not None and split_lines is not None:
        raise click.UsageError("use only one of --split and --split-lines")
    _check_verb(files)
    if STDIN in (files or (STDIN,)):
        _check_stdin()
    transfer.stage(store, files or (STDIN,), output, split=split, split_lines=split_lines, **options)


def _check_verb(files: tuple[str, ...]) -> None:
    """Reject a first word that is not a file but resembles a verb."""
    first = files[0] if files else STDIN
    if first == STDIN or "." in first or "/" in first or os.path.lexists(first):
        return
    hint = did_you_mean(first, second_words("stage"), "stage ")
    if hint:
        raise click.UsageError(f"No such file: {shorten(first)}{hint}")


def _check_stdin() -> None:
    if 0 in closed_at_start:
        raise click.ClickException("Standard input is closed: there is nothing to stage")
    if sys.stdin.isatty():
        raise click.UsageError("Nothing to stage: pipe data in, like: producer | max stage, or name a FILE")

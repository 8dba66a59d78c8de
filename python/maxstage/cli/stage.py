"""``max stage``."""

import os
import sys

import click

from maxstage.cli.app import COMMANDS
from maxstage.cli.common import (
    MinutesType,
    Store,
    output_option,
    parse_labels,
    parse_source,
    pass_store,
    print_json,
    write_out,
)
from maxstage.cli.progress import Progress
from maxstage.cli.run import closed_at_start
from maxstage.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from click.shell_completion import CompletionItem

    from maxstage.store.metadata import Item

STDIN = "-"


class FileOrVerb(click.Path):
    """A file; completes to the verbs that may follow ``stage`` as well."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Offer the verbs, and files."""
        from click.shell_completion import CompletionItem

        verbs = [name.removeprefix("stage ") for name in COMMANDS if name.startswith("stage ")]
        offered = [CompletionItem(verb) for verb in verbs if verb.startswith(incomplete)]
        return [*offered, *super().shell_complete(ctx, param, incomplete)]


@click.command(
    epilog="""\b
Examples:
  TOKEN=$(producer | max stage)
  max stage contacts.ndjson --ttl 120 --source hubspot/contact
  producer | max stage --split 8        # eight tokens, for eight agents
\b
Also: max stage list | info | renew | pin | unpin | gc | verify.
A file of such a name is staged as ./list."""
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=FileOrVerb())
@click.option("--ttl", type=MinutesType(), metavar="MINUTES", help="Minutes until it expires (60).")
@click.option(
    "--source", metavar="TEXT", callback=parse_source, help="Where the data came from, like hubspot/contact."
)
@click.option(
    "--type", "content_type", type=click.Choice(["ndjson", "json", "text"]), help="What it is; else detected."
)
@click.option(
    "--label", "labels", multiple=True, metavar="K=V", callback=parse_labels, help="A label to find it by."
)
@click.option("--compress/--no-compress", default=None, help="Store it as gzip.")
@click.option("--sync/--no-sync", default=None, help="Let it survive power loss before the token is printed.")
@click.option(
    "--split", type=click.IntRange(min=1), metavar="N", help="Cut into N items of about equal size."
)
@click.option("--split-lines", type=click.IntRange(min=1), metavar="N", help="Cut into items of N lines.")
@output_option
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

    A token is printed once its data is there, whole. The data is private to you and expires by itself.
    """
    if split is not None and split_lines is not None:
        raise click.UsageError("--split and --split-lines exclude each other")
    for name in files or (STDIN,):
        if name == STDIN:
            _check_stdin()
        for item in _stage_one(store, name, split, split_lines, options):
            _announce(item, output)
    store.sweep_if_due()


def _stage_one(
    store: Store, name: str, split: int | None, split_lines: int | None, options: "dict[str, Any]"
) -> "list[Item]":
    data: Any = sys.stdin.fileno() if name == STDIN else name
    with Progress("staged", _size_of(name)) as progress:
        if split is None and split_lines is None:
            return [store.stage(data, progress=progress, **options)]
        return store.split(data, parts=split, lines=split_lines, progress=progress, **options)


def _check_stdin() -> None:
    if 0 in closed_at_start:
        raise click.ClickException("Standard input is closed: there is nothing to stage")
    if sys.stdin.isatty():
        raise click.UsageError("Nothing to stage: pipe data in, like: producer | max stage, or name a FILE")


def _size_of(name: str) -> int | None:
    try:
        status = os.fstat(0) if name == STDIN else os.stat(name)
    except OSError:
        return None  # opening it will tell
    return status.st_size


def _announce(item: "Item", output: str) -> None:
    try:
        if output == "json":
            print_json(item.to_dict(), indent=None)
        else:
            write_out(item.token)
    except BrokenPipeError:
        raise
    except OSError as error:
        # The data is safe, and this line is the only place that can still say where.
        raise Error(f"Staged as {item.token}, but stdout could not be written: {error.strerror}") from None

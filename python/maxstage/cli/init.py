"""``max init``."""

import os

import click

from maxstage.cli.options import output_option
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import NameType


@click.command(
    epilog="""\b
Example:
  max init
  max init ~/work/leads
  max init --store s3://bucket/leads"""
)
@click.argument("folder", metavar="[DIR]", default=".", type=NameType(file_okay=False))
@click.option(
    "--store",
    "url",
    metavar="URL",
    help="Keep the items in object storage, which other machines reach, too: s3://BUCKET/PREFIX, gs:// or az://.",
)
@output_option
def init(folder: str, url: str | None, output: str) -> None:
    """Make DIR (the working directory) a Max project: a private .max directory in it.

    Safe to run again: what is there stays as it is.

    With --store, the server is tried out first, and refused if it can't keep a store that several machines write to.
    """
    if url is not None:
        _init_remote(folder, url, output)
        return
    from maxstage.store.project_setup import init_project

    made = init_project(folder)
    path = os.path.join(os.path.abspath(folder), ".max")
    if output == "json":
        print_json({"project": os.path.abspath(folder), "made": made})
        return
    write_out(f"Initialized Max project in {path}" if made else f"Already a Max project: {path}")


def _init_remote(folder: str, url: str, output: str) -> None:
    from maxstage.store.remote_setup import init_remote

    try:
        made = init_remote(folder, url)
    except ValueError as error:
        raise click.UsageError(f"--store {error}") from None
    path = os.path.join(os.path.abspath(folder), ".max")
    if output == "json":
        print_json(
            {
                "project": os.path.abspath(folder),
                "made": made.project,
                "store": made.url,
                "storeMade": made.store,
            }
        )
        return
    write_out(f"Initialized Max project in {path}" if made.project else f"Already a Max project: {path}")
    write_out(f"Made the store {made.url}" if made.store else f"Uses the store {made.url}")
    if made.hint is not None:
        write_out(made.hint)

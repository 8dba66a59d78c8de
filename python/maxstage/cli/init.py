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
  max init ~/work/leads"""
)
@click.argument("folder", metavar="[DIR]", default=".", type=NameType(file_okay=False))
@output_option
def init(folder: str, output: str) -> None:
    """Make DIR (the working directory) a Max project: a private .max directory in it.

    Safe to run again: what is there stays as it is.
    """
    from maxstage.store.project_setup import init_project

    made = init_project(folder)
    path = os.path.join(os.path.abspath(folder), ".max")
    if output == "json":
        print_json({"project": os.path.abspath(folder), "made": made})
        return
    write_out(f"Initialized Max project in {path}" if made else f"Already a Max project: {path}")

"""``max truncate``."""

import contextlib
import os
import sys

import click

from maxstage.cli.compression import CompressCommand, redact_mode, redact_option
from maxstage.cli.execution import limits_of, note_gain, store_or_none, tell_redacted, warn_of_silent_cut
from maxstage.cli.limits import common_limits, with_line_strategy
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.printing import print_json, warn, write_all
from maxstage.cli.process import closed_at_start
from maxstage.cli.types import NameType, SizeType
from maxstage.output.bound import bound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command(
    cls=CompressCommand,
    epilog="""\b
Examples:
  make 2>&1 | max truncate --strategy summary --max-bytes 8KiB
  max truncate --strategy both --max-bytes 64KiB build.log""",
)
@click.argument("file", required=False, type=NameType())
@click.option("--max-bytes", "max_stdout_bytes", type=SizeType(), help="Keep at most this much (1MiB).")
@click.option("--cut-to", type=SizeType(), help="Cut what is longer to this much, if it is kept.")
@common_limits
@redact_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: the output and all details.",
)
@dir_option
@click.pass_context
def truncate(
    ctx: click.Context,
    /,
    file: str | None,
    cut_to: int | None,
    redact: str | None,
    output: str,
    folder: str | None,
    **options: "Any",
) -> None:
    """Cut FILE, or stdin, to a size; keep the full text under a token if it was cut."""
    keep, elsewhere = options.pop("keep"), options["external_storage_dir"] is not None
    store, can_keep = store_or_none(
        named_folder(ctx, folder),
        needed=keep == "always" and not elsewhere,
        kept=keep != "never" and not elsewhere,
    )
    if not can_keep and not elsewhere:
        keep = "never"
    limits = limits_of(store, with_line_strategy(store, options))
    with contextlib.ExitStack() as stack:
        if file is None or file == "-":
            if 0 in closed_at_start:
                raise click.ClickException("Standard input is closed: there is nothing to cut")
            if sys.stdin.isatty():
                raise click.UsageError(
                    "Nothing to cut: pipe text in, like: make | max truncate, or name a FILE"
                )
            fd = 0
        else:
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
        name = "<stdin>" if fd == 0 else str(file)
        masked = redact_mode(redact)
        done = bound(
            fd, limits, store, keep=keep, task_id="truncate", name=name, redact=masked, cut_to=cut_to
        )
        if output == "json":
            print_json(done.to_dict())
        else:
            write_all(1, done.content, "<stdout>")
            warn_of_silent_cut(done)
            tell_redacted(done)
        note_gain(done, "truncate")
        for problem in done.warnings:
            warn(problem)

"""``max truncate``."""

import contextlib
import os
import sys

import click

from maxstage._backend import core
from maxstage.cli.common import SizeType, common_limits, dir_option, find_store, limits_of, warn, write_all
from maxstage.cli.run import closed_at_start
from maxstage.errors import NoProject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.output.external import External
    from maxstage.output.limits import Limits
    from maxstage.output.run import Keep
    from maxstage.store.store import Store

_READ = 256 * 1024
"""Bytes read at a time."""


@click.command(
    epilog="""\b
Examples:
  make 2>&1 | max truncate --strategy summary --max-bytes 8KiB
  max truncate --strategy both --max-bytes 64KiB build.log"""
)
@click.argument("file", required=False, type=click.Path())
@click.option("--max-bytes", "max_stdout_bytes", type=SizeType(), help="What is kept (1MiB).")
@common_limits
@dir_option
@click.pass_context
def truncate(ctx: click.Context, /, file: str | None, folder: str | None, **options: "Any") -> None:
    """Cut FILE, or stdin, to a size; keep the whole of it under a token where it was cut."""
    keep = options.pop("keep")
    try:
        store = find_store(ctx, folder)
    except NoProject:
        if folder is not None or keep == "always":
            raise
        store = None
    limits = limits_of(store, options)
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
        _cut(fd, limits, store, keep)


def _cut(fd: int, limits: "Limits", store: "Store | None", keep: "Keep") -> None:
    """Pump a stream through a capture: it is that of a command which has only stdout."""
    from maxstage.output.run import Externals

    externals = Externals(limits, store, keep=keep, source="truncate", owner=None)
    size = limits.max_stdout_bytes
    stream = (limits.truncation_strategy, size, limits.max_lines, externals.above)
    capture = core.Capture(fd, -1, -1, stream, stream, size)
    with contextlib.ExitStack() as stack:
        stack.callback(externals.discard)
        externals.pump(capture)
        externals.publish()
    external: External | None = externals.of(0)
    cut = capture.render(0, size, None if external is None else external.hint)
    write_all(1, cut.content, "<stdout>")
    for problem in externals.problems:
        warn(problem)

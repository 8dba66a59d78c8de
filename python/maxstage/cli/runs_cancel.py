"""``max runs cancel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from maxstage.cli.options import output_option, pass_project
from maxstage.cli.printing import print_json, write_out
from maxstage.humanize import counted

if TYPE_CHECKING:
    from maxstage.store.store import Store


@click.command(
    "runs cancel",
    epilog="""\b
Examples:
  max runs cancel 20261121-094500-a1b2c3
  max runs cancel 20261121-094500-a1b2c3 --on temporal://engine:7233   # of a run whose state is elsewhere""",
)
@click.argument("run_id", metavar="RUN")
@click.option("--on", metavar="WHERE", help="Where its programs run (default: where its state says).")
@output_option
@pass_project
def runs_cancel(store: Store, run_id: str, on: str | None, output: str) -> None:
    """End a run: all its programs, on every machine. Waits until they have ended.

    A run that was cancelled can be resumed.
    """
    from maxstage.workflow.run.cancelling import cancel

    count = cancel(store, run_id, on)
    if output == "json":
        print_json({"run": run_id, "ended": count})
    else:
        write_out(
            f"Cancelled run {run_id}" + ("" if count is None else f"; {counted(count, 'program')} ended")
        )

"""``max engine`` and what follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from maxstage.cli.options import output_option, pass_project
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import CountType

if TYPE_CHECKING:
    from maxstage.store.store import Store
    from maxstage.workflow.execution.temporal.server import Engine


def _show(engine: Engine | None, output: str, text: str) -> None:
    if output == "json":
        print_json(None if engine is None else engine._asdict())
    else:
        write_out(text if engine is not None else "No engine runs.")


@click.command("engine", epilog="\b\nExample:\n  max engine")
@output_option
@pass_project
def engine(store: Store, output: str) -> None:
    """Show the development engine of this project."""
    from maxstage.workflow.execution.temporal.server import running

    found = running(store.layout)
    _show(found, output, "" if found is None else f"{found.on}  process {found.pid}  {found.database}")


@click.command(
    "engine start",
    epilog="""\b
Examples:
  max engine start
  max worker --on temporal://127.0.0.1:7233 &
  max run flow.yaml --on temporal://127.0.0.1:7233
  max engine start --ip 0.0.0.0            # for workers on other machines, in a network that you trust""",
)
@click.option(
    "--ip", default="127.0.0.1", show_default=True, help="Listen there; 0.0.0.0 is for other machines, too."
)
@click.option(
    "--port", type=CountType(min=1, max=64535), default=7233, show_default=True, help="Listen there."
)
@click.option("--ui", is_flag=True, help="Serve Temporal's web page as well, at the port plus 1000.")
@output_option
@pass_project
def engine_start(store: Store, ip: str, port: int, ui: bool, output: str) -> None:
    """Start Temporal's development server in the background, for trying out "max run --on".

    Its data is in .max/engine and survives it. Whoever reaches its port can run programs on its workers.
    """
    from maxstage.workflow.execution.temporal.server import start

    found = start(store.layout, ip, port, ui=ui)
    _show(found, output, found.on)


@click.command("engine stop", epilog="\b\nExample:\n  max engine stop")
@output_option
@pass_project
def engine_stop(store: Store, output: str) -> None:
    """Stop the development server. What runs go on with once it is started again is kept."""
    from maxstage.workflow.execution.temporal.server import stop

    found = stop(store.layout)
    _show(found, output, "" if found is None else f"Stopped the engine at {found.on}")

"""``max worker``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from maxstage.cli.options import output_option, pass_project
from maxstage.cli.printing import print_json, warn
from maxstage.cli.types import CountType
from maxstage.humanize import counted, printable

if TYPE_CHECKING:
    from maxstage.store.store import Store

_LONGEST = 200
"""Characters of a name that are shown."""


def _line(kind: str, data: dict[str, Any]) -> str:
    """Return an event as a line for people."""
    from maxstage import __version__

    job = printable(data["job"], _LONGEST) if "job" in data else ""
    if kind == "ready":
        return (
            f"Worker of maxstage {__version__}, contract {data['contract']}, takes {counted(data['jobs'], 'job')} "
            f"at once of the queue {data['queue']!r} at {data['on']}"
        )
    if kind == "stopping":
        return f"Stopping once what runs here has ended: {counted(data['jobs'], 'job')}. A second signal ends them"
    if kind == "other_contract":
        return (
            f"{counted(data['jobs'], 'job')} of contract {data['contract']} here that this worker doesn't take: "
            "they need a worker of the version of their run"
        )
    return f"{kind} {job}" + (f": {data['how']}" if kind == "ended" and data["how"] != "done" else "")


def _check_queue(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    from maxstage.workflow.format.values import OF_QUEUES, QUEUE_NAME

    if name is not None and QUEUE_NAME.fullmatch(name) is None:
        raise click.BadParameter(OF_QUEUES)
    return name


@click.command(
    "worker",
    epilog="""\b
Examples:
  max worker --on temporal://127.0.0.1:7233
  max worker --on temporal://engine.example:7233/team --queue gpu --jobs 2 --dir /shared/project""",
)
@click.option("--on", required=True, metavar="WHERE", help="The engine: temporal://HOST[:PORT][/NAMESPACE].")
@click.option(
    "-j", "--jobs", type=CountType(min=1), help="Programs to run at once (default: one for each processor)."
)
@click.option(
    "--queue",
    metavar="NAME",
    callback=_check_queue,
    help="The queue to take jobs from, as runs_on names it (default: default).",
)
@output_option
@pass_project
def worker(store: Store, on: str, jobs: int | None, queue: str | None, output: str) -> None:
    """Run the programs of workflows that were started with "max run --on".

    It needs a project with the same store as theirs: the same shared directory, or object storage. The first SIGTERM or
    Ctrl-C lets it take no further job and end once its programs have; a second one ends those, and other workers do
    them again.
    """
    import asyncio

    from maxstage.cli.process import spare
    from maxstage.workflow.execution.temporal.worker import Worker

    def tell(kind: str, **data: Any) -> None:
        if output == "json":
            print_json({"event": kind, **data}, indent=None)
        else:
            warn(_line(kind, data))

    async def work() -> None:
        await Worker(store.layout.project, on, queue, jobs or os.cpu_count() or 1, tell).run()

    spare()
    asyncio.run(work())

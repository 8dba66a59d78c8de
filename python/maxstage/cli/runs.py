"""``max runs`` and what follows it."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from maxstage import exact
from maxstage.cli.options import lines_option, output_option, pass_project
from maxstage.cli.printing import describe, print_all, print_json, warn, write_out
from maxstage.cli.prompting import confirm
from maxstage.cli.run_report import is_iteration, table_with_unfinished
from maxstage.cli.target import Target
from maxstage.cli.types import CountType, NameType
from maxstage.errors import WorkflowError
from maxstage.files import write_all
from maxstage.humanize import counted, format_seconds, format_size, printable
from maxstage.output.cleanup import CLEANUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.state import RunState


_LONGEST = 500
"""Characters of a name or an error that are shown."""


def _status(facts: dict[str, Any]) -> str:
    # A run that was killed right after its start has no status.
    if facts.get("imported") and "status" not in facts:
        return "imported"
    status: str = facts.get("status", "running")
    return "killed" if status == "running" and not facts["live"] else status


def _when(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _shown(value: object) -> str:
    return printable(str(value), _LONGEST)


@click.command("runs", epilog="\b\nExamples:\n  max runs\n  max runs show 20261121-094500-a1b2c3")
@lines_option
@pass_project
def runs(store: Store, output: str) -> None:
    """List the runs of workflows, newest first. One that is killed or interrupted can be resumed."""
    from maxstage.workflow.run.folder import find_runs, runs_folder

    found = [(run_id, facts) for run_id, facts in find_runs(runs_folder(store))]
    if output != "text":
        print_all((_described(run_id, facts) for run_id, facts in found), output)
        return
    for run_id, facts in found:
        write_out(
            f"{run_id}  {_status(facts):<11}  {_when(facts.get('started'))}  {_shown(facts.get('workflow', ''))}"
        )
    if not found:
        write_out("No runs.")


def _described(run_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    names = ("workflow", "file", "inputs", "folder", "started", "ended", "error", "outputs")
    return {"run": run_id, "status": _status(facts), **{name: facts.get(name) for name in names}}


@click.command("runs show", epilog="\b\nExample:\n  max runs show 20261121-094500-a1b2c3 --iterations")
@click.argument("run_id", metavar="RUN")
@click.option("--iterations", is_flag=True, help="Show each iteration of loops, too.")
@output_option
@pass_project
def runs_show(store: Store, run_id: str, iterations: bool, output: str) -> None:
    """Show one run: its tasks, how they ended, sizes, tokens and errors."""
    from maxstage.workflow.run.unfinished import unfinished

    state = _open(store, run_id)
    try:
        facts = state.facts() | {"live": state.is_live()}
        if output == "json":
            tasks = {path: result.summary() for path, result in _results(state, iterations=iterations)}
            left = [one._asdict() for one in unfinished(state)]
            print_json({**_described(run_id, facts), "tasks": tasks, "unfinished": left})
            return
        write_out(f"Run:      {run_id}")
        write_out(f"Workflow: {_shown(facts.get('workflow', ''))} ({_shown(facts.get('file', ''))})")
        write_out(
            f"Status:   {_status(facts)}" + (f": {_shown(facts['error'])}" if facts.get("error") else "")
        )
        write_out(f"Started:  {_when(facts.get('started'))}")
        started, ended = facts.get("started"), facts.get("ended")
        # If the clock was set back in between, nobody knows.
        if started is not None and ended is not None and ended >= started:
            write_out(f"Took:     {format_seconds(ended - started)}")
        for name, value in (facts.get("inputs") or {}).items():
            write_out(f"Input:    {_shown(name)} = {_shown(exact.dumps(value))}")
        if facts.get("status") == "waiting":
            from maxstage.cli.answer import command_to_answer
            from maxstage.workflow.run.questions import questions_of

            for one in questions_of(state):
                write_out(
                    f"Waiting:  {_shown(one.task)}: {_shown(one.prompt)}\n          {command_to_answer(one)}"
                )
        if facts.get("metrics"):
            from maxstage.workflow.report.metrics import lines

            write_out("")
            for line in lines(facts["metrics"]):
                write_out(line)
        write_out("")
        for line in table_with_unfinished(
            _results(state, iterations=iterations), unfinished(state), with_cache=True
        ):
            write_out(line)
        kept = [item for item in store.list() if item.owner == run_id]
        size = format_size(sum(item.stored_size for item in kept))
        write_out(f"\n{counted(len(kept), 'output')} kept in full, {size} on disk")
    finally:
        state.close()


def _results(state: RunState, *, iterations: bool) -> Iterator[tuple[str, TaskResult]]:
    for path, result in state.results():
        if iterations or not is_iteration(path) or result.status in {"failed", "interrupted"}:
            yield path, result


def _open(store: Store, run_id: str) -> RunState:
    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.state import RunState

    return RunState(runs_folder(store), run_id)


@click.command(
    "runs report", epilog="\b\nExample:\n  max runs report 20261121-094500-123a1b2 --html report.html"
)
@click.argument("run_id", metavar="RUN")
@click.option(
    "--html", "file", required=True, type=NameType(), metavar="FILE", help="The file to write; - is stdout."
)
@output_option
@pass_project
def runs_report(store: Store, run_id: str, file: str, output: str) -> None:
    """Write one page of HTML about a run: what failed, the graph, tasks on a time axis, what agents were given.

    It needs nothing else: no network, and no script.
    """
    from maxstage.workflow.format.agents import providers_from
    from maxstage.workflow.format.loading import load
    from maxstage.workflow.format.problems import Problems
    from maxstage.workflow.report.page import render

    state = _open(store, run_id)
    try:
        name = state.facts().get("file", "")
        workflow = None
        # Only runs of older versions need it: without it, their pages have no graph.
        with contextlib.suppress(WorkflowError, OSError):
            workflow = load(name, providers_from(store.settings.providers))
        page = render(state, None if isinstance(workflow, Problems) else workflow)
    finally:
        state.close()
    if file == "-":
        if output == "json":
            raise click.UsageError("-o json describes the file that was written, so it needs --html FILE")
        write_out(page.rstrip("\n"))
        return
    with Target(file) as (fd, name, writing), writing:
        write_all(fd, page.encode("utf-8", "replace"), name)
    if output == "json":
        print_json({"run": run_id, "file": file})
    else:
        write_out(f"Wrote {file}")


@click.command("runs export", epilog="\b\nExample:\n  max runs export 20261121-094500-a1b2c3 > run.json")
@click.argument("run_id", metavar="RUN")
@click.option("-o", "--output", type=click.Choice(["json"]), default="json", help="The state is always JSON.")
@pass_project
def runs_export(store: Store, run_id: str, output: str) -> None:  # noqa: ARG001 - as every command has it
    """Print the state of a run as JSON."""
    state = _open(store, run_id)
    try:
        print_json(state.export())
    finally:
        state.close()


@click.command("runs import", epilog="\b\nExample:\n  max runs import run.json")
@click.argument("file", type=NameType())
@output_option
@pass_project
def runs_import(store: Store, file: str, output: str) -> None:
    """Import an exported state, or one in the older form ``{"task_results": {NAME: TEXT}}``.

    Prints the id of the run, which "max run FILE --run-id RUN" continues.
    """
    from maxstage.workflow.run.folder import import_run, runs_folder

    try:
        with sys.stdin.buffer if file == "-" else open(file, "rb") as source:
            exported = json.load(source)
    except (ValueError, RecursionError) as error:
        raise WorkflowError(f"{file} is not JSON: {exact.why_no_json(error)}") from None
    state: RunState = import_run(runs_folder(store), exported, file)
    if output == "json":
        print_json({"run": state.run_id})
    else:
        write_out(state.run_id)
    state.close()


@click.command("runs prune", epilog="\b\nExample:\n  max runs prune 20261121-094500-123a1b2 --keep 5")
@click.argument("run_id", metavar="RUN")
@click.option(
    "--keep", type=CountType(min=1), help="How many outputs to keep (default: as the workflow says)."
)
@click.option(
    "--strategy", type=click.Choice(list(CLEANUP)), help="Which to keep (default: as the workflow says)."
)
@output_option
@pass_project
def runs_prune(store: Store, run_id: str, keep: int | None, strategy: str | None, output: str) -> None:
    """Drop the outputs of a run that nothing depends on any more, and their staged full outputs."""
    from maxstage.workflow.run.pruning import prune_by_hand

    state = _open(store, run_id)
    try:
        state.acquire()
        before = sum(one.size for one in state.ended().values())
        count = prune_by_hand(store, state, keep, strategy)
        after = sum(one.size for one in state.ended().values())
    finally:
        state.close()
    if output == "json":
        print_json({"run": run_id, "dropped": count, "freedBytes": before - after})
    else:
        write_out(f"Dropped {counted(count, 'output')}, {format_size(before - after)}")


@click.command(
    "runs clean",
    epilog="\b\nExamples:\n  max runs clean 20261121-094500-a1b2c3\n  max runs clean --completed --yes",
)
@click.argument("run_ids", nargs=-1, metavar="[RUN]...")
@click.option("--completed", is_flag=True, help="Delete all runs that have completed.")
@click.option("--all", "everything", is_flag=True, help="Delete all runs that are not running.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@lines_option
@pass_project
@click.pass_context
def runs_clean(
    ctx: click.Context,
    store: Store,
    run_ids: tuple[str, ...],
    completed: bool,
    everything: bool,
    yes: bool,
    output: str,
) -> None:
    """Delete runs: their state, and the outputs that are kept for them."""
    if not run_ids and not completed and not everything:
        raise click.UsageError("Name a RUN, or use --completed or --all")
    chosen = list(dict.fromkeys(run_ids))
    left: list[str] = []
    if completed or everything:
        found, left = _to_clean(store, everything=everything)
        left = [run_id for run_id in left if run_id not in run_ids]
        chosen += [run_id for run_id in found if run_id not in run_ids]
        if chosen:
            confirm(f"Delete {counted(len(chosen), 'run')} and the outputs that they kept?", yes=yes)
        elif not left and output == "text":
            write_out("Nothing to clean.")
    all_went = True
    for run_id in chosen:
        try:
            count = _delete(store, run_id)
        except (WorkflowError, OSError) as error:
            # Carry on with the others.
            all_went = False
            warn(describe(error))
            continue
        if output != "text":
            print_json({"run": run_id, "outputs": count}, indent=None)
        else:
            write_out(f"Deleted run {run_id} and {counted(count, 'output')}")
    if left and everything:
        raise WorkflowError(
            f"Not deleted, because they can't be read (max runs show tells why): {', '.join(left)}"
        )
    if not all_went:
        ctx.exit(1)


def _to_clean(store: Store, *, everything: bool) -> tuple[list[str], list[str]]:
    """Return the runs that have completed, or that are not running, and those that can't be read."""
    from maxstage.workflow.run.folder import UNREADABLE, find_runs, runs_folder

    chosen, left = [], []
    for run_id, facts in find_runs(runs_folder(store)):
        if facts["live"]:
            continue
        if facts.get("status") == UNREADABLE:
            left.append(run_id)
        elif everything or facts.get("status") == "completed":
            chosen.append(run_id)
    return chosen, left


def _delete(store: Store, run_id: str) -> int:
    """Delete a run, even a damaged one, unless it just can't be read now; return how many outputs it had kept."""
    from maxstage.workflow.run.leftovers import delete_damaged, delete_run
    from maxstage.workflow.run.state import DamagedRun

    try:
        state = _open(store, run_id)
        try:
            state.acquire_to_delete()
            return delete_run(store, state)
        finally:
            state.close()
    except DamagedRun:
        return delete_damaged(store, run_id)

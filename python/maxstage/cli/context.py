"""``max context``."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import click

from maxstage.cli.options import dir_option, find_project, output_option
from maxstage.cli.printing import print_json, write_out
from maxstage.errors import WorkflowError
from maxstage.humanize import counted, format_size, printable

if TYPE_CHECKING:
    from maxstage.output.limits import Limits
    from maxstage.store.store import Store
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.state import RunState

_LONGEST_NAME = 120
"""The most characters of a task's path that are shown."""


@click.command(
    "context",
    epilog="""\b
Examples:
  max context 20261121-094500-123a1b2 write
  max context flow.yaml write -o json""",
)
@click.argument("run_or_file", metavar="RUN|FILE")
@click.argument("task")
@output_option
@dir_option
@click.pass_context
def context(ctx: click.Context, /, run_or_file: str, task: str, output: str, folder: str | None) -> None:
    """Show which outputs an agent's TASK gets, or got, with their relevance, and what was cut or dropped and why.

    For a RUN: what it got, or what it would get now. For a FILE that has not run: what would be considered; sizes are
    not known yet.
    """
    given = _of_file(ctx, run_or_file, task, folder) if os.path.isfile(run_or_file) else None
    if given is None:
        given = _of_run(find_project(ctx, folder), run_or_file, task)
    if output == "json":
        print_json(given)
        return
    verb = "got" if given["ended"] else "would get"
    if "why" in given:
        write_out(f"{printable(task, _LONGEST_NAME)} {verb} nothing: {given['why']}")
        return
    size = (
        ""
        if given["bytes"] is None
        else f": {counted(given['bytes'], 'byte')}, about {counted(given['tokens'], 'LLM token')}"
    )
    write_out(f"{printable(task, _LONGEST_NAME)} {verb}{size}")
    rows = [("TASK", "RELEVANCE", "SIZE", "", "WHY")]
    for one in given["candidates"]:
        known = "" if one["size"] is None else format_size(one["size"])
        why = one["why"] + (f"; {one['reason']}" if one["reason"] else "")
        rows.append(
            (
                printable(one["task"], _LONGEST_NAME),
                f"{one['relevance']:.2f}",
                known,
                one["state"],
                printable(why),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        write_out("  ".join([*cells, row[4]]).rstrip())
    if len(rows) == 1:
        write_out("(nothing is relevant)")


def _check_task(workflow: ValidWorkflow, task: str) -> None:
    from maxstage.workflow.run.paths import spec_path

    if spec_path(task) not in workflow.graph.agents:
        known = ", ".join(workflow.graph.agents) or "none"
        raise WorkflowError(f"{task!r} is not an agent's task; agents' tasks are: {known}")


def _load(path: str, providers: Any) -> ValidWorkflow:
    from maxstage.workflow.format.loading import load
    from maxstage.workflow.format.problems import Problems

    loaded = load(path, providers)
    if isinstance(loaded, Problems):
        raise WorkflowError(str(loaded.errors[0]))
    return loaded


def _nothing(task: str, why: str, *, ended: bool) -> dict[str, Any]:
    return {"task": task, "ended": ended, "bytes": 0, "tokens": 0, "candidates": [], "why": why}


_NO_CONTEXT = "it does not say inject_context: true"


def _of_file(ctx: click.Context, file: str, task: str, folder: str | None) -> dict[str, Any]:
    """Return what would be considered if the tasks before it had run, one by one."""
    from maxstage.cli.validate import known_providers
    from maxstage.output.limits import Limits
    from maxstage.workflow.run.foreseen import selection_of_file
    from maxstage.workflow.run.paths import spec_path

    workflow = _load(file, known_providers(ctx, folder))
    _check_task(workflow, task)
    if not workflow.tasks[spec_path(task)].inject_context:
        return _nothing(task, _NO_CONTEXT, ended=False)

    def limits_of(path: str) -> Limits:
        return Limits.parse({**workflow.spec.limits, **workflow.tasks[spec_path(path)].limits})

    selection = selection_of_file(workflow, task, limits_of(task), limits_of)
    candidates = []
    for one in selection.candidates:
        state = "dropped" if one.state == "dropped" else ""
        known = {"task": one.task, "relevance": one.relevance, "why": one.why, "size": None}
        candidates.append({**known, "state": state, "reason": one.reason if state else ""})
    return {"task": task, "ended": False, "bytes": None, "tokens": None, "candidates": candidates}


def _of_run(store: Store, run_id: str, task: str) -> dict[str, Any]:
    from maxstage.workflow.format.agents import providers_from
    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.paths import spec_path
    from maxstage.workflow.run.state import RunState

    state = RunState(runs_folder(store), run_id)
    try:
        given = state.contexts().get(task)
        if given is not None:
            return {"task": task, "ended": True, **given}
        result = state.find(task)
        file = state.facts().get("file")
        if file is None:
            raise WorkflowError(
                f"run {run_id} was imported without its workflow file; name that file instead of the run"
            )
        workflow = _load(file, providers_from(store.settings.providers))
        _check_task(workflow, task)
        if result is not None and result.is_final:
            why = "it was skipped" if result.status == "skipped" else "it was given no context"
            return _nothing(task, why, ended=True)
        if not workflow.tasks[spec_path(task)].inject_context:
            return _nothing(task, _NO_CONTEXT, ended=False)
        return _would_get(store, state, workflow, task)
    finally:
        state.close()


def _would_get(store: Store, state: RunState, workflow: ValidWorkflow, task: str) -> dict[str, Any]:
    from maxstage.workflow.run.foreseen import resolver
    from maxstage.workflow.run.limits import effective_limits, workflow_limits
    from maxstage.workflow.run.paths import spec_path
    from maxstage.workflow.run.task_context import budget_of, context_for

    where = state.facts()["folder"]
    of_workflow = workflow_limits(store, workflow, where)
    ended = state.ended()

    def limits_of(path: str) -> Limits:
        return effective_limits(workflow, path, of_workflow, where)

    spec = workflow.tasks[spec_path(task)]
    budget = budget_of(spec, workflow.spec.context, limits_of(task), resolver(task, ended))
    selection = context_for(workflow.graph, task, budget, ended, state.find, limits_of=limits_of)
    candidates = [dataclasses.asdict(candidate) for candidate in selection.candidates]
    content = selection.content
    return {
        "task": task,
        "ended": False,
        "bytes": len(content),
        "tokens": selection.tokens,
        "candidates": candidates,
    }

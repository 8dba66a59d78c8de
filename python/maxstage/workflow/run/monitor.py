"""The books of a run: what its outputs take, what agents are given of them, and what is pruned."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error, WorkflowError
from maxstage.output.cleanup import CleanupStrategy
from maxstage.workflow.format.agents import providers_from
from maxstage.workflow.format.loading import load
from maxstage.workflow.run import jobs as leaf
from maxstage.workflow.run.context import budget_of, context_for
from maxstage.workflow.run.metrics import Metrics, Warnings
from maxstage.workflow.run.pruning import Pruner

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.output.limits import Limits
    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store
    from maxstage.workflow.format.loading import Checked
    from maxstage.workflow.format.schema import Task, WorkflowSpec
    from maxstage.workflow.run.instances import Place
    from maxstage.workflow.run.scope import Scope
    from maxstage.workflow.run.state import RunState, TaskResult


class Books:
    """Keeps count while a run goes on.

    Attributes:
        known: All that have ended, by path, without their outputs.
    """

    def __init__(
        self,
        checked: Checked,
        spec: WorkflowSpec,
        state: RunState,
        store: Store,
        limits: Limits,
        emit: Callable[..., None],
    ) -> None:
        self.known = state.ended()
        self._checked = checked
        self._spec = spec
        self._state = state
        self._limits = limits
        self._store = store
        self._emit = emit
        self._metrics = Metrics(state.facts().get("metrics"))
        # What is held is what is there: a killed run had no time to write down its last count.
        self._metrics.held = sum(one.held for one in self.known.values())
        self._warnings = Warnings(limits, store, lambda text: emit("warning", text=text))
        self._pruner = Pruner(checked, spec, state, store, limits, self.known, self._metrics, emit)
        self._since = 0

    def task_ended(self, result: TaskResult) -> None:
        """Count an output; prune, warn and write the metrics down if it is time."""
        self._metrics.task_ended(result)
        self._pruner.task_ended()
        self._since += 1
        if self._since >= self._limits.prune_every_tasks:
            self._since = 0
            self._note()

    def checkpoint(self) -> None:
        """Prune before the state is written."""
        self._pruner.prune("a checkpoint")

    def context(self, place: Place, task: Task, scope: Scope) -> bytes:
        """Return what an agent's task is given of other outputs; note it."""
        budget = budget_of(task, self._spec.context, place.limits, scope.path_of)
        selection = context_for(
            self._checked,
            place.path,
            budget,
            self.known,
            self._state.find,
            limits=self._limits,
            keep=self._keep,
        )
        whole = sum(one.size for one in self.known.values() if one.has_output)
        self._metrics.injected(selection, whole)
        given = {
            "bytes": len(selection.content),
            "tokens": selection.tokens,
            "whole_bytes": whole,
            "candidates": [dataclasses.asdict(candidate) for candidate in selection.candidates],
        }
        now = self._state.record_context(place.path, given, selection.used)
        for path in selection.used:
            self.known[path] = self.known[path]._replace(accessed=now)
        self._emit(
            "context", place.path, bytes=given["bytes"], tokens=selection.tokens, tasks=len(selection.used)
        )
        return selection.content

    def _keep(self, path: str, output: TaskOutput) -> str | None:
        """Keep an output whole that a prompt has no room for, so that the agent can fetch it."""
        try:
            with self._store.draft() as draft:
                draft.write(output.content)
                item = draft.publish(
                    ttl_minutes=None,
                    source=f"context/{path}",
                    extra={"owner": self._state.run_id},
                )
        except (Error, OSError) as error:
            self._emit("warning", text=f"the output of {path} could not be kept whole: {error}")
            return None
        self._state.set_token(path, item.token, self._store.layout.path(item.file_name))
        return item.token

    def close(self) -> dict[str, Any]:
        """Return the metrics at the end."""
        self._note()
        return self._metrics.to_dict()

    def _note(self) -> None:
        metrics = self._metrics.to_dict()
        self._state.set_facts(metrics=metrics)
        self._emit("metrics", **metrics)
        self._warnings.check(metrics)


def prune_by_hand(store: Store, state: RunState, keep: int | None, strategy: str | None) -> int:
    """Prune a run that nobody runs; return how many outputs were dropped.

    Args:
        store: The project.
        state: The run, which is ours.
        keep: Outputs that are kept; None: as the workflow says.
        strategy: Which; None: as the workflow says.

    Raises:
        WorkflowError: The file of the run is no good any more.
        OSError: It can't be read.
    """
    facts = state.facts()
    if "file" not in facts:
        raise WorkflowError(
            f"run {state.run_id} has no file that says what is needed; only an imported state is known"
        )
    checked = load(facts["file"], providers_from(store.settings.providers))
    if checked.spec is None:
        raise WorkflowError("\n".join(str(problem) for problem in checked.errors))
    limits = leaf.workflow_limits(store, checked.spec, facts["folder"])
    rule = limits.cleanup_strategy or CleanupStrategy()
    rule = CleanupStrategy(strategy or rule.type, keep or rule.keep_count)
    limits = dataclasses.replace(limits, cleanup_strategy=rule)
    metrics = Metrics(facts.get("metrics"))
    pruner = Pruner(
        checked, checked.spec, state, store, limits, state.ended(), metrics, lambda *_, **__: None
    )
    count = pruner.prune("by hand")
    state.set_facts(metrics=metrics.to_dict())
    return count

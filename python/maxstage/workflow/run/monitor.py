"""What a run looks after while it goes on: results, hooks, metrics, pruning, and what agents are given."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error, describe
from maxstage.store.gain import note_cut
from maxstage.workflow.format.references import printable
from maxstage.workflow.run.hooks import Hooks
from maxstage.workflow.run.metrics import Metrics, Warnings
from maxstage.workflow.run.pruning import Pruner
from maxstage.workflow.run.task_context import budget_of, context_for

if TYPE_CHECKING:
    from maxstage.context.selection import Selection
    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope


class RunMonitor:
    """Records what ends, and does what follows from it.

    Args:
        run: The run.
        scope: What hooks can refer to.

    Attributes:
        known: All that have ended, by path, without their outputs.
        hooks: The commands that run beside the tasks.
    """

    def __init__(self, run: RunContext, scope: Scope) -> None:
        self.known = run.state.ended()
        self.hooks = Hooks(run, scope, self.checkpoint)
        self._run = run
        self._metrics = Metrics(run.state.facts().get("metrics"))
        # What is held is what is there: a killed run had no time to write down its last count.
        self._metrics.held = sum(one.held for one in self.known.values())
        self._warnings = Warnings(run.limits, run.store, lambda text: run.emit("warning", text=text))
        self._pruner = Pruner(run, self.known, self._metrics)
        self._since = 0

    def record(
        self,
        instance: TaskInstance,
        result: TaskResult,
        *,
        seconds: float | None = None,
        commit: bool = True,
    ) -> None:
        """Note that a task, or an iteration, has ended, and tell.

        Args:
            instance: Which.
            result: How it ended.
            seconds: How long it took, where that is known.
            commit: False lets the state be written together with the next one that is committed.
        """
        run = self._run
        if result.error is not None:
            # It may quote a name that is no text; it is kept, printed, and told to hooks.
            result.error = run.secrets.mask(printable(result.error))
        if result.output is not None:
            dependents = run.graph.dependents.get(instance.spec_path, ())
            result.output = result.output.replace(depended_by=dependents)
        self.known[instance.path] = run.state.record(instance.path, result, commit=commit)
        run.emit("task_finished", instance.path, result=result, seconds=seconds)
        self._count(result)
        self.hooks.task_ended(instance, result)

    def record_interrupted(self, path: str, result: TaskResult) -> None:
        """Keep what a task had printed that was ended with the run: no hook runs, and nothing is counted."""
        run = self._run
        result.error = None if result.error is None else run.secrets.mask(printable(result.error))
        self.known[path] = run.state.record(path, result)
        run.emit("task_finished", path, result=result)

    def set_aside(self, path: str) -> None:
        """Make what an earlier start of the run kept of a task that is done again an earlier attempt of it."""
        known = self.known.get(path)
        if known is not None and not known.is_final:
            del self.known[path]
            self._unstage(self._run.state.set_aside([path]))

    def failed_attempt(self, path: str, result: TaskResult) -> None:
        """Keep what a task printed that failed, and is tried again."""
        result.error = None if result.error is None else self._run.secrets.mask(printable(result.error))
        self._run.state.record(path, result, commit=False)
        self._unstage(self._run.state.set_aside([path]))

    def _unstage(self, kept: list[tuple[str, str | None]]) -> None:
        """Delete what stores keep of attempts that are too old, with a warning if that fails."""
        for token, project in kept:
            if not self._run.state.mentions(token):
                try:
                    self._run.store.at(project).unstage(token)
                except (Error, OSError) as error:
                    self._run.emit("warning", text=f"an output could not be deleted: {describe(error)}")

    def _count(self, result: TaskResult) -> None:
        """Count an output; prune, warn and write the metrics down if it is time."""
        self._metrics.task_ended(result)
        self._pruner.task_ended()
        self._since += 1
        if self._since >= self._run.limits.prune_every_tasks:
            self._since = 0
            self._note()

    def checkpoint(self) -> None:
        """Prune before the state is written."""
        self._pruner.prune("a checkpoint")

    def context(self, instance: TaskInstance, task: Task, scope: Scope) -> bytes:
        """Return what an agent's task is given of other outputs; note it."""
        run = self._run
        selection = context_for(
            run.graph,
            instance.path,
            budget_of(task, run.spec.context, instance.limits, scope.path_of),
            self.known,
            run.state.find,
            limits_of=run.limits_of,
            keep=self._keep,
        )
        whole = sum(one.size for one in self.known.values() if one.has_output)
        self._metrics.injected(selection, whole)
        self._note_gain(selection)
        given = {
            "bytes": len(selection.content),
            "tokens": selection.tokens,
            "whole_bytes": whole,
            "candidates": [dataclasses.asdict(candidate) for candidate in selection.candidates],
        }
        now = run.state.record_context(instance.path, given, selection.used)
        for path in selection.used:
            self.known[path] = self.known[path]._replace(accessed=now)
        run.emit(
            "context",
            instance.path,
            bytes=given["bytes"],
            tokens=selection.tokens,
            tasks=len(selection.used),
        )
        return selection.content

    def _note_gain(self, selection: Selection) -> None:
        """Note for `max gain` what is in the prompt with less than it printed, and kept whole."""
        store = self._run.store
        if not store.settings.gain:
            return
        for one in selection.candidates:
            # What is not in it at all would be counted for each prompt of a run with many tasks.
            if one.state == "dropped" or one.token is None:
                continue
            found = self._run.state.find(one.task)
            if found is not None and found.output is not None and found.output.original_size > one.used:
                size, item_id = found.output.original_size, one.token.removeprefix("max:")
                note_cut(store.layout.project, "run", one.task, size, one.used, item_id)

    def _keep(self, path: str, output: TaskOutput) -> str | None:
        """Keep an output whole that a prompt has no room for, so that the agent can fetch it."""
        try:
            with self._run.store.draft() as draft:
                draft.write(output.content)
                item = draft.publish(
                    ttl_minutes=None,
                    source=f"context/{path}",
                    owner=self._run.state.run_id,
                )
        except (Error, OSError) as error:
            self._run.emit(
                "warning", text=f"the output of {path} could not be kept in full: {describe(error)}"
            )
            return None
        self._run.state.set_token(path, item.token, self._run.store.storage.path(item))
        return item.token

    def close(self) -> dict[str, Any]:
        """Return the metrics at the end."""
        self._note()
        return self._metrics.to_dict()

    def _note(self) -> None:
        metrics = self._metrics.to_dict()
        self._run.state.set_facts(metrics=metrics)
        self._run.emit("metrics", **metrics)
        self._warnings.check(metrics)

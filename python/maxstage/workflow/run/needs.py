"""Which outputs of a run are still needed, and so never pruned, whatever the strategy.

These are the outputs that the workflow's own outputs name; those that a task that has not ended depends on directly, or
may get as context; and those that an enclosing loop or task has yet to gather, or refers to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.context.relevance import MOST_RECENT, relevances
from maxstage.workflow.format import references
from maxstage.workflow.run.paths import around, container_of, is_iteration, spec_path
from maxstage.workflow.run.task_context import RunGraph, budget_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.context.selection import ContextBudget
    from maxstage.workflow.format.schema import WorkflowSpec
    from maxstage.workflow.run.results import Ended
    from maxstage.workflow.run.run_context import RunContext


class Needs:
    """The outputs that are needed at one moment.

    Args:
        run: The run.
        ended: All tasks that have ended.
        outputs: The tasks whose outputs exist, in the order in which they ended.
    """

    def __init__(self, run: RunContext, ended: Mapping[str, Ended], outputs: Mapping[str, Ended]) -> None:
        # Failed tasks run again when the run is resumed, and need their dependencies.
        self._done = {path for path, one in ended.items() if one.is_final}
        self._roots = _named_in_outputs(run.spec)
        for task, others in run.graph.dependencies.items():
            if "." not in task and task not in self._done:
                self._roots.update(others)
        self._parts = run.graph.parts_wanted
        self._newest = _newest_iterations(self._done)
        self._context = set(self._for_context(run, outputs))

    def has(self, path: str) -> bool:
        """Return whether an output is needed."""
        if path in self._context:
            return True
        inside = path
        while container := container_of(inside):
            if container not in self._done:
                return True  # a task around it has yet to gather its parts, which may refer to each other
            if is_iteration(container) and self._newest[container_of(container)] != container:
                return False  # it was gathered, and nothing can refer to it any more
            inside = container
        # A task may refer to the subtasks of its dependencies, but to iterations only through their loop, or by matrix.
        return ("[" not in path or spec_path(path) in self._parts) and inside in self._roots

    def _for_context(self, run: RunContext, outputs: Mapping[str, Ended]) -> Iterator[str]:
        """Yield the outputs that agents' tasks may still get as context."""
        graph = RunGraph(run.graph)
        of = run.graph.agents
        agents = {path: of[spec_path(path)] for path in outputs if spec_path(path) in of}
        recent = list(outputs)[-MOST_RECENT:]
        for path, task in run.workflow.tasks.items():
            if not task.inject_context or self._is_over(path):
                continue
            budget = budget_of(task, run.spec.context, run.limits_of(path), lambda name: name)
            yield from budget.include
            if budget.mode == "automatic":
                yield from _relevant(path, graph, {**agents, path: of.get(path, "")}, recent, budget)

    def _is_over(self, path: str) -> bool:
        """Return whether a task of the file, or a task around it, has ended, so that it won't start again."""
        return any(name in self._done for name in around(path))


def _relevant(
    path: str, graph: RunGraph, agents: Mapping[str, str], recent: list[str], budget: ContextBudget
) -> Iterator[str]:
    found = relevances(path, graph, agents=agents, recent=recent, least=budget.min_relevance)
    excluded = set(budget.exclude)
    for name, relevance in found.items():
        if relevance.score >= budget.min_relevance and name not in excluded:
            yield name


def _named_in_outputs(spec: WorkflowSpec) -> set[str]:
    found = (reference for text in spec.outputs.values() for reference in references.find(text))
    return {reference.name.split(".")[0] for reference in found if reference.kind == "tasks"}


def _newest_iterations(done: set[str]) -> dict[str, str]:
    """Return the last iteration of each loop, which the loop's condition refers to by the loop's own name."""
    found: dict[str, tuple[int, str]] = {}
    for path in done:
        if is_iteration(path):
            loop, _, number = path.removesuffix("]").rpartition("[")
            found[loop] = max(found.get(loop, (-1, "")), (int(number), path))
    return {loop: path for loop, (_, path) in found.items()}

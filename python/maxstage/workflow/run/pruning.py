"""Keeping the state of a run small, however long it takes.

Texts above `prune_memory_bytes` are moved into the store, and read from there. Outputs are only deleted if there is a
`cleanup_strategy`: those that are no longer needed (`maxstage.workflow.run.needs`), except for some that it keeps.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maxstage.context.relevance import DIRECT, INDIRECT
from maxstage.errors import Error, WorkflowError, describe
from maxstage.humanize import counted, format_size
from maxstage.output.cleanup import CleanupStrategy
from maxstage.workflow.format.agents import providers_from
from maxstage.workflow.format.loading import load
from maxstage.workflow.format.problems import Problems
from maxstage.workflow.run.metrics import Metrics
from maxstage.workflow.run.needs import Needs
from maxstage.workflow.run.run_context import open_context
from maxstage.workflow.run.task_context import RunGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.store.store import Store
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.run.results import Ended
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.state import RunState


class Pruner:
    """Prunes one run.

    Args:
        run: The run.
        ended: All tasks that have ended, by path, without their outputs; the pruner keeps it up to date.
        metrics: Counts what is pruned.
    """

    def __init__(self, run: RunContext, ended: dict[str, Ended], metrics: Metrics) -> None:
        self._run = run
        self._ended = ended
        self._metrics = metrics
        self._since = 0
        self._told = False

    def task_ended(self) -> None:
        """Prune if it is time: after a number of tasks, or if outputs take too much memory."""
        self._since += 1
        held = self._metrics.held
        if self._since >= self._run.limits.prune_every_tasks:
            self.prune(f"{counted(self._since, 'task')} ended")
        elif held > self._run.limits.prune_memory_bytes:
            self.prune(f"outputs take {counted(held, 'byte')}")

    def prune(self, why: str) -> int:
        """Delete outputs that aren't needed, and move texts if they are too large; return how many were deleted."""
        self._since = 0
        outputs = {path: one for path, one in self._ended.items() if one.has_output}
        dropped = choose(self._run, self._ended, outputs)
        if dropped:
            self._drop(dropped)
            self._run.emit("pruned", count=len(dropped), why=why)
        if self._metrics.held > self._run.limits.prune_memory_bytes:
            self._move()
        return len(dropped)

    def _drop(self, dropped: list[str]) -> None:
        """Delete outputs, with a warning for those that can't be deleted."""
        kept = [one for path in dropped for one in self._run.state.kept(path)]
        self._run.state.prune(dropped)
        for path in dropped:
            self._metrics.pruned(self._ended[path].held)
            self._ended[path] = self._ended[path]._replace(size=0, has_output=False, pruned=True, moved=False)
        for token, project in kept:
            if not self._run.state.mentions(token):
                try:
                    self._run.store.at(project).unstage(token)
                except (Error, OSError) as error:
                    self._run.emit("warning", text=f"a pruned output could not be deleted: {describe(error)}")
        self._metrics.prunings += 1

    def _move(self) -> None:
        """Move texts into the store, the largest first, until half the limit is held, so that this happens rarely."""
        largest = sorted(
            (path for path, one in self._ended.items() if one.held), key=lambda path: -self._ended[path].held
        )
        for path in largest:
            if self._metrics.held <= self._run.limits.prune_memory_bytes // 2:
                return
            try:
                move(self._run.store, self._run.state, path)
            except (Error, OSError) as error:
                if isinstance(error, WorkflowError):
                    raise  # the state itself
                if not self._told:
                    self._told = True
                    held = format_size(self._metrics.held)
                    self._run.emit(
                        "warning",
                        text=f"outputs take {held}, and can't be moved into the store: {describe(error)}",
                    )
                return
            self._metrics.moved(self._ended[path].held)
            self._ended[path] = self._ended[path]._replace(moved=True)


def move(store: Store, state: RunState, path: str) -> None:
    """Move the text of an output into the store; if the process is killed meanwhile, it is still in the state.

    Raises:
        Error, OSError: It can't be staged.
    """
    result = state.find(path)
    output = None if result is None else result.output
    tokens = {}
    for name, part in (("stdout", output), ("stderr", output and output.stderr)):
        if part is not None and part.content:
            with store.draft() as draft:
                draft.write(part.content)
                source = f"run/{path}" if name == "stdout" else f"run/{path}/stderr"
                item = draft.publish(ttl_minutes=None, source=source, owner=state.run_id)
            tokens[name] = (item.token, store.storage.path(item))
    state.move(path, tokens)


def choose(run: RunContext, ended: Mapping[str, Ended], outputs: Mapping[str, Ended]) -> list[str]:
    """Return the tasks whose outputs to drop.

    Args:
        run: The run, whose limits have the strategy.
        ended: All tasks that have ended.
        outputs: The tasks whose outputs are held, in the order in which they ended.
    """
    strategy = run.limits.cleanup_strategy
    if strategy is None:
        return []
    needs = Needs(run, ended, outputs)
    kept = {path for path in outputs if needs.has(path)}
    newest = list(outputs)[::-1]
    kept.update(RANKINGS[strategy.type](newest, run.graph, ended)[: strategy.keep_count])
    return [path for path in outputs if path not in kept]


def _by_use(newest: list[str], _graph: TaskGraph, ended: Mapping[str, Ended]) -> list[str]:
    return sorted(newest, key=lambda path: -ended[path].accessed)


def _by_relevance(newest: list[str], graph: TaskGraph, ended: Mapping[str, Ended]) -> list[str]:
    scores = _scores(graph, ended)
    return sorted(newest, key=lambda path: -scores.get(path, 0.0))


RANKINGS: dict[str, Callable[[list[str], TaskGraph, Mapping[str, Ended]], list[str]]] = {
    "most_recent": lambda newest, _graph, _ended: newest,
    "lru": _by_use,
    "highest_relevance": _by_relevance,
    "direct_dependencies": lambda _newest, _graph, _ended: [],
}
"""For each cleanup strategy, a function that returns which of the outputs, newest first, to keep by preference."""


def _scores(tasks: TaskGraph, ended: Mapping[str, Ended]) -> dict[str, float]:
    """Return the highest relevance of each task for any task that has not ended."""
    graph = RunGraph(tasks)
    level = [path for path in graph if path not in ended or not ended[path].is_final]
    scores: dict[str, float] = {}
    seen = set(level)
    depth = 0
    while level:
        depth += 1
        level = list(dict.fromkeys(other for path in level for other in graph[path] if other not in seen))
        seen.update(level)
        scores.update((path, DIRECT if depth == 1 else INDIRECT / depth) for path in level)
    return scores


def prune_by_hand(store: Store, state: RunState, keep: int | None, strategy: str | None) -> int:
    """Prune a run that is not running; return how many outputs were dropped.

    Args:
        store: The project.
        state: The run, which must be acquired.
        keep: How many outputs to keep; None for the number in the workflow.
        strategy: The cleanup strategy; None for that of the workflow.

    Raises:
        WorkflowError: The workflow file of the run is no longer valid.
        OSError: It can't be read.
    """
    facts = state.facts()
    if "file" not in facts:
        raise WorkflowError(
            f"run {state.run_id} was imported without its workflow file, so what it still needs is not known"
        )
    workflow = load(facts["file"], providers_from(store.settings.providers))
    if isinstance(workflow, Problems):
        raise WorkflowError("\n".join(str(problem) for problem in workflow.errors))
    run = open_context(workflow, store, state, facts["folder"])
    rule = run.limits.cleanup_strategy or CleanupStrategy()
    rule = CleanupStrategy(strategy or rule.type, keep or rule.keep_count)
    run = dataclasses.replace(run, limits=run.limits.replace(cleanup_strategy=rule))
    metrics = Metrics(facts.get("metrics"))
    count = Pruner(run, state.ended(), metrics).prune("by hand")
    state.set_facts(metrics=metrics.to_dict())
    return count

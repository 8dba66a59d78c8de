"""Dropping outputs that a run no longer needs, so that its state stays small however long it goes on.

An output stays as long as somebody directly depends on it: a task that has not ended, the loop or the task that its
iteration or subtask belongs to, the workflow's own outputs. Of the others the strategy keeps some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.context.relevance import DIRECT, INDIRECT
from maxstage.errors import Error
from maxstage.workflow import leaf, references
from maxstage.workflow.injection import RunGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.output.limits import Limits
    from maxstage.store.store import Store
    from maxstage.workflow.loading import Checked
    from maxstage.workflow.metrics import Metrics
    from maxstage.workflow.schema import WorkflowSpec
    from maxstage.workflow.state import Ended, RunState


class Pruner:
    """Prunes one run. `ended` and `metrics` are those of its books, and kept up to date."""

    def __init__(
        self,
        checked: Checked,
        spec: WorkflowSpec,
        state: RunState,
        store: Store,
        limits: Limits,
        ended: dict[str, Ended],
        metrics: Metrics,
        emit: Callable[..., None],
    ) -> None:
        self._checked = checked
        self._spec = spec
        self._state = state
        self._store = store
        self._limits = limits
        self._ended = ended
        self._metrics = metrics
        self._emit = emit
        self._since = 0

    def task_ended(self) -> None:
        """Prune if it is time: after so many tasks, or when outputs take too much."""
        self._since += 1
        held = self._metrics.held
        if self._since >= self._limits.prune_every_tasks:
            self.prune(f"{self._since} tasks have ended")
        elif held > self._limits.prune_memory_bytes:
            self.prune(f"outputs take {held:,} bytes")

    def prune(self, why: str) -> int:
        """Drop what is not needed; return how many outputs that were. What can't be deleted is a warning."""
        self._since = 0
        outputs = {path: one for path, one in self._ended.items() if one.has_output}
        dropped = choose(self._checked, self._spec, self._limits, self._ended, outputs)
        if not dropped:
            return 0
        tokens = []
        for path in dropped:
            result = self._state.find(path)
            output = None if result is None else result.output
            tokens += [part for part in (output, output and output.stderr) if part is not None and part.token]
        self._state.prune(dropped)
        for path in dropped:
            self._metrics.pruned(self._ended[path].size)
            self._ended[path] = self._ended[path]._replace(size=0, has_output=False)
        for part in tokens:
            if not self._state.mentions(part.token or ""):
                try:
                    leaf.store_of(self._store, part).unstage(part.token or "")
                except (Error, OSError) as error:
                    self._emit("warning", text=f"a pruned output could not be deleted: {error}")
        self._metrics.prunings += 1
        self._emit("pruned", count=len(dropped), why=why)
        return len(dropped)


def choose(
    checked: Checked,
    spec: WorkflowSpec,
    limits: Limits,
    ended: Mapping[str, Ended],
    outputs: Mapping[str, Ended],
) -> list[str]:
    """Return whose outputs to drop.

    Args:
        checked: The file.
        spec: What it says.
        limits: With the strategy.
        ended: All tasks that have ended.
        outputs: Those whose outputs are held, in the order in which they ended.
    """
    strategy = limits.cleanup_strategy
    needed = _needed(checked, spec, ended)
    kept = {path for path in outputs if _is_needed(path, needed, ended)}
    ranked = list(outputs)
    ranked.reverse()
    if strategy.type == "direct_dependencies":
        ranked = []
    elif strategy.type == "lru":
        ranked.sort(key=lambda path: -outputs[path].accessed)
    elif strategy.type == "highest_relevance":
        scores = _scores(checked, ended)
        ranked.sort(key=lambda path: -scores.get(path, 0.0))
    kept.update(ranked[: strategy.keep_count])
    return [path for path in outputs if path not in kept]


def container_of(path: str) -> str:
    """Return what a path belongs to: the loop of an iteration, the task of a subtask; "" on the first level."""
    container, _, name = path.rpartition(".")
    if name.endswith("]"):
        return path[: path.rindex("[")]
    return container


def _is_needed(path: str, needed: set[str], ended: Mapping[str, Ended]) -> bool:
    container = container_of(path)
    if container and container not in ended:
        return True
    # A task may refer to the subtasks of what it depends on; iterations it sees through their loop only.
    return "[" not in path and path.split(".", maxsplit=1)[0] in needed


def _needed(checked: Checked, spec: WorkflowSpec, ended: Mapping[str, Ended]) -> set[str]:
    """Return the tasks of the first level that somebody still depends on."""
    found = _named_in_outputs(spec)
    for task, others in checked.dependencies.items():
        if "." not in task and task not in ended:
            found.update(others)
    return found


def _named_in_outputs(spec: WorkflowSpec) -> set[str]:
    found = (reference for text in spec.outputs.values() for reference in references.find(text))
    return {reference.name.split(".")[0] for reference in found if reference.kind == "tasks"}


def _scores(checked: Checked, ended: Mapping[str, Ended]) -> dict[str, float]:
    """Return how relevant each task is for the one among those that have not ended to which it matters most."""
    graph = RunGraph(checked)
    level = [path for path in graph if path not in ended]
    scores: dict[str, float] = {}
    seen = set(level)
    depth = 0
    while level:
        depth += 1
        level = list(dict.fromkeys(other for path in level for other in graph[path] if other not in seen))
        seen.update(level)
        scores.update((path, DIRECT if depth == 1 else INDIRECT / depth) for path in level)
    return scores

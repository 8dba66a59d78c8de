"""Keeping the state of a run small however long it goes on.

Texts above `prune_memory_bytes` are moved into the store, where they are found again. Only where there is a
`cleanup_strategy` are outputs deleted: those that nobody needs (`maxstage.workflow.run.needs`), but for some that it
keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.context.relevance import DIRECT, INDIRECT
from maxstage.errors import Error, WorkflowError
from maxstage.humanize import counted, format_size
from maxstage.workflow.run.context import RunGraph
from maxstage.workflow.run.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.output.limits import Limits
    from maxstage.store.store import Store
    from maxstage.workflow.format.loading import Checked
    from maxstage.workflow.format.schema import WorkflowSpec
    from maxstage.workflow.run.metrics import Metrics
    from maxstage.workflow.run.state import Ended, RunState


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
        self._told = False

    def task_ended(self) -> None:
        """Prune if it is time: after so many tasks, or when outputs take too much."""
        self._since += 1
        held = self._metrics.held
        if self._since >= self._limits.prune_every_tasks:
            self.prune(f"{counted(self._since, 'task')} ended")
        elif held > self._limits.prune_memory_bytes:
            self.prune(f"outputs take {counted(held, 'byte')}")

    def prune(self, why: str) -> int:
        """Delete what is not needed, and move what is too much; return how many outputs were deleted."""
        self._since = 0
        outputs = {path: one for path, one in self._ended.items() if one.has_output}
        dropped = choose(self._checked, self._spec, self._limits, self._ended, outputs)
        if dropped:
            self._drop(dropped)
            self._emit("pruned", count=len(dropped), why=why)
        if self._metrics.held > self._limits.prune_memory_bytes:
            self._move()
        return len(dropped)

    def _drop(self, dropped: list[str]) -> None:
        """Delete outputs. What can't be deleted is a warning."""
        kept = [one for path in dropped for one in self._state.kept(path)]
        self._state.prune(dropped)
        for path in dropped:
            self._metrics.pruned(self._ended[path].held)
            self._ended[path] = self._ended[path]._replace(size=0, has_output=False, pruned=True, moved=False)
        for token, project in kept:
            if not self._state.mentions(token):
                try:
                    self._store.at(project).unstage(token)
                except (Error, OSError) as error:
                    self._emit("warning", text=f"a pruned output could not be deleted: {error}")
        self._metrics.prunings += 1

    def _move(self) -> None:
        """Move texts into the store, the largest first, until half of what may be held is: not each time a few."""
        largest = sorted(
            (path for path, one in self._ended.items() if one.held), key=lambda path: -self._ended[path].held
        )
        for path in largest:
            if self._metrics.held <= self._limits.prune_memory_bytes // 2:
                return
            try:
                move(self._store, self._state, path)
            except (Error, OSError) as error:
                if isinstance(error, WorkflowError):
                    raise  # the state itself
                if not self._told:
                    self._told = True
                    held = format_size(self._metrics.held)
                    self._emit(
                        "warning", text=f"outputs take {held}, and can't be moved into the store: {error}"
                    )
                return
            self._metrics.moved(self._ended[path].held)
            self._ended[path] = self._ended[path]._replace(moved=True)


def move(store: Store, state: RunState, path: str) -> None:
    """Move the text of an output into the store; killed meanwhile, it is still in the state.

    Raises:
        Error, OSError: The store can't take it.
    """
    result = state.find(path)
    output = None if result is None else result.output
    tokens = {}
    for name, part in (("stdout", output), ("stderr", output and output.stderr)):
        if part is not None and part.content:
            with store.draft() as draft:
                draft.write(part.content)
                source = f"run/{path}" if name == "stdout" else f"run/{path}/stderr"
                item = draft.publish(ttl_minutes=None, source=source, extra={"owner": state.run_id})
            tokens[name] = (item.token, store.layout.path(item.file_name))
    state.move(path, tokens)


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
    if strategy is None:
        return []
    needs = Needs(checked, spec, limits, ended, outputs)
    kept = {path for path in outputs if needs.has(path)}
    newest = list(outputs)[::-1]
    kept.update(RANKINGS[strategy.type](newest, checked, ended)[: strategy.keep_count])
    return [path for path in outputs if path not in kept]


def _by_use(newest: list[str], _checked: Checked, ended: Mapping[str, Ended]) -> list[str]:
    return sorted(newest, key=lambda path: -ended[path].accessed)


def _by_relevance(newest: list[str], checked: Checked, ended: Mapping[str, Ended]) -> list[str]:
    scores = _scores(checked, ended)
    return sorted(newest, key=lambda path: -scores.get(path, 0.0))


RANKINGS: dict[str, Callable[[list[str], Checked, Mapping[str, Ended]], list[str]]] = {
    "most_recent": lambda newest, _checked, _ended: newest,
    "lru": _by_use,
    "highest_relevance": _by_relevance,
    "direct_dependencies": lambda _newest, _checked, _ended: [],
}
"""By the name of a cleanup strategy, what puts outputs, the newest first, into the order in which they are kept."""


def _scores(checked: Checked, ended: Mapping[str, Ended]) -> dict[str, float]:
    """Return how relevant each task is for the one among those that have not ended to which it matters most."""
    graph = RunGraph(checked)
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

"""The context of an agent's task: which of the outputs that exist when it starts it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maxstage.context.selection import ContextBudget, Selection, select_context
from maxstage.sizes import parse_size
from maxstage.workflow.run.paths import container_of, is_iteration, spec_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.output.limits import Limits
    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.format.schema import Context, Task
    from maxstage.workflow.run.results import Ended, TaskResult


class RunGraph(Mapping[str, list[str]]):
    """The direct dependencies of a run's tasks, computed on demand, since loops add more tasks.

    A task has the dependencies in its file and those of the task around it; an iteration of a loop that is not parallel
    also depends on the previous one.
    """

    def __init__(self, graph: TaskGraph) -> None:
        self._dependencies = graph.dependencies
        self._parallel = graph.parallel_loops

    def __getitem__(self, path: str) -> list[str]:
        container, _, name = path.rpartition(".")
        base, _, index = name.partition("[")
        prefix = f"{container}." if container else ""
        where = spec_path(f"{prefix}{base}")
        # A task of the run that is no longer in its file has no known dependencies.
        found = [f"{prefix}{other}" for other in self._dependencies.get(where, ())]
        number = int(index.rstrip("]")) if index else 0
        if number > 0 and where not in self._parallel:
            found.append(f"{prefix}{base}[{number - 1}]")
        if container:
            found += self[container]
        return list(dict.fromkeys(found))

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and spec_path(path) in self._dependencies

    def __iter__(self) -> Iterator[str]:
        return iter(self._dependencies)

    def __len__(self) -> int:
        return len(self._dependencies)


class _Outputs(Mapping[str, "TaskOutput"]):
    """The outputs of a run, looked up on demand."""

    def __init__(self, ended: Mapping[str, Ended], load: Callable[[str], TaskResult | None]) -> None:
        self._names = [path for path, one in ended.items() if one.has_output]
        self._load = load

    def __getitem__(self, path: str) -> TaskOutput:
        result = self._load(path)
        if result is None or result.output is None:
            raise KeyError(path)
        return result.output

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def budget_of(
    task: Task, workflow: Context, limits: Limits, resolve: Callable[[str], str | None]
) -> ContextBudget:
    """Return the budget of a task: its own settings, then those of the workflow, within the limits.

    Args:
        task: The task.
        workflow: The settings of the workflow.
        limits: The limits of the task, which have the defaults for size and number.
        resolve: Returns the path of a task named in the settings.
    """
    values: dict[str, Any] = {name: getattr(workflow, name) for name in workflow.given}
    values |= {name: getattr(task.context, name) for name in task.context.given}
    named = {
        name: [resolve(one) or one for one in values.get(f"{name}_tasks", ())]
        for name in ("include", "exclude")
    }
    max_bytes = values.get("max_bytes")
    return ContextBudget(
        mode=values.get("mode", "automatic"),
        include=tuple(named["include"]),
        exclude=tuple(named["exclude"]),
        min_relevance=values.get("min_relevance", ContextBudget.min_relevance),
        max_bytes=limits.max_context_bytes if max_bytes is None else parse_size(max_bytes),
        max_tokens=values.get("max_tokens") or limits.max_context_tokens,
        max_tasks=values.get("max_tasks") or limits.max_context_tasks,
        time_window=values.get("time_window_secs"),
        packing=values.get("packing", "greedy"),
    )


def _is_in_loop_that_ended(path: str, ended: Mapping[str, Ended]) -> bool:
    """Return whether a path is that of an iteration whose loop has an output, which then includes the iteration's."""
    loop = ended.get(container_of(path)) if is_iteration(path) else None
    return loop is not None and loop.has_output


def context_for(
    graph: TaskGraph,
    path: str,
    budget: ContextBudget,
    ended: Mapping[str, Ended],
    load: Callable[[str], TaskResult | None],
    *,
    limits_of: Callable[[str], Limits],
    keep: Callable[[str, TaskOutput], str | None] | None = None,
) -> Selection:
    """Choose the context of a task.

    Args:
        graph: The dependencies in the file.
        path: The task's path in the run.
        budget: The limits of the context.
        ended: The tasks that have ended.
        load: Returns the result of a task.
        limits_of: Returns the limits of a task, which determine how its output is cut.
        keep: Stores the full text of an output that has to be cut; returns its token.
    """
    ended = {one: known for one, known in ended.items() if not _is_in_loop_that_ended(one, ended)}
    agents = {one: graph.agents[spec_path(one)] for one in [*ended, path] if spec_path(one) in graph.agents}
    completed = {
        one: datetime.fromtimestamp(known.time, UTC) for one, known in ended.items() if known.has_output
    }
    outputs = _Outputs(ended, load)
    return select_context(
        path,
        RunGraph(graph),
        outputs,
        budget,
        agents=agents,
        completed=completed,
        now=datetime.now(UTC) if budget.time_window is not None else None,
        missing={one: "pruned" for one, known in ended.items() if known.pruned},
        strategy=lambda one: limits_of(one).truncation_strategy,
        keep=keep,
    )

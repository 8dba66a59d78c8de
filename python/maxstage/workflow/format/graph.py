"""The dependencies between the tasks of a file, and the order in which they would run."""

from __future__ import annotations

import dataclasses
import functools
import heapq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format import schema


@dataclasses.dataclass
class TaskGraph:
    """What the tasks of a file need of each other. Each is named by its path, like ``build.compile``.

    Attributes:
        dependencies: The siblings that each task waits for, by name.
        tokens_wanted: The tasks whose token is referred to: their full output is always kept.
        wanted_whole: The tasks whose full output goes to another task, or to a file: it is kept if it is cut.
        agents: The agent of each task that has one.
        parallel_loops: The tasks whose iterations may run in parallel.
        matrices: The combinations of each task that has a matrix.
        parts_wanted: The tasks with a matrix of which single combinations are referred to.
    """

    dependencies: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    tokens_wanted: set[str] = dataclasses.field(default_factory=set)
    wanted_whole: set[str] = dataclasses.field(default_factory=set)
    agents: dict[str, str] = dataclasses.field(default_factory=dict)
    parallel_loops: set[str] = dataclasses.field(default_factory=set)
    matrices: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    parts_wanted: set[str] = dataclasses.field(default_factory=set)

    @functools.cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """The tasks that wait for each task, by path."""
        found: dict[str, tuple[str, ...]] = {}
        for path, others in self.dependencies.items():
            prefix = path.rpartition(".")[0]
            for other in others:
                name = f"{prefix}.{other}" if prefix else other
                found[name] = (*found.get(name, ()), path)
        return found


def walk(tasks: Mapping[str, schema.Task], prefix: str = "") -> Iterator[tuple[str, schema.Task]]:
    """Yield every task with its path, like ``build.compile``."""
    for name, task in tasks.items():
        yield f"{prefix}{name}", task
        if task.subtasks is not None:
            yield from walk(task.subtasks, f"{prefix}{name}.")


def start_together(graph: dict[str, list[str]], tasks: Mapping[str, schema.Task]) -> dict[str, list[str]]:
    """Make tasks joined by ``parallel_with`` wait for the same tasks, so that they start together."""
    group = {name: {name} for name in tasks}
    for name, task in tasks.items():
        for other in task.parallel_with:
            if other in group and group[other] is not group[name]:
                joined = group[name] | group[other]
                group.update(dict.fromkeys(joined, joined))
    number = {name: place for place, name in enumerate(tasks)}
    found = {}
    for name, members in group.items():
        in_order = [name] if len(members) == 1 else sorted(members, key=number.__getitem__)
        found[name] = list(dict.fromkeys(other for member in in_order for other in graph[member]))
    return found


def in_order(
    tasks: Mapping[str, schema.Task], dependencies: Mapping[str, list[str]], prefix: str = ""
) -> list[str]:
    """Return sibling tasks in the order in which they would run one by one: by priority, then as in the file.

    Args:
        tasks: The tasks, which have no cyclic dependencies.
        dependencies: The siblings that each task waits for, by path.
        prefix: The prefix of the paths, like ``build.``.
    """
    number = {name: (task.priority, place) for place, (name, task) in enumerate(tasks.items())}
    waiting = {name: set(dependencies[f"{prefix}{name}"]) for name in tasks}
    dependents: dict[str, list[str]] = {name: [] for name in tasks}
    for name, others in waiting.items():
        for other in others:
            dependents[other].append(name)
    ready = [(number[name], name) for name, others in waiting.items() if not others]
    heapq.heapify(ready)
    found = []
    while ready:
        _, name = heapq.heappop(ready)
        found.append(name)
        for other in dependents[name]:
            waiting[other].discard(name)
            if not waiting[other]:
                heapq.heappush(ready, (number[other], other))
    return found


def loop_names(task: schema.Task) -> set[str]:
    """Return the variables that the loop of a task defines."""
    if task.loop is None:
        return set()
    return {"iteration", *task.loop.variables}


def numbers_of(task: schema.Task) -> set[str]:
    """Return those of the inputs and of the loop's variables of a task that are numbers, as they are referred to."""
    found = {f"inputs.{name}" for name, value in task.inputs.items() if _is_number(value)}
    if task.loop is None:
        return found
    if task.loop.for_each is None:
        return found | loop_names(task)
    collection = task.loop.for_each.collection
    are_numbers = collection.type == "range" or (
        collection.type == "inline" and all(map(_is_number, collection.items or ()))
    )
    return found | (loop_names(task) if are_numbers else {"iteration"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""How relevant the output of one task is for another.

The highest score that applies counts: a direct dependency has 1.0; a dependency at depth d (the shortest path) 0.8 / d;
a task of the same agent 0.5; one of the tasks that completed last 0.3; any other 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DIRECT, INDIRECT, SAME_AGENT, RECENT = 1.0, 0.8, 0.5, 0.3

MOST_RECENT = 10
"""How many of the tasks that completed last count as recent. A number, not a time, so that the speed of the machine
doesn't affect what an agent is given."""


class Relevance(NamedTuple):
    """How relevant a task is.

    Attributes:
        score: From 0 to 1.
        why: The reason, in words.
        depth: The number of steps to it, if it is a dependency; else 0.
    """

    score: float
    why: str
    depth: int = 0


NONE = Relevance(0.0, "unrelated")


def relevances(
    task: str,
    graph: Mapping[str, Iterable[str]],
    *,
    agents: Mapping[str, str] | None = None,
    recent: Iterable[str] = (),
    least: float = 0.0,
) -> dict[str, Relevance]:
    """Return how relevant other tasks are for a task, without those that are irrelevant.

    The time it takes only grows with the reachable part of the graph.

    Args:
        task: The task that gets the context.
        graph: The direct dependencies of each task. A task that is missing has none.
        agents: The agent of each task that has one.
        recent: The tasks that completed last.
        least: The lowest score to look for.

    >>> found = relevances("d", {"d": ["c"], "c": ["b"], "b": ["a"]}, recent=["x"])
    >>> {name: round(relevance.score, 2) for name, relevance in found.items()}
    {'x': 0.3, 'c': 1.0, 'b': 0.4, 'a': 0.27}
    """
    found: dict[str, Relevance] = {}
    if least <= RECENT:
        found.update((name, Relevance(RECENT, "completed recently")) for name in recent if name != task)
    agent = (agents or {}).get(task)
    if agent is not None and least <= SAME_AGENT:
        same = (name for name, other in (agents or {}).items() if other == agent and name != task)
        found.update((name, Relevance(SAME_AGENT, f"same agent, {agent}")) for name in same)
    _add_dependencies(found, task, graph, least)
    return found


def _add_dependencies(
    found: dict[str, Relevance], task: str, graph: Mapping[str, Iterable[str]], least: float
) -> None:
    seen = {task}
    level, depth = [task], 0
    while level:
        depth += 1
        score = DIRECT if depth == 1 else INDIRECT / depth
        if score < least:
            return
        why = "direct dependency" if depth == 1 else f"dependency at depth {depth}"
        level = list(
            dict.fromkeys(other for name in level for other in graph.get(name, ()) if other not in seen)
        )
        seen.update(level)
        for name in level:
            if name not in found or found[name].score < score:
                found[name] = Relevance(score, why, depth)

"""The ``matrix`` of a task: one iteration for each combination of its values, side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.workflow.format import loop_schema, schema
from maxstage.workflow.format.references import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def combinations(matrix: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the combinations of a matrix, the last name varying fastest, without those that ``exclude`` describes.

    >>> combinations({"os": ["a", "b"], "v": [1, 2], "exclude": [{"os": "b", "v": 1}]})
    [{'os': 'a', 'v': 1}, {'os': 'a', 'v': 2}, {'os': 'b', 'v': 2}]
    """
    names = [name for name in matrix if name != "exclude"]
    found = (
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(matrix[name] for name in names))
    )
    excluded = matrix.get("exclude", [])
    return [one for one in found if not any(_is_in(one, rule) for rule in excluded)]


def _is_in(one: Mapping[str, Any], rule: Mapping[str, Any]) -> bool:
    return all(exact.equal(one[name], value) for name, value in rule.items())


def chosen(found: list[dict[str, Any]], part: str) -> list[int]:
    """Return the numbers of the combinations that a part like ``os=linux,version=3`` describes.

    >>> chosen([{"os": "a", "v": 1}, {"os": "a", "v": 2}], "os=a, v=2")
    [1]
    """
    wanted = [text.partition("=") for text in part.split(",")]
    return [
        number
        for number, one in enumerate(found)
        if all(
            name.strip() in one and as_text(one[name.strip()]) == value.strip() for name, _, value in wanted
        )
    ]


def as_loops(spec: schema.WorkflowSpec) -> schema.WorkflowSpec:
    """Return a file whose tasks go over the combinations of their matrix in a loop."""
    return spec.replace(tasks=_all(spec.tasks))


def _all(tasks: dict[str, schema.Task]) -> dict[str, schema.Task]:
    return {name: _one(task) for name, task in tasks.items()}


def _one(task: schema.Task) -> schema.Task:
    new: dict[str, Any] = {}
    if task.subtasks is not None:
        new["subtasks"] = _all(task.subtasks)
    if task.matrix is not None:
        collection = loop_schema.Collection(type="inline", items=combinations(task.matrix))
        each = loop_schema.ForEach(collection=collection, iterator="matrix", parallel=True)
        new["loop"] = loop_schema.Loop(for_each=each)
    return task.replace(**new) if new else task

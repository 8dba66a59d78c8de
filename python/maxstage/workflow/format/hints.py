"""What may have been meant by a field that doesn't exist, or where it belongs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from maxstage.humanize import printable
from maxstage.output.limits import Limits
from maxstage.workflow.format import loop_schema, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maxstage.workflow.format.model import Model

    Nearest = Callable[[str, Iterable[str]], str | None]


def unknown_field(name: str, model: type[Model] | None, nearest: Nearest) -> str:
    """Return a message about an unknown field.

    Args:
        name: The field.
        model: The part where it stands; None for limits.
        nearest: Returns which of some names is similar to one.
    """
    text = f"unknown field {printable(repr(name), 80)}"
    # A name that differs only slightly is a typo, even if a field has that name elsewhere.
    near = nearest(name, Limits.fields if model is None else model.NAMES)
    if name in INSTEAD and name not in places() and (near is None or abs(len(near) - len(name)) > 1):
        return f"{text}: {INSTEAD[name]}"
    if near is not None and (name not in places() or abs(len(near) - len(name)) == 1):
        return f"{text}; did you mean {near!r}?"
    if name in places():
        return f"{text}: {name} belongs in {_joined(places()[name])}"
    near = nearest(name, places())
    return text if near is None else f"{text}; did you mean {near!r}, in {_joined(places()[near])}?"


def _joined(found: list[str]) -> str:
    return ", ".join(found[:-1]) + f" or {found[-1]}" if len(found) > 1 else found[0]


_OUTPUTS = "what the iterations of a loop printed is {{ tasks.NAME.outputs }}"
INSTEAD = {
    "collect_results": _OUTPUTS,
    "result_key": _OUTPUTS,
    "definition_of_done": "let a task check what is done, or repeat_until its check passes",
    "fallback_agent": "a task of the other agent does it, with a condition of the type task_status",
    "group": "tasks that belong together are subtasks of one",
    "http": "a command does it: {executable: curl, args: [...]}",
    "llm": "an agent does it, with a provider",
    "mcp_tool": "a command does it, with a client of MCP",
    "notifications": "hooks tell others, with a command",
    "on_complete": "hooks.post_task is run after each task",
    "steps": "depends_on orders tasks",
    "subflow": "a command does it: {executable: max, args: [run, FILE]}",
    "subflows": "a command does it: {executable: max, args: [run, FILE]}",
    "task_groups": "tasks that belong together are subtasks of one",
    "uses": "a file holds all its tasks",
    "workflows": "a file holds one workflow, and depends_on orders its tasks",
}
"""What does the work of fields of the upstream DSL that there are none of here."""
_ENTRIES = {
    schema.Task: "a task",
    schema.Agent: "an agent",
    schema.Input: "an input",
    loop_schema.Condition: "a condition",
}
"""The parts that are not called by the name of their field."""


@functools.cache
def places() -> dict[str, list[str]]:
    """Return where each field belongs, in words."""
    found: dict[str, list[str]] = {}
    for model, where in _models().items():
        for name in model.NAMES:
            known = found.setdefault(name, [])
            known += [place for place in where if place not in known]
    for name in Limits.fields:
        found.setdefault(name, []).append("limits")
    return found


def _models() -> dict[type[Model], list[str]]:
    """Return all parts of the format, each with the places where it occurs, in words."""
    found: dict[type[Model], list[str]] = {schema.WorkflowSpec: ["the top level"]}
    todo: list[type[Model]] = [schema.WorkflowSpec]
    while todo:
        for one in todo.pop().FIELDS.values():
            for model in one.kind.models():
                place = _ENTRIES.get(model, one.name)
                if model not in found:
                    found[model] = []
                    todo.append(model)
                if place not in found[model]:
                    found[model].append(place)
    return found

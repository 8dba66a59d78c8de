"""Texts in invalid parts of a file, which are left out: their references are checked nevertheless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.workflow.format.yaml_source import Path


class Hidden(NamedTuple):
    """A text of a task in a part that was left out.

    Attributes:
        path: Where it is.
        text: The text.
        tasks: The path of the enclosing tasks, like ``build.``.
        names: Names that the enclosing tasks define: their inputs, and the variables of their loops.
    """

    path: Path
    text: str
    tasks: str
    names: frozenset[str]


_BY_LOOPS = frozenset(("item", "iteration"))


def hidden_texts(whole: Any, left: Any) -> Iterator[Hidden]:
    """Yield the texts of tasks that are in the file, but not in the rest without its invalid parts.

    Args:
        whole: The content of the file.
        left: The content without the invalid parts.
    """
    tasks = whole.get("tasks") if isinstance(whole, dict) else None
    others = left.get("tasks") if isinstance(left, dict) else None
    yield from _of_tasks(tasks, others, ("tasks",), "", _BY_LOOPS)


def _of_tasks(tasks: Any, left: Any, path: Path, around: str, names: frozenset[str]) -> Iterator[Hidden]:
    for name, task in tasks.items() if isinstance(tasks, dict) else ():
        if not isinstance(task, dict):
            continue
        other = left.get(name) if isinstance(left, dict) else None
        other = dict(other) if isinstance(other, dict) else {}
        if "agent" in task and "agent" not in other:
            # The agent is invalid and left out, so the main check doesn't see its prompt either.
            other.pop("description", None)
        elif "agent" not in task:
            other["description"] = task.get("description")
        here, known = (*path, name), names | _names_of(task)
        for field, value in task.items():
            if field == "subtasks":
                yield from _of_tasks(value, other.get(field), (*here, field), f"{around}{name}.", known)
            else:
                for where, text in _missing(value, other.get(field), (*here, field)):
                    yield Hidden(where, text, around, known)


def _missing(value: Any, left: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if value != left:
            yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _missing(one, left.get(name) if isinstance(left, dict) else None, (*path, name))
    elif isinstance(value, list):
        same = isinstance(left, list) and len(left) == len(value)
        for number, one in enumerate(value):
            yield from _missing(one, left[number] if same else None, (*path, number))


def _names_of(task: dict[str, Any]) -> frozenset[str]:
    """Return the names that a task defines for its subtasks, whatever else is wrong with it."""
    inputs, loop = task.get("inputs"), task.get("loop")
    each = loop.get("for_each") if isinstance(loop, dict) else None
    iterator = each.get("iterator") if isinstance(each, dict) else None
    names = [*inputs] if isinstance(inputs, dict) else []
    return frozenset([*names, iterator] if isinstance(iterator, str) else names)

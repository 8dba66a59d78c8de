"""Reading the fields of a workflow file, and the texts in parts that are invalid: their references are checked, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.workflow.format import schema
from maxstage.workflow.format.hints import unknown_field
from maxstage.workflow.format.model import Reader, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.workflow.format.model import Model
    from maxstage.workflow.format.problems import Problems
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


class _Around(NamedTuple):
    """The task whose fields are read.

    Attributes:
        path: Where it is.
        task: Its content.
        tasks: The path of the tasks around it, like ``build.``.
        names: Names that it and the tasks around it define.
    """

    path: Path
    task: dict[str, Any]
    tasks: str
    names: frozenset[str]


_ANYWHERE = _Around((), {}, "", frozenset(("item", "iteration")))


class FileReader(Reader):
    """Reads the fields of a file.

    Args:
        problems: Collects what is wrong.
        lenient: Whether unknown fields are left out with a warning.

    Attributes:
        hidden: The texts of tasks in parts that were left out.
    """

    def __init__(self, problems: Problems, *, lenient: bool = False) -> None:
        self.hidden: list[Hidden] = []
        self.lenient = lenient
        self._problems = problems
        self._around = _ANYWHERE

    def tell(self, path: Path, text: str) -> None:
        """See `Reader.tell`."""
        self._problems.add(path, text)

    def unknown(self, path: Path, value: Any, model: type[Model] | None) -> None:
        """See `Reader.unknown`."""
        text = unknown_field(str(path[-1]), model, self._problems.nearest)
        if self.lenient:
            self._problems.warn(path, f"{text}; it is left out")
            return
        self.tell(path, text)
        self.leave_out(path, value)

    def part(self, model: type[Model], path: Path, value: Any) -> Any:
        """See `Reader.part`."""
        if self.lenient and model is schema.Agent and isinstance(value, dict) and not value.keys() & _PROGRAM:
            self._problems.warn(path, f"{named(path)}: neither command nor provider; {_UPSTREAM} is taken")
            value = {**value, "provider": _UPSTREAM}
        if model is not schema.Task or not isinstance(value, dict):
            return super().part(model, path, value)
        outer = self._around
        inside = "" if len(path) == len(("tasks", "name")) else f"{outer.tasks}{outer.path[-1]}."
        self._around = _Around(path, value, inside, outer.names | _names_of(value))
        try:
            return super().part(model, path, value)
        finally:
            self._around = outer

    def leave_out(self, path: Path, value: Any) -> None:
        """See `Reader.leave_out`."""
        around = self._around
        if path[:1] != ("tasks",):
            return
        if path[:-1] == around.path and path[-1] == "agent":
            # Otherwise it is no prompt, and not checked.
            prompt = (*path[:-1], "description")
            self.hidden += self._texts(prompt, around.task.get("description"), around)
        elif path[-2:-1] in _OF_TASKS and isinstance(value, dict):
            inside = f"{around.tasks}{around.path[-1]}." if around.path else ""
            around = _Around(path, value, inside, around.names | _names_of(value))
            if "agent" not in value:
                value = {name: one for name, one in value.items() if name != "description"}
        self.hidden += self._texts(path, value, around)

    def _texts(self, path: Path, value: Any, around: _Around) -> Iterator[Hidden]:
        if isinstance(value, str):
            yield Hidden(path, value, around.tasks, around.names)
        for name, one in _inside(value):
            yield from self._texts((*path, name), one, around)


_PROGRAM = {"command", "provider"}
_UPSTREAM = "claude"
"""The provider of agents that name none, in the upstream DSL."""
_OF_TASKS = {("tasks",), ("subtasks",)}


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _names_of(task: dict[str, Any]) -> frozenset[str]:
    """Return the names that a task defines for its subtasks, whatever else is wrong with it."""
    inputs, loop = task.get("inputs"), task.get("loop")
    names = [*inputs] if isinstance(inputs, dict) else []
    # In the older form the loop itself has the fields of its kind.
    for one in [loop, *loop.values()] if isinstance(loop, dict) else ():
        for field in ("iterator", "iteration_variable") if isinstance(one, dict) else ():
            names += [one[field]] if isinstance(one.get(field), str) else []
    return frozenset(names)

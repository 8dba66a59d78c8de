"""Reading a workflow file: all that is wrong with it is told at once, each with file, line and column."""

from __future__ import annotations

import copy
import difflib
import functools
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from maxstage.errors import WorkflowError
from maxstage.workflow import schema
from maxstage.workflow.agents import PROVIDERS
from maxstage.workflow.checking import Checker, walk
from maxstage.workflow.yaml_source import Path, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.workflow.agents import Provider


class Problem:
    """What is wrong with a workflow file, and where.

    Attributes:
        line: From 1.
        column: From 1.
        text: What is wrong.
        warning: Whether the file is good all the same.
        of_limits: Whether it is about a limit.
    """

    def __init__(
        self,
        file: str,
        position: tuple[int, int],
        text: str,
        *,
        warning: bool = False,
        of_limits: bool = False,
    ) -> None:
        self.file = file
        self.line, self.column = position
        self.text = text
        self.warning = warning
        self.of_limits = of_limits

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {'warning: ' if self.warning else ''}{self.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return it for editors."""
        kind = "warning" if self.warning else "error"
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": kind,
            "message": self.text,
        }


class Checked:
    """A workflow file that was read.

    Attributes:
        spec: What it says; None where it is at fault.
        problems: Errors and warnings, in the order of the file.
        dependencies: For each task, by its path like ``build.compile``, what it waits for among its siblings.
        tokens_wanted: The tasks whose token is referred to: their whole output is always kept.
        agents: The agent of each task that has one, by its path.
        parallel_loops: The tasks whose iterations may run side by side.
        wanted_whole: The tasks whose whole output goes to another one, or to a file: where it is cut it is kept.
    """

    def __init__(self, file: str, source: Source) -> None:
        self.file = file
        self.source = source
        self.spec: schema.WorkflowSpec | None = None
        self.problems: list[Problem] = []
        self.dependencies: dict[str, list[str]] = {}
        self.tokens_wanted: set[str] = set()
        self.wanted_whole: set[str] = set()
        self.agents: dict[str, str] = {}
        self.parallel_loops: set[str] = set()

    @functools.cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """For each task that others wait for, those, by path."""
        found: dict[str, tuple[str, ...]] = {}
        for path, others in self.dependencies.items():
            prefix = path.rpartition(".")[0]
            for other in others:
                name = f"{prefix}.{other}" if prefix else other
                found[name] = (*found.get(name, ()), path)
        return found

    def tasks(self) -> list[tuple[str, schema.Task]]:
        """Return all tasks with their paths."""
        return [] if self.spec is None else list(walk(self.spec.tasks))

    @property
    def paths(self) -> list[str]:
        """All tasks, in the order of the file, each before its subtasks."""
        return [path for path, _ in self.tasks()]

    @property
    def errors(self) -> list[Problem]:
        """The problems that are no warnings."""
        return [problem for problem in self.problems if not problem.warning]

    def add(self, path: Path, text: str) -> None:
        """Note an error."""
        self.problems.append(Problem(self.file, self.source.position(path), text))

    def warn_of_limit(self, path: Path, text: str) -> None:
        """Note a limit that is doubtful."""
        position = self.source.position(path)
        self.problems.append(Problem(self.file, position, text, warning=True, of_limits=True))


def load(path: str, providers: Mapping[str, Provider] = PROVIDERS) -> Checked:
    """Read a workflow file.

    Raises:
        WorkflowError: It is not UTF-8.
        OSError: It can't be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise WorkflowError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    return check(Source(text), path, providers)


def check(source: Source, file: str, providers: Mapping[str, Provider] = PROVIDERS) -> Checked:
    """Check what a YAML text holds."""
    checked = Checked(file, source)
    checked.problems = [Problem(file, position, text) for position, text in source.problems]
    if source.is_whole:
        _check_whole(checked, providers)
    if checked.errors:
        checked.spec = None
    checked.problems.sort(key=lambda problem: (problem.line, problem.column, problem.text))
    return checked


def _check_whole(checked: Checked, providers: Mapping[str, Provider]) -> None:
    """Check what was read; where a part is at fault, the others are checked all the same."""
    data = copy.deepcopy(checked.source.data)
    for attempt in range(_MOST_ATTEMPTS):
        try:
            checked.spec = schema.WorkflowSpec.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False)
            if attempt == 0:
                for one in details:
                    _add_validation_error(checked, one)
            if not isinstance(data, dict):
                return
            for one in details:
                if one["loc"][-1:] == ("[key]",):
                    _leave_out_name(data, _path_of(one))
                else:
                    _leave_out(data, _path_of(one), whole=attempt > 0)
        else:
            Checker(checked, checked.spec, providers).check()
            return


_MOST_ATTEMPTS = 10
"""Times that faulty parts are left out before the rest is given up."""

_STANDINS: dict[str, Any] = {
    "tasks": {"command": {"executable": "true"}},
    "subtasks": {"command": {"executable": "true"}},
    "agents": {"command": ["true"]},
    "inputs": {},
}
"""What takes the place of a faulty entry, so that references to it are not told as errors of their own."""


def _leave_out(data: dict[str, Any], path: Path, *, whole: bool) -> None:
    """Take a faulty field out; or the whole entry that it belongs to."""
    trail: list[Any] = [data]
    for part in path:
        inside = trail[-1]
        if not isinstance(inside, dict) or part not in inside:
            break
        trail.append(inside[part])
    names = path[: len(trail) - 1]
    entries = [number for number, name in enumerate(names[:-1]) if name in _STANDINS]
    if entries and (whole or len(names) <= entries[-1] + 2):
        number = entries[-1]
        trail[number + 1][names[number + 1]] = copy.deepcopy(_STANDINS[str(names[number])])
    elif names:
        trail[len(names) - 1].pop(names[-1], None)
    else:
        data.setdefault(str(path[0]) if path else "name", "unknown")


def _leave_out_name(data: Any, path: Path) -> None:
    """Take an entry out whose name is no good."""
    for part in path[:-1]:
        data = data[part]
    data.pop(path[-1], None)


def _path_of(details: Any) -> Path:
    # Pydantic adds names of its own to the path of a mapping's key.
    return tuple(part for part in details["loc"] if part != "[key]")


def _add_validation_error(checked: Checked, details: Any) -> None:
    path = _path_of(details)
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _field_names(), 1)
        text = f"unknown field {path[-1]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    elif details["type"] == "missing":
        text = f"field {path[-1]!r} is missing"
        path = path[:-1]
    else:
        text = _WORDS.get(details["type"]) or str(details["msg"]).removeprefix("Value error, ")
        text = f"{path[-1]}: {text}" if path else f"a workflow {text}"
    checked.add(path, text)


_WORDS = {
    "model_type": "wants to be a mapping",
    "dict_type": "wants to be a mapping",
    "list_type": "wants to be a list",
    "string_type": "wants to be text",
    "int_type": "wants to be a whole number",
    "float_type": "wants to be a number",
    "bool_type": "wants to be true or false",
    "string_pattern_mismatch": "a name has letters, digits, _ and -, and does not begin with a digit",
}
"""Pydantic's words speak of Python's types."""


def _field_names() -> set[str]:
    names: set[str] = set()
    for model in vars(schema).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            names.update(field.alias or name for name, field in model.model_fields.items())
    return names


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format."""
    made = schema.WorkflowSpec.model_json_schema(by_alias=True)
    # What the format takes as well, and turns into the form that is described.
    made["properties"]["version"] = {"type": ["string", "number"]}
    definitions = made["$defs"]
    plain = {"type": ["string", "number", "boolean", "array", "null"], "description": "The default."}
    definitions["Input"] = {"anyOf": [definitions["Input"], plain]}
    one = {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/Task"},
        "minProperties": 1,
        "maxProperties": 1,
    }
    definitions["Task"]["properties"]["subtasks"]["anyOf"].append({"type": "array", "items": one})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}

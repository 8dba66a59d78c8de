"""Reading a workflow file: all that is wrong with it is told at once, each with file, line and column."""

from __future__ import annotations

import copy
import difflib
import functools
import os
import stat
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.format import schema
from maxstage.workflow.format.agents import PROVIDERS
from maxstage.workflow.format.checking import Checker, walk
from maxstage.workflow.format.faults import Fault, describe, told_once
from maxstage.workflow.format.yaml_source import Path, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maxstage.workflow.format.agents import Provider


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
        self.text = printable(text, _LONGEST_TEXT)
        self.warning = warning
        self.of_limits = of_limits

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{printable(self.file, _LONGEST_TEXT)}:{self.line}:{self.column}: {kind}{self.text}"

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
        left_out: Problems beyond those that are told.
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
        self.left_out = 0
        self._comparisons = _MOST_COMPARISONS

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

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """Return the known name that somebody may have meant; None also once that has taken long enough."""
        if self._comparisons < 0 or len(name) > _LONGEST_NAME:
            return None
        others = [one for one in known if one != name]
        self._comparisons -= len(others) + 1
        return next(iter(difflib.get_close_matches(name, others, 1)), None)

    def told(self, problems: Iterable[Problem] | None = None) -> list[str]:
        """Return the problems, or some of them, as lines, and how many more there are."""
        more = [f"{printable(self.file, _LONGEST_TEXT)}: and {self.left_out:,} more"] if self.left_out else []
        return [*map(str, self.problems if problems is None else problems), *more]

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
        WorkflowError: It is too large, no regular file, or not UTF-8.
        OSError: It can't be read.
    """
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkflowError(
            f"{printable(path, _LONGEST_TEXT)} is not UTF-8 text: {error.reason} at byte {error.start:,}"
        ) from None
    return check(Source(text), path, providers)


def _read(path: str) -> bytes:
    if "\0" in path:
        raise WorkflowError(f"{printable(path, _LONGEST_TEXT)} is not the name of a file")
    # A FIFO that nobody writes to must not hold us up.
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        # The pipe that a shell gives for <(command) has no name of its own; its writer is there.
        pipe = stat.S_ISFIFO(kind) and not os.path.exists(os.path.realpath(path))
        if not stat.S_ISREG(kind) and not pipe:
            raise WorkflowError(f"{printable(path, _LONGEST_TEXT)} is not a regular file")
        os.set_blocking(file.fileno(), True)
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise WorkflowError(
            f"{printable(path, _LONGEST_TEXT)} is larger than {_LARGEST >> 20} MiB; a workflow file names data, "
            "it does not hold it"
        )
    return content


def check(source: Source, file: str, providers: Mapping[str, Provider] = PROVIDERS) -> Checked:
    """Check what a YAML text holds."""
    checked = Checked(file, source)
    if source.is_whole:
        _check_whole(checked, providers)
    checked.problems += [Problem(file, position, text) for position, text in source.problems]
    if checked.errors:
        checked.spec = None
    # One mistake may be come across in several ways.
    found = {(one.line, one.column, one.text): one for one in checked.problems}
    ordered = [found[key] for key in sorted(found)]
    checked.problems, checked.left_out = ordered[:_MOST_TOLD], max(0, len(ordered) - _MOST_TOLD)
    return checked


def _check_whole(checked: Checked, providers: Mapping[str, Provider]) -> None:
    """Check what was read; where a part is at fault, the others are checked all the same."""
    data = copy.deepcopy(checked.source.data)
    if isinstance(data, dict):
        _name_subtasks(checked, data.get("tasks"), ("tasks",))
    # Where something is gone: what is said there of what is missing now is not its fault.
    gone: set[Path] = set()
    for _ in range(_MOST_ATTEMPTS):
        try:
            checked.spec = schema.WorkflowSpec.model_validate(data)
        except ValidationError as error:
            faults = told_once(error.errors(include_url=False), data)
        else:
            Checker(checked, checked.spec, providers).check()
            return
        for path, text in describe((one for one in faults if one.path not in gone), checked.nearest):
            checked.add(path, text)
        if not isinstance(data, dict):
            return
        for one in faults:
            removed = _mend(data, one, whole=one.path in gone)
            if not one.unknown:
                gone.add(one.path)
            if not one.unknown and (removed[-3:-2] not in _OF_TASKS or removed[-1] in _KINDS):
                gone.add(removed[:-1])


_LARGEST = 16 << 20
"""Bytes of a workflow file: a hundred times what anybody wrote."""
_MOST_TOLD = 100
"""Problems that are told of one file."""
_LONGEST_TEXT = 500
"""Characters of what is said of one problem."""
_LONGEST_NAME = 64
"""Characters of a name that is looked for among those that are known."""
_MOST_COMPARISONS = 50_000
"""Names that others are compared with to say what may have been meant: about a second's work."""
_MOST_ATTEMPTS = 10
"""Times that faulty parts are left out before the rest is given up."""

_STANDINS: dict[str, Any] = {
    "tasks": {"command": {"executable": "true"}},
    "subtasks": {"command": {"executable": "true"}},
    "agents": {"command": ["true"]},
    "inputs": {},
}
"""What takes the place of a faulty entry, so that references to it are not told as errors of their own."""
_KINDS = ("script", "command", "agent", "subtasks")
_OF_TASKS = {("tasks",), ("subtasks",)}


def _name_subtasks(checked: Checked, tasks: Any, path: Path) -> None:
    """Turn lists of one-name mappings, as the upstream DSL writes subtasks, into mappings, as the schema does."""
    for name, task in tasks.items() if isinstance(tasks, dict) else ():
        inner = task.get("subtasks") if isinstance(task, dict) else None
        here = (*path, name, "subtasks")
        if isinstance(inner, list) and all(isinstance(one, dict) and len(one) == 1 for one in inner):
            named: dict[str, Any] = {}
            for number, one in enumerate(inner):
                for subtask, value in one.items():
                    if subtask in named:
                        checked.add((*here, number, subtask), f"{subtask!r} is given twice")
                    named.setdefault(subtask, value)
            task["subtasks"] = inner = named
        _name_subtasks(checked, inner, here)


def _mend(data: dict[str, Any], fault: Fault, *, whole: bool) -> Path:
    """Take a faulty field out, so that the rest can be checked, or the whole entry that it belongs to; return which."""
    path = fault.path
    trail: list[Any] = [data]
    for part in path:
        inside = trail[-1]
        if not isinstance(inside, dict) or part not in inside:
            break
        trail.append(inside[part])
    names = path[: len(trail) - 1]
    if fault.of_name:
        trail[-2].pop(names[-1], None)
        return names
    entries = [number for number, name in enumerate(names[:-1]) if name in _STANDINS]
    if entries and (whole or len(names) <= entries[-1] + 2):
        number = entries[-1]
        kind, entry = str(names[number]), trail[number + 2]
        is_task = kind.endswith("tasks") and isinstance(entry, dict) and not whole
        trail[number + 1][names[number + 1]] = (
            _good_task(entry) if is_task else copy.deepcopy(_STANDINS[kind])
        )
    elif names:
        trail[len(names) - 1].pop(names[-1], None)
    else:
        data.setdefault(str(path[0]) if path else "name", "unknown")
    return names


def _good_task(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task whose fields are good one by one as one that is good as a whole: so its references are checked."""
    kinds = [name for name in _KINDS if task.get(name) is not None] or ["command"]
    others = {name: value for name, value in task.items() if name not in _KINDS}
    if kinds[0] == "agent":
        others.setdefault("description", "")
    else:
        others.pop("inject_context", None)
    return {**others, kinds[0]: task.get(kinds[0]) or _STANDINS["tasks"]["command"]}


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

"""Reading a workflow file. All problems are reported at once, with file, line and column."""

from __future__ import annotations

import copy
import os
import stat
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from maxstage.errors import WorkflowError
from maxstage.files import Naming
from maxstage.humanize import printable
from maxstage.workflow.format import schema
from maxstage.workflow.format.agents import PROVIDERS
from maxstage.workflow.format.checking import check_workflow
from maxstage.workflow.format.defaults import with_defaults
from maxstage.workflow.format.faults import Fault, describe, told_once
from maxstage.workflow.format.hidden import hidden_texts
from maxstage.workflow.format.matrix import as_loops
from maxstage.workflow.format.problems import LONGEST_TEXT, Problems
from maxstage.workflow.format.valid import ValidWorkflow
from maxstage.workflow.format.yaml_source import Path, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.graph import TaskGraph


def load(path: str, providers: Mapping[str, Provider] = PROVIDERS) -> ValidWorkflow | Problems:
    """Read a workflow file.

    Args:
        path: The file.
        providers: The agents known by name.

    Returns:
        The workflow, or all its problems if the file has errors.

    Raises:
        WorkflowError: It is too large, not a regular file, or not UTF-8.
        OSError: It can't be read.
    """
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkflowError(
            f"{printable(path, LONGEST_TEXT)} is not UTF-8 text: {error.reason} at byte {error.start:,}"
        ) from None
    return check(Source(text), path, providers)


def _read(path: str) -> bytes:
    if "\0" in path:
        raise WorkflowError(f"{printable(path, LONGEST_TEXT)} is not the name of a file")
    # Don't wait for a FIFO that nobody writes to.
    with Naming(path), open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        # The pipe that a shell makes for <(command) has no name in the file system, and has a writer.
        pipe = stat.S_ISFIFO(kind) and not os.path.exists(os.path.realpath(path))
        if not stat.S_ISREG(kind) and not pipe:
            raise WorkflowError(f"{printable(path, LONGEST_TEXT)} is not a regular file")
        os.set_blocking(file.fileno(), True)
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise WorkflowError(
            f"{printable(path, LONGEST_TEXT)} is larger than {_LARGEST >> 20} MiB; a workflow file names data, "
            "it does not hold it"
        )
    return content


def check(
    source: Source, file: str, providers: Mapping[str, Provider] = PROVIDERS
) -> ValidWorkflow | Problems:
    """Check the content of a YAML text.

    Args:
        source: The text.
        file: What to call it.
        providers: The agents known by name.

    Returns:
        The workflow, or all its problems if the text has errors.
    """
    problems = Problems(file, source)
    found = _check_fields(source, problems, providers) if source.is_whole else None
    for position, text in source.problems:
        problems.add_at(position, text)
    problems.sort()
    if found is None or problems.errors:
        return problems
    return ValidWorkflow(file, source.text, *found, problems)


def _check_fields(
    source: Source, problems: Problems, providers: Mapping[str, Provider]
) -> tuple[schema.WorkflowSpec, TaskGraph] | None:
    """Check the data; if a part is invalid, the others are checked nevertheless."""
    data = copy.deepcopy(source.data)
    if isinstance(data, dict):
        _name_subtasks(problems, data.get("tasks"), ("tasks",))
    whole = copy.deepcopy(data)
    # The paths where a part was removed: errors there about missing fields are of our making.
    gone: set[Path] = set()
    for _ in range(_MOST_ATTEMPTS):
        try:
            spec = schema.WorkflowSpec.model_validate(data)
        except ValidationError as error:
            found = told_once(error.errors(include_url=False), data)
        else:
            spec = as_loops(with_defaults(spec))
            return spec, check_workflow(spec, providers, problems, list(hidden_texts(whole, data)))
        for path, text in describe((one for one in found if one.path not in gone), problems.nearest):
            problems.add(path, text)
        if not isinstance(data, dict):
            return None
        for one in _to_mend(found):
            removed = _mend(data, one, whole=one.path in gone)
            if not one.unknown:
                gone.add(one.path)
            if not one.unknown and (removed[-3:-2] not in _OF_TASKS or removed[-1] in _KINDS):
                gone.add(removed[:-1])
    return None


_LARGEST = 16 << 20
"""The most bytes of a workflow file: a hundred times more than anybody writes."""
_MOST_ATTEMPTS = 10
"""How many times invalid parts are removed before the check gives up."""

_STANDINS: dict[str, Any] = {
    "tasks": {"command": {"executable": "true"}},
    "subtasks": {"command": {"executable": "true"}},
    "agents": {"command": ["true"]},
    "inputs": {},
}
"""Replacements for invalid entries, so that references to them are not reported as errors, too."""
_KINDS = ("script", "command", "agent", "intent", "subtasks", "await")
_OF_TASKS = {("tasks",), ("subtasks",)}


def _name_subtasks(problems: Problems, tasks: Any, path: Path) -> None:
    """Convert lists of one-name mappings, the upstream DSL's form of subtasks, to mappings, the schema's form."""
    for name, task in tasks.items() if isinstance(tasks, dict) else ():
        inner = task.get("subtasks") if isinstance(task, dict) else None
        here = (*path, name, "subtasks")
        if isinstance(inner, list) and all(isinstance(one, dict) and len(one) == 1 for one in inner):
            named: dict[str, Any] = {}
            for number, one in enumerate(inner):
                for subtask, value in one.items():
                    if subtask in named:
                        problems.add((*here, number, subtask), f"{subtask!r} is given twice")
                    named.setdefault(subtask, value)
            task["subtasks"] = inner = named
        _name_subtasks(problems, inner, here)


def _to_mend(found: list[Fault]) -> Iterator[Fault]:
    """Yield the faults, except for those within an entry that is removed because its name is invalid."""
    nameless = {one.path for one in found if one.of_name}
    for one in found:
        longest = len(one.path) if one.of_name else len(one.path) + 1
        if not any(one.path[:length] in nameless for length in range(1, longest)):
            yield one


def _mend(data: dict[str, Any], fault: Fault, *, whole: bool) -> Path:
    """Remove an invalid field, or its whole entry, so that the rest can be checked; return the path removed."""
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
    """Return a task whose fields are each valid as one that is valid as a whole, so that its references are checked."""
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
    # Alternative forms that are accepted, and converted to the one described.
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

"""Reading a workflow file: all that is wrong with it is told at once, each with file, line and column."""

from __future__ import annotations

import difflib
import os
import shutil
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from maxstage.errors import WorkflowError
from maxstage.output.limits import Limits
from maxstage.workflow import references, schema
from maxstage.workflow.yaml_source import Path, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROVIDERS: dict[str, list[str]] = {
    "claude": ["claude", "-p"],
    "codex": ["codex", "exec", "-"],
    "gemini": ["gemini"],
    "llm": ["llm"],
}
"""Agents known by name: commands that read a prompt on stdin. ``[providers]`` in config.toml adds and overrides."""

LANGUAGES = {"bash": "bash", "python": "python3", "javascript": "node", "ruby": "ruby", "perl": "perl"}
"""The program that runs a script of each language."""


class Problem:
    """What is wrong with a workflow file, and where.

    Attributes:
        line: From 1.
        column: From 1.
        text: What is wrong.
        warning: Whether the file is good all the same.
    """

    def __init__(self, file: str, position: tuple[int, int], text: str, *, warning: bool = False) -> None:
        self.file = file
        self.line, self.column = position
        self.text = text
        self.warning = warning

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
    """

    def __init__(self, file: str, source: Source) -> None:
        self.file = file
        self.source = source
        self.spec: schema.WorkflowSpec | None = None
        self.problems: list[Problem] = []
        self.dependencies: dict[str, list[str]] = {}
        self.tokens_wanted: set[str] = set()

    @property
    def errors(self) -> list[Problem]:
        """The problems that are no warnings."""
        return [problem for problem in self.problems if not problem.warning]

    def add(self, path: Path, text: str, *, warning: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, self.source.position(path), text, warning=warning))


def load(path: str, providers: Mapping[str, list[str]] | None = None) -> Checked:
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


def check(source: Source, file: str, providers: Mapping[str, list[str]] | None = None) -> Checked:
    """Check what a YAML text holds."""
    checked = Checked(file, source)
    checked.problems = [Problem(file, position, text) for position, text in source.problems]
    if not checked.problems:
        try:
            checked.spec = schema.WorkflowSpec.model_validate(source.data)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                _add_validation_error(checked, details)
    if checked.spec is not None:
        _Checker(checked, checked.spec, {**PROVIDERS, **(providers or {})}).check()
        if checked.errors:
            checked.spec = None
    checked.problems.sort(key=lambda problem: (problem.line, problem.column, problem.text))
    return checked


def _add_validation_error(checked: Checked, details: Any) -> None:
    # Pydantic adds names of its own to the path of a mapping's key.
    path = tuple(part for part in details["loc"] if part != "[key]")
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _field_names(), 1)
        text = f"unknown field {path[-1]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    elif details["type"] == "missing":
        text = f"field {path[-1]!r} is missing"
        path = path[:-1]
    else:
        text = str(details["msg"]).removeprefix("Value error, ")
        text = f"{path[-1]}: {text}" if path else text
    checked.add(path, text)


def _field_names() -> set[str]:
    names: set[str] = set()
    for model in vars(schema).values():
        if isinstance(model, type) and issubclass(model, BaseModel):
            names.update(field.alias or name for name, field in model.model_fields.items())
    return names


class _Checker:
    """What no single field can tell: names that must exist, cycles, programs."""

    def __init__(
        self, checked: Checked, spec: schema.WorkflowSpec, providers: Mapping[str, list[str]]
    ) -> None:
        self._checked = checked
        self._spec = spec
        self._providers = providers
        self._names = {name for name, _, _ in walk(spec.tasks)}

    def check(self) -> None:
        for name, agent in self._spec.agents.items():
            self._check_agent(("agents", name), agent)
        self._check_limits(("limits",), self._spec.limits)
        self._check_level(self._spec.tasks, "", ("tasks",), set())
        for name, text in self._spec.outputs.items():
            self._check_text(("outputs", name), text, set())

    def _check_agent(self, path: Path, agent: schema.Agent) -> None:
        if agent.provider is not None and agent.provider not in self._providers:
            near = difflib.get_close_matches(agent.provider, self._providers, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self._providers)}"
            self._checked.add((*path, "provider"), f"unknown provider {agent.provider!r}; {hint}")
            return
        command = agent.command or self._providers[agent.provider or ""]
        self._check_program((*path, "provider" if agent.provider else "command"), command[0])

    def _check_program(self, path: Path, program: str) -> None:
        if "{{" not in program and "/" not in program and shutil.which(program) is None:
            self._checked.add(path, f"{program!r} is not installed, or not on the PATH")

    def _check_limits(self, path: Path, limits: Mapping[str, Any]) -> None:
        for text in Limits.parse(limits).warnings():
            self._checked.add((*path, text.split(" ", 1)[0]), text, warning=True)

    def _check_level(
        self, tasks: Mapping[str, schema.Task], prefix: str, path: Path, local: set[str]
    ) -> None:
        """Check tasks that are siblings; `local` are the names that loops around them give."""
        graph: dict[str, list[str]] = {}
        for name, task in tasks.items():
            full = f"{prefix}{name}"
            here = (*path, name)
            inner = local | _loop_names(task)
            self._check_task(here, task, inner)
            wanted = [*task.depends_on, *([task.stdin_from] if task.stdin_from else [])]
            for number, other in enumerate(task.depends_on):
                self._check_sibling((*here, "depends_on", number), other, tasks, prefix)
            for number, other in enumerate(task.parallel_with):
                self._check_sibling((*here, "parallel_with", number), other, tasks, prefix)
            if task.stdin_from:
                self._check_sibling((*here, "stdin_from"), task.stdin_from, tasks, prefix)
            used = [name for name in _tasks_used(task) if name not in wanted]
            # What is referred to must be there first, whether or not depends_on says so.
            siblings = [other.removeprefix(prefix) for other in used]
            wanted += [other for other in siblings if other in tasks and other != name]
            graph[name] = [other for other in dict.fromkeys(wanted) if other in tasks]
            self._checked.dependencies[full] = graph[name]
            if task.subtasks is not None:
                self._check_level(task.subtasks, f"{full}.", (*here, "subtasks"), inner)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle = list(reversed(error.args[1]))
            self._checked.add((*path, cycle[0]), f"tasks wait for each other: {' -> '.join(cycle)}")

    def _check_sibling(self, path: Path, name: str, tasks: Mapping[str, schema.Task], prefix: str) -> None:
        if name not in tasks:
            near = difflib.get_close_matches(name, tasks, 1)
            where = f" among the subtasks of {prefix.rstrip('.')!r}" if prefix else ""
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self._checked.add(path, f"there is no task {name!r}{where}{hint}")

    def _check_task(self, path: Path, task: schema.Task, local: set[str]) -> None:
        self._check_limits((*path, "limits"), task.limits)
        if task.agent is not None and task.agent not in self._spec.agents:
            near = difflib.get_close_matches(task.agent, self._spec.agents, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self._checked.add((*path, "agent"), f"there is no agent {task.agent!r}{hint}")
        if task.script is not None:
            self._check_program((*path, "script", "language"), LANGUAGES[task.script.language])
        if task.command is not None:
            self._check_program((*path, "command", "executable"), task.command.executable)
        for where, condition in _conditions(task):
            for name in condition.tasks():
                if name not in self._names:
                    self._checked.add((*path, where), f"there is no task {name!r}")
        for inside, text in texts(task):
            self._check_text((*path, *inside), text, local)

    def _check_text(self, path: Path, text: str, local: set[str]) -> None:
        try:
            found = references.find(text)
        except ValueError as error:
            self._checked.add(path, str(error))
            return
        for reference in found:
            problem = self._problem_of(reference, local)
            if problem is not None:
                self._checked.add(path, problem)
            elif reference.kind == "tasks" and reference.field == "token":
                self._checked.tokens_wanted.add(reference.name)

    def _problem_of(self, reference: references.Reference, local: set[str]) -> str | None:
        known: dict[str, set[str]] = {
            "inputs": set(self._spec.inputs),
            "tasks": self._names,
            "local": local,
            "env": {*os.environ, *self._spec.env, *self._spec.secrets},
        }
        if reference.name in known[reference.kind]:
            return None
        what = {"inputs": "input", "tasks": "task", "local": "variable", "env": "environment variable"}[
            reference.kind
        ]
        near = difflib.get_close_matches(reference.name, known[reference.kind], 1)
        return f"there is no {what} {reference.name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def walk(
    tasks: Mapping[str, schema.Task], prefix: str = ""
) -> Iterator[tuple[str, schema.Task, Mapping[str, schema.Task]]]:
    """Give every task with its path, like ``build.compile``, and its siblings."""
    for name, task in tasks.items():
        yield f"{prefix}{name}", task, tasks
        if task.subtasks is not None:
            yield from walk(task.subtasks, f"{prefix}{name}.")


def _loop_names(task: schema.Task) -> set[str]:
    if task.loop is None:
        return set()
    return {"iteration", *({task.loop.for_each.iterator, "item"} if task.loop.for_each else ())}


def _conditions(task: schema.Task) -> Iterator[tuple[str, schema.Condition]]:
    control = task.loop_control
    loop = task.loop
    found = {
        "condition": task.condition,
        "loop_control": control.break_condition,
        "loop": loop
        and ((loop.while_ and loop.while_.condition) or (loop.repeat_until and loop.repeat_until.condition)),
    }
    yield from ((where, condition) for where, condition in found.items() if condition)
    if control.continue_condition:
        yield "loop_control", control.continue_condition


def texts(task: schema.Task) -> Iterator[tuple[Path, str]]:
    """Give the texts of a task that may have references, each with its path."""
    if task.description is not None and task.agent is not None:
        yield ("description",), task.description
    if task.output is not None:
        yield ("output",), task.output
    part = task.script or task.command
    if part is not None:
        kind = "script" if task.script else "command"
        if task.script is not None and task.script.content is not None:
            yield (kind, "content"), task.script.content
        if task.command is not None:
            yield (kind, "executable"), task.command.executable
            yield from (((kind, "args", number), text) for number, text in enumerate(task.command.args))
        yield from (((kind, "env", name), text) for name, text in part.env.items())
        if part.working_dir is not None:
            yield (kind, "working_dir"), part.working_dir
    if task.loop is not None and task.loop.for_each is not None:
        collection = task.loop.for_each.collection
        for field in ("path", "token", "key"):
            text = getattr(collection, field)
            if text is not None:
                yield ("loop", "for_each", "collection", field), text


def _tasks_used(task: schema.Task) -> list[str]:
    """Return the tasks that a task refers to, in its texts and conditions, its subtasks included."""
    used = [name for _, condition in _conditions(task) for name in condition.tasks()]
    for _, text in texts(task):
        try:
            used += [reference.name for reference in references.find(text) if reference.kind == "tasks"]
        except ValueError:
            continue  # told by the check of the text
    for inner in (task.subtasks or {}).values():
        used += _tasks_used(inner)
    return used


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format."""
    made = schema.WorkflowSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


__all__ = ["LANGUAGES", "PROVIDERS", "Checked", "Problem", "check", "json_schema", "load", "texts", "walk"]

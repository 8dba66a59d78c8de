"""Reading a workflow file: all that is wrong with it is told at once, each with file, line and column."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from maxstage.errors import WorkflowError
from maxstage.workflow import schema
from maxstage.workflow.agents import PROVIDERS
from maxstage.workflow.checking import Checker
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
        streamed: The tasks whose output another one reads: it is kept whole wherever it is cut.
    """

    def __init__(self, file: str, source: Source) -> None:
        self.file = file
        self.source = source
        self.spec: schema.WorkflowSpec | None = None
        self.problems: list[Problem] = []
        self.dependencies: dict[str, list[str]] = {}
        self.tokens_wanted: set[str] = set()
        self.streamed: set[str] = set()

    @property
    def errors(self) -> list[Problem]:
        """The problems that are no warnings."""
        return [problem for problem in self.problems if not problem.warning]

    def add(self, path: Path, text: str, *, warning: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, self.source.position(path), text, warning=warning))


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
    if not checked.problems:
        try:
            checked.spec = schema.WorkflowSpec.model_validate(source.data)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                _add_validation_error(checked, details)
    if checked.spec is not None:
        Checker(checked, checked.spec, providers).check()
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


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format."""
    made = schema.WorkflowSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}

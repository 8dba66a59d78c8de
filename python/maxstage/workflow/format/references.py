"""References in a workflow file: ``{{ tasks.fetch.output }}``.

The upstream DSL has ``${task.fetch.output}``, ``${workflow.x}`` for inputs, and ``${loop.x}`` for variables of loops.

>>> find("echo {{ inputs.name }} ${task.a.output}")
[Reference(kind='inputs', name='name', field='', part=''), Reference(kind='tasks', name='a', field='output', part='')]
>>> render("hello {{ inputs.name }}", lambda reference: "you & me")
'hello you & me'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage import exact
from maxstage.errors import WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable

PATTERN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}|\$\{((?:task|workflow|loop)\.[^{}]*)\}")
_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_TASK = re.compile(
    rf"tasks\.({_NAME}(?:\.{_NAME})*?)(?:\[([^\[\]]*=[^\[\]]*)\])?\.(output|outputs|excerpt|token|exit_code|status)\Z"
)
_VALUE = re.compile(rf"(inputs|env)\.({_NAME})\Z")
_LOCAL = re.compile(rf"({_NAME})((?:\.{_NAME})*)\Z")

TASK_FIELDS = ("output", "outputs", "excerpt", "token", "exit_code", "status")


class Reference(NamedTuple):
    """What a reference names.

    Attributes:
        kind: ``inputs``, ``env``, ``tasks`` or ``local`` (a loop's variable, or ``iteration``).
        name: Its name.
        field: For a task one of `TASK_FIELDS`; for a loop's variable the path into it.
        part: For a task with a matrix, which of its combinations: ``os=linux,version=3``.
    """

    kind: str
    name: str
    field: str
    part: str = ""


def parse(text: str) -> Reference | None:
    """Parse a reference without its braces; return None if it has no known form."""
    if match := _TASK.match(text):
        return Reference("tasks", match[1], match[3], match[2] or "")
    if match := _VALUE.match(text):
        return Reference(match[1], match[2], "")
    if (match := _LOCAL.match(text)) and match[1] not in {"tasks", "inputs", "env"}:
        return Reference("local", match[1], match[2].removeprefix("."))
    return None


def written(reference: Reference) -> str:
    """Return a reference as it is written, without its braces.

    >>> written(parse("tasks.build.compile.output"))
    'tasks.build.compile.output'
    """
    kind = () if reference.kind == "local" else (reference.kind,)
    name = f"{reference.name}[{reference.part}]" if reference.part else reference.name
    return ".".join([*kind, name, *([reference.field] if reference.field else [])])


def resolve(text: str) -> Reference:
    """Parse a reference with its braces.

    Raises:
        ValueError: It has no known form.
    """
    match = PATTERN.fullmatch(text)
    reference = parse(_inside(match)) if match else None
    if reference is None:
        raise ValueError(
            f"unknown reference {text!r}; use inputs.NAME, env.NAME, item, iteration, or "
            f"tasks.NAME. with one of {', '.join(TASK_FIELDS)}"
        )
    return reference


def _inside(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[1]
    form, _, name = match[2].partition(".")
    return {"task": "tasks.", "workflow": "inputs.", "loop": ""}[form] + name


def find(text: str) -> list[Reference]:
    """Return the references in `text`.

    Raises:
        ValueError: One has no known form.
    """
    return [resolve(match[0]) for match in PATTERN.finditer(text)]


def render(text: str, value_of: Callable[[Reference], Any]) -> str:
    """Replace the references in `text`, which must all have a known form, by their values."""
    return PATTERN.sub(lambda match: as_text(value_of(resolve(match[0]))), text)


def of_bytes(content: bytes) -> str:
    """Return the output of a task as a value: bytes that are not UTF-8 become surrogates, which `to_bytes` restores.

    A newline at the end is not part of the value, as with ``$(...)`` in a shell.
    """
    return content.decode("utf-8", "surrogateescape").rstrip("\n")


def to_bytes(text: str, what: str) -> bytes:
    """Return a text as bytes for a program, the inverse of `of_bytes`.

    Raises:
        WorkflowError: `what` is not valid text: it has a lone surrogate.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise WorkflowError(f"{what} is not valid Unicode: it has {half!a}, half of a character") from None


def printable(text: str) -> str:
    """Return a text that can be printed and stored: surrogates and NUL are escaped.

    >>> print(printable("caf\\udce9"))
    caf\\udce9
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def as_text(value: Any) -> str:
    """Return a value as text: text and numbers as they are written, None as empty text, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, exact.WrittenInt | exact.WrittenFloat):
        return value.text
    return value if isinstance(value, str) else exact.dumps(value)

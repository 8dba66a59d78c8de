"""References in a workflow file: ``{{ tasks.fetch.output }}``; upstream wrote ``${task.fetch.output}``.

>>> find("echo {{ inputs.name }} ${task.a.output}")
[Reference(kind='inputs', name='name', field=''), Reference(kind='tasks', name='a', field='output')]
>>> render("hello {{ inputs.name }}", lambda reference: "you & me", quote_for="bash")
"hello 'you & me'"
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_PATTERN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}|\$\{((?:task|workflow)\.[^{}]*)\}")
_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_TASK = re.compile(rf"tasks\.({_NAME}(?:\.{_NAME})*?)\.(output|token|exit_code|status)\Z")
_VALUE = re.compile(rf"(inputs|env)\.({_NAME})\Z")
_LOCAL = re.compile(rf"({_NAME})((?:\.{_NAME})*)\Z")

TASK_FIELDS = ("output", "token", "exit_code", "status")


class Reference(NamedTuple):
    """What a reference names.

    Attributes:
        kind: ``inputs``, ``env``, ``tasks`` or ``local`` (a loop's variable, or ``iteration``).
        name: Its name.
        field: For a task one of ``output token exit_code status``; for a loop's variable the path into it.
    """

    kind: str
    name: str
    field: str


def parse(text: str) -> Reference | None:
    """Return what the inside of a reference names; None where it has no such form."""
    if match := _TASK.match(text):
        return Reference("tasks", match[1], match[2])
    if match := _VALUE.match(text):
        return Reference(match[1], match[2], "")
    if (match := _LOCAL.match(text)) and match[1] not in {"tasks", "inputs", "env"}:
        return Reference("local", match[1], match[2].removeprefix("."))
    return None


def _inside(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[1]
    return re.sub(r"^task\.", "tasks.", re.sub(r"^workflow\.", "inputs.", match[2]))


def find(text: str) -> list[Reference]:
    """Return the references in `text`.

    Raises:
        ValueError: One has no known form.
    """
    found = []
    for match in _PATTERN.finditer(text):
        reference = parse(_inside(match))
        if reference is None:
            raise ValueError(
                f"unknown reference {match[0]!r}; known are inputs.NAME, env.NAME, item, iteration, and "
                f"tasks.NAME. with one of {', '.join(TASK_FIELDS)}"
            )
        found.append(reference)
    return found


def render(text: str, value_of: Callable[[Reference], Any], *, quote_for: str | None = None) -> str:
    """Replace the references in `text` by their values.

    Args:
        text: Text with references that `find` accepts.
        value_of: Returns the value of a reference.
        quote_for: The language of the script that `text` is: values arrive quoted, so that data can't become code.
    """

    def replace(match: re.Match[str]) -> str:
        reference = parse(_inside(match))
        assert reference is not None  # noqa: S101 - `find` has accepted it
        value = as_text(value_of(reference))
        return value if quote_for is None else quote(value, quote_for)

    return _PATTERN.sub(replace, text)


def as_text(value: Any) -> str:
    """Return a value as text: text as it is, nothing as nothing, anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def quote(value: str, language: str) -> str:
    """Return `value` as a literal of `language`."""
    if language == "bash":
        return shlex.quote(value)
    if language in {"python", "javascript"}:
        # JSON's text literals are also theirs; U+2028 and U+2029 are escaped for old JavaScript.
        return json.dumps(value)
    # Between single quotes, Ruby and Perl know two escapes and interpolate nothing.
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

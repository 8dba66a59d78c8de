"""Numbers that a file gives by a reference, like ``count: "{{ inputs.n }}"``."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.humanize import printable

if TYPE_CHECKING:
    from maxstage.workflow.run.scope import Scope

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_SHOWN = 60
"""Characters of a value that an error shows."""
_LONGEST = 1e9
"""Seconds: thirty years; the system's clocks take little more."""


def whole(value: int | str, scope: Scope, *, least: int | None = None) -> int:
    """Return a whole number of a file.

    Args:
        value: The number, or a reference to it.
        scope: What it can refer to.
        least: The smallest that may be; None for any.

    Raises:
        WorkflowError: The value of the reference is none, or too small.
    """
    if isinstance(value, int):
        return value
    text = _text_of(value, scope)
    number = int(text) if _WHOLE.fullmatch(text) else None
    if number is None or (least is not None and number < least):
        more = "" if least is None else f" of at least {least}"
        raise WorkflowError(f"{value} is {printable(repr(text), _SHOWN)}, and must be a whole number{more}")
    return number


def seconds(value: float | str | None, scope: Scope) -> float | None:
    """Return a time limit of a file, in seconds; None if there is none.

    Args:
        value: The number, or a reference to it.
        scope: What it can refer to.

    Raises:
        WorkflowError: The value of the reference is no number above 0.
    """
    if not isinstance(value, str):
        return value
    text = _text_of(value, scope)
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 < number <= _LONGEST:
        raise WorkflowError(
            f"{value} is {printable(repr(text), _SHOWN)}, and must be a number of seconds above 0"
        )
    return number


def _text_of(value: str, scope: Scope) -> str:
    return scope.render(value).strip()

"""Comparing values in conditions: numbers as numbers, everything else as text."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.format import references
from maxstage.workflow.format.operators import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER = re.compile(r"[+-]?([0-9]{1,4000}(\.[0-9]{0,4000})?|\.[0-9]{1,4000})([eE][+-]?[0-9]{1,6})?")
"""Of a length that `Decimal` compares at once."""
_SHOWN = 60
"""Characters of a value that an error shows."""


def compare(left: Any, op: str, right: Any, render: Callable[[str], str]) -> bool:
    """Return whether a comparison holds.

    Two values that read as numbers are compared as numbers; any others are equal if their texts are, and two texts
    are ordered by their characters.

    Args:
        left: A value, or a text with references.
        op: One of `OPERATORS`.
        right: As `left`.
        render: Replaces references.

    Raises:
        WorkflowError: One is a number and the other is not, and their order is asked for.
    """
    texts = [_text_of(value, render) for value in (left, right)]
    numbers = [Decimal(text) if _NUMBER.fullmatch(text) else None for text in texts]
    if None not in numbers:
        return OPERATORS[op](*numbers)
    if op not in {"==", "!="} and numbers != [None, None]:
        number, other = texts if numbers[0] is not None else texts[::-1]
        shown = printable(repr(other), _SHOWN)
        raise WorkflowError(f"{printable(number, _SHOWN)} can't be compared with {shown}, which is no number")
    return OPERATORS[op](*texts)


def matches(value: Any, regex: str, render: Callable[[str], str]) -> bool:
    """Return whether a regular expression matches somewhere in a line of a value.

    Args:
        value: A value, or a text with references.
        regex: The expression.
        render: Replaces references.
    """
    from maxstage.query.regex import matches_line  # only where it is needed

    return matches_line(regex, references.to_bytes(_text_of(value, render), "the value"))


def _text_of(value: Any, render: Callable[[str], str]) -> str:
    return render(value).strip() if isinstance(value, str) else references.as_text(value)

"""What an input may be: its type, and what else a file says about its values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from maxstage import exact
from maxstage.humanize import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SHOWN = 60
"""Characters of a value that a message shows."""


class Declared(Protocol):
    """What a file says about an input: `maxstage.workflow.format.schema.Input`."""

    @property
    def type(self) -> str | None:
        """The name of its type."""

    @property
    def default(self) -> Any:
        """Its default."""

    @property
    def enum(self) -> Sequence[Any] | None:
        """What it must be one of."""

    @property
    def minimum(self) -> float | None:
        """The least that it may be."""

    @property
    def maximum(self) -> float | None:
        """The most that it may be."""

    @property
    def pattern(self) -> str | None:
        """What text must match."""


class InputType(NamedTuple):
    """A type of inputs.

    Attributes:
        words: What a value must be, in words.
        holds: Returns whether a value is of the type.
    """

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


INPUT_TYPES = {
    "string": InputType("text", lambda value: isinstance(value, str)),
    "integer": InputType("a whole number", lambda value: _is_number(value) and isinstance(value, int)),
    "number": InputType("a number", _is_number),
    "boolean": InputType("true or false", lambda value: isinstance(value, bool)),
    "array": InputType("a list", lambda value: isinstance(value, list)),
    "object": InputType("a mapping", lambda value: isinstance(value, dict)),
}
"""The types by name."""


NUMBERS = ("integer", "number")
"""Those of numbers."""


def type_of(declared: Declared) -> str | None:
    """Return the type of an input: the declared one, or that of its default; None if there is neither."""
    if declared.type is not None or declared.default is None:
        return declared.type
    return next((name for name, one in INPUT_TYPES.items() if one.holds(declared.default)), None)


def problem_with(declared: Declared, value: Any) -> str | None:
    """Return what is wrong with a value; None if nothing is.

    Args:
        declared: The input.
        value: A value for it.
    """
    shown = printable(exact.dumps(value), _SHOWN)
    if declared.type is not None and not INPUT_TYPES[declared.type].holds(value):
        return f"must be {INPUT_TYPES[declared.type].words}, not {shown}"
    if declared.enum is not None and not any(exact.equal(value, one) for one in declared.enum):
        return f"must be one of {', '.join(map(exact.dumps, declared.enum))}, not {shown}"
    if declared.minimum is not None and not (_is_number(value) and value >= declared.minimum):
        return f"must be a number of at least {exact.dumps(declared.minimum)}, not {shown}"
    if declared.maximum is not None and not (_is_number(value) and value <= declared.maximum):
        return f"must be a number of at most {exact.dumps(declared.maximum)}, not {shown}"
    if declared.pattern is not None and not (
        isinstance(value, str) and re.fullmatch(declared.pattern, value)
    ):
        return f"must match {declared.pattern} as a whole, and {shown} doesn't"
    return None

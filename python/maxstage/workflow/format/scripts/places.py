"""The places of references in a script, and which values are allowed there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.workflow.format.references import PATTERN, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

ANY, OPERAND, PROGRAM, NAME, INTEGER, REFUSED = "any", "operand", "program", "name", "integer", "refused"
"""Which values are allowed: any; any but options; a program that runs no code; a variable's name; a whole number."""

COMMENT = "#"
"""The quote of a place in a comment, where the reference is left as it is."""


class Place:
    """The place of a reference in a script.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        quote: The kind of quote that it is in, as its language calls it; empty outside of quotes.
        level: How deeply nested the command is that it is in.
        needs: Which values are allowed.
        why: Why it is refused.
    """

    def __init__(self, start: int, end: int, quote: str, *, level: int = 0) -> None:
        self.start = start
        self.end = end
        self.quote = quote
        self.level = level
        self.needs = ANY
        self.why = ""

    def need(self, what: str) -> None:
        """Restrict its value; the strictest rule applies."""
        order = (ANY, OPERAND, PROGRAM, NAME, INTEGER, REFUSED)
        self.needs = max(self.needs, what, key=order.index)

    def refuse(self, why: str) -> None:
        """Refuse it; the first reason is reported."""
        if self.needs != REFUSED:
            self.needs, self.why = REFUSED, why


class Quoting(NamedTuple):
    """How values are written in a language.

    Attributes:
        places: Returns the places of the references in a script.
        write: Returns what goes before a script, and what replaces a reference. Its arguments are the number of the
            reference, from 1, its place, its text and its value.
    """

    places: Callable[[str], list[Place]]
    write: Callable[[int, Place, str, Any], tuple[str, str]]


class Lost(Exception):
    """A script can't be parsed: a quote or a bracket is never closed."""


UNCLEAR = "where this is can't be told for certain: a quote, a bracket or a here-document is not closed"


AFTER_BACKSLASH = "a backslash is right before it"


def references_in(text: str) -> dict[int, int]:
    """Return where each reference begins, and where it ends."""
    return {match.start(): match.end() for match in PATTERN.finditer(text)}


def completed(text: str, found: list[Place], *, lost: bool) -> list[Place]:
    """Return the places in order; those that were not found are refused, or all if the script can't be parsed."""
    known = {} if lost else {place.start: place for place in found}
    places = []
    for start, end in references_in(text).items():
        place = known.get(start)
        if place is None:
            place = Place(start, end, "")
            place.refuse(UNCLEAR)
        places.append(place)
    return places


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOLD = 60
"""The most characters of a value that an error quotes."""


def checked(place: Place, reference: str, value: Any) -> Any:
    """Return a value if it is allowed in a place; a whole number as decimal digits.

    Raises:
        WorkflowError: It is not allowed.
    """
    text = as_text(value)
    told = repr(text if len(text) <= _TOLD else f"{text[:_TOLD]}…")
    if place.needs == INTEGER:
        bare = text.strip()
        if not _INTEGER.fullmatch(bare) or not -(2**63) <= int(bare) < 2**63:
            raise WorkflowError(
                f"the value of {reference} is used in arithmetic, and {told} is not a whole number"
            )
        return str(int(bare))
    if place.needs == NAME and not _NAME.fullmatch(text):
        raise WorkflowError(f"the value of {reference} must be the name of a variable, and {told} is not")
    if place.needs == OPERAND and text.startswith("-"):
        raise WorkflowError(
            f"the value of {reference} would be taken for an option: it begins with '-': {told}"
        )
    return value

"""Putting values into scripts so that data can't become code.

In bash a reference becomes a variable, which the shell expands and never parses as code; where it would do so anyway,
the value must be a whole number, or the reference is refused. In the other languages it becomes a literal in which
every character is escaped.

>>> print(fill("bash", "echo {{ inputs.name }}", lambda reference: "you & me"))
MAX_REF_1='you & me'; echo "${MAX_REF_1}"
>>> fill("python", "print({{ inputs.n }} + 1)", lambda reference: 3)
'print(3 + 1)'
>>> problems("bash", "eval {{ inputs.x }}")
['{{ inputs.x }}: eval reads it as code; assign the value to a variable, check that, and use the variable here']
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.workflow.format.languages import LANGUAGES
from maxstage.workflow.format.references import as_text, resolve
from maxstage.workflow.format.scripts.places import COMMENT, PROGRAM, REFUSED, checked, references_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.workflow.format.references import Reference
    from maxstage.workflow.format.scripts.places import Place


def fill(language: str, text: str, value_of: Callable[[Reference], Any]) -> str:
    """Return a script with its references replaced.

    Args:
        language: Its name, in `LANGUAGES`.
        text: The script; `problems` must have found nothing wrong with it.
        value_of: Returns the value of a reference.

    Raises:
        WorkflowError: A value is not allowed where its reference stands.
    """
    quoting = LANGUAGES[language].quoting
    before: list[str] = []
    parts: list[str] = []
    at = 0
    for place in quoting.places(text):
        if place.quote == COMMENT:
            continue
        reference = text[place.start : place.end]
        value = checked(place, reference, value_of(resolve(reference)))
        parts.append(text[at : place.start])
        if place.needs == PROGRAM and _reads_code(as_text(value)):
            raise WorkflowError(
                f"the value of {reference} names the command, and {as_text(value)!r} may read the other values as "
                "code; write the command's name"
            )
        first, here = quoting.write(len(before) + 1, place, reference, value)
        before.append(first)
        parts.append(here)
        at = place.end
    return "".join([*before, *parts, text[at:]])


def _reads_code(program: str) -> bool:
    from maxstage.workflow.format.scripts.shell_commands import reads_code  # only where it is needed

    return reads_code(program)


def problems(language: str, text: str) -> list[str]:
    """Return why references in a script can't be replaced."""
    return [why for _, _, why in refused(language, text)]


def refused(language: str, text: str) -> Iterator[tuple[str, int, str]]:
    """Yield the references that can't be replaced: the text of each, its number among identical ones, and why."""
    seen: Counter[str] = Counter()
    for place in places(language, text):
        reference = text[place.start : place.end]
        if place.needs == REFUSED:
            yield reference, seen[reference], f"{reference}: {place.why}"
        seen[reference] += 1


def computed_later(text: str) -> Iterator[tuple[str, int, str, str]]:
    """Yield the references of a bash script with whose value it computes later: see `bash.computed_later`.

    Each with its number among identical ones, the variable that it is assigned to, and the arithmetic.
    """
    from maxstage.workflow.format.scripts import bash  # only where there is a script for it

    seen: Counter[str] = Counter()
    found = {one.place.start: one for one in bash.computed_later(text)}
    for start, end in references_in(text).items() if found else ():
        reference = text[start:end]
        if start in found:
            yield reference, seen[reference], found[start].variable, found[start].use
        seen[reference] += 1


def places(language: str, text: str) -> list[Place]:
    """Return the places of the references in a script."""
    return LANGUAGES[language].quoting.places(text)

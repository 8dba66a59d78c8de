"""The languages of scripts: one line each."""

from __future__ import annotations

from typing import NamedTuple


class Language(NamedTuple):
    """A language of scripts.

    Attributes:
        name: What a workflow file calls it.
        interpreter: The program that runs it.
        flag: The option of that program that takes a script as its argument.
    """

    name: str
    interpreter: str
    flag: str


LANGUAGES = {
    language.name: language
    for language in (
        Language("bash", "bash", "-c"),
        Language("python", "python3", "-c"),
        Language("javascript", "node", "-e"),
        Language("ruby", "ruby", "-e"),
        Language("perl", "perl", "-e"),
    )
}
"""The languages by name."""

SHELL = "bash"
"""The language of hooks, and of a script that names none."""

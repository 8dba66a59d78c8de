"""The languages of scripts: a line for each, and a module of that name in `scripts` with its quoting rules."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from maxstage.workflow.format.scripts.places import Quoting


class Language(NamedTuple):
    """A language for scripts.

    Attributes:
        name: Its name in workflow files.
        interpreter: The program that runs it.
        flag: The option of that program that takes a script as its argument.
        strict: The options with which a command that fails ends the script, unless it says ``strict: false``.
    """

    name: str
    interpreter: str
    flag: str
    strict: tuple[str, ...] = ()

    @property
    def quoting(self) -> Quoting:
        """Where it allows references, and how values are quoted there: the module is imported when it is needed."""
        found: Quoting = import_module(f"maxstage.workflow.format.scripts.{self.name}").QUOTING
        return found


LANGUAGES = {
    language.name: language
    for language in (
        Language("bash", "bash", "-c", ("-euo", "pipefail")),
        Language("python", "python3", "-c"),
        Language("javascript", "node", "-e"),
        Language("ruby", "ruby", "-e"),
        Language("perl", "perl", "-e"),
    )
}
"""The languages by name."""

SHELL = "bash"
"""The language of hooks, and of scripts that don't name one."""

"""The languages of scripts: a line for each, and a module with its quoting rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format.scripts import bash, javascript, perl, python, ruby

if TYPE_CHECKING:
    from maxstage.workflow.format.scripts.places import Quoting


class Language(NamedTuple):
    """A language for scripts.

    Attributes:
        name: Its name in workflow files.
        interpreter: The program that runs it.
        flag: The option of that program that takes a script as its argument.
        quoting: Where it allows references, and how values are quoted there.
        strict: The options with which a command that fails ends the script, unless it says ``strict: false``.
    """

    name: str
    interpreter: str
    flag: str
    quoting: Quoting
    strict: tuple[str, ...] = ()


LANGUAGES = {
    language.name: language
    for language in (
        Language("bash", "bash", "-c", bash.QUOTING, ("-euo", "pipefail")),
        Language("python", "python3", "-c", python.QUOTING),
        Language("javascript", "node", "-e", javascript.QUOTING),
        Language("ruby", "ruby", "-e", ruby.QUOTING),
        Language("perl", "perl", "-e", perl.QUOTING),
    )
}
"""The languages by name."""

SHELL = "bash"
"""The language of hooks, and of scripts that don't name one."""

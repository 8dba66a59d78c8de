"""Codex: ``config.toml``, ``hooks.json``, rules, and skills.

Its rules look at each command of a pipe, but at none of them if there is a redirection: so the rewritten command has
none.
"""

from maxstage.agents.client import MCP, Client, Place, codex_rule, find_max, hook_command, hook_mark
from maxstage.agents.edits import Entry
from maxstage.agents.shell import BOUND, PIPEFAIL, bound_of
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile, TomlFile
from maxstage.agents.toml_text import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.targets import Target

_CONFIG = "CODEX_HOME"
_SECONDS = 15


def _rules() -> str:
    """Return our rules. They name the path of the program: the shell that runs a command may find another, or none."""
    bound = bound_of(find_max() or "max") or BOUND
    about = "# From `max agent install codex`: what the hook puts before and behind a command.\n"
    return about + codex_rule(PIPEFAIL) + codex_rule(bound)


def _targets(place: Place) -> "list[Target]":
    hook = {"type": "command", "command": hook_command("codex"), "timeout": _SECONDS}
    entry = Entry(
        ("hooks", "PreToolUse"),
        {"matcher": "Bash", "hooks": [hook]},
        appended=True,
        mark=hook_mark("codex"),
    )
    return [
        TomlFile(
            place.path(".codex", "config.toml", variable=_CONFIG),
            "MCP server",
            Table(("mcp_servers", "max"), MCP),
        ),
        JsonFile(place.path(".codex", "hooks.json", variable=_CONFIG), "hook", [entry]),
        OwnFile(place.path(".codex", "rules", "maxstage.rules", variable=_CONFIG), "rules", _rules()),
        OwnFile(place.path(".agents", "skills", NAME, "SKILL.md"), "skill", SKILL),
    ]


CLIENT = Client(
    "codex",
    "Codex",
    _targets,
    (
        "Codex runs no hook that you have not trusted: open /hooks in it once.",
        "Its sandbox lets commands write below the working directory: there, run max init to have them bounded.",
    ),
)

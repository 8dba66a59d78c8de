"""Gemini CLI: ``settings.json`` and skills.

Its policies look at the command after the hook has changed it, at each part of a pipe separately, and ask if there is a
redirection: so there is none, and what is put around a command is allowed.
"""

from maxstage.agents.client import MCP, Client, Place, hook_command, hook_mark
from maxstage.agents.edits import Entry
from maxstage.agents.shell import BOUND, PIPEFAIL
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.targets import Target

RULES = tuple(f"run_shell_command({command})" for command in (PIPEFAIL, BOUND))

_MILLISECONDS = 15_000


def _targets(place: Place) -> "list[Target]":
    hook = {
        "name": "maxstage",
        "type": "command",
        "command": hook_command("gemini"),
        "timeout": _MILLISECONDS,
    }
    entries = [
        Entry(("mcpServers", "max"), MCP),
        *(Entry(("tools", "allowed"), rule, appended=True) for rule in RULES),
        Entry(
            ("hooks", "BeforeTool"),
            {"matcher": "run_shell_command", "hooks": [hook]},
            appended=True,
            mark=hook_mark("gemini"),
        ),
    ]
    return [
        JsonFile(place.path(".gemini", "settings.json"), "MCP server, hook, permissions", entries),
        OwnFile(place.path(".gemini", "skills", NAME, "SKILL.md"), "skill", SKILL),
    ]


CLIENT = Client(
    "gemini",
    "Gemini CLI",
    _targets,
    ("Allowed without asking from now on, each only so: " + ", ".join(RULES),),
)

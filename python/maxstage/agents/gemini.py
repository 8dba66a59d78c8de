"""Gemini CLI: ``settings.json`` and skills.

It asks for permission before it calls the hook, so rules and answers are for the command as the model wrote it.
"""

from maxstage.agents.client import MCP, Client, Place, hook_command, hook_mark
from maxstage.agents.edits import Entry
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.targets import Target

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
        Entry(
            ("hooks", "BeforeTool"),
            {"matcher": "run_shell_command", "hooks": [hook]},
            appended=True,
            mark=hook_mark("gemini"),
        ),
    ]
    return [
        JsonFile(place.path(".gemini", "settings.json"), "MCP server, hook", entries),
        OwnFile(place.path(".gemini", "skills", NAME, "SKILL.md"), "skill", SKILL),
    ]


CLIENT = Client("gemini", "Gemini CLI", _targets)

"""Cursor: ``mcp.json`` and skills.

No hook: one before a shell command has to answer with a permission, and some versions take silence as "block"
(which is what a missing `max` would say).
"""

from maxstage.agents.client import MCP, Client, Place
from maxstage.agents.edits import Entry
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.targets import Target


def _targets(place: Place) -> "list[Target]":
    return [
        JsonFile(place.path(".cursor", "mcp.json"), "MCP server", [Entry(("mcpServers", "max"), MCP)]),
        OwnFile(place.path(".cursor", "skills", NAME, "SKILL.md"), "skill", SKILL),
    ]


CLIENT = Client("cursor", "Cursor", _targets)

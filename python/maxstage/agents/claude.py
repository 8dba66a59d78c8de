"""Claude Code: ``settings.json``, ``.mcp.json`` or ``~/.claude.json``, and skills.

Its permission rules look at each command of a pipe separately, and ignore ``2>&1``. So a rule for a command also
applies to the rewritten one; the two commands that we add must be allowed, each exactly as it is written.
"""

from maxstage.agents.client import MCP, Client, Place, hook_command, hook_mark
from maxstage.agents.edits import Entry
from maxstage.agents.shell import BOUND, PIPEFAIL
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.agents.targets import Target

EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure")
_CONFIG = "CLAUDE_CONFIG_DIR"
_SECONDS = 15
"""Seconds a hook may take: staging a hundred megabytes takes one; after that the session continues without it."""

RULES = (f"Bash({PIPEFAIL})", f"Bash({BOUND})")


def hooks() -> "dict[str, list[dict[str, Any]]]":
    """Return the hooks, as settings and plugins have them."""
    hook = {"type": "command", "command": hook_command("claude"), "timeout": _SECONDS}
    return {event: [{"matcher": "Bash", "hooks": [hook]}] for event in EVENTS}


def mcp_entry() -> "dict[str, Any]":
    """Return how the MCP server is started."""
    return {"type": "stdio", **MCP}


def _targets(place: Place) -> "list[Target]":
    import os

    entries = [Entry(("permissions", "allow"), rule, appended=True) for rule in RULES]
    entries += [
        Entry(("hooks", event), group[0], appended=True, mark=hook_mark("claude"))
        for event, group in hooks().items()
    ]
    if place.project is not None:
        servers = place.path(".mcp.json")
    elif os.environ.get(_CONFIG):
        servers = place.path("", ".claude.json", variable=_CONFIG)
    else:
        servers = place.path(".claude.json")
    return [
        JsonFile(place.path(".claude", "settings.json", variable=_CONFIG), "hooks, permissions", entries),
        JsonFile(servers, "MCP server", [Entry(("mcpServers", "max"), mcp_entry())]),
        OwnFile(place.path(".claude", "skills", NAME, "SKILL.md", variable=_CONFIG), "skill", SKILL),
    ]


CLIENT = Client(
    "claude",
    "Claude Code",
    _targets,
    ("Allowed without asking from now on, each only exactly so: " + ", ".join(RULES),),
)

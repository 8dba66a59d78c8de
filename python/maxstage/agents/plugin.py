"""A plugin folder for Claude Code with the same skill, MCP server and hooks, to be shared."""

import os

from maxstage.agents.claude import RULES, hooks, mcp_entry
from maxstage.agents.json_text import dumps
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.textfile import read, replace
from maxstage.errors import Error

_MANIFEST = os.path.join(".claude-plugin", "plugin.json")

_README = f"""\
# maxstage

Bounds what shell commands print, keeps the whole under a token, and serves tokens by MCP. Needs `max` on the PATH.

A plugin can't allow anything. To have commands bounded while they run, allow `{RULES[0]}` and `{RULES[1]}`.
"""


class NoPlugin(Error):
    """The folder has something else in it."""


def write_plugin(folder: str, version: str) -> list[str]:
    """Write the plugin into a folder that is empty, missing, or holds an earlier one; return the files' paths.

    Raises:
        NoPlugin: There is something else in it.
        OSError: It can't be written.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        names = []
    if names and not _is_ours(folder):
        raise NoPlugin(f"{folder} holds something else; name a folder that is new or empty")
    about = "Bounded command output, with the whole kept under a token"
    manifest: dict[str, object] = {
        "name": NAME,
        "version": version,
        "description": about,
        "license": "Apache-2.0",
    }
    manifest |= {"author": {"name": NAME}}
    contents = {
        _MANIFEST: dumps(manifest) + "\n",
        os.path.join("hooks", "hooks.json"): dumps({"description": about, "hooks": hooks()}) + "\n",
        ".mcp.json": dumps({"mcpServers": {"max": mcp_entry()}}) + "\n",
        os.path.join("skills", NAME, "SKILL.md"): SKILL,
        "README.md": _README,
    }
    paths = []
    for name, content in contents.items():
        path = os.path.join(folder, name)
        replace(path, content)
        paths.append(path)
    return paths


def _is_ours(folder: str) -> bool:
    import json

    try:
        found = json.loads(read(os.path.join(folder, _MANIFEST)) or "null")
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("name") == NAME

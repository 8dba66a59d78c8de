"""opencode: ``opencode.json``, a plugin, and skills.

Its permission rules are matched with each command of a pipe, its redirections included: so the rewritten command has
none. Where there are rules at all, commands are rewritten only once they allow what is put around them.
"""

import os

from maxstage.agents.client import Client, Place
from maxstage.agents.edits import Entry
from maxstage.agents.shell import BOUND, PIPEFAIL
from maxstage.agents.skill import NAME, SKILL
from maxstage.agents.targets import JsonFile, OwnFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.targets import Target

_PLUGIN = """\
// From `max agent install opencode`: bounds what simple shell commands print.
import { spawnSync } from "node:child_process"

export const Maxstage = async ({ directory }) => ({
  "tool.execute.before": async (input, output) => {
    try {
      if (input.tool !== "bash" || typeof output.args?.command !== "string") return
      const event = { command: output.args.command, cwd: directory }
      const options = { input: JSON.stringify(event), encoding: "utf8", timeout: 2000 }
      const done = spawnSync("max", ["agent", "hook", "opencode"], options)
      if (done.status !== 0 || !done.stdout) return
      const answer = JSON.parse(done.stdout)
      if (typeof answer.command === "string") output.args.command = answer.command
    } catch {
      // Without max the command runs as it is.
    }
  },
})
"""


def _targets(place: Place) -> "list[Target]":
    if place.project is None:
        config = os.environ.get("XDG_CONFIG_HOME") or ""
        folder = os.path.join(config if os.path.isabs(config) else place.path(".config"), "opencode")
        settings = folder
    else:
        folder, settings = place.path(".opencode"), place.base
    # Either name will do; where both are there, the second is read later and stands.
    names = ("opencode.jsonc", "opencode.json")
    name = next((one for one in names if os.path.lexists(os.path.join(settings, one))), names[-1])
    server = {"type": "local", "command": ["max", "mcp"], "enabled": True}
    return [
        JsonFile(os.path.join(settings, name), "MCP server", [Entry(("mcp", "max"), server)]),
        OwnFile(os.path.join(folder, "plugins", "maxstage.ts"), "plugin", _PLUGIN),
        OwnFile(os.path.join(folder, "skills", NAME, "SKILL.md"), "skill", SKILL),
    ]


_NOTE = 'Where your settings have rules under "permission", commands stay as they are until you allow there: '

CLIENT = Client("opencode", "opencode", _targets, (f'{_NOTE}"{PIPEFAIL}", "{BOUND}".',))

"""The clients, by their name on the command line."""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.agents.client import Client

CLIENTS = {
    "claude": "Claude Code",
    "codex": "Codex",
    "gemini": "Gemini CLI",
    "opencode": "opencode",
    "cursor": "Cursor",
}
"""Each has its own file in this package."""


def client(name: str) -> "Client":
    """Return a client."""
    found: Client = import_module(f"maxstage.agents.{name}").CLIENT
    return found

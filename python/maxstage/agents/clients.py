"""The clients, by the name that the command line calls them."""

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
"""Each has a file of its own in this package, with what is known of it."""


def client(name: str) -> "Client":
    """Return what is known of a client."""
    found: Client = import_module(f"maxstage.agents.{name}").CLIENT
    return found

"""A client: where its settings are, and what is written into them."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.agents.targets import Target


class Place:
    """Where to install: for the user, or for one project.

    Args:
        project: The folder of the project; None for the user.
    """

    def __init__(self, project: str | None) -> None:
        self.project = None if project is None else os.path.abspath(project)

    @property
    def base(self) -> str:
        """The project's folder, or the user's home."""
        return os.path.expanduser("~") if self.project is None else self.project

    def path(self, *parts: str, variable: str = "") -> str:
        """Return a path in the project or the home directory; `variable` may name another place for its first part."""
        moved = os.environ.get(variable) if variable and self.project is None else None
        return os.path.join(moved, *parts[1:]) if moved else os.path.join(self.base, *parts)


class Client:
    """A program that runs agents.

    Args:
        name: Its name on the command line.
        title: Its full name.
        targets: Returns the files to write, for a place.
        notes: What the user has to know or do afterwards, one line each.
    """

    def __init__(
        self, name: str, title: str, targets: "Callable[[Place], list[Target]]", notes: "tuple[str, ...]" = ()
    ) -> None:
        self.name = name
        self.title = title
        self.targets = targets
        self.notes = notes


def hook_command(client: str) -> str:
    """Return the shell command that settings name as a hook.

    It always succeeds and prints nothing but an answer: a `max` that is missing, fails or is too old to have hooks must
    not stop a session, and some clients take exit code 2 as "block".
    """
    return f"max agent hook {client} 2>/dev/null || true"


def hook_mark(client: str) -> str:
    """Return the text by which a hook of ours is recognized."""
    return f"max agent hook {client}"


def find_max() -> str | None:
    """Return the path of the program that a shell would run here as `max`; None if there is none."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, "max")
        if os.path.isabs(folder) and os.access(path, os.X_OK):
            return path
    return None


def codex_rule(command: str) -> str:
    """Return the line of Codex's rules that allows a command."""
    words = ", ".join(f'"{word}"' for word in command.split())
    return f'prefix_rule(pattern = [{words}], decision = "allow")\n'


MCP = {"command": "max", "args": ["mcp"]}
"""How the MCP server is started, in the format of nearly all clients."""

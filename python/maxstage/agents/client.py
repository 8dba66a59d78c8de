"""What is known of a client: where its settings are, and what they take."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.agents.targets import Target


class Place:
    """Where to install: for the user, or for one project.

    Args:
        project: The folder of the project; None: for the user.
    """

    def __init__(self, project: str | None) -> None:
        self.project = None if project is None else os.path.abspath(project)

    @property
    def base(self) -> str:
        """The project's folder, or the user's home."""
        return os.path.expanduser("~") if self.project is None else self.project

    def path(self, *parts: str, variable: str = "") -> str:
        """Return a path in the project or in the home; for the user an environment variable may name its first part."""
        moved = os.environ.get(variable) if variable and self.project is None else None
        return os.path.join(moved, *parts[1:]) if moved else os.path.join(self.base, *parts)


class Client:
    """A program that agents live in.

    Args:
        name: What the command line calls it.
        title: What its makers call it.
        targets: Gives the files to write, for a place.
        notes: What the user has to know or do afterwards, a line each.
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

    Whatever becomes of `max`, it succeeds and prints no more than an answer: a program that is missing, breaks or knows
    no hooks must not stop a session, and some clients take exit code 2 as "block".
    """
    return f"max agent hook {client} 2>/dev/null || true"


def hook_mark(client: str) -> str:
    """Return what tells a hook of ours from others."""
    return f"max agent hook {client}"


def find_max() -> str | None:
    """Return the path of the program that a shell would find here as `max`; None where there is none."""
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
"""How the MCP server is started, as nearly all clients write it."""

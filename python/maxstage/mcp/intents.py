"""What the tools for intents share: which intents a client sees, and where it may plan anything."""

import os

from maxstage.errors import NotFound
from maxstage.mcp.tools.tool import ToolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.intent.intent import Intent
    from maxstage.mcp.tools.tool import Call

LABELS = "labels"
"""The fact of an intent that tells who made it: the labels of the client."""


def open_intent(call: "Call", token: str) -> "tuple[Intent, dict[str, Any]]":
    """Return an intent that the client sees, and what is known of it.

    Raises:
        InvalidToken, NotFound: There is none.
    """
    from maxstage.intent.intent import Intent

    intent = Intent(call.access.store, token)
    facts = intent.facts()
    labels = facts.get(LABELS, {})
    if any(labels.get(key) != value for key, value in call.access.scope.items()):
        raise NotFound(f"No such intent: {intent.token}")
    return intent, facts


def check_programs(call: "Call", facts: "dict[str, Any]") -> None:
    """Refuse to run programs for a client that may not run any.

    Raises:
        ToolError: It may not.
    """
    if facts["kind"] == "run" and "exec" not in call.options.allowed:
        raise ToolError(
            "execute: this intent runs programs; whoever starts this server can allow it: --allow exec"
        )


def root_of(call: "Call", name: str | None) -> str:
    """Return the root of a new intent, which is in one of the folders that are open to the server.

    Raises:
        ToolError: It is not.
    """
    roots = call.options.roots
    if name is None and len(roots) != 1:
        raise ToolError("plan: name the root, the folder that no operation leaves")
    try:
        real = os.path.realpath(os.path.expanduser(roots[0] if name is None else name))
    except ValueError:
        raise ToolError("plan: root holds a character that no file name has") from None
    if not any(os.path.commonpath([real, root]) == root for root in roots):
        where = f"{name} is outside of {', '.join(roots)}" if roots else "no folder is open to this server"
        raise ToolError(f"plan: {where}; whoever starts it can allow more with --root DIR")
    return real

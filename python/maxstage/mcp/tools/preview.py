"""``preview``: what an intent would do, and what stands in its way."""

from maxstage.mcp.tools.tool import Tool, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content

POLICIES = ["fail", "skip", "overwrite", "rename"]
"""`maxstage.intent.areas.CONFLICTS`, which a test holds this to: a server starts without importing it."""
ON_CONFLICT = {
    "type": "string",
    "enum": POLICIES,
    "description": "What is done where a target exists (default: fail).",
}
INTENT = {"type": "string", "description": "The intent, like max:intent:9f8e7d6c."}


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.intent.telling import lines_of
    from maxstage.mcp.intents import open_intent

    intent, facts = open_intent(call, arguments["intent"])
    policy = arguments.get("on_conflict", "fail")
    found = intent.preview(on_conflict=policy, sample=arguments.get("sample", 10))
    lines = lines_of(intent.id, facts, found, policy)
    return [bounded("\n".join("  " * line.indent + line.text for line in lines), call.options.max_bytes)]


PREVIEW = Tool(
    "preview",
    "Look at an intent",
    "Show what an intent would do: how many of what, bytes, every problem (missing sources, targets that exist), and "
    "samples. Nothing is changed.",
    {
        "intent": INTENT,
        "on_conflict": ON_CONFLICT,
        "sample": {"type": "integer", "minimum": 0, "description": "Show the first so many operations (10)."},
    },
    _run,
    required=("intent",),
    read_only=True,
)

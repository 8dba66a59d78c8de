"""``info``: what is known of an item, with a preview."""

from maxstage.mcp.tools.tool import Tool, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.store.description import describe

    with call.access.open_item(arguments["token"]) as opened:
        return [bounded(describe(opened), call.options.max_bytes), *call.link(opened.item)]


INFO = Tool(
    "info",
    "Describe staged data",
    "Show what a token stands for before reading it: size, source, expiry, the first 3 lines, for JSON the fields with "
    "types and examples, and about how many LLM tokens it would take.",
    {"token": {"type": "string", "description": "The token, like max:a1b2c3d4."}},
    _run,
    required=("token",),
    read_only=True,
)

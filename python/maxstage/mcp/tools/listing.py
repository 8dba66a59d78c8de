"""``list``: what is staged."""

from maxstage.mcp.tools.tool import Tool, bounded, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content

_LIMIT = 50
_MOST = 10_000
"""Items that are looked at, however many are asked for: no answer has room for more."""


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.store.description import table_of

    limit = min(arguments.get("limit", _LIMIT), _MOST)
    labels = call.access.labels(arguments.get("labels", {}))
    items = call.access.store.list(source=arguments.get("source"), labels=labels, limit=limit + 1)
    if not items:
        return [text("No staged data.")]
    more = [f"More than these {limit}: ask for more with limit."] if len(items) > limit else []
    return [bounded("\n".join([table_of(items[:limit]), *more]), call.options.max_bytes)]


LIST = Tool(
    "list",
    "List staged data",
    "List what is staged, newest first: token, records, size, source, age, expiry.",
    {
        "source": {
            "type": "string",
            "description": "Only those whose source matches this shell pattern, like hubspot/*.",
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": 'Only those with these labels, like {"job": "42"}.',
        },
        "limit": {"type": "integer", "minimum": 1, "description": f"At most so many ({_LIMIT})."},
    },
    _run,
    read_only=True,
)

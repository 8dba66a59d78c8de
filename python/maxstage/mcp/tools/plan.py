"""``plan``: make an intent of the records of an item."""

from maxstage.mcp.tools.filters import FILTERS
from maxstage.mcp.tools.tool import Tool, ToolError, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content

_OPERATIONS = ["copy", "move", "delete", "write", "run"]
_TEMPLATES = ("from", "to", "content", "argv")


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.intent.intent import Intent
    from maxstage.intent.plan import parse_templates
    from maxstage.intent.telling import lines_of
    from maxstage.mcp.intents import root_of
    from maxstage.mcp.looking import Items, query_of
    from maxstage.query.search import Looked, read_all

    operation = arguments["operation"]
    texts = {name: arguments[name] for name in _TEMPLATES if name in arguments}
    parse_templates(operation, texts)
    root = root_of(call, arguments.get("root"))
    query = query_of(arguments, strict=True)
    with Items(call, arguments) as items:
        if len({one.is_json for one in items}) > 1:
            raise ToolError("plan: some of these are JSON and some are plain lines; make an intent of each")
        intent = Intent.plan_lines(
            call.access.store,
            operation,
            read_all(items, query, Looked()),
            texts,
            root=root,
            is_json=items[0].is_json,
            sources=[one.name for one in items],
            labels=call.access.labels({}),
        )
    lines = lines_of(intent.id, intent.facts(), intent.preview(sample=3), "fail")
    return [bounded("\n".join("  " * line.indent + line.text for line in lines), call.options.max_bytes)]


PLAN = Tool(
    "plan",
    "Plan many writes",
    "Make an intent: one operation for each record of staged data, written as templates like {path} and "
    "by-year/{modified:%Y}/{name}. Nothing is done; the answer has its token, max:intent:…, what it would do and every "
    "problem. A person executes it with max execute.",
    FILTERS
    | {
        "operation": {"type": "string", "enum": _OPERATIONS, "description": "What is done for each record."},
        "from": {"type": "string", "description": "The file to copy, move or delete, like {path}."},
        "to": {"type": "string", "description": "Where copy, move and write put it; {path!p} may have a /."},
        "content": {"type": "string", "description": "What write writes, like {body}."},
        "argv": {
            "type": "array",
            "items": {"type": "string"},
            "description": 'The command of run, like ["gh", "issue", "edit", "{number}"].',
        },
        "root": {"type": "string", "description": "The folder that no operation leaves."},
    },
    _run,
    required=("token", "operation"),
)

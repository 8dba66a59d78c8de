"""``count``: how many records of an item match, or how many have each value of a field."""

from maxstage.mcp.tools.filters import FILTERS
from maxstage.mcp.tools.tool import Tool, bounded, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content
    from maxstage.query.counting import Group

_TOP = 20
_MOST = 10_000
"""Values that are asked for, however many are wanted: no answer has room for more."""
_SHOWN = 200
"""Characters of a value."""


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.mcp.looking import Items, note_of, query_of
    from maxstage.query.counting import count, count_by
    from maxstage.query.search import Looked

    looked, query = Looked(), query_of(arguments)
    with Items(call, arguments) as items:
        if "by" not in arguments:
            number = count(items, query, looked)
            note = note_of(looked).removeprefix("; ")
            return [text(f"{number}\n[{note}]" if note else str(number))]
        top = min(arguments.get("top", _TOP), _MOST)
        groups = list(count_by(items, query, arguments["by"], looked, top=top + 1))
    more = f"; more than these {top}: ask for more with top" if len(groups) > top else ""
    last = f"[{looked.matched:,} records{more}{note_of(looked)}]"
    return [bounded("\n".join([*map(_shown, groups[:top]), last]), call.options.max_bytes)]


def _shown(group: "Group") -> str:
    from maxstage.humanize import printable

    value = "null" if group.kind == "null" else printable(group.text.decode("utf-8", "replace"), _SHOWN)
    return f"{group.count:>9,}  {value}"


COUNT = Tool(
    "count",
    "Count staged data",
    "Count the records of staged data that match, or how many have each value of a field, the most frequent first.",
    FILTERS
    | {
        "by": {"type": "string", "description": "A field: count the records for each of its values."},
        "top": {"type": "integer", "minimum": 1, "description": f"Only the most frequent values ({_TOP})."},
    },
    _run,
    required=("token",),
    read_only=True,
)

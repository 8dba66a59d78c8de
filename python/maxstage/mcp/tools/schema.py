"""``schema``: what fields the records of an item have."""

from maxstage.mcp.tools.filters import FILTERS
from maxstage.mcp.tools.tool import Tool, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.mcp.looking import Items, note_of, query_of
    from maxstage.query.schema import describe
    from maxstage.query.schema_table import table_of
    from maxstage.query.search import Looked
    from maxstage.sizes import MOST_COUNT

    looked, sample = Looked(), arguments.get("sample")
    with Items(call, arguments) as items:
        found = describe(
            items, query_of(arguments), looked, sample=None if sample is None else min(sample, MOST_COUNT)
        )
    note = note_of(looked).removeprefix("; ")
    last = f"\n[{note}]" if note else ""
    return [bounded(table_of(found) + last, call.options.max_bytes)]


SCHEMA = Tool(
    "schema",
    "Describe the fields of staged data",
    "Describe the fields of the records of staged data: types, share present, different values, least, greatest, "
    "examples. All records are read, so it knows more than info.",
    FILTERS | {"sample": {"type": "integer", "minimum": 1, "description": "Only the first so many records."}},
    _run,
    required=("token",),
    read_only=True,
)

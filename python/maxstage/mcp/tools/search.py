"""``search``: the records of an item that match."""

from maxstage.mcp.tools.filters import FILTERS
from maxstage.mcp.tools.tool import Tool, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content
    from maxstage.query.search import Page

_MOST = 1000
"""Records of an answer: more are asked for by offset."""

_FOOTER = 400
"""Bytes that the last line takes at most, but for what it tells of records that are damaged."""


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.mcp.looking import Items, query_of
    from maxstage.query.search import LIMIT, check_limit, read_page
    from maxstage.sizes import MOST_COUNT

    limit, offset = min(arguments.get("limit", LIMIT), _MOST), min(arguments.get("offset", 0), MOST_COUNT)
    check_limit(limit, offset)
    numbered = bool(arguments.get("line_numbers"))
    query = query_of(arguments, fields=arguments.get("fields"), sort=arguments.get("sort"))
    with Items(call, arguments) as items:
        if numbered and (query.sort is not None or not all(one.is_lines for one in items)):
            raise ToolError(
                f"{call.name}: line_numbers are of lines in the order of the data: no sort, JSON array or CSV"
            )
        if query.fields is not None and not all(one.is_json for one in items):
            raise ToolError(f"{call.name}: lines of text have no fields")
        page = read_page(items, query, offset=offset, limit=limit, numbered=numbered)
    return [text(_told(page, call.options.max_bytes, numbered=numbered))]


def _told(page: "Page", max_bytes: int, *, numbered: bool) -> str:
    """Return as many records as there is room for, and what comes after them."""
    from maxstage.mcp.looking import note_of

    note = note_of(page.looked)[:_FOOTER]
    if not page.records:
        nothing = f"no results after the first {page.total:,}" if page.total else "no results"
        return f"[{nothing}{note}]"
    room = max_bytes - _FOOTER - len(note.encode())
    lines: list[str] = []
    for line, record in page.records:
        shown = record.decode("utf-8", "replace")
        if numbered:
            shown = f"{line}:{shown}"
        size = len(shown.encode()) + 1
        if size > room:
            break
        room -= size
        lines.append(shown)
    if not lines:
        # One that has no room at all is cut, or nobody would ever get past it.
        first = page.records[0][1].decode("utf-8", "replace").encode()[: room - 1]
        lines.append(first.decode("utf-8", "ignore"))
        note = f"; the record is cut: it has {len(page.records[0][1]):,} bytes{note}"
    end = page.offset + len(lines)
    more = f"; go on with offset={end}" if end < page.total else ""
    lines.append(f"[results {page.offset + 1:,}-{end:,} of {page.total:,}{more}{note}]")
    return "\n".join(lines)


SEARCH = Tool(
    "search",
    "Search staged data",
    "Find the records of staged data (lines of JSON, a JSON array, CSV, lines of text) that match, and read only "
    "those. The last line says how many there are in all, and how to go on.",
    FILTERS
    | {
        "fields": {
            "type": "array",
            "items": {"type": "string"},
            "description": 'Only these fields of each record, like ["name", "address.city"].',
        },
        "sort": {"type": "string", "description": "A field to sort by; with :desc the largest first."},
        "limit": {"type": "integer", "minimum": 1, "description": f"At most so many records (50; {_MOST})."},
        "offset": {"type": "integer", "minimum": 0, "description": "Pass over the first so many."},
        "line_numbers": {
            "type": "boolean",
            "description": "Begin each with the number of its line, which retrieve takes.",
        },
    },
    _run,
    required=("token",),
    read_only=True,
)

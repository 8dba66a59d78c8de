"""``sql``: a query over items, by DuckDB, which reads those and nothing else."""

import sys
import threading

from maxstage.mcp.tools.tool import Tool, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content

_LIMIT = 50
_MOST = 1000
"""Rows of an answer: the query itself can ask for others."""

_MOMENT = 0.1
"""Seconds between two looks whether a query that waits for its turn was cancelled."""

_turn = threading.Lock()
"""One query at a time: each may take all cores, and gibibytes of memory."""


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    while not _turn.acquire(timeout=_MOMENT):
        call.check()
    try:
        return _ask(call, arguments)
    finally:
        _turn.release()


def _ask(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.mcp.asking import request
    from maxstage.output.run import run

    limit = min(arguments.get("limit", _LIMIT), _MOST)
    access, most = call.access, call.options.max_bytes
    asked = request(arguments["query"], limit, most, access.store.layout.project, access.scope)
    done = run(
        [sys.executable, "-P", "-m", "maxstage.mcp.asking"],
        stdin=asked,
        limits={"max_stdout_bytes": 2 * most, "max_combined_bytes": 4 * most},
        keep="never",
        cancel=call.request.cancelled,
    )
    call.check()
    told = done.content.decode("utf-8", "replace")
    if done.exit_code == 1 and told:
        raise ToolError(told)
    if done.exit_code != 0:
        raise ToolError(
            f"{call.name}: the query was ended (exit status {done.exit_code}); it may need too much memory"
        )
    return [text(told)]


SQL = Tool(
    "sql",
    "Query staged data by SQL",
    "Ask by SQL (of DuckDB) over staged data: aggregates, joins, windows. The tables are tokens in quotes: "
    "SELECT owner, sum(amount) FROM 'max:a1b2c3d4' GROUP BY ALL. Nested fields are address.city; lines of text have "
    "the column line. Each row comes as a line of JSON.",
    {
        "query": {"type": "string", "description": "One query: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE."},
        "limit": {
            "type": "integer",
            "minimum": 1,
            "description": f"At most so many rows ({_LIMIT}; {_MOST}).",
        },
    },
    _run,
    required=("query",),
    read_only=True,
    needs="duckdb",
)

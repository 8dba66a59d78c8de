"""The tools: a file each, and the table of them. One more is a file with a `Tool`, and a line here."""

from maxstage.mcp.tools.count import COUNT
from maxstage.mcp.tools.execute import EXEC
from maxstage.mcp.tools.info import INFO
from maxstage.mcp.tools.listing import LIST
from maxstage.mcp.tools.perform import EXECUTE, UNDO
from maxstage.mcp.tools.plan import PLAN
from maxstage.mcp.tools.preview import PREVIEW
from maxstage.mcp.tools.questions import ANSWER, PENDING
from maxstage.mcp.tools.retrieve import RETRIEVE
from maxstage.mcp.tools.schema import SCHEMA
from maxstage.mcp.tools.search import SEARCH
from maxstage.mcp.tools.sql import SQL
from maxstage.mcp.tools.stage import STAGE

_IN_ORDER = (
    *(STAGE, RETRIEVE, SEARCH, COUNT, SCHEMA, SQL, INFO, LIST),
    *(PENDING, ANSWER),
    *(PLAN, PREVIEW, EXEC, EXECUTE, UNDO),
)
TOOLS = {tool.name: tool for tool in _IN_ORDER}
"""In the order in which a client is told of them."""

PERMITTED = sorted({tool.permission for tool in TOOLS.values() if tool.permission is not None})
"""What ``--allow`` may name."""

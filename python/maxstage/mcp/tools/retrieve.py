"""``retrieve``: read a piece of an item."""

from maxstage.mcp.reading import Piece, parse_lines, parse_range, read_piece
from maxstage.mcp.tools.tool import Tool, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content

_PIECES = ("lines", "head", "tail", "bytes", "next_line")


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    chosen = [name for name in _PIECES if name in arguments]
    if len(chosen) > 1:
        raise ToolError(f"{call.name}: use only one of {', '.join(_PIECES)}, not {' and '.join(chosen)}")
    piece = _piece(call.name, arguments)
    with call.access.open_item(arguments["token"]) as opened:
        found = read_piece(opened, piece, call.options.max_bytes, call.name).text
        if opened.item.source is not None and call.access.store.settings.gain:
            from maxstage.store.gain import note_again

            note_again(call.access.store.layout.project, opened.item.id, len(found))
        return [text(found)]


def _piece(name: str, arguments: "dict[str, Any]") -> Piece:
    try:
        if "lines" in arguments:
            return Piece(lines=parse_lines(arguments["lines"]))
        if "bytes" in arguments:
            return Piece(span=parse_range(arguments["bytes"]))
    except ValueError as error:
        raise ToolError(f"{name}: {error}") from None
    if "next_line" in arguments:
        return Piece(lines=(arguments["next_line"], None))
    if "head" in arguments:
        return Piece(lines=(1, arguments["head"]))
    return Piece(tail=arguments.get("tail"))


RETRIEVE = Tool(
    "retrieve",
    "Read staged data",
    "Read what a token stands for, or a piece of it, exactly as it was staged. A result that is not all of what was "
    "asked for ends with a line in brackets that says what was left out and how to go on.",
    {
        "token": {"type": "string", "description": "The token, like max:a1b2c3d4."},
        "lines": {
            "type": "string",
            "description": 'Lines, the first is 1: "40000:40020", "5" or "100:" (to the end).',
        },
        "head": {"type": "integer", "minimum": 1, "description": "Only the first so many lines."},
        "tail": {"type": "integer", "minimum": 1, "description": "Only the last so many lines."},
        "bytes": {
            "type": "string",
            "description": 'From byte A (the first is 0) to before byte B: "0:4096", "4096:"; for very long lines.',
        },
        "next_line": {"type": "integer", "minimum": 1, "description": "Go on from this line."},
    },
    _run,
    required=("token",),
    read_only=True,
    always_loaded=True,
)

"""Items as resources: ``max://a1b2c3d4``, or lines of one: ``max://a1b2c3d4?lines=100:200``."""

from maxstage.errors import Error, NotFound, describe
from maxstage.mcp.protocol import INVALID_PARAMS, RpcError, clip, not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.access import Access
    from maxstage.mcp.protocol import Request

_PAGE = 100
"""Resources of one answer."""

_SCHEME = "max://"

TEMPLATES = [
    {
        "uriTemplate": "max://{token}",
        "name": "staged data",
        "description": "What a token stands for; of long data the beginning, with a last line that says how to go on.",
    },
    {
        "uriTemplate": "max://{token}{?lines}",
        "name": "lines of staged data",
        "description": "Lines of it, like max://a1b2c3d4?lines=100:200.",
    },
]


def list_page(access: "Access", request: "Request") -> "dict[str, Any]":
    """Return a page of what is staged, newest first.

    Raises:
        RpcError: The cursor is none of ours.
    """
    from maxstage.mcp.tools.tool import resource_of

    cursor = request.params.get("cursor", "0")
    if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdigit() and len(cursor) < 10):  # noqa: PLR2004
        raise RpcError(INVALID_PARAMS, "Invalid params: cursor must be the nextCursor of an earlier answer")
    first = int(cursor)
    items = access.store.list(labels=access.labels({}), limit=first + _PAGE + 1)[first:]
    page: dict[str, Any] = {"resources": [resource_of(item) for item in items[:_PAGE]]}
    if len(items) > _PAGE:
        page["nextCursor"] = str(first + _PAGE)
    return page


def read(access: "Access", request: "Request", max_bytes: int) -> "dict[str, Any]":
    """Return what a resource holds.

    Raises:
        RpcError: There is no such resource.
    """
    from maxstage.mcp.reading import Piece, parse_lines, read_piece
    from maxstage.mcp.tools.tool import mime_type

    uri = request.params.get("uri")
    if not isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "Invalid params: uri must be text")
    if not uri.startswith(_SCHEME):
        raise not_found(request, f"Resource not found: {clip(uri)}; ours are like max://a1b2c3d4", uri)
    token, _, query = uri.removeprefix(_SCHEME).partition("?")
    piece = Piece()
    if query:
        name, _, value = query.partition("=")
        try:
            if name != "lines":
                raise ValueError("only lines may follow the ?")
            piece = Piece(lines=parse_lines(value.replace("%3A", ":").replace("%3a", ":")))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {clip(str(error))}") from None
    try:
        with access.open_item(token.rstrip("/")) as opened:
            found = read_piece(opened, piece, max_bytes)
            item = opened.item
    except NotFound as error:
        raise not_found(request, str(error), uri) from None
    except (Error, OSError) as error:
        raise RpcError(INVALID_PARAMS, describe(error), {"uri": uri}) from None
    content: dict[str, Any] = {"uri": uri, "mimeType": mime_type(item)}
    if found.data is not None and not found.is_text:
        import base64

        content |= {"mimeType": "application/octet-stream", "blob": base64.b64encode(found.data).decode()}
    else:
        content["text"] = found.text
    return {"contents": [content]}

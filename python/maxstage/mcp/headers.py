"""What the headers of HTTP repeat of a message, since 2026-07-28: both must say the same."""

from maxstage.mcp.protocol import HEADER_MISMATCH, RpcError, clip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message

    from maxstage.mcp.protocol import Request

NAMES = {"tools/call": "name", "resources/read": "uri", "prompts/get": "name"}
"""What ``Mcp-Name`` repeats, by method."""

_BEGIN, _END = "=?base64?", "?="


def check_headers(request: "Request", headers: "Message") -> None:
    """Compare the headers with the message.

    Raises:
        RpcError: One is missing, or says something else.
    """
    if request.id is None or not request.is_modern:
        return
    _compare("MCP-Protocol-Version", headers, str(request.version))
    _compare("Mcp-Method", headers, request.method)
    key = NAMES.get(request.method)
    if key is not None and isinstance(request.params.get(key), str):
        _compare("Mcp-Name", headers, request.params[key])


def _compare(name: str, headers: "Message", wanted: str) -> None:
    value = headers.get(name)
    if value is None:
        raise RpcError(HEADER_MISMATCH, f"Header mismatch: {name} is missing")
    if _decode(value.strip()) != wanted:
        raise RpcError(
            HEADER_MISMATCH,
            f"Header mismatch: {name} is {clip(value)!r}, and the message has {clip(wanted)!r}",
        )


def _decode(value: str) -> str | None:
    """Return what a header says; None where that can't be read."""
    if not (value.startswith(_BEGIN) and value.endswith(_END)):
        return value
    import base64

    try:
        return base64.b64decode(value[len(_BEGIN) : -len(_END)], validate=True).decode()
    except ValueError:
        return None


def encode_value(value: str) -> str:
    """Return a value as a header has it: what is not plain is written in base64.

    >>> encode_value("plain"), encode_value("é")
    ('plain', '=?base64?w6k=?=')
    """
    is_plain = value.isascii() and value.isprintable() and value == value.strip()
    if is_plain and not value.startswith(_BEGIN):
        return value
    import base64

    return f"{_BEGIN}{base64.b64encode(value.encode('utf-8', 'replace')).decode()}{_END}"

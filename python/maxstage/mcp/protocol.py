"""Messages: JSON-RPC 2.0 as MCP has it, in the revision in force and in those before it.

Since 2026-07-28 each request says in its ``_meta`` which revision it follows, and nothing is remembered between
requests. Before, a client began with ``initialize``, and the revision held for all that followed. We speak both.
"""

import threading

from maxstage.light_json import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Message = dict[str, Any]

MODERN = ("2026-07-28",)
"""The revisions of which each request says so, newest first."""

LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""The revisions that begin with ``initialize``, newest first."""

_BATCHES = ("2025-03-26", "2024-11-05")
"""The revisions in which several messages may come as an array."""

_META = "io.modelcontextprotocol/"
VERSION_KEY = f"{_META}protocolVersion"
_CAPABILITIES_KEY = f"{_META}clientCapabilities"
_CLIENT_KEY = f"{_META}clientInfo"
SERVER_KEY = f"{_META}serverInfo"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
_RESOURCE_NOT_FOUND = -32002
"""Of the revisions before 2026-07-28, which has INVALID_PARAMS there."""

_SHOWN = 100
"""Characters of what a client has sent that an error repeats."""


class RpcError(Exception):
    """What is answered with an error of JSON-RPC: the message, or what it asks for, is no good.

    Attributes:
        code: What kind of error.
        data: What a program can read of it.
    """

    def __init__(self, code: int, message: str, data: "dict[str, Any] | None" = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Session:
    """What is known of a client that began with ``initialize``.

    Attributes:
        version: The revision that was agreed on; None before that.
    """

    def __init__(self, version: "str | None" = None) -> None:
        self.version = version


class Request:
    """A request, or a notification, that is well formed.

    Attributes:
        id: What its answer is told by; None for a notification.
        method: What is asked for.
        params: With what.
        version: The revision that holds for it; None for one that came before ``initialize``.
        notify: Sends a notification about it; called with the method and its params.
        cancelled: Set once nobody waits for the answer any more.
    """

    __slots__ = ("cancelled", "id", "method", "notify", "params", "version")

    def __init__(
        self, request_id: "str | int | None", method: str, params: "dict[str, Any]", version: "str | None"
    ) -> None:
        self.id = request_id
        self.method = method
        self.params = params
        self.version = version
        self.notify: Callable[[str, dict[str, Any]], None] = lambda _method, _params: None
        self.cancelled = threading.Event()

    @property
    def is_modern(self) -> bool:
        """Whether it follows a revision that has no ``initialize``."""
        return self.version in MODERN

    @property
    def progress_token(self) -> "str | int | None":
        """What progress is told by; None where nobody wants to know."""
        token = meta_of(self.params).get("progressToken")
        return token if is_id(token) else None

    def since(self, version: str) -> bool:
        """Whether it follows this revision or one after it."""
        return self.version is not None and self.version >= version


def is_id(value: object) -> bool:
    """Whether this may be the id of a request: text or a whole number."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def meta_of(params: "dict[str, Any]") -> "dict[str, Any]":
    """Return the ``_meta`` of a request; empty where it has none."""
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def parse(data: bytes) -> "Any":
    """Return what a message says.

    Raises:
        RpcError: It is no JSON.
    """
    try:
        return loads(data)
    except RecursionError:
        raise RpcError(PARSE_ERROR, "Parse error: nested too deeply") from None
    except UnicodeDecodeError as error:
        raise RpcError(PARSE_ERROR, f"Parse error: not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise RpcError(PARSE_ERROR, f"Parse error: {clip(str(error))}") from None


def check_batch(messages: "list[Any]", session: Session) -> None:
    """Refuse several messages at once where the revision has no such thing.

    Raises:
        RpcError: It has not, or there are none.
    """
    if session.version not in _BATCHES:
        raise RpcError(
            INVALID_REQUEST, "Invalid Request: one message at a time; batches ended with 2025-06-18"
        )
    if not messages:
        raise RpcError(INVALID_REQUEST, "Invalid Request: the batch is empty")


def read_message(message: "Any", session: Session) -> "Request | None":
    """Return a request or a notification; None for a response, which nobody has asked for.

    Raises:
        RpcError: It is none of them.
    """
    if not isinstance(message, dict):
        raise RpcError(INVALID_REQUEST, "Invalid Request: a message is a JSON object")
    if message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'Invalid Request: "jsonrpc" must be "2.0"')
    if "method" not in message:
        if ("result" in message or "error" in message) and is_id(message.get("id")):
            return None
        raise RpcError(INVALID_REQUEST, 'Invalid Request: there is no "method"')
    method, request_id = message["method"], message.get("id")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, 'Invalid Request: "method" must be text')
    if "id" in message and not is_id(request_id):
        raise RpcError(INVALID_REQUEST, 'Invalid Request: "id" must be text or a whole number')
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, 'Invalid params: "params" must be an object')
    if not isinstance(params.get("_meta", {}), dict):
        raise RpcError(INVALID_PARAMS, 'Invalid params: "_meta" must be an object')
    return Request(request_id, method, params, _version_of(message, method, params, session))


def _version_of(message: "Message", method: str, params: "dict[str, Any]", session: Session) -> "str | None":
    """Return the revision that holds for a message.

    Raises:
        RpcError: It is none of ours, or the message lacks what it asks for.
    """
    meta = meta_of(params)
    if VERSION_KEY not in meta or "id" not in message or method == "initialize":
        return session.version
    version = meta[VERSION_KEY]
    if not isinstance(version, str):
        raise RpcError(INVALID_PARAMS, f"Invalid params: {VERSION_KEY} must be text")
    if version not in MODERN:
        raise RpcError(
            UNSUPPORTED_VERSION,
            f"Unsupported protocol version: {clip(version)}",
            {"supported": list(MODERN), "requested": version},
        )
    for key, required in ((_CAPABILITIES_KEY, True), (_CLIENT_KEY, False)):
        if not isinstance(meta.get(key, None if required else {}), dict):
            raise RpcError(INVALID_PARAMS, f"Invalid params: {key} must be an object in _meta")
    return version


def check_begun(request: Request) -> None:
    """Refuse a request that says no revision, and came before ``initialize``.

    Raises:
        RpcError: It does not say it.
    """
    if request.version is None:
        raise RpcError(
            INVALID_PARAMS,
            f"Invalid params: _meta must have {VERSION_KEY}; clients of earlier revisions begin with initialize",
            {"supported": [*MODERN, *LEGACY]},
        )


def not_found(request: Request, message: str, uri: str) -> RpcError:
    """Return the error for a resource that is not there."""
    return RpcError(INVALID_PARAMS if request.is_modern else _RESOURCE_NOT_FOUND, message, {"uri": uri})


def result(request: Request, content: "dict[str, Any]", server: "dict[str, Any]") -> "Message":
    """Return the answer to a request.

    Args:
        request: The request.
        content: What it asked for.
        server: What the server is called, and its version.
    """
    if request.is_modern:
        content = {"resultType": "complete", **content, "_meta": {SERVER_KEY: server}}
    return {"jsonrpc": "2.0", "id": request.id, "result": content}


def failure(request_id: object, error: RpcError) -> "Message":
    """Return the answer to what is no good; it has no id where that could not be read."""
    told: Message = {"code": error.code, "message": str(error)}
    if error.data is not None:
        told["data"] = error.data
    return {"jsonrpc": "2.0", **({"id": request_id} if is_id(request_id) else {}), "error": told}


def failure_for(message: "Any", error: RpcError) -> "Message":
    """Return the answer to a message that is no good, with its id if it has one."""
    return failure(message.get("id") if isinstance(message, dict) else None, error)


def notification(method: str, params: "dict[str, Any]") -> "Message":
    """Return a message that nobody answers."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def encode(message: "Message | list[Message]") -> bytes:
    """Return a message as one line, without its end."""
    # Half of a surrogate pair has no UTF-8; what stands for it then is just the escape that JSON has.
    return dumps(message).encode("utf-8", "backslashreplace")


def clip(text: str) -> str:
    """Return what a client has sent, for an error: one line, and not too much of it."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

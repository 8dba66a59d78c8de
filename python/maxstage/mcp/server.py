"""What the server answers to each method."""

from maxstage import __version__
from maxstage.errors import Error, describe
from maxstage.mcp import resources
from maxstage.mcp.protocol import (
    INVALID_PARAMS,
    LEGACY,
    METHOD_NOT_FOUND,
    MODERN,
    RpcError,
    check_begun,
    clip,
    result,
)
from maxstage.mcp.tools import TOOLS
from maxstage.mcp.tools.tool import Call, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from maxstage.mcp.access import Access
    from maxstage.mcp.protocol import Message, Request, Session
    from maxstage.mcp.tools.tool import Options, Tool

    Content = dict[str, Any]

_INSTRUCTIONS = """\
Large data is handed on by a token like max:a1b2c3d4 that stands for it, not by pasting it.
stage: keep long text or a file aside and get its token; hand the token on in its place.
info: look at what a token stands for (size, first lines, fields) before reading it.
search, count, schema: find, count or describe records instead of reading all. retrieve: read a piece by its lines.
list: find a token again. A long answer, or one that was cut, says in its last line how to read on: don't repeat it."""

_FOR_AN_HOUR = {"ttlMs": 3_600_000, "cacheScope": "private"}
"""What does not change while the server runs."""

_AT_ONCE = {"ttlMs": 0, "cacheScope": "private"}
"""What may be different the next time."""

_NEEDED = (
    "maxstage.store.draft",
    "maxstage.store.store",
    "maxstage.store.storage.local.upload",
    "maxstage.humanize",
)

_SERVER = {"name": "maxstage", "title": "Max", "version": __version__}


class Server:
    """The server, whatever carries its messages. One may be used by many threads at once.

    Args:
        access: The store, and what the client sees of it.
        options: What it was started with.
        tools: The tools, by their names.
    """

    def __init__(self, access: "Access", options: "Options", tools: "Mapping[str, Tool]" = TOOLS) -> None:
        self.access = access
        self._options = options
        self._tools = {
            name: tool
            for name, tool in tools.items()
            if (tool.permission is None or tool.permission in options.allowed) and tool.is_there
        }
        self._methods: dict[str, Callable[[Request], Content]] = {
            "server/discover": self._discover,
            "ping": lambda _: {},
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": lambda _: {"resourceTemplates": resources.TEMPLATES, **_FOR_AN_HOUR},
            "resources/read": self._read_resource,
        }

    def warm_up(self) -> None:
        """Import what most calls need, while the client reads its first answer."""
        from importlib import import_module

        for name in _NEEDED:
            import_module(name)

    @staticmethod
    def is_quick(request: "Request") -> bool:
        """Whether it is answered from memory: it need not run beside others."""
        return request.method not in {"tools/call", "resources/list", "resources/read"}

    def answer(self, request: "Request", session: "Session") -> "Message":
        """Answer a request.

        Raises:
            RpcError: It can't be answered.
        """
        if request.method == "initialize":
            return result(request, self._initialize(request, session), _SERVER)
        method = self._methods.get(request.method)
        if method is None or (request.method == "server/discover" and not request.is_modern):
            if method is not None:
                check_begun(request)
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clip(request.method)}")
        if request.method != "ping":
            check_begun(request)
        elif request.is_modern:
            raise RpcError(METHOD_NOT_FOUND, "Method not found: ping ended with 2026-07-28")
        content = method(request)
        if not request.is_modern:
            content = {key: value for key, value in content.items() if key not in _AT_ONCE}
        return result(request, content, _SERVER)

    def _initialize(self, request: "Request", session: "Session") -> "Content":
        wanted = request.params.get("protocolVersion")
        if not isinstance(wanted, str):
            raise RpcError(INVALID_PARAMS, "Invalid params: protocolVersion must be text")
        session.version = wanted if wanted in LEGACY else LEGACY[0]
        return {
            "protocolVersion": session.version,
            "capabilities": self._capabilities(),
            "serverInfo": _SERVER,
            "instructions": self._instructions(),
        }

    def _discover(self, _request: "Request") -> "Content":
        return {
            "supportedVersions": list(MODERN),
            "capabilities": self._capabilities(),
            "instructions": self._instructions(),
            **_FOR_AN_HOUR,
        }

    @staticmethod
    def _capabilities() -> "Content":
        return {"tools": {}, "resources": {}}

    def _instructions(self) -> str:
        return _INSTRUCTIONS

    def _list_tools(self, request: "Request") -> "Content":
        if request.params.get("cursor") is not None:
            raise RpcError(
                INVALID_PARAMS, "Invalid params: cursor is none of ours: all tools are on one page"
            )
        return {"tools": [tool.declaration(request) for tool in self._tools.values()], **_FOR_AN_HOUR}

    def _call_tool(self, request: "Request") -> "Content":
        name, arguments = request.params.get("name"), request.params.get("arguments")
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            known = ", ".join(self._tools)
            raise RpcError(INVALID_PARAMS, f"Unknown tool: {clip(str(name))}; there are {known}")
        if not isinstance({} if arguments is None else arguments, dict):
            raise RpcError(INVALID_PARAMS, "Invalid params: arguments must be an object")
        return self._run(tool, Call(self.access, self._options, request, tool.name), arguments or {})

    @staticmethod
    def _run(tool: "Tool", call: Call, arguments: "dict[str, Any]") -> "Content":
        try:
            return {"content": tool.run(call, tool.check(arguments)), "isError": False}
        except ToolError as error:
            message = str(error)
        except (Error, OSError, ImportError) as error:
            message = describe(error)
        return {"content": [text(message)], "isError": True}

    def _list_resources(self, request: "Request") -> "Content":
        return {**resources.list_page(self.access, request), **_AT_ONCE}

    def _read_resource(self, request: "Request") -> "Content":
        return {**resources.read(self.access, request, self._options.max_bytes), **_AT_ONCE}

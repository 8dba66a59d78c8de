"""What a tool is: what a client is told of it, how its arguments are checked, and what it is given when it runs."""

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from maxstage.mcp.access import Access
    from maxstage.mcp.protocol import Request
    from maxstage.store.metadata import Item

    Content = dict[str, Any]

_PROGRESS_SECONDS = 0.1
"""Seconds between two notifications of progress."""

_MIME = {
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "text": "text/plain",
}
"""What each content type is called elsewhere."""


class ToolError(Exception):
    """What a tool was asked for is no good; the model is told, and may ask again."""


class Cancelled(BaseException):
    """Nobody waits for the answer any more: what was begun is undone."""


class Options:
    """What the server was started with.

    Attributes:
        max_bytes: The most that the text of a result may have.
        roots: The folders whose files may be staged, absolute and without links.
        allowed: What ``--allow`` named.
    """

    def __init__(self, max_bytes: int, roots: "list[str]", allowed: "frozenset[str]") -> None:
        self.max_bytes = max_bytes
        self.roots = roots
        self.allowed = allowed


class Call:
    """One call of a tool.

    Attributes:
        access: The store, and what the client sees of it.
        options: What the server was started with.
        request: The request.
        name: What the client calls the tool.
    """

    def __init__(self, access: "Access", options: Options, request: "Request", name: str) -> None:
        self.name = name
        self.access = access
        self.options = options
        self.request = request
        self._done = 0
        self._told = time.monotonic()

    def check(self) -> None:
        """Raise if nobody waits any more.

        Raises:
            Cancelled: So it is.
        """
        if self.request.cancelled.is_set():
            raise Cancelled

    def progress(self, more: int, total: int | None = None) -> None:
        """Tell the client, now and then, what was done; raise if it does not wait any more.

        Args:
            more: Bytes since the last call.
            total: Bytes altogether, if that is known.

        Raises:
            Cancelled: Nobody waits.
        """
        self.check()
        self._done += more
        token, now = self.request.progress_token, time.monotonic()
        if token is None or more == 0 or now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        params: dict[str, Any] = {"progressToken": token, "progress": self._done}
        if total:
            params["total"] = total
        self.request.notify("notifications/progress", params)

    def link(self, item: "Item") -> "list[Content]":
        """Return a link to an item; nothing where the client's revision has no links."""
        if not self.request.since("2025-06-18"):
            return []
        return [{"type": "resource_link", **resource_of(item)}]


class Tool:
    """A tool.

    Args:
        name: What it is called.
        title: What a person is shown.
        description: What it is for, for a model.
        properties: The JSON Schema of each argument, by name: ``type``, ``description``, ``enum`` and ``items`` are
            what is checked.
        required: The arguments that must be there.
        run: Does it; is given the call and the arguments, and returns the content of the result. What maxstage raises,
            and an `OSError`, becomes one line for the model.
        read_only: Whether it changes nothing.
        permission: What ``--allow`` must name for it to be there.
        needs: The package that must be installed for it to be there.
        always_loaded: Whether a client that hides tools behind a search, as Claude Code does, is asked to show it at
            once: a token that comes from elsewhere must be of use.
    """

    def __init__(
        self,
        name: str,
        title: str,
        description: str,
        properties: "dict[str, dict[str, Any]]",
        run: "Callable[[Call, dict[str, Any]], list[Content]]",
        *,
        required: "tuple[str, ...]" = (),
        read_only: bool = False,
        permission: str | None = None,
        needs: str | None = None,
        always_loaded: bool = False,
    ) -> None:
        self.name = name
        self.description = description
        self.run = run
        self.permission = permission
        self._needs = needs
        self._title = title
        self._properties = properties
        self._required = required
        self._read_only = read_only
        self._always_loaded = always_loaded

    def renamed(self, name: str) -> "Tool":
        """Return the same tool by another name."""
        from copy import copy

        tool = copy(self)
        tool.name = name
        return tool

    @property
    def is_there(self) -> bool:
        """Whether what it needs is installed; nothing is imported."""
        return self._needs is None or any(finder.find_spec(self._needs, None) for finder in sys.meta_path)

    def declaration(self, request: "Request") -> "dict[str, Any]":
        """Return what a client is told of it."""
        hints: dict[str, Any] = {
            "readOnlyHint": self._read_only,
            "openWorldHint": self.permission is not None,
        }
        if not self._read_only:
            hints["destructiveHint"] = self.permission is not None
        told: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": self._properties,
                "required": list(self._required),
                "additionalProperties": False,
            },
        }
        if request.since("2025-03-26"):
            told["annotations"] = hints
        if request.since("2025-06-18"):
            told["title"] = self._title
            if self._always_loaded:
                told["_meta"] = {"anthropic/alwaysLoad": True}
        return told

    def check(self, arguments: "Mapping[str, Any]") -> "dict[str, Any]":
        """Return the arguments, those that are null left out.

        Raises:
            ToolError: They are not what the schema says.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        for name in given:
            if name not in self._properties:
                from maxstage.config_file import unknown

                raise ToolError(f"{self.name}: {unknown('argument', name, list(self._properties))}")
        for name in self._required:
            if name not in given:
                raise ToolError(f"{self.name} needs {name}: {self._properties[name]['description']}")
        return {name: self._check(name, value) for name, value in given.items()}

    def _check(self, name: str, value: "Any") -> "Any":
        schema = self._properties[name]
        kinds, wanted = _TYPES[schema["type"]]
        # Models write numbers as text now and then.
        if schema["type"] == "integer" and isinstance(value, str) and value.isascii() and value.isdigit():
            from maxstage.sizes import parse_count

            value = parse_count(value)
        is_good = isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)
        if isinstance(value, list | dict) and is_good:
            is_good = all(isinstance(part, str) for part in value) and (
                isinstance(value, list) or all(isinstance(part, str) for part in value.values())
            )
        if is_good and "enum" in schema:
            is_good, wanted = value in schema["enum"], f"one of: {', '.join(schema['enum'])}"
        if is_good and isinstance(value, int) and value < schema.get("minimum", value):
            is_good, wanted = False, f"{wanted}, {schema['minimum']} or more"
        if not is_good:
            from maxstage.config_file import show

            raise ToolError(f"{self.name}: {name} must be {wanted}, not {show(value)}")
        return value


_TYPES: "dict[str, tuple[tuple[type, ...], str]]" = {
    "string": ((str,), "text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "a list of texts"),
    "object": ((dict,), "an object of texts"),
}
"""What is accepted for each type of a schema, and what an error calls it; lists and objects hold texts."""


def text(content: str) -> "Content":
    """Return text as the content of a result."""
    return {"type": "text", "text": content}


def bounded(content: str, max_bytes: int) -> "Content":
    """Return the beginning of a text as the content of a result; where it was cut, it says so."""
    from maxstage.output.truncation import truncate

    return text(truncate(content, max_bytes, "head").content)


def resource_of(item: "Item") -> "dict[str, Any]":
    """Return an item as a resource."""
    from maxstage.humanize import counted, printable

    source = "" if item.source is None else f" from {printable(item.source, 100)}"
    return {
        "uri": f"max://{item.id}",
        "name": item.token,
        "description": f"{counted(item.record_count, 'record')}, {counted(item.byte_size, 'byte')}{source}",
        "mimeType": _MIME[item.content_type],
        "size": item.byte_size,
    }


def mime_type(item: "Item") -> str:
    """Return what an item's content type is called elsewhere."""
    return _MIME[item.content_type]

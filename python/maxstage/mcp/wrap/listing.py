"""The list of a server's tools, with ours, and without the schemas of results that may be replaced."""

from maxstage.light_json import dumps
from maxstage.mcp.tools.retrieve import RETRIEVE
from maxstage.mcp.tools.search import SEARCH
from maxstage.mcp.wrap.edits import Edits
from maxstage.mcp.wrap.parameters import wanted_in
from maxstage.mcp.wrap.scan import Scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.mcp.protocol import Request
    from maxstage.mcp.wrap.body import Bytes
    from maxstage.mcp.wrap.parameters import Wanted

RETRIEVE_NAME, SEARCH_NAME = "max_retrieve", "max_search"

TOOLS = {
    RETRIEVE_NAME: RETRIEVE.renamed(RETRIEVE_NAME),
    SEARCH_NAME: SEARCH.renamed(SEARCH_NAME),
}
"""What is added to the tools of a server."""

_LONGEST_NAME = 1024

_LONGEST_SCHEMA = 256 * 1024
"""Bytes of the schema of a tool's arguments that is looked at."""


class Listing:
    """A list of tools.

    Args:
        message: The message.
        start: Where in it the result begins.

    Attributes:
        names: What the tools are called.
        wanted: The headers that tools ask for, by the tools' names.

    Raises:
        NotJson: The result is broken.
    """

    def __init__(self, message: "Bytes", start: int) -> None:
        self.names: set[str] = set()
        self.wanted: dict[str, Wanted] = {}
        self._edits = Edits()
        self._end: int | None = None
        for member in Scanner(message, start).members():
            if member.name == "tools" and message.read(member.start, member.start + 1) == b"[":
                self._end = member.end - 1
                for first, _ in Scanner(message, member.start).elements():
                    self._read(message, first)

    def _read(self, message: "Bytes", start: int) -> None:
        """Note what a tool is called, and take off what its results need no longer be."""
        if message.read(start, start + 1) != b"{":
            self.names.add("")
            return
        members = [*Scanner(message, start).members()]
        self._edits.remove(members, "outputSchema")
        name, wanted = "", {}
        for member in members:
            if member.name == "name" and message.read(member.start, member.start + 1) == b'"':
                name = Scanner(message, member.start).text(_LONGEST_NAME) or ""
            elif member.name == "inputSchema" and member.end - member.start <= _LONGEST_SCHEMA:
                wanted = wanted_in(message.read(member.start, member.end))
        self.names.add(name)
        if wanted:
            self.wanted[name] = wanted

    def edited(self, request: "Request | None") -> Edits:
        """Return the message with what is changed in it.

        Args:
            request: What it answers, if our tools are to be added.
        """
        if request is not None and self._end is not None:
            told = [tool.declaration(request) for name, tool in TOOLS.items() if name not in self.names]
            comma = ", " if self.names else ""
            if told:
                new = comma + ", ".join(map(dumps, told))
                self._edits.replace(self._end, self._end, new.encode())
        return self._edits

"""Starting the MCP server, once the options are known; without the command-line library, as in `fast_path.py`."""

import os
import sys

from maxstage.cli.printing import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.store.store import Store

MAX_BYTES = 16 * 1024
"""Of the text of an answer: about 4,000 LLM tokens, less than any client cuts by itself."""

LEAST_BYTES = 1024
"""The last line of an answer needs room."""

_HTTP_ID_BYTES = 16
"""Random bytes of an id where others than the client may reach the server: nobody can guess it."""


class Serving:
    """What the options say.

    Attributes:
        folder: The project; None for the one around the working directory, or the user's own store.
        scope: Labels of what is seen.
        allow: What else is offered.
        roots: Folders whose files may be staged; none for the working directory.
        max_bytes: The most that the text of an answer may have.
        port: Where to serve by HTTP; None for stdio.
    """

    def __init__(
        self,
        folder: str | None = None,
        scope: "dict[str, str] | None" = None,
        allow: "Sequence[str]" = (),
        roots: "Sequence[str]" = (),
        max_bytes: int = MAX_BYTES,
        port: int | None = None,
    ) -> None:
        self.folder = folder
        self.scope = scope or {}
        self.allow = allow
        self.roots = roots
        self.max_bytes = max_bytes
        self.port = port


def serve(serving: Serving) -> None:
    """Serve until the client has gone, or a signal comes."""
    from maxstage.mcp.access import Access
    from maxstage.mcp.server import Server
    from maxstage.mcp.tools.tool import Options

    if serving.folder is not None:
        open_named(serving.folder)  # what is named and is no project is told now, and not to the client
    roots = [os.path.realpath(root) for root in serving.roots] if serving.roots else _default_roots()
    access = Access(
        lambda: open_named(serving.folder), serving.scope, 0 if serving.port is None else _HTTP_ID_BYTES
    )
    server = Server(access, Options(serving.max_bytes, roots, frozenset(serving.allow)))
    if serving.port is None:
        from maxstage.mcp import stdio

        if os.isatty(0):
            tell("Waiting for a client's messages on stdin: see max mcp --help. Ctrl-C ends this.")
        stdout = take_stdout()
        try:
            stdio.serve(server, 0, stdout)
        finally:
            os.close(stdout)
    else:
        from maxstage.mcp import http

        http.serve(server, serving.port, os.environ.pop("MAX_MCP_TOKEN", None), sys.stderr.write)


def _default_roots() -> "list[str]":
    """Return the working directory; not where that is a whole machine or home, as for clients that have no folder."""
    here = os.path.realpath(".")
    return [] if here in {"/", os.path.realpath(os.path.expanduser("~"))} else [here]


def take_stdout() -> int:
    """Return a descriptor for messages; all else that is printed goes to stderr: nothing may come between them."""
    messages = os.dup(1)
    os.dup2(2, 1)
    return messages


def open_named(folder: str | None) -> "Store":
    """Open the store of the project in a folder; None: the nearest, or the user's own."""
    from maxstage.store.store import Store

    return Store.nearest() if folder is None else Store.open(folder)

"""Starting the gateway before an MCP server, once the options are known; without the command-line library."""

import os

from maxstage.cli.printing import warn
from maxstage.cli.serving import MAX_BYTES, open_named, take_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.mcp.wrap.relay import Upstream

CUT_TO = 4 * 1024
"""Bytes that are shown of a result that is longer: about 1,000 LLM tokens, as of a command's output."""

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What shells exit with."""


class Wrapping:
    """What the options say.

    Attributes:
        argv: The server's program and its arguments; none where it is reached by a URL.
        url: The server's address; None where it is started.
        headers: What each request to it has: ``NAME: VALUE``.
        bearer_env: The environment variable that holds a token for it; None for none.
        folder: The project; None for the one around the working directory, or the user's own store.
        scope: Labels of what is seen, and of what is staged.
        max_bytes: Bytes of text that pass.
        cut_to: Bytes that are shown of what does not.
    """

    def __init__(
        self,
        argv: "Sequence[str]" = (),
        url: str | None = None,
        headers: "Sequence[str]" = (),
        bearer_env: str | None = None,
        folder: str | None = None,
        scope: "dict[str, str] | None" = None,
        max_bytes: int = MAX_BYTES,
        cut_to: int | None = None,
    ) -> None:
        self.argv = argv
        self.url = url
        self.headers = headers
        self.bearer_env = bearer_env
        self.folder = folder
        self.scope = scope or {}
        self.max_bytes = max_bytes
        self.cut_to = min(max_bytes, CUT_TO if cut_to is None else cut_to)


def wrap(wrapping: Wrapping) -> int:
    """Stand before a server until it, or the client, has gone, or a signal comes; return what to exit with."""
    from maxstage.mcp.access import Access
    from maxstage.mcp.tools.tool import Options
    from maxstage.mcp.wrap.channel import Out
    from maxstage.mcp.wrap.gateway import Gateway
    from maxstage.mcp.wrap.relay import relay

    access = Access(lambda: open_named(wrapping.folder), wrapping.scope)
    if wrapping.folder is not None:
        open_named(wrapping.folder)  # what is named and is no project is told now
    folder = access.spool_folder
    name, upstream = _upstream(wrapping, folder)
    stdout = take_stdout()
    try:
        out = Out(stdout)
        options = Options(wrapping.max_bytes, [], frozenset())
        gateway = Gateway(access, options, wrapping.cut_to, name, out.write, _tell)
        return relay(upstream, gateway, out, folder, _tell)
    except (FileNotFoundError, PermissionError) as error:
        if not wrapping.argv or error.filename != wrapping.argv[0]:
            raise
        warn(f"{wrapping.argv[0]}: {error.strerror}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    finally:
        os.close(stdout)


def _upstream(wrapping: Wrapping, folder: str | None) -> "tuple[str, Upstream]":
    """Return what the server is called, and the way to it."""
    if wrapping.url is not None:
        from maxstage.mcp.wrap.web import Given, Web

        web = Web(wrapping.url, Given([*wrapping.headers], wrapping.bearer_env), folder, _tell)
        return web.host, web
    from maxstage.mcp.wrap.process import Process

    return os.path.basename(wrapping.argv[0]), Process([*wrapping.argv], folder, _tell)


def _tell(message: str) -> None:
    warn(f"max mcp wrap: {message}")

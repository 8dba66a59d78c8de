"""``max mcp wrap``."""

import click

from maxstage.cli.mcp import at_least_room
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.serving import MAX_BYTES
from maxstage.cli.types import SizeType, parse_labels
from maxstage.cli.wrapping import CUT_TO, Wrapping, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command(
    "mcp wrap",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  claude mcp add github -- max mcp wrap -- npx -y @modelcontextprotocol/server-github
  max mcp wrap --max-bytes 32KiB --cut-to 8KiB -- my-server --verbose
  max mcp wrap --url https://example.com/mcp --bearer-env TOKEN

\b
In a client's configuration, before what was there:
  {"mcpServers": {"files": {"command": "max", "args": ["mcp", "wrap", "--", "my-server"]}}}""",
)
@click.argument("argv", nargs=-1, metavar="[--] CMD [ARG]...", type=click.UNPROCESSED)
@click.option(
    "--url", metavar="URL", help="The address of a server that is reached by Streamable HTTP, instead of CMD."
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="What each request to the URL has; ${NAME} is taken from the environment.",
)
@click.option(
    "--bearer-env",
    metavar="NAME",
    help="Send 'Authorization: Bearer' with the token that this environment variable holds.",
)
@click.option(
    "--max-bytes",
    type=SizeType(),
    callback=at_least_room,
    help=f"The most text of a result that passes as it is ({MAX_BYTES // 1024}KiB).",
)
@click.option(
    "--cut-to",
    type=SizeType(),
    callback=at_least_room,
    help=f"How much to show of one that is longer ({CUT_TO // 1024}KiB).",
)
@click.option(
    "--scope",
    multiple=True,
    metavar="K=V",
    callback=parse_labels,
    help="Give this label to what is staged, and read only what has it.",
)
@dir_option
@click.pass_context
def mcp_wrap(
    ctx: click.Context,
    /,
    argv: tuple[str, ...],
    url: str | None,
    folder: str | None,
    max_bytes: int | None,
    **options: "Any",
) -> None:
    """Stand before another MCP server, and stage those results of its tools that are too long.

    All else passes byte for byte. In place of a long text the client gets a summary, of JSON its shape, with a token;
    the tools max_retrieve and max_search, which are added to those of the server, read what it stands for. Exits with
    the exit code of the server.
    """
    if (url is None) == (not argv):
        raise click.UsageError("name a program, after --, or a --url")
    if (options["headers"] or options["bearer_env"] is not None) and url is None:
        raise click.UsageError("--header and --bearer-env are for a --url")
    folder = named_folder(ctx, folder)
    ctx.exit(wrap(Wrapping(argv, url, folder=folder, max_bytes=max_bytes or MAX_BYTES, **options)))

"""``max mcp``."""

import click

from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.serving import LEAST_BYTES, MAX_BYTES, Serving, serve
from maxstage.cli.types import CountType, SizeType, parse_labels
from maxstage.mcp.tools import PERMITTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def at_least_room(_ctx: click.Context, _param: click.Parameter, size: int | None) -> int | None:
    """Refuse a size that has no room for the last line of an answer."""
    if size is not None and size < LEAST_BYTES:
        raise click.BadParameter(f"at least {LEAST_BYTES} bytes: the last line of an answer needs room")
    return size


@click.command(
    epilog="""\b
Examples:
  claude mcp add max -- max mcp
  max mcp --allow exec --max-bytes 32KiB
  max mcp --scope agent=reviewer          # sees, and labels, only its own
  MAX_MCP_TOKEN=$(openssl rand -hex 16) max mcp --http 8321

\b
In a client's configuration:
  {"mcpServers": {"max": {"command": "max", "args": ["mcp"]}}}"""
)
@click.option(
    "--scope",
    multiple=True,
    metavar="K=V",
    callback=parse_labels,
    help="Show only items with this label, and give it to what is staged.",
)
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice(PERMITTED),
    help="Offer tools that change things: exec runs commands, execute does (and undoes) what intents plan.",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Files below DIR may be staged by their path (default: the working directory, unless it is / or your home).",
)
@click.option(
    "--max-bytes",
    type=SizeType(),
    callback=at_least_room,
    help=f"The most that the text of an answer may have ({MAX_BYTES // 1024}KiB).",
)
@click.option(
    "--http",
    "port",
    type=CountType(min=0, max=65535),
    metavar="PORT",
    help="Serve by HTTP at 127.0.0.1 instead of stdio; 0 takes a free port.",
)
@dir_option
@click.pass_context
def mcp(ctx: click.Context, /, folder: str | None, max_bytes: int | None, **options: "Any") -> None:
    """Serve agents by the Model Context Protocol (MCP), by stdio unless --http is given.

    Tools: stage, retrieve, info, list; exec with --allow exec. Staged items are resources, max://TOKEN. Outside of a
    project the user's own store is used.

    With --http a client must send the token that MAX_MCP_TOKEN holds, or else the one that is printed to stderr, as
    "Authorization: Bearer TOKEN".
    """
    serve(Serving(folder=named_folder(ctx, folder), max_bytes=max_bytes or MAX_BYTES, **options))

"""The options that nearly every command has: ``--dir``, with the store that it names, and ``--output``."""

import functools

import click

from maxstage.cli.process import open_project, open_store
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from click.shell_completion import CompletionItem


def _offer_folders(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def _check_folder(_ctx: click.Context, _param: click.Parameter, folder: str | None) -> str | None:
    if folder == "":
        raise click.BadParameter("it is empty; name the folder that holds .max")
    return folder


dir_option = click.option(
    "--dir",
    "folder",
    metavar="DIR",
    callback=_check_folder,
    shell_complete=_offer_folders,
    help="The folder that holds .max (default: MAX_DIR, the nearest one above, or your own store).",
)


def _output_option(*formats: str) -> "Callable[[Callable[..., Any]], Callable[..., Any]]":
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", *formats]),
        default="text",
        help="Output format.",
        show_default=True,
    )


lenient_option = click.option(
    "--lenient", is_flag=True, help="Unknown fields, and programs that are not installed, are warnings."
)

output_option = _output_option("json")
"""For a command that prints one JSON document."""

lines_option = _output_option("json", "ndjson")
"""For one that may print several things: ``ndjson`` prints one per line, see `maxstage.cli.printing.print_all`."""


def pass_store(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add ``--dir`` to a command, and pass it the store as its last positional argument."""
    return _passing(function, find_store)


def pass_project(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add ``--dir`` to a command, and pass it the store of the project as its last positional argument."""
    return _passing(function, find_project)


def _passing(
    function: "Callable[..., Any]", find: "Callable[[click.Context, str | None], Store]"
) -> "Callable[..., Any]":
    @functools.wraps(function)
    def wrapper(*args: object, folder: str | None, **options: object) -> object:
        return function(*args, find(click.get_current_context(), folder), **options)

    return dir_option(wrapper)


def find_store(ctx: click.Context, folder: str | None) -> Store:
    """Return the store that the options, the environment or the working directory name; else the user's own."""
    return open_store(named_folder(ctx, folder))


def find_project(ctx: click.Context, folder: str | None) -> Store:
    """Return the store of the project that the options, the environment or the working directory name."""
    return open_project(named_folder(ctx, folder))


def named_folder(ctx: click.Context, folder: str | None) -> str | None:
    """Return the folder that ``--dir`` names, whether it was given after the command or before it."""
    return folder if folder is not None else ctx.find_root().params.get("folder")

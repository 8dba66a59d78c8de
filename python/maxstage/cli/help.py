"""``max help``."""

import click

from maxstage.cli.app import COMMANDS, did_you_mean
from maxstage.cli.printing import write_out
from maxstage.cli.types import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _offer_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    given = list(ctx.params.get("words") or ())
    names = [(name.split(), text) for name, (_, text) in COMMANDS.items()]
    return [
        CompletionItem(name[-1], help=text)
        for name, text in names
        if name[:-1] == given and name[-1].startswith(incomplete)
    ]


@click.command(
    "help",
    epilog="""\b
Examples:
  max help
  max help retrieve
  max help stage list""",
)
@click.argument("words", nargs=-1, metavar="[COMMAND]...", shell_complete=_offer_names)
@click.pass_context
def help(ctx: click.Context, words: tuple[str, ...]) -> None:  # noqa: A001 - commands are named as they are called
    """Show how a COMMAND is used, as its --help does; without one, what commands there are."""
    root = ctx.find_root()
    program = root.command
    if not words or not isinstance(program, click.Group):
        write_out(root.get_help())
        return
    name, command, rest = program.resolve_command(root, list(words))
    if command is None or rest:
        raise click.UsageError(
            f"No such command: {shorten(' '.join(words))}{did_you_mean(' '.join(words), COMMANDS)}"
        )
    write_out(command.get_help(click.Context(command, info_name=name, parent=root)))

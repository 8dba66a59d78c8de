"""``max exec``."""

import click

from maxstage.cli.compression import CompressCommand, redact_mode, redact_option
from maxstage.cli.execution import execute, limits_of, store_or_none
from maxstage.cli.limits import common_limits, with_line_strategy
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.types import SecondsType, SizeType, TokenType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from click.shell_completion import CompletionItem


def _offer_commands(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    # Behind the program come its arguments, of which files are the best guess.
    return [CompletionItem(incomplete, type="file" if ctx.params.get("argv") else "command")]


@click.command(
    cls=CompressCommand,
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  max exec --max-stdout-bytes 64KiB --strategy both -- make -j8
  max exec --strategy summary --max-stdout-bytes 4KiB --combine -- pytest -q
  max exec --timeout 60 -o json -- ./flaky.sh | jq .token
  max exec --stdin max:a1b2c3d4 -- wc -l""",
)
@click.argument(
    "argv",
    nargs=-1,
    required=True,
    metavar="[--] CMD [ARG]...",
    type=click.UNPROCESSED,
    shell_complete=_offer_commands,
)
@click.option("--max-stdout-bytes", type=SizeType(), help="Keep at most this much of stdout (1MiB).")
@click.option("--max-stderr-bytes", type=SizeType(), help="Keep at most this much of stderr (256KiB).")
@click.option(
    "--max-combined-bytes", type=SizeType(), help="Keep at most this much of both together (1536KiB)."
)
@common_limits
@click.option("--combine", is_flag=True, help="Capture stderr together with stdout.")
@click.option("--timeout", type=SecondsType(), metavar="SECONDS", help="End the command after this time.")
@click.option(
    "--stdin",
    metavar="TOKEN",
    type=TokenType(),
    help="Staged data for the command to read (default: our own stdin).",
)
@redact_option
@click.option("--live", is_flag=True, help="Show the beginning of the output as it comes.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: the output and all details.",
)
@dir_option
@click.pass_context
def exec(  # noqa: A001 - commands are named as they are called
    ctx: click.Context,
    /,
    argv: tuple[str, ...],
    combine: bool,
    timeout: float | None,
    stdin: str | None,
    redact: str | None,
    live: bool,
    output: str,
    folder: str | None,
    **options: "Any",
) -> None:
    """Run a command; print its output within bounds, and keep the full output under a token if it was cut.

    Exits with the command's own status: 128 + n where signal n ended it, 124 after a timeout, 127 where it is
    not found, 126 where it can't be run.
    """
    keep, elsewhere = options.pop("keep"), options["external_storage_dir"] is not None
    store, can_keep = store_or_none(
        named_folder(ctx, folder),
        needed=stdin is not None or (keep == "always" and not elsewhere),
        kept=keep != "never" and not elsewhere,
    )
    code = execute(
        argv,
        store,
        limits_of(store, with_line_strategy(store, options)),
        output=output,
        live=live,
        stdin=stdin,
        timeout=timeout,
        keep=keep if can_keep or elsewhere else "never",
        combine=combine,
        redact=redact_mode(redact),
    )
    ctx.exit(code)

"""``max exec``."""

import click

from maxstage.cli.agent import LIMITS, is_asked_for
from maxstage.cli.compression import CompressCommand, redact_mode, redact_option
from maxstage.cli.execution import execute, limits_of, store_or_none
from maxstage.cli.limits import common_limits, with_line_strategy
from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.types import SecondsType, SizeType, TokenType

SHELL = ("bash", "-o", "pipefail", "-c")
"""What runs a line: a failure anywhere in a pipe is one of the line. Plain `sh` can't tell that everywhere."""

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
  max exec --stdin max:a1b2c3d4 -- wc -l
  max exec --agent -- pytest -q
  max exec --agent --shell 'pytest -q | tee log.txt'
  max exec --diff -- make test""",
)
@click.argument(
    "argv",
    nargs=-1,
    required=False,
    metavar="[--] CMD [ARG]...",
    type=click.UNPROCESSED,
    shell_complete=_offer_commands,
)
@click.option(
    "--agent/--no-agent",
    default=None,
    help="For an agent: both streams as plain text, their summary in 16 KiB, and how it ended as the last line.",
)
@click.option(
    "--shell", metavar="LINE", help="Run a line of bash instead of CMD; it fails if any part of a pipe does."
)
@click.option(
    "--diff", is_flag=True, help="Show what has changed since the last run of this command in this folder."
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
    agent: bool | None,
    shell: str | None,
    diff: bool,
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
    argv = _words(argv, shell)
    if diff and live:
        raise click.UsageError(
            "--diff shows what has changed once the command has ended: it does not go with --live"
        )
    if diff and options["external_storage_dir"] is not None:
        raise click.UsageError("--diff looks in the project's store: it does not go with --external-dir")
    if diff and options["keep"] == "never":
        raise click.UsageError("--diff keeps the output for the next run: it does not go with --keep never")
    keep, elsewhere = options.pop("keep"), options["external_storage_dir"] is not None
    store, can_keep = store_or_none(
        named_folder(ctx, folder),
        needed=diff or stdin is not None or (keep == "always" and not elsewhere),
        kept=keep != "never" and not elsewhere,
    )
    as_agent = is_asked_for(agent, store)
    code = execute(
        argv,
        store,
        limits_of(store, with_line_strategy(store, options), LIMITS if as_agent else None),
        agent=as_agent,
        diff=diff,
        hint="" if shell is None else "; --shell needs it",
        output=output,
        live=live,
        stdin=stdin,
        timeout=timeout,
        keep=keep if can_keep or elsewhere else "never",
        combine=combine,
        redact=redact_mode(redact),
    )
    ctx.exit(code)


def _words(argv: tuple[str, ...], shell: str | None) -> tuple[str, ...]:
    """Return the command, which a line of bash may stand for.

    Raises:
        UsageError: There is none, or there are two.
    """
    if shell is None and not argv:
        raise click.UsageError("Missing argument '[--] CMD [ARG]...'.")
    if shell is None:
        return argv
    if argv:
        raise click.UsageError(f"--shell takes the whole line; what is {argv[0]!r} for?")
    if not shell.strip():
        raise click.UsageError("--shell is empty; give it a line like 'make 2>&1 | tee log'")
    return (*SHELL, shell)

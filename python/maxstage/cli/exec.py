"""``max exec``."""

import os
import sys

import click

from maxstage.cli.common import (
    SizeType,
    TokenType,
    common_limits,
    dir_option,
    find_store,
    limits_of,
    print_json,
    write_all,
)
from maxstage.cli.printing import warn
from maxstage.errors import NoProject
from maxstage.output.run import Interrupted, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store

NOT_FOUND, NOT_EXECUTABLE, TIMED_OUT = 127, 126, 124
"""What shells and coreutils' timeout exit with."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  max exec --max-stdout-bytes 64KiB --strategy both -- make -j8
  max exec --strategy summary --max-stdout-bytes 4KiB --combine -- pytest -q
  max exec --timeout 60 -o json -- ./flaky.sh | jq .token
  max exec --stdin max:a1b2c3d4 -- wc -l""",
)
@click.argument("argv", nargs=-1, required=True, metavar="[--] CMD [ARG]...", type=click.UNPROCESSED)
@click.option("--max-stdout-bytes", type=SizeType(), help="Kept of stdout (1MiB).")
@click.option("--max-stderr-bytes", type=SizeType(), help="Kept of stderr (256KiB).")
@click.option("--max-combined-bytes", type=SizeType(), help="Kept of both together (1536KiB).")
@common_limits
@click.option("--combine", is_flag=True, help="Capture stderr with stdout.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End it after this."
)
@click.option(
    "--stdin", metavar="TOKEN", type=TokenType(), help="Staged data for it to read (else our own stdin)."
)
@click.option("--live", is_flag=True, help="Show the beginning of the output as it comes.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: all that is known."
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
    live: bool,
    output: str,
    folder: str | None,
    **options: "Any",
) -> None:
    """Run a command; print its output within bounds, and keep the whole of it under a token where it was cut.

    Exits with the command's own status: 128 + n where signal n ended it, 124 after a timeout, 127 where it is
    not found, 126 where it can't be run.
    """
    keep = options.pop("keep")
    store = _store_or_none(ctx, folder)
    limits = limits_of(store, options)
    for warning in limits.warnings():
        warn(warning)
    show = _Live() if live and output == "text" else None
    interrupted = False
    try:
        done = run(
            argv,
            limits=limits,
            stdin=_token(stdin)
            if stdin is not None
            else sys.stdin.fileno()
            if sys.stdin is not None
            else None,
            timeout=timeout,
            store=store,
            keep=keep,
            combine=combine,
            on_output=show,
        )
    except Interrupted as error:
        done, interrupted = error.output, True
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        if error.filename != argv[0]:
            raise
        warn(f"{error.strerror}: {argv[0]}")
        ctx.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    _print(done, output, show)
    if interrupted:
        raise KeyboardInterrupt
    ctx.exit(TIMED_OUT if done.timed_out else done.exit_code or 0)


class _Live:
    """Shows output as it comes; remembers what of each stream was shown."""

    def __init__(self) -> None:
        self._shown = [bytearray(), bytearray()]

    def __call__(self, stream: int, data: bytes) -> None:
        write_all(stream + 1, data, ("<stdout>", "<stderr>")[stream])
        self._shown[stream] += data

    def rest(self, stream: int, content: bytes) -> bytes:
        """Return what is still to be shown of the content of a stream."""
        shown = self._shown[stream]
        if content.startswith(shown):
            return content[len(shown) :]
        # The marker was longer than foreseen, and took the room of what was shown.
        return b"\n" + content


def _print(done: "TaskOutput", output: str, show: _Live | None) -> None:
    if output == "json":
        print_json(done.to_dict())
    else:
        for stream, part in enumerate((done, done.stderr)):
            if part is not None:
                rest = part.content if show is None else show.rest(stream, part.content)
                write_all(stream + 1, rest, ("<stdout>", "<stderr>")[stream])
    if done.timed_out:
        warn(f"{done.task_id} was ended: it took longer than its time")
    for warning in done.warnings:
        warn(warning)


def _store_or_none(ctx: click.Context, folder: str | None) -> "Store | None":
    """Return the project's store; without a project a command runs all the same."""
    try:
        return find_store(ctx, folder)
    except NoProject:
        if folder is not None or os.environ.get("MAX_DIR"):
            raise
        return None


def _token(text: str) -> str:
    from maxstage.store.tokens import format_token, parse_token

    return format_token(parse_token(text))

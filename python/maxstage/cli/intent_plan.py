"""``max intent copy``, ``move``, ``delete``, ``write`` and ``run``."""

import os
import sys

import click

from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.searching_options import WhatType, filter_options
from maxstage.cli.types import NameType, TtlType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from maxstage.query.inputs import Input
    from maxstage.query.search import Query
    from maxstage.store.store import Store

_ARGV = "maxstage.argv"


class _RunCommand(click.Command):
    """A command whose words after ``--`` are those of another."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take off what follows ``--``."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_ARGV] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


def _common(function: "Callable[..., Any]") -> "Callable[..., Any]":
    options: list[Callable[..., Any]] = [
        click.argument("what", nargs=-1, metavar="[WHAT]...", type=WhatType()),
        filter_options,
        click.option(
            "--root",
            type=NameType(file_okay=False),
            default=".",
            metavar="DIR",
            help="The folder that no operation leaves (the working directory).",
        ),
        click.option("--ttl", type=TtlType(), metavar="TIME", help="How long it may be executed: minutes, 2h, 1d."),
        click.option(
            "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
            help="Output format.",
        ),
        dir_option,
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


_FROM = click.option("--from", "from_", required=True, metavar="TEMPLATE", help="The file, like {path}.")
_TO = click.option(
    "--to",
    required=True,
    metavar="TEMPLATE",
    help="Where to, like by-year/{modified:%Y}/{name}; {path!p} where a value may have a /.",
)


def _planner(operation: str, what: str, *options: "Callable[..., Any]", epilog: str) -> click.Command:
    """Return the command that plans an operation.

    Args:
        operation: Its name.
        what: What is planned, for the help.
        options: Its templates.
        epilog: Its examples.
    """

    def run(**values: object) -> None:
        _plan(operation, **values)  # type: ignore[arg-type]

    run.__doc__ = (
        f"Plan {what} for each record of WHAT: tokens, files, sources, or stdin; print the intent's token."
    )
    function = _common(run)
    for option in reversed(options):
        function = option(function)
    return click.command(f"intent {operation}", epilog=epilog)(function)


intent_copy = _planner(
    "copy",
    "a copy",
    _FROM,
    _TO,
    epilog="""\b
Examples:
  max search files -f 'path ~= *.pdf' --all -o ndjson | max intent copy --from {path} --to 'pdf/{name}'
  max intent copy max:a1b2c3d4 --from 'in/{id}.txt' --to 'out/{id:06}.txt'""",
)

intent_move = _planner(
    "move",
    "a move",
    _FROM,
    _TO,
    epilog="""\b
Example:
  INTENT=$(max search files -f 'path ~= *.pdf' --all -o ndjson |
    max intent move --from '{path}' --to 'by-year/{modified:%Y}/{name}')
  max preview $INTENT && max execute $INTENT""",
)

intent_delete = _planner(
    "delete",
    "a deletion",
    _FROM,
    epilog="""\b
Example:
  max search files -f 'extension = tmp' --all -o ndjson | max intent delete --from '{path}'

What is deleted lies in the trash until the result expires.""",
)

intent_write = _planner(
    "write",
    "a file",
    _TO,
    click.option("--content", required=True, metavar="TEMPLATE", help="What the file holds, like {body}."),
    epilog="""\b
Example:
  max intent write max:a1b2c3d4 --to 'notes/{id}.md' --content '# {title}

{body}
'""",
)


@click.command(
    "intent run",
    cls=_RunCommand,
    epilog="""\b
Examples:
  max intent run max:a1b2c3d4 -- gh issue edit {number} --add-label {label}
  max intent run issues.ndjson -f 'state = open' -- ./close.sh {number}

\b
Each program gets its record on stdin, and in MAX_INTENT_OP a key that is the same whenever the operation
is tried again. Values are words of the command: no shell reads them.""",
)
@_common
@click.pass_context
def intent_run(ctx: click.Context, /, **options: object) -> None:
    """Plan a program for each record of WHAT; the words after -- are the command."""
    argv = ctx.meta[_ARGV]
    if not argv:
        raise click.UsageError(
            "name the command after --, like: max intent run TOKEN -- gh issue edit {number}"
        )
    _plan("run", argv=argv, **options)  # type: ignore[arg-type]


def _plan(
    operation: str,
    *,
    what: tuple[str, ...],
    root: str,
    folder: str | None,
    output: str,
    ttl: float | None,
    filters: "Sequence[str]",
    type: str | None,  # noqa: A002 - it is the option's name
    regex: str | None,
    csv: bool,
    strict: bool,
    from_: str | None = None,
    to: str | None = None,
    content: str | None = None,
    argv: "list[str] | None" = None,
) -> None:
    from maxstage.cli.process import open_store
    from maxstage.cli.searching import Inputs, Stores
    from maxstage.intent.plan import parse_templates
    from maxstage.query.search import Query

    del strict  # a plan with a record left out would not be the one that was meant
    templates = {"from": from_, "to": to, "content": content, "argv": argv}
    # A mistake in a template is told before any record is waited for.
    parse_templates(operation, {name: text for name, text in templates.items() if text is not None})
    if not what and (sys.stdin is None or os.isatty(0)):
        raise click.UsageError(
            f"nothing to read records from; for example: max search files --all -o ndjson | max intent {operation} …"
        )
    folder = named_folder(click.get_current_context(), folder)
    stores = Stores(folder)
    inputs = Inputs(what or ("-",), stores, "csv" if csv else None, type)
    with inputs as opened:
        if inputs.left:
            raise click.UsageError(f"{inputs.left[0]!r} names neither a token, a file nor a source")
        query = Query(filters=filters, type=inputs.type, regex=regex, strict=True)
        _check_kinds(opened)
        _make(open_store(folder), operation, templates, opened, query, root, ttl, output)


def _check_kinds(inputs: "Sequence[Input]") -> None:
    if len({one.is_json for one in inputs}) > 1:
        raise click.UsageError("some of what is read is JSON and some is plain lines; make an intent of each")


def _make(
    store: "Store",
    operation: str,
    templates: "dict[str, Any]",
    inputs: "Sequence[Input]",
    query: "Query",
    root: str,
    ttl: float | None,
    output: str,
) -> None:
    from maxstage.intent.intent import Intent
    from maxstage.query.search import Looked, read_all

    def lines() -> "Iterator[bytes]":
        yield from read_all(inputs, query, Looked(), scratch=store.layout.root)

    intent = Intent.plan_lines(
        store,
        operation,
        lines(),
        templates,
        root=root,
        is_json=inputs[0].is_json,
        ttl=ttl,
        sources=[one.name for one in inputs],
    )
    if output == "json":
        from maxstage.intent.telling import facts_json

        print_json(facts_json(intent.id, intent.facts()))
    else:
        write_out(intent.token)

"""``max unstage``."""

import click

from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.own_store import in_own_store
from maxstage.cli.printing import describe, print_json, warn, write_out
from maxstage.cli.prompting import confirm
from maxstage.cli.types import TokenType, parse_label_filter, parse_source_filter
from maxstage.humanize import counted
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, parse_token


@click.command(
    epilog="""\b
Examples:
  max unstage max:a1b2c3d4
  max unstage --source 'hubspot/*' --yes
  max unstage --label job=42"""
)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...", type=TokenType())
@click.option("--all", "every", is_flag=True, help="Delete everything, damaged and pinned items too.")
@click.option(
    "--source", metavar="GLOB", callback=parse_source_filter, help="Delete those whose source matches."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="K[=V]",
    callback=parse_label_filter,
    help="Delete those with this label; with --source, those that match both.",
)
@click.option("--expired", is_flag=True, help="Delete those that have expired.")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@lines_option
@pass_store
@click.pass_context
def unstage(
    ctx: click.Context,
    store: Store,
    tokens: tuple[str, ...],
    every: bool,
    source: str | None,
    labels: dict[str, str | None],
    expired: bool,
    yes: bool,
    output: str,
) -> None:
    """Delete staged data: TOKENs at once, items selected by options after asking, or with --yes."""
    filtered = source is not None or bool(labels)
    if sum((bool(tokens), every, filtered, expired)) != 1:
        raise click.UsageError("Name tokens, or use one of --all, --expired, --source and --label")
    ids = [parse_token(token) for token in tokens]
    if every:
        ids = store.ids()
        for name in store.strays():
            warn(f"{store.storage.place}/{name} is left alone: its name is not a token's")
    elif filtered:
        ids = [item.id for item in store.list(source=source, labels=labels)]
    elif expired:
        ids = [item.id for item in store.cleanup(dry_run=True).expired]
    if not tokens:
        if not ids:
            if output == "text":
                write_out("Nothing to unstage.")
            return
        confirm(f"Delete {counted(len(ids), 'staged item')}?", yes=yes)
    _delete(ctx, store, ids, output, named=bool(tokens))


def _delete(ctx: click.Context, store: Store, ids: list[str], output: str, *, named: bool) -> None:
    failed = False
    for item_id in ids:
        try:
            deleted = store.unstage(item_id)
        except OSError as error:
            # Carry on with the others.
            failed = True
            warn(f"{format_token(item_id)} could not be deleted: {describe(error)}")
            continue
        if output != "text" and (deleted or named):
            print_json({"token": item_id, "ref": format_token(item_id), "unstaged": deleted}, indent=None)
        elif deleted:
            write_out(f"Unstaged: {format_token(item_id)}")
        if named and not deleted:
            failed = True
            warn(in_own_store(store, item_id) or f"Staged data not found: {format_token(item_id)}")
    if failed:
        ctx.exit(1)

"""``max unstage``."""

import click

from maxstage.cli.common import Store, TokenType, confirm, pass_store, warn, write_out
from maxstage.cli.printing import describe
from maxstage.store.tokens import format_token, parse_token


@click.command(
    epilog="""\b
Examples:
  max unstage max:a1b2c3d4
  max unstage --source 'hubspot/*' --yes"""
)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...", type=TokenType())
@click.option("--all", "every", is_flag=True, help="Delete everything, damaged and pinned items too.")
@click.option("--source", metavar="GLOB", help="Delete those whose source matches.")
@click.option("--expired", is_flag=True, help="Delete those that have expired.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_store
@click.pass_context
def unstage(
    ctx: click.Context,
    store: Store,
    tokens: tuple[str, ...],
    every: bool,
    source: str | None,
    expired: bool,
    yes: bool,
) -> None:
    """Delete staged data. With --all, --source or --expired it asks first, or wants --yes."""
    if sum((bool(tokens), every, source is not None, expired)) != 1:
        raise click.UsageError("Give tokens, or one of --all, --source and --expired")
    ids = [parse_token(token) for token in tokens]
    if every:
        ids = store.ids()
        for name in store.strays():
            warn(f"{store.layout.path(name)} is left alone: its name is not a token's")
    elif source is not None:
        ids = [item.id for item in store.list(source=source)]
    elif expired:
        ids = [item.id for item in store.cleanup(dry_run=True).expired]
    if not tokens:
        if not ids:
            write_out("Nothing to unstage.")
            return
        confirm(f"Delete {len(ids):,} staged item{'' if len(ids) == 1 else 's'}?", yes=yes)
    _delete(ctx, store, ids, named=bool(tokens))


def _delete(ctx: click.Context, store: Store, ids: list[str], *, named: bool) -> None:
    failed = False
    for item_id in ids:
        try:
            deleted = store.unstage(item_id)
        except OSError as error:
            # One that can't be deleted keeps no other.
            failed = True
            warn(f"{format_token(item_id)} could not be deleted: {describe(error)}")
            continue
        if deleted:
            write_out(f"Unstaged: {format_token(item_id)}")
        elif named:
            failed = True
            warn(f"Staged data not found: {format_token(item_id)}")
    if failed:
        ctx.exit(1)

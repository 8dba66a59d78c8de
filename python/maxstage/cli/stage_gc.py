"""``max stage gc``."""

import itertools

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import print_json, warn, write_out
from maxstage.cli.process import spare, sweep_intents
from maxstage.humanize import format_size
from maxstage.store.store import Store

_NAMED = 5
"""The most files that could not be deleted to name; the rest are counted."""


@click.command("stage gc", epilog="\b\nExample:\n  max stage gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@output_option
@pass_store
@click.pass_context
def stage_gc(ctx: click.Context, store: Store, dry_run: bool, output: str) -> None:
    """Delete expired items, and what killed commands left behind, now.

    This also happens automatically, at most once a minute. Exits with 1 if something could not be deleted.
    """
    swept = store.cleanup(dry_run=dry_run)
    if dry_run:
        spare()
    else:
        # Intents whose results have just expired, and their trash.
        sweep_intents(store)
    if output == "json":
        tokens = [{"token": item.id, "ref": item.token} for item in swept.expired]
        print_json(
            {
                "dryRun": dry_run,
                "expired": tokens,
                "leftovers": swept.orphans,
                "freedBytes": swept.freed,
                "failed": swept.failed,
            }
        )
    else:
        verb = "Would sweep" if dry_run else "Swept"
        write_out(
            f"{verb}: {len(swept.expired):,} expired, {len(swept.orphans):,} left behind, "
            f"{format_size(swept.freed)}"
        )
    if swept.failed:
        warn(_what_failed(swept.failed))
        ctx.exit(1)


def _what_failed(failed: dict[str, str]) -> str:
    named = [f"{name} ({reason})" for name, reason in itertools.islice(failed.items(), _NAMED)]
    more = len(failed) - len(named)
    rest = f" and {more:,} more" if more else ""
    return f"Could not delete {', '.join(named)}{rest}; remove them by hand from .max/staging"

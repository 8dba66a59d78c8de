"""``max stage gc``."""

import click

from maxstage.cli.common import Store, output_option, pass_store, print_json, write_out
from maxstage.store.wording import format_size


@click.command("stage gc", epilog="\b\nExample:\n  max stage gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@output_option
@pass_store
def stage_gc(store: Store, dry_run: bool, output: str) -> None:
    """Delete expired items, and what killed commands left behind, now.

    This happens by itself, too, once a minute at most.
    """
    swept = store.cleanup(dry_run=dry_run)
    if output == "json":
        tokens = [{"token": item.id, "ref": item.token} for item in swept.expired]
        print_json(
            {"dryRun": dry_run, "expired": tokens, "leftovers": swept.orphans, "freedBytes": swept.freed}
        )
        return
    verb = "Would sweep" if dry_run else "Swept"
    write_out(
        f"{verb}: {len(swept.expired):,} expired, {len(swept.orphans):,} left behind, {format_size(swept.freed)}"
    )

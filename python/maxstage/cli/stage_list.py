"""``max stage list``."""

import click

from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.printing import item_json, print_all, warn, write_out
from maxstage.cli.types import CountType, parse_label_filter, parse_source_filter
from maxstage.store.description import table_of
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, is_id


@click.command(
    "stage list",
    epilog="""\b
Examples:
  max stage list --source 'hubspot/*' --limit 20
  max stage list -o json | jq -r '.[].token'
  max unstage $(max stage list -q --label job=42)""",
)
@click.option(
    "--source", metavar="GLOB", callback=parse_source_filter, help="Only those whose source matches."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="K[=V]",
    callback=parse_label_filter,
    help="Only those with this label.",
)
@click.option("-n", "--limit", type=CountType(min=0), metavar="N", help="Only the newest N.")
@click.option("-q", "--quiet", is_flag=True, help="Only tokens.")
@lines_option
@pass_store
def stage_list(
    store: Store,
    source: str | None,
    labels: dict[str, str | None],
    limit: int | None,
    quiet: bool,
    output: str,
) -> None:
    """List what is staged, newest first."""
    items, damaged = store.scan(source=source, labels=labels, limit=limit)
    if output != "text":
        print_all(map(item_json, items), output)
    elif quiet:
        if items:
            write_out("\n".join(item.token for item in items))
    elif items:
        write_out(table_of(items))
    else:
        write_out("No staged data.")
    if damaged:
        like = format_token(damaged[0]) if is_id(damaged[0]) else damaged[0]
        warn(f'{len(damaged):,} damaged left out, such as {like}; "max stage verify" tells more')

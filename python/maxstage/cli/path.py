"""``max path``."""

import click

from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.transfer import watched
from maxstage.cli.types import TokenType
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, parse_token


@click.command(
    epilog="""\b
Examples:
  wc -l $(max path max:a1b2c3d4)
  python -c 'import polars, sys; print(polars.scan_ndjson(sys.argv[1]).head().collect())' $(max path max:a1b2c3d4)"""
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...", type=TokenType())
@lines_option
@pass_store
def path(store: Store, tokens: tuple[str, ...], output: str) -> None:
    """Print the path of a file that holds staged data as it was staged, for programs that read files themselves.

    It is the item's own file: read it, never write to it. What is compressed is first copied into .max/cache, and
    checked; the copy goes with its item, or to make room for another (max_cache_bytes), and stays for 10 minutes at
    least. Nobody checks the checksum when a program reads the file.
    """
    for token in tokens:
        print_path(store, token, output)


def print_path(store: Store, token: str, output: str) -> None:
    """Print the path of one item, which may be in the user's own store."""
    holder = store.here_or_own(lambda one: (one.info(token), one)[1])
    with watched("copied", holder.info(token).byte_size) as progress:
        found = holder.path(token, progress=progress)
    if output == "text":
        write_out(found)
        return
    item_id = parse_token(token)
    print_json({"token": item_id, "ref": format_token(item_id), "path": found}, indent=None)

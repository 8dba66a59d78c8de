"""``max grant``."""

import time

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import TokenType, TtlType
from maxstage.codecs import NONE
from maxstage.errors import Error
from maxstage.store.clock import format_time
from maxstage.store.store import Store

_MOST_MINUTES = 24 * 60


@click.command(
    epilog="""\b
Example:
  curl -s "$(max grant max:a1b2c3d4 --ttl 10m)\""""
)
@click.argument("token", type=TokenType())
@click.option(
    "--ttl",
    type=TtlType(),
    default="60",
    metavar="TIME",
    help="How long it is good: minutes, or like 2h, at most 1d (60).",
)
@output_option
@pass_store
def grant(store: Store, token: str, ttl: float, output: str) -> None:
    """Print a URL by which anybody can read an item for some time, without credentials: for stores on a server.

    It gives the data as it is stored: compressed, if it is. It can't be taken back, except by unstaging the item.
    """
    if ttl > _MOST_MINUTES:
        raise click.UsageError("--ttl is at most 1d: a URL can't be taken back")
    item = store.info(token)
    url = store.storage.grant(item, ttl * 60)
    if url is None:
        raise Error(
            f"{item.token} lies in a folder of this machine, which nobody serves; use max stage copy --to URL"
        )
    if output == "json":
        print_json(
            {
                "token": item.id,
                "ref": item.token,
                "url": url,
                "expiresAt": format_time(time.time() + ttl * 60),
                "compression": None if item.codec == NONE else item.codec,
                "bytes": item.stored_size,
            }
        )
        return
    write_out(url)

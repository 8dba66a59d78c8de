"""``max stage renew``, ``pin`` and ``unpin``."""

import time

import click

from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.own_store import naming_own
from maxstage.cli.printing import item_json, print_json, write_out
from maxstage.cli.types import TokenType, TtlType
from maxstage.store.description import format_remaining
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item

_tokens = click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...", type=TokenType())
_ttl = click.option(
    "--ttl", type=TtlType(), metavar="TIME", help="Time from now: minutes, or like 2h or 1d (60)."
)


def _report(item: "Item", verb: str, output: str) -> None:
    if output != "text":
        print_json(item_json(item), indent=None)
    else:
        write_out(f"{verb}: {item.token}  expires: {format_remaining(item.expires, time.time())}")


@click.command("stage renew", epilog="\b\nExample:\n  max stage renew max:a1b2c3d4 --ttl 4h")
@_tokens
@_ttl
@lines_option
@pass_store
def stage_renew(store: Store, tokens: tuple[str, ...], ttl: float | None, output: str) -> None:
    """Make items expire TIME from now."""
    for token in tokens:
        with naming_own(store, token):
            item = store.renew(token, ttl)
        _report(item, "Renewed", output)


@click.command("stage pin", epilog="\b\nExample:\n  max stage pin max:a1b2c3d4")
@_tokens
@lines_option
@pass_store
def stage_pin(store: Store, tokens: tuple[str, ...], output: str) -> None:
    """Keep items from expiring."""
    for token in tokens:
        with naming_own(store, token):
            item = store.pin(token)
        _report(item, "Pinned", output)


@click.command("stage unpin", epilog="\b\nExample:\n  max stage unpin max:a1b2c3d4 --ttl 10")
@_tokens
@_ttl
@lines_option
@pass_store
def stage_unpin(store: Store, tokens: tuple[str, ...], ttl: float | None, output: str) -> None:
    """Make pinned items expire TIME from now; others stay as they are."""
    for token in tokens:
        with naming_own(store, token):
            item = store.unpin(token, ttl)
        _report(item, "Unpinned", output)

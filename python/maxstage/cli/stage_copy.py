"""``max stage copy``."""

import click

from maxstage.cli.options import dir_option, lines_option, named_folder
from maxstage.cli.printing import item_json, print_json, write_out
from maxstage.cli.process import open_store
from maxstage.cli.progress import Progress
from maxstage.cli.types import TokenType, TtlType
from maxstage.store.copying import Place, copy_item, find_reference, place_at
from maxstage.store.schedule import expect_expiry
from maxstage.store.store import Store
from maxstage.store.tokens import parse_token
from maxstage.store_urls import SCHEMES


@click.command(
    "stage copy",
    epilog="""\b
Examples:
  max stage copy max:a1b2c3d4 --to s3://bucket/prefix
  max stage copy s3://bucket/prefix#max:a1b2c3d4
  max stage copy max:a1b2c3d4 --to ~/work/other""",
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...", type=TokenType())
@click.option(
    "--to", "target", metavar="WHERE", help="The store's URL, or a folder that holds .max (this project)."
)
@click.option("--ttl", type=TtlType(), metavar="TIME", help="Time until they expire there (as long as here).")
@lines_option
@dir_option
@click.pass_context
def stage_copy(
    ctx: click.Context,
    tokens: tuple[str, ...],
    target: str | None,
    ttl: float | None,
    output: str,
    folder: str | None,
) -> None:
    """Copy items to another store, and print the tokens that they have there. The data is verified on the way.

    A TOKEN of another store is URL#TOKEN.
    """
    here: list[Store] = []

    def store() -> Store:
        if not here:
            here.append(open_store(named_folder(ctx, folder)))
        return here[0]

    goal = _goal(target) if target is not None else Place(store().storage, store().settings)
    for token in tokens:
        found = find_reference(token)
        source, item_id = (
            (store().storage, parse_token(token)) if found is None else (found[0].storage, found[1])
        )
        with Progress(f"copied {token}") as progress:
            item = copy_item(source, item_id, goal, minutes=ttl, progress=progress)
        expect_expiry(goal.storage, item.expires)
        if output != "text":
            print_json(item_json(item), indent=None)
        else:
            write_out(item.token)


def _goal(target: str) -> Place:
    if target.partition("://")[0] in SCHEMES:
        try:
            return place_at(target)
        except ValueError as error:
            raise click.UsageError(f"--to {error}") from None
    if target == "":
        raise click.UsageError("--to is empty: name a store's URL, or a folder that holds .max")
    store = Store.open(target)
    return Place(store.storage, store.settings)

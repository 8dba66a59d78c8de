"""``max stage verify``."""

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import describe, print_json, warn, write_out
from maxstage.cli.progress import Progress
from maxstage.cli.types import TokenType
from maxstage.errors import Corrupt, NotFound
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, parse_token


@click.command(
    "stage verify",
    epilog="\b\nExamples:\n  max stage verify\n  max stage verify max:a1b2c3d4 && agent max:a1b2c3d4",
)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...", type=TokenType())
@output_option
@pass_store
@click.pass_context
def stage_verify(ctx: click.Context, store: Store, tokens: tuple[str, ...], output: str) -> None:
    """Read items (all of them) and check their checksums, sizes and line counts; exit 1 if one is damaged."""
    results = []
    for token in tokens or store.ids():
        problem = _verify(store, token, named=bool(tokens))
        if problem != "gone":
            results.append(
                {
                    "token": parse_token(token),
                    "ref": format_token(parse_token(token)),
                    "ok": problem is None,
                    "problem": problem,
                }
            )
    for name in () if tokens else store.strays():
        problem = f"{store.storage.place}/{name} is not an item: its name is not a token's; move it away"
        warn(problem)
        results.append({"token": None, "ref": None, "ok": False, "problem": problem})
    if output == "json":
        print_json(results)
    damaged = sum(not result["ok"] for result in results)
    if output == "text":
        write_out(f"Verified: {len(results) - damaged:,} good, {damaged:,} damaged")
    if damaged:
        ctx.exit(1)


def _verify(store: Store, token: str, *, named: bool) -> str | None:
    """Return what is wrong with an item, or None; ``gone`` for one that nobody named and that is no more."""
    try:
        with Progress(f"verified {token}") as progress:
            store.verify(token, progress=progress)
    except NotFound:
        if named:
            raise
        return "gone"
    except (Corrupt, OSError) as error:
        problem = describe(error)
        warn(problem)
        return problem
    return None

"""``max stage verify``."""

import click

from maxstage.cli.options import lines_option, pass_store
from maxstage.cli.own_store import naming_own
from maxstage.cli.printing import describe, print_all, warn, write_out
from maxstage.cli.progress import Progress
from maxstage.cli.types import TokenType
from maxstage.errors import Corrupt, MissingDependency, NotFound, Unreachable
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, parse_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@click.command(
    "stage verify",
    epilog="\b\nExamples:\n  max stage verify\n  max stage verify max:a1b2c3d4 && agent max:a1b2c3d4",
)
@click.argument("tokens", nargs=-1, metavar="[TOKEN]...", type=TokenType())
@lines_option
@pass_store
@click.pass_context
def stage_verify(ctx: click.Context, store: Store, tokens: tuple[str, ...], output: str) -> None:
    """Read items (all of them) and check their checksums, sizes and line counts.

    Exits with 1 if one is damaged, or could not be checked.
    """
    results: list[dict[str, Any]] = []
    for token in tokens or store.ids():
        try:
            ok, problem = _verify(store, token)
        except NotFound:
            if not tokens:
                continue  # expired or removed since
            with naming_own(store, token):
                raise
        item_id = parse_token(token)
        results.append({"token": item_id, "ref": format_token(item_id), "ok": ok, "problem": problem})
    for name in () if tokens else store.strays():
        problem = f"{store.storage.place}/{name} is not an item: its name is not a token's; move it away"
        warn(problem)
        results.append({"token": None, "ref": None, "ok": False, "problem": problem})
    if output != "text":
        print_all(results, output)
    if output == "text":
        write_out(_summary(results))
    if not all(result["ok"] for result in results):
        ctx.exit(1)


def _summary(results: "list[dict[str, Any]]") -> str:
    good = sum(result["ok"] is True for result in results)
    unknown = sum(result["ok"] is None for result in results)
    text = f"Verified: {good:,} good, {len(results) - good - unknown:,} damaged"
    return f"{text}, {unknown:,} not checked" if unknown else text


def _verify(store: Store, token: str) -> tuple[bool | None, str | None]:
    """Return whether an item is good (None if that can't be checked here), and what is wrong."""
    try:
        with Progress(f"verified {token}") as progress:
            store.verify(token, progress=progress)
    except MissingDependency as error:
        problem = f"Not checked: {format_token(parse_token(token))}: {error}"
        warn(problem)
        return None, problem
    except Unreachable as error:
        warn(str(error))
        return None, str(error)
    except (Corrupt, OSError) as error:
        problem = describe(error)
        warn(problem)
        return False, problem
    return True, None

"""``max execute`` and ``max undo``."""

import click

from maxstage.cli.intent_options import conflict_option, intent_argument
from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import print_json, tell, warn, write_out
from maxstage.cli.types import CountType, SecondsType, TokenType, TtlType, shorten
from maxstage.humanize import counted
from maxstage.intent.execution import AGAIN, Options
from maxstage.intent.intent import Intent
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from maxstage.intent.intent import Outcome

_MOST_JOBS = 1000
_UNITS = {"s": 1, "m": 60, "h": 3600}


def _parse_rate(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    number, _, unit = text.partition("/")
    try:
        rate = float(number) / _UNITS[unit or "s"]
    except (ValueError, KeyError):
        rate = 0.0
    # The comparison is also false for "nan".
    if not 0 < rate < float("inf"):
        raise click.BadParameter(
            f"{shorten(text)} is no rate; write operations a second, like 5/s, or 100/m, 100/h"
        )
    return rate


def _parse_retry(
    _ctx: click.Context, _param: click.Parameter, texts: "Sequence[str]"
) -> "tuple[int, tuple[str, ...]]":
    times, again = 0, []
    for text in texts:
        if text in AGAIN:
            again.append(text)
        elif text.isascii() and text.isdigit() and len(text) <= 3:  # noqa: PLR2004
            times = int(text)
        else:
            raise click.BadParameter(
                f"{shorten(text)} is neither a number up to 999 nor one of: {', '.join(AGAIN)}"
            )
    return times, tuple(again)


@click.command(
    epilog="""\b
Examples:
  max execute max:intent:9f8e7d6c
  max execute max:intent:9f8e7d6c --on-conflict rename --keep-going
  max execute max:intent:9f8e7d6c --jobs 4 --rate 5/s --retry 3
  max execute max:intent:9f8e7d6c --retry unknown"""
)
@intent_argument
@click.option(
    "-j",
    "--jobs",
    type=CountType(min=1, max=_MOST_JOBS),
    default=1,
    show_default=True,
    metavar="N",
    help="Programs, or copies, at a time.",
)
@click.option("--rate", metavar="N/s", callback=_parse_rate, help="At most N operations a second; N/m, N/h.")
@click.option(
    "--retry",
    multiple=True,
    metavar="N|failed|unknown",
    callback=_parse_retry,
    help="Try what fails N times more; or do again what failed, or is unknown, from an earlier time.",
)
@conflict_option
@click.option("--keep-going", is_flag=True, help="Go on after an operation that fails.")
@click.option("--timeout", type=SecondsType(), metavar="SECONDS", help="End a program that takes longer.")
@click.option(
    "--ttl", type=TtlType(), metavar="TIME", help="How long the result is kept, and it can be undone."
)
@output_option
@pass_store
@click.pass_context
def execute(ctx: click.Context, /, store: Store, token: str, output: str, **options: "Any") -> None:
    """Do what an intent plans; print the token of its result.

    It stops at the first operation that fails, unless it is told to keep going. Executed again it goes on where it was,
    also after it was killed: nothing is done twice.
    """
    one = Intent(store, token)
    retry, again = options.pop("retry")
    chosen = Options(retry=retry, again=again, **options)
    _finish(
        ctx, one, output, chosen.keep_going, lambda progress: one.execute(chosen, progress=progress), "done"
    )


@click.command(
    epilog="""\b
Examples:
  max undo max:result:a1b2c3d4
  max undo max:result:a1b2c3d4 --plan     # print the intent that does it; then max preview"""
)
@click.argument("token", metavar="RESULT", type=TokenType())
@click.option("--plan", "only_plan", is_flag=True, help="Only print the intent that would do it.")
@output_option
@pass_store
@click.pass_context
def undo(ctx: click.Context, store: Store, token: str, only_plan: bool, output: str) -> None:
    """Take back what an intent did: copies and writes that nobody changed, moves, deletions, overwritten files.

    Programs that were run can't be taken back. Killed meanwhile, it goes on where it was when it is called again. What
    it takes is kept until the result expires.
    """
    one = Intent.plan_undo(store, token)
    cannot = one.facts().get("cannot", 0)
    if cannot:
        warn(f"{counted(cannot, 'program')} that were run can't be taken back")
    if only_plan:
        print_json({"intent": one.token}) if output == "json" else write_out(one.token)
        return
    chosen = Options(keep_going=True)
    _finish(ctx, one, output, True, lambda progress: one.execute(chosen, progress=progress), "taken back")


def _finish(
    ctx: click.Context,
    one: Intent,
    output: str,
    keep_going: bool,
    work: "Callable[[Callable[[int], None]], Outcome]",
    verb: str,
) -> None:
    from maxstage.cli.progress import Progress

    facts = one.facts()
    total = facts["count"] - sum(facts["statuses"].values())
    try:
        with Progress(verb, total, "operations") as progress:
            outcome = work(progress)
    except BaseException as error:
        if not isinstance(error, Exception):
            tell(
                f"Interrupted. To go on: max execute {one.token}; to take back what was done: max undo {one.token}"
            )
        raise
    if output == "json":
        print_json(
            {
                "result": outcome.token,
                "intent": one.token,
                "statuses": outcome.statuses,
                "pending": outcome.pending,
            }
        )
    else:
        write_out(outcome.token)
    _tell(one, outcome, verb, keep_going=keep_going)
    if not outcome.ok:
        ctx.exit(1)


def _tell(one: Intent, outcome: "Outcome", verb: str, *, keep_going: bool) -> None:
    """Say on stderr how it went: the token alone is on stdout."""
    if outcome.is_old:
        what = "was executed" if verb == "done" else "has taken it back"
        warn(f"{one.token} {what} before; nothing was done")
        return
    found = outcome.statuses
    done = found["succeeded"]
    if outcome.ok:
        # An operation that replaced a file is taken back in two steps.
        done = one.facts().get("takes", done)
    parts = [f"{done:,} {verb}"]
    parts += [f"{found[status]:,} {status}" for status in ("failed", "skipped", "unknown") if found[status]]
    if outcome.pending:
        parts.append(f"{outcome.pending:,} not reached")
    warn(", ".join(parts))
    first = one.first_failure()
    if first is None:
        return
    more = "" if keep_going or not outcome.pending else "; to pass over what fails: --keep-going"
    warn(f"{first}{more}")

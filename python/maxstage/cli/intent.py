"""``max intent``, ``max intent list``, ``show``, ``approve`` and ``cancel``."""

import sys

import click

from maxstage.cli.intent_options import conflict_option, intent_argument
from maxstage.cli.options import lines_option, output_option, pass_store
from maxstage.cli.printing import print_all, print_json, write_out
from maxstage.cli.prompting import ask
from maxstage.intent.intent import Intent
from maxstage.intent.telling import describe, facts_json, table_of
from maxstage.store.store import Store


@click.command(
    "intent",
    epilog="""\b
Examples:
  max intent
  max search files -f 'extension = pdf' --all -o ndjson | max intent move --from '{path}' --to 'pdf/{name}'
  max help intent move""",
)
@lines_option
@pass_store
def intent(store: Store, output: str) -> None:
    """List the intents, as max intent list does."""
    _list(store, output)


@click.command(
    "intent list", epilog="\b\nExamples:\n  max intent list\n  max intent list -o json | jq '.[].intent'"
)
@lines_option
@pass_store
def intent_list(store: Store, output: str) -> None:
    """List the intents, newest first, and how far each is."""
    _list(store, output)


def _list(store: Store, output: str) -> None:
    found = [(one.id, facts) for one, facts in Intent.list(store)]
    if output != "text":
        print_all((facts_json(intent_id, facts) for intent_id, facts in found), output)
        return
    write_out(table_of(found) if found else "No intents.")


@click.command("intent show", epilog="\b\nExample:\n  max intent show max:intent:9f8e7d6c")
@intent_argument
@output_option
@pass_store
def intent_show(store: Store, token: str, output: str) -> None:
    """Show one intent: its templates, how far it is, its results. What it would do is shown by max preview."""
    one = Intent(store, token)
    facts = one.facts()
    if output == "json":
        print_json(facts_json(one.id, facts))
    else:
        write_out("\n".join(describe(one.id, facts)))


@click.command("intent approve", epilog="\b\nExample:\n  max intent approve max:intent:9f8e7d6c")
@intent_argument
@conflict_option
@output_option
@pass_store
def intent_approve(store: Store, token: str, on_conflict: str, output: str) -> None:
    """Show what an intent would do, and ask whether it may; only at a terminal.

    With require_approval in the settings, an intent is executed only then. It must be approved anew once the
    world has changed so that other problems stand in its way.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Not a terminal: only a person who has looked at the preview can approve")
    from maxstage.cli.preview import show

    one = Intent(store, token)
    preview = one.preview(on_conflict=on_conflict)
    show(one.id, one.facts(), preview, on_conflict)
    if not ask(f"Approve {preview.count:,} operations?"):
        raise click.ClickException("Not approved: nothing was changed")
    one.approve(on_conflict=on_conflict, seen=preview)
    if output == "json":
        print_json({"intent": one.token, "approved": True, "problems": preview.bad})
    else:
        write_out(f"Approved: {one.token}")


@click.command("intent cancel", epilog="\b\nExample:\n  max intent cancel max:intent:9f8e7d6c")
@intent_argument
@output_option
@pass_store
def intent_cancel(store: Store, token: str, output: str) -> None:
    """Give an intent up. What it has done stays done, and can be taken back with max undo."""
    one = Intent(store, token)
    is_gone = one.cancel()
    if output == "json":
        print_json({"intent": one.token, "cancelled": True, "begun": not is_gone})
    elif is_gone:
        write_out(f"Cancelled: {one.token}")
    else:
        write_out(f"Cancelled: {one.token}; to take back what it has done: max undo {one.token}")

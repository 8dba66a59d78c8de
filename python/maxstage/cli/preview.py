"""``max preview``."""

import shutil
import sys

import click

from maxstage.cli.intent_options import conflict_option, intent_argument
from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import CountType, NameType
from maxstage.intent import telling
from maxstage.intent.intent import Intent
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.intent.preview import Preview
    from maxstage.intent.telling import Line

_COLOURS: "dict[str, dict[str, Any]]" = {
    telling.HEAD: {"bold": True},
    telling.BAD: {"fg": "red", "bold": True},
    telling.GOOD: {"fg": "green"},
    telling.ADDED: {"fg": "green"},
    telling.REMOVED: {"fg": "red"},
    telling.DIM: {"dim": True},
}


@click.command(
    epilog="""\b
Examples:
  max preview max:intent:9f8e7d6c
  max preview max:intent:9f8e7d6c --on-conflict rename
  max preview max:intent:9f8e7d6c --html preview.html
  max preview max:intent:9f8e7d6c -o json | jq '.problems[].text'"""
)
@intent_argument
@click.option("--sample", type=CountType(min=0), metavar="N", help="Show the first N operations (10).")
@click.option("--all", "everything", is_flag=True, help="Show all operations.")
@conflict_option
@click.option("--html", "page", type=NameType(), metavar="FILE", help="Write a page to look at in a browser.")
@output_option
@pass_store
@click.pass_context
def preview(
    ctx: click.Context,
    store: Store,
    token: str,
    sample: int | None,
    everything: bool,
    on_conflict: str,
    page: str | None,
    output: str,
) -> None:
    """Show what an intent would do, and every problem; nothing is changed. The exit code is 1 if there is any."""
    if everything and sample is not None:
        raise click.UsageError("use only one of --sample and --all")
    if page is not None and output == "json":
        raise click.UsageError("--html writes a page; it does not go with -o json")
    one = Intent(store, token)
    facts = one.facts()
    most = None if everything else 10 if sample is None else sample
    found = one.preview(on_conflict=on_conflict, sample=most)
    if output == "json":
        print_json(telling.to_json(one.id, facts, found))
    elif page is not None:
        _write_page(page, telling.lines_of(one.id, facts, found, on_conflict))
    else:
        show(one.id, facts, found, on_conflict)
    if found.has_problems:
        ctx.exit(1)


def show(intent_id: str, facts: "dict[str, Any]", found: "Preview", on_conflict: str) -> None:
    """Print a preview: on a terminal in colours, and page by page where it is longer than that."""
    lines = list(telling.lines_of(intent_id, facts, found, on_conflict))
    if not sys.stdout.isatty():
        write_out("\n".join("  " * line.indent + line.text for line in lines))
        return
    text = "\n".join(_coloured(line) for line in lines)
    if len(lines) < shutil.get_terminal_size().lines:
        write_out(text)
    else:
        click.echo_via_pager(text + "\n", color=True)


def _coloured(line: "Line") -> str:
    text = "  " * line.indent + line.text
    style = _COLOURS.get(line.style, {})
    return click.style(text, **style) if style and text else text


def _write_page(name: str, lines: "Any") -> None:
    from maxstage.cli.target import Target
    from maxstage.files import write_all
    from maxstage.intent.page import page

    content = page(lines).encode("utf-8", "backslashreplace")
    if name == "-":
        write_all(1, content, "<stdout>")
        return
    with Target(name) as (fd, shown, writing), writing:
        write_all(fd, content, shown)

"""``max stage info``."""

import itertools
import time

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import item_json, print_json, write_out
from maxstage.cli.stage_list import format_remaining
from maxstage.cli.types import TokenType
from maxstage.codecs import NONE
from maxstage.humanize import format_duration, format_size, printable
from maxstage.sizes import llm_tokens
from maxstage.store.preview import describe_fields, preview_lines, show_example
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.metadata import Item
    from maxstage.store.preview import Fields

_CHARACTERS = 200
"""Characters that are shown of the source, and of each label."""
_LABELS = 20
"""Labels that are shown."""


@click.command(
    "stage info",
    epilog="""\b
Examples:
  max stage info max:a1b2c3d4
  max stage info max:a1b2c3d4 -o json | jq .fields""",
)
@click.argument("token", type=TokenType())
@output_option
@click.option("--all", "internals", is_flag=True, help="With -o json, show the line index, too.")
@pass_store
def stage_info(store: Store, token: str, output: str, internals: bool) -> None:
    """Show one item: its metadata, a preview, for JSON the fields, and what it would cost in a prompt."""
    with store.open_item(token) as opened:
        item = opened.item
        lines = preview_lines(opened)
        described = describe_fields(opened)
    if output == "json":
        tokens = llm_tokens(item.byte_size)
        sample = {
            "preview": lines,
            "estimatedTokens": tokens,
            "fields": described.fields,
            "moreFields": described.more,
            "recordsSampled": described.sampled,
        }
        print_json(item_json(item, internals=internals) | sample)
    else:
        write_out("\n".join([*_facts(item), *_preview(item, lines), *_fields(described)]))


def _facts(item: "Item") -> "Iterator[str]":
    now = time.time()
    yield f"Token:      {item.token}"
    yield f"Records:    {item.record_count:,}"
    yield f"Size:       {format_size(item.byte_size)}"
    yield f"Source:     {printable(item.source or 'unknown', _CHARACTERS)}"
    yield f"Created:    {format_duration(now - item.created)} ago"
    yield f"Expires:    {format_remaining(item.expires, now)}"
    yield f"Type:       {item.content_type}"
    yield f"LLM tokens: about {llm_tokens(item.byte_size):,} in a prompt"
    if item.codec != NONE:
        yield f"Stored:     {format_size(item.stored_size)}, {item.codec}"
    if item.labels:
        yield f"Labels:     {_labels(item.labels)}"


def _labels(labels: dict[str, str]) -> str:
    shown = [
        printable(f"{key}={value}", _CHARACTERS) for key, value in itertools.islice(labels.items(), _LABELS)
    ]
    more = len(labels) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _preview(item: "Item", lines: list[str]) -> "Iterator[str]":
    yield ""
    yield "Preview:"
    yield from (f"  {line}" for line in lines)
    if item.record_count > len(lines):
        yield f"  ... ({item.record_count - len(lines)} more)"


def _fields(described: "Fields") -> "Iterator[str]":
    fields = described.fields
    if not fields:
        return
    yield ""
    sampled = described.sampled
    yield f"Fields (of the first {sampled:,} records):" if sampled > 1 else "Fields:"
    name_width = max(map(len, fields))
    type_width = max(len(field["type"]) for field in fields.values())
    for name, field in fields.items():
        example = show_example(field["example"])
        yield f"  {name:{name_width}}  {field['type']:{type_width}}  {field['present']:4.0%}  {example}"
    if described.more:
        yield f"  ... (and {described.more:,} more)"

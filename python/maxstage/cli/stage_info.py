"""``max stage info``."""

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import item_json, print_json, write_out
from maxstage.cli.types import TokenType
from maxstage.sizes import llm_tokens
from maxstage.store.description import describe
from maxstage.store.preview import describe_fields, preview_lines
from maxstage.store.store import Store


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
    with store.open_item_or_own(token) as opened:
        if output == "text":
            write_out(describe(opened))
            return
        item = opened.item
        lines = preview_lines(opened)
        described = describe_fields(opened)
    tokens = llm_tokens(item.byte_size)
    sample = {
        "preview": lines,
        "estimatedTokens": tokens,
        "fields": described.fields,
        "moreFields": described.more,
        "recordsSampled": described.sampled,
    }
    print_json(item_json(item, internals=internals) | sample)

"""``max gain``."""

import sys

import click

from maxstage.cli.options import output_option, pass_store
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import CountType
from maxstage.errors import Corrupt
from maxstage.humanize import cells, counted, fitted, format_size, printable
from maxstage.sizes import llm_tokens
from maxstage.store.gain_book import BOOK, COUNTS, KEYS, Book
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LINES = 10
"""Lines of each table of the text; -o json has all."""

_WIDTH = 32
"""Columns of a name in a table."""

_TABLE = 80
"""Columns that a table takes."""


@click.command(
    epilog="""\b
Examples:
  max gain
  max gain --days 7 -o json | jq .by.client"""
)
@click.option("--days", type=CountType(min=1), metavar="N", help="Only the last N days, today included.")
@output_option
@pass_store
def gain(store: Store, days: int | None, output: str) -> None:
    """Show how much output was kept out of prompts: cut to a summary, with the whole of it under a token.

    What max exec and max truncate have cut, hooks, max mcp and its gateway included, and what prompts of max run hold
    of outputs, by day, command, source (what printed it) and client (the agent's program, "-" for none), and how often
    somebody read the whole. LLM tokens are an estimate.
    """
    import sqlite3

    book = Book(store.layout.base)
    try:
        total, *_ = book.sums((), days) or [(0,) * len(COUNTS)]
        tables = {key: book.sums((key,), days) for key in KEYS}
    except sqlite3.DatabaseError as error:
        raise Corrupt(
            f"{store.layout.base}/{BOOK} can't be read ({error}); delete it to start anew"
        ) from None
    if output == "json":
        by = {key: [{key: row[0]} | _counts(row[1:]) for row in rows] for key, rows in tables.items()}
        print_json({"days": days} | _counts(total) | {"by": by})
        return
    write_out("\n".join(_lines(total, tables, days)))


def _counts(row: "Sequence[Any]") -> "dict[str, int]":
    outputs, original, shown, again, again_bytes = row
    return {
        "outputs": outputs,
        "keptOutBytes": original - shown,
        "estimatedTokens": llm_tokens(original - shown),
        "originalBytes": original,
        "shownBytes": shown,
        "readAgain": again,
        "readAgainBytes": again_bytes,
    }


def _lines(
    total: "Sequence[int]", tables: "dict[str, list[tuple[Any, ...]]]", days: int | None
) -> "list[str]":
    found = _counts(total)
    when = "" if days is None else f" in the last {counted(days, 'day')}"
    if not found["outputs"]:
        return [f"Nothing was cut{when}, so nothing was kept out of prompts."]
    size, tokens = format_size(found["keptOutBytes"]), found["estimatedTokens"]
    lines = [
        f"Kept out of prompts{when}: {size}, about {tokens:,} LLM tokens, of {counted(found['outputs'], 'output')}.",
        f"Read again: {found['readAgain']:,} of them, {format_size(found['readAgainBytes'])}.",
    ]
    is_narrow = _is_narrow()
    for key, rows in tables.items():
        chosen = sorted(rows, reverse=True) if key == "day" else rows
        head = (
            f"{key.upper():<{_WIDTH}} {'OUTPUTS':>9} {'KEPT OUT':>11} {'LLM TOKENS':>12} {'READ AGAIN':>11}"
        )
        lines += ["", key.upper() if is_narrow else head]
        lines += [line for row in chosen[:_LINES] for line in (_narrow if is_narrow else _line)(row)]
        if len(rows) > _LINES:
            lines.append(f"({len(rows) - _LINES:,} more)")
    return lines


def _is_narrow() -> bool:
    """Return whether stdout is a terminal that has no room for the tables."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    import shutil

    return shutil.get_terminal_size().columns < _TABLE


def _line(row: "Sequence[Any]") -> "list[str]":
    found = _counts(row[1:])
    name = fitted(printable(row[0]), _WIDTH)
    numbers = (
        f"{found['outputs']:>9,} {format_size(found['keptOutBytes']):>11} "
        f"{found['estimatedTokens']:>12,} {found['readAgain']:>11,}"
    )
    return [f"{name}{' ' * (_WIDTH - cells(name))} {numbers}"]


def _narrow(row: "Sequence[Any]") -> "list[str]":
    found = _counts(row[1:])
    return [
        fitted(printable(row[0]), _WIDTH),
        f"  {counted(found['outputs'], 'output')}, {format_size(found['keptOutBytes'])} kept out",
        f"  {found['estimatedTokens']:,} LLM tokens, {found['readAgain']:,} read again",
    ]

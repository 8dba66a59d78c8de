"""Completion of what depends on the data: the fields that records have, and a filter as far as it is written.

Loaded only to answer a shell. What can't be read offers nothing: completion must not print errors.
"""

import contextlib
import os
import re
import stat

import click
from click.shell_completion import CompletionItem

from maxstage.cli.options import named_folder
from maxstage.cli.searching import Stores
from maxstage.errors import Error, InvalidQuery
from maxstage.query.filter import Fields, parse_filter
from maxstage.query.inputs import Input, open_inputs
from maxstage.query.schema import describe
from maxstage.query.search import Looked, Query
from maxstage.query.sources import FILES, Sources, offered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Items = list[CompletionItem[str]]

_SAMPLE = 100
"""Records whose fields are offered: whoever presses a key doesn't wait for all of them."""

_WORD = re.compile(r"(?:[^\s()=!<>~,]+|[=!<>~]+)$")
"""The word, or the operator, before the cursor."""

_OPERATORS = {
    "=": "is",
    "!=": "is not",
    "~=": "contains, or * and ? as wildcards",
    ">": "more than",
    ">=": "at least",
    "<": "less than",
    "<=": "at most",
    "in (": "one of",
    "not in (": "none of",
    "is null": "is missing or null",
    "is not null": "has a value",
}
_CONNECTIVES = {"and": "both", "or": "either"}
_ORDERS = {"asc": "the smallest first", "desc": "the largest first"}


def source_items(ctx: click.Context, incomplete: str) -> "Items":
    """Return the sources whose names begin so."""
    names = {FILES: "the files below the working directory"}
    with contextlib.suppress(Error, OSError):  # settings that can't be read name none
        names |= dict.fromkeys(_stores(ctx).sources(), "a source of the settings")
    names |= {one.name: one.value for one in offered()}
    return [CompletionItem(name, help=text) for name, text in names.items() if name.startswith(incomplete)]


def field_items(ctx: click.Context, incomplete: str, before: str = "") -> "Items":
    """Return the fields that begin with `incomplete`, each behind `before`, which is typed already."""
    fields = _fields(ctx)
    return [
        CompletionItem(before + name, help=types)
        for name, types in fields.items()
        if name.startswith(incomplete)
    ]


def order_items(ctx: click.Context, incomplete: str) -> "Items":
    """Return what ``--sort`` takes: a field, and after a colon the order."""
    field, colon, order = incomplete.rpartition(":")
    if not colon:
        return field_items(ctx, incomplete)
    return [
        CompletionItem(f"{field}:{name}", help=text)
        for name, text in _ORDERS.items()
        if name.startswith(order)
    ]


def filter_items(ctx: click.Context, incomplete: str) -> "Items":
    """Return the fields, operators, or AND and OR that a filter may go on with: as whole filters up to there.

    The parser tells which: what it takes where something stands in place of the word that is typed.
    """
    match = _WORD.search(incomplete)
    word = match[0] if match else ""
    before = incomplete[: len(incomplete) - len(word)]
    if _is_filter(f"{before} x = 1"):
        return field_items(ctx, word, before)
    choices = {}
    if _is_filter(f"{before} = 1"):
        choices = _OPERATORS
    elif _is_filter(before) and before[-1:].isspace():
        choices = _CONNECTIVES
    return [
        CompletionItem(before + one, help=text)
        for one, text in choices.items()
        if one.startswith(word.lower())
    ]


def _is_filter(text: str) -> bool:
    """Whether this is a filter, once the parentheses that are open are closed."""
    for closing in range(text.count("(") + 1):
        try:
            parse_filter(text + ")" * closing, Fields())
        except InvalidQuery:
            continue
        return True
    return False


def _fields(ctx: click.Context) -> dict[str, str]:
    """Return the fields of what is named on the line so far, with their types."""
    # While the value of the last option is missing, the words are left unparsed.
    names = ctx.params.get("what") or ctx.args
    sources = {FILES: dict.fromkeys(("path", "name", "extension", "size", "modified", "type"), "")}
    fields: dict[str, str] = {}
    for name in names:
        fields |= sources.get(name) or dict(_read_fields(ctx, name))
    return fields


def _read_fields(ctx: click.Context, name: str) -> "Iterator[tuple[str, str]]":
    """Yield the fields of a token or a regular file. Programs are not run, and pipes not read, for a completion."""
    stores = _stores(ctx)
    sources = Sources(dict, stores.find)
    opened: list[Input] = []
    try:
        if os.path.exists(name) and not stat.S_ISREG(os.stat(name).st_mode):
            return
        if name != "-" and not Sources(stores.sources, stores.find).has(name):
            opened = open_inputs([name], stores.find, "csv" if ctx.params.get("csv") else None, sources)[0]
            found = describe(opened, Query(), Looked(), sample=_SAMPLE)
            yield from ((field.name, ", ".join(field.types)) for field in found.fields if field.name)
    except (Error, OSError):
        return
    finally:
        for one in opened:
            one.close()


def _stores(ctx: click.Context) -> Stores:
    return Stores(named_folder(ctx, ctx.params.get("folder")))

"""The options that say which records are meant."""

import click

from maxstage.cli.types import TokenType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from click.shell_completion import CompletionItem


class WhatType(TokenType):
    """What is searched; completes to tokens, and else to files."""

    name = "what"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        """Offer the tokens of the store, or files."""
        from click.shell_completion import CompletionItem

        tokens = super().shell_complete(ctx, param, incomplete) if incomplete else []
        return tokens or [CompletionItem(incomplete, type="file")]


def filter_options(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Give a command the options that say which records match."""
    options = [
        click.option(
            "-f", "--filter", "filters", multiple=True, metavar="EXPR", help="Records for which this holds."
        ),
        click.option("-t", "--type", metavar="T", help="The same as -f 'type = \"T\"'."),
        click.option(
            "-e", "--regex", metavar="REGEX", help="Records that, as they are written, match this somewhere."
        ),
        click.option("--csv", is_flag=True, help="What is read is CSV, whatever it is called."),
        click.option("--strict", is_flag=True, help="A record that is not JSON is an error."),
    ]
    for option in reversed(options):
        function = option(function)
    return function

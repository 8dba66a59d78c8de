"""The options that say which records are meant."""

import click

from maxstage.cli.types import TokenType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from click.shell_completion import CompletionItem


class WhatType(TokenType):
    """What is searched; completes to tokens and sources, and else to files."""

    name = "what"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        """Offer the tokens of the store and the sources, and files where no token is typed."""
        from click.shell_completion import CompletionItem

        from maxstage.cli.field_completion import source_items

        tokens = super().shell_complete(ctx, param, incomplete) if incomplete else []
        return tokens or [*source_items(ctx, incomplete), CompletionItem(incomplete, type="file")]


class FilterType(click.ParamType[str]):
    """A filter; completes to what it may go on with."""

    name = "filter"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer fields, operators, AND and OR."""
        from maxstage.cli.field_completion import filter_items

        return filter_items(ctx, incomplete)


class FieldType(click.ParamType[str]):
    """A field of the records; completes to those that the first of them have."""

    name = "field"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer fields."""
        from maxstage.cli.field_completion import field_items

        return field_items(ctx, incomplete)


class FieldsType(FieldType):
    """Several fields, with commas."""

    name = "fields"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer fields behind the last comma."""
        from maxstage.cli.field_completion import field_items

        before, comma, name = incomplete.rpartition(",")
        return field_items(ctx, name, before + comma)


class OrderType(FieldType):
    """A field to sort by, and the order."""

    name = "order"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer fields, and orders behind a colon."""
        from maxstage.cli.field_completion import order_items

        return order_items(ctx, incomplete)


def filter_options(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Give a command the options that say which records match."""
    options = [
        click.option(
            "-f",
            "--filter",
            "filters",
            multiple=True,
            type=FilterType(),
            metavar="EXPR",
            help="Records for which this holds.",
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

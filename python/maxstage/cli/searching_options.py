"""The options that say which records are meant."""

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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

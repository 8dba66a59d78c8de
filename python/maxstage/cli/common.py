"""What commands share: the options that they have in common, and how they print."""

import functools
import sys

import click

from maxstage.cli.execution import limits_of
from maxstage.cli.printing import print_json, warn, write_all, write_out
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from click.shell_completion import CompletionItem


STRATEGIES = ("head", "tail", "both", "head_lines", "tail_lines", "summary")


def _offer_folders(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> "list[CompletionItem[str]]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


dir_option = click.option(
    "--dir",
    "folder",
    metavar="DIR",
    shell_complete=_offer_folders,
    help="The folder that holds .max (else: MAX_DIR, or found upwards).",
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Output format.",
    show_default=True,
)


def pass_store(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Give a command ``--dir`` and, as its last positional argument, the store."""

    @functools.wraps(function)
    def wrapper(*args: object, folder: str | None, **options: object) -> object:
        return function(*args, find_store(click.get_current_context(), folder), **options)

    return dir_option(wrapper)


def find_store(ctx: click.Context, folder: str | None) -> Store:
    """Return the store that the options, the environment or the working directory name."""
    folder = folder or ctx.find_root().params.get("folder")
    return Store.find() if folder is None else Store.open_dir(folder)


class TokenType(click.ParamType[str]):
    """A token; completes to those in the store."""

    name = "token"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer the tokens of the store, with where they came from."""
        from click.shell_completion import CompletionItem

        from maxstage.errors import Error
        from maxstage.store.wording import counted

        try:
            items = find_store(ctx, ctx.params.get("folder")).list()
        except (Error, OSError):
            return []  # a shell that waits for a completion is no place for an error
        typed = incomplete.lower()
        # A token that was begun without "max:" goes on without it: not every shell replaces what was typed.
        bare = not "max:".startswith(typed) and not typed.startswith("max:")
        return [
            CompletionItem(name, help=f"{item.source or 'unknown'}, {counted(item.record_count, 'record')}")
            for item in items
            if (name := item.id if bare else item.token).startswith(typed)
        ]


class MinutesType(click.ParamType[float]):
    """Minutes until an item expires."""

    name = "minutes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        from maxstage.settings import MOST_TTL_MINUTES

        try:
            minutes = float(str(value))
        except ValueError:
            minutes = 0.0
        # Also false for "nan".
        if not 1 <= minutes <= MOST_TTL_MINUTES:
            self.fail(f"{value!r}: wants minutes, from 1 to {MOST_TTL_MINUTES:,}", param, ctx)
        return minutes


class SizeType(click.ParamType[int]):
    """A size in bytes: ``65536``, ``512KiB``, ``1MB``."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the size."""
        from maxstage.sizes import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def parse_labels(_ctx: click.Context, _param: click.Parameter, values: "Sequence[str]") -> dict[str, str]:
    """Read ``--label K=V`` options."""
    labels = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{text!r} is not of the form KEY=VALUE")
        labels[key] = value
        check_text(text)
    return labels


def parse_source(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Read a ``--source`` option."""
    return text if text is None else check_text(text)


def check_text(text: str) -> str:
    """Refuse what a terminal would obey: it is shown in lists."""
    if not text.isprintable():
        raise click.BadParameter(f"{text!a} has characters that can't be printed")
    return text


def common_limits(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Give a command the limits that several have."""
    for option in (
        click.option(
            "--keep",
            type=click.Choice(["always", "truncated", "never"]),
            default="truncated",
            help="When the whole is kept.",
            show_default=True,
        ),
        click.option(
            "--compress/--no-compress", "compress_external", default=None, help="Keep the whole as gzip."
        ),
        click.option(
            "--external-dir", "external_storage_dir", metavar="DIR", help="Keep the whole in DIR/.max."
        ),
        click.option(
            "--threshold",
            "external_storage_threshold",
            type=SizeType(),
            help="Keep the whole of more than this even if it was not cut (5MiB).",
        ),
        click.option("--max-lines", type=click.IntRange(min=1), help="For the two line strategies (1000)."),
        click.option(
            "--strategy", "truncation_strategy", type=click.Choice(STRATEGIES), help="What to keep (tail)."
        ),
    ):
        function = option(function)
    return function


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is deleted; elsewhere `yes` must have been given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask: give --yes to delete without asking")
    click.confirm(question, abort=True, err=True)


__all__ = [
    "STRATEGIES",
    "MinutesType",
    "SizeType",
    "Store",
    "TokenType",
    "common_limits",
    "confirm",
    "dir_option",
    "find_store",
    "limits_of",
    "output_option",
    "parse_labels",
    "parse_source",
    "pass_store",
    "print_json",
    "warn",
    "write_all",
    "write_out",
]

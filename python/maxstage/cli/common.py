"""What commands share: the options that they have in common, and how they print."""

import functools
import sys

import click

from maxstage.cli.execution import limits_of
from maxstage.cli.printing import print_json, warn, write_all, write_out
from maxstage.cli.stores import open_store
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
    return open_store(named_folder(ctx, folder))


def named_folder(ctx: click.Context, folder: str | None) -> str | None:
    """Return the folder that ``--dir`` names, after the command or before it."""
    return folder if folder is not None else ctx.find_root().params.get("folder")


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
        from maxstage.humanize import counted, printable

        try:
            items = find_store(ctx, ctx.params.get("folder")).list()
        except (Error, OSError):
            return []  # a shell that waits for a completion is no place for an error
        typed = incomplete.lower()
        # A token that was begun without "max:" goes on without it: not every shell replaces what was typed.
        bare = not "max:".startswith(typed) and not typed.startswith("max:")
        return [
            CompletionItem(
                name,
                help=f"{printable(item.source or 'unknown', 60)}, {counted(item.record_count, 'record')}",
            )
            for item in items
            if (name := item.id if bare else item.token).startswith(typed)
        ]


class CountType(click.IntRange):
    """A whole number; one that is larger than any data counts as just that, however many digits it has."""

    def convert(self, value: "Any", param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        from maxstage.sizes import parse_count

        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = parse_count(value)
        elif len(str(value)) > _SHOWN:
            self.fail(f"{shorten(value)} is not a whole number in the range", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class TtlType(click.ParamType[float]):
    """Time until an item expires, in minutes."""

    name = "ttl"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        from maxstage.durations import parse_minutes

        try:
            return parse_minutes(value)
        except ValueError as error:
            self.fail(f"{shorten(value)} {error}", param, ctx)


class SizeType(click.ParamType[int]):
    """A size in bytes: ``65536``, ``512KiB``, ``1MB``."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the size."""
        from maxstage.sizes import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(f"{shorten(value)}: {error}", param, ctx)


_SHOWN = 60
"""Characters of a bad value that an error repeats: enough to recognise it, and never a screenful."""


def shorten(value: object) -> str:
    """Return what was given, for an error: quoted, and no longer than a line has room for."""
    text = str(value)
    return repr(text) if len(text) <= _SHOWN else repr(text[:_SHOWN]) + "..."


class SecondsType(click.ParamType[float]):
    """Seconds, more than none. What is longer than anybody waits, infinity too, counts as just that."""

    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        # Also false for "nan".
        if not seconds > 0:
            self.fail(f"{shorten(value)} is not a number of seconds above 0", param, ctx)
        return min(seconds, _MOST_SECONDS)


_MOST_SECONDS = 1e9
"""Thirty years; the clocks of the data path count in whole numbers, which have no infinity."""


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


def parse_label_filter(
    _ctx: click.Context, _param: click.Parameter, values: "Sequence[str]"
) -> "dict[str, str | None]":
    """Read ``--label K[=V]`` options: a label, with any value or this one."""
    pairs = (text.partition("=") for text in values)
    return {key: value if equals else None for key, equals, value in pairs}


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
        click.option(
            "--max-lines",
            type=CountType(min=1),
            metavar="N",
            help="Lines kept (1000): for --strategy head_lines and tail_lines; implies the latter.",
        ),
        click.option(
            "--strategy", "truncation_strategy", type=click.Choice(STRATEGIES), help="What to keep (tail)."
        ),
    ):
        function = option(function)
    return function


_LINES = {"head": "head_lines", "tail": "tail_lines"}


def line_strategy(strategy: str | None, max_lines: int | None, default: str = "tail") -> str | None:
    """Return the strategy that the options ask for: ``--max-lines`` alone means the lines at one end.

    Args:
        strategy: What ``--strategy`` says; None where it was not given.
        max_lines: What ``--max-lines`` says; None where it was not given.
        default: The strategy where none is given: its end of the text is kept.
    """
    if max_lines is None or strategy in _LINES.values():
        return strategy
    if strategy is not None:
        raise click.UsageError(
            f"--max-lines goes with the strategies {' and '.join(_LINES.values())}, not with {strategy}"
        )
    return default if default in _LINES.values() else _LINES.get(default, "tail_lines")


def with_line_strategy(store: Store | None, options: "dict[str, Any]") -> "dict[str, Any]":
    """Return the options of limits, with the strategy that they imply."""
    configured = "tail" if store is None else str(store.settings.limits.get("truncation_strategy", "tail"))
    strategy = line_strategy(options["truncation_strategy"], options["max_lines"], configured)
    return options | {"truncation_strategy": strategy}


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is deleted; elsewhere `yes` must have been given."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to ask: give --yes to delete without asking")
    answer = ""
    while answer not in {"y", "yes", "n", "no"}:
        sys.stderr.write(f"{question} [y/N]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")  # the end of input was typed: the line is still open
        answer = line.strip().lower() or "n"
    if answer not in {"y", "yes"}:
        raise click.ClickException("Aborted: nothing was deleted")


__all__ = [
    "STRATEGIES",
    "CountType",
    "SecondsType",
    "SizeType",
    "Store",
    "TokenType",
    "TtlType",
    "common_limits",
    "confirm",
    "dir_option",
    "find_store",
    "limits_of",
    "line_strategy",
    "named_folder",
    "output_option",
    "parse_label_filter",
    "parse_labels",
    "parse_source",
    "pass_store",
    "print_json",
    "shorten",
    "warn",
    "with_line_strategy",
    "write_all",
    "write_out",
]

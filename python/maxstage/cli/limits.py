"""The options for limits that several commands have, and the strategy that they imply."""

import click

from maxstage.cli.compression import compress_options
from maxstage.cli.execution import configured_limits
from maxstage.cli.types import CountType, SizeType
from maxstage.output import strategies
from maxstage.output.strategies import BY_LINES, DEFAULT, KEEP, STRATEGIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maxstage.store.store import Store

BY_LINES_TEXT = " and ".join(BY_LINES)
"""The strategies that count lines, for use in a sentence."""


def common_limits(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add the common options for limits to a `CompressCommand`."""
    for option in (
        click.option(
            "--keep",
            type=click.Choice(list(KEEP)),
            default="truncated",
            help="When to keep the full output.",
            show_default=True,
        ),
        compress_options("compress_external", "the full output"),
        click.option(
            "--external-dir", "external_storage_dir", metavar="DIR", help="Keep the full output in DIR/.max."
        ),
        click.option(
            "--threshold",
            "external_storage_threshold",
            type=SizeType(),
            help="Keep an output larger than this in full even if it was not cut (5MiB).",
        ),
        click.option(
            "--max-lines",
            type=CountType(min=1),
            metavar="N",
            help=f"Lines kept (1000): for --strategy {BY_LINES_TEXT}; implies the latter.",
        ),
        click.option(
            "--strategy",
            "truncation_strategy",
            type=click.Choice(list(STRATEGIES)),
            help=f"What to keep ({DEFAULT}).",
        ),
    ):
        function = option(function)
    return function


def line_strategy(strategy: str | None, max_lines: int | None, default: str = DEFAULT) -> str | None:
    """Return the strategy that the options ask for: ``--max-lines`` alone means lines at one end of the text.

    Args:
        strategy: The value of ``--strategy``; None if it was not given.
        max_lines: The value of ``--max-lines``; None if it was not given.
        default: The configured strategy, which decides which end ``--max-lines`` alone keeps.
    """
    if max_lines is None:
        return strategy
    by_lines = strategies.line_strategy(strategy, default)
    if by_lines is None:
        raise click.UsageError(f"--max-lines works with the strategies {BY_LINES_TEXT}, not with {strategy}")
    return by_lines


def with_line_strategy(
    store: "Store | Callable[[], Store] | None", options: "dict[str, Any]"
) -> "dict[str, Any]":
    """Return the options for limits with the strategy that they imply."""
    configured = str(configured_limits(store).get("truncation_strategy", DEFAULT))
    strategy = line_strategy(options["truncation_strategy"], options["max_lines"], configured)
    return options | {"truncation_strategy": strategy}

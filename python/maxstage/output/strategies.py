"""The strategies: what is kept of a text that exceeds its limit.

A strategy is a line here, its cut in ``rust/src/truncate.rs`` with its line in ``Strategy::NAMES``, and its twin in
``_pure/truncation.py``. Tests hold both backends and the documentation to this table.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Keep = Literal["always", "truncated", "never"]


class Strategy:
    """A strategy.

    Attributes:
        keeps: What it keeps, in a few words.
        counts_lines: Whether it keeps at most ``max_lines``, and only whole lines.
        by_lines: The strategy that does so at the same end of the text; None if there is none.
        needs_all: Whether it must see all of the text, and not just both ends.
    """

    __slots__ = ("by_lines", "counts_lines", "keeps", "needs_all")

    def __init__(
        self, keeps: str, *, counts_lines: bool = False, by_lines: str | None = None, needs_all: bool = False
    ) -> None:
        self.keeps = keeps
        self.counts_lines = counts_lines
        self.by_lines = by_lines
        self.needs_all = needs_all


STRATEGIES = {
    "head": Strategy("the first bytes", by_lines="head_lines"),
    "tail": Strategy("the last bytes", by_lines="tail_lines"),
    "both": Strategy("half of the bytes at either end"),
    "head_lines": Strategy("the first lines, whole ones", counts_lines=True, by_lines="head_lines"),
    "tail_lines": Strategy("the last lines, whole ones", counts_lines=True, by_lines="tail_lines"),
    "summary": Strategy("what looks like an error, and both ends", needs_all=True),
}

DEFAULT = "tail"

KEEP: "dict[Keep, str]" = {
    "always": "always",
    "truncated": "if it was cut, or is longer than the threshold",
    "never": "never",
}
"""When a full output is kept, by name."""

BY_LINES = tuple(name for name, strategy in STRATEGIES.items() if strategy.counts_lines)


def line_strategy(strategy: str | None, default: str = DEFAULT) -> str | None:
    """Return the strategy to use if a number of lines is given; None if that makes no sense.

    Args:
        strategy: The one that was asked for; None for none.
        default: The strategy that applies otherwise: the same end of the text is kept.

    >>> line_strategy(None), line_strategy(None, "head"), line_strategy("head_lines"), line_strategy("both")
    ('tail_lines', 'head_lines', 'head_lines', None)
    """
    if strategy is not None:
        return strategy if STRATEGIES[strategy].counts_lines else None
    return STRATEGIES[default].by_lines or STRATEGIES[DEFAULT].by_lines

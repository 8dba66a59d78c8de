"""A time axis: when each task ran, as places in percent, and where its ticks are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.workflow.report.rows import Row

_STEPS = (
    *(factor * 10.0**power for power in range(-3, 1) for factor in (1, 2, 5)),
    *(10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400),
)
"""Seconds between two ticks: what people count in."""
_MOST_TICKS = 6
_LEAST = 0.001
"""Seconds that an axis has at least."""


class Axis(NamedTuple):
    """A time axis.

    Attributes:
        start: Where it begins, Unix time in seconds.
        seconds: How long it is.
    """

    start: float
    seconds: float

    @classmethod
    def around(cls, rows: Sequence[Row]) -> Axis:
        """Return the axis on which all of some tasks have their place."""
        start = min((row.start for row in rows), default=0.0)
        return cls(start, max(_LEAST, max((row.end for row in rows), default=0.0) - start))

    def place(self, moment: float) -> float:
        """Return where a moment is, in percent."""
        return min(100.0, max(0.0, (moment - self.start) / self.seconds * 100))

    def ticks(self) -> list[tuple[float, str]]:
        """Return the places of the ticks in percent, each with what it says.

        >>> Axis(0, 10).ticks()[1:3], Axis(0, 7200).ticks()[1]
        ([(20.0, '2 s'), (40.0, '4 s')], (25.0, '30 min'))
        """
        day = _STEPS[-1]
        wanted = self.seconds / _MOST_TICKS
        step = next((one for one in _STEPS if one >= wanted), -(-wanted // day) * day)
        count = int(self.seconds / step)
        # One at the very end would have no room for what it says.
        places = [number * step for number in range(count + 1) if number * step <= 0.96 * self.seconds]
        return [(place / self.seconds * 100, _told(place, step)) for place in places]


def _told(seconds: float, step: float) -> str:
    if step < 1:
        digits = 3 if step < 0.01 else 2 if step < 0.1 else 1  # noqa: PLR2004
        return f"{seconds:.{digits}f} s"
    if step < 60:  # noqa: PLR2004
        minutes, rest = divmod(int(seconds), 60)
        return f"{rest} s" if not minutes else f"{minutes}:{rest:02}"
    if step < 3600:  # noqa: PLR2004
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:g} h"

"""The time limit of a loop, which starts with the loop's first program so that time spent queued doesn't count."""

from __future__ import annotations

import time


class Clock:
    """The clock of a loop, within those of the loops around it.

    Args:
        seconds: How long the loop may take; None if it has no limit of its own.
        outer: The clock around it.

    >>> outer = Clock(60.0)
    >>> inner = Clock(None, outer)
    >>> inner.deadline is None
    True
    >>> inner.start()
    >>> inner.deadline == outer.deadline is not None
    True
    """

    def __init__(self, seconds: float | None = None, outer: Clock | None = None) -> None:
        self._seconds = seconds
        self._outer = outer
        self._started: float | None = None

    def start(self) -> None:
        """Start it and those around it, if they haven't started yet."""
        if self._started is None:
            self._started = time.monotonic()
            if self._outer is not None:
                self._outer.start()

    @property
    def started(self) -> float:
        """When it started, by `time.monotonic`; the current time if it hasn't."""
        return time.monotonic() if self._started is None else self._started

    @property
    def is_over(self) -> bool:
        """Whether its own time is up."""
        if self._seconds is None or self._started is None:
            return False
        return time.monotonic() >= self._started + self._seconds

    @property
    def deadline(self) -> float | None:
        """When the first of it and those around it is up, by `time.monotonic`; None if there is no deadline yet."""
        outer = None if self._outer is None else self._outer.deadline
        if self._seconds is None or self._started is None:
            return outer
        own = self._started + self._seconds
        return own if outer is None else min(own, outer)

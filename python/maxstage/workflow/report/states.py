"""How the state of a task is shown on the page: a word, a sign, and one of four colours."""

from __future__ import annotations

from typing import NamedTuple

from maxstage.workflow.run.results import COMPLETED, FAILED, INTERRUPTED, SKIPPED, WAITING
from maxstage.workflow.run.unfinished import NOT_ENDED, NOT_STARTED, STOPPED


class Shown(NamedTuple):
    """How a state is shown.

    Attributes:
        sign: One character, since colours alone are not for everybody.
        colour: The class in the style sheet: ``ok``, ``bad``, ``warn`` or ``off``.
    """

    sign: str
    colour: str


CACHED, TOLERATED = "cached", "failed, tolerated"

SHOWN = {
    FAILED: Shown("✗", "bad"),
    INTERRUPTED: Shown("!", "warn"),
    WAITING: Shown("?", "warn"),
    STOPPED: Shown("■", "warn"),
    TOLERATED: Shown("✗", "warn"),
    COMPLETED: Shown("✓", "ok"),
    CACHED: Shown("✓", "ok"),
    SKIPPED: Shown("-", "off"),
    NOT_STARTED: Shown("○", "off"),
    NOT_ENDED: Shown("○", "off"),
}
"""The states of tasks, the worst first: this is the order in which they are told."""

COLOURS = ("bad", "warn", "ok", "off")
"""The colours, the worst first: what stands for several tasks has that of the worst."""


def shown(state: str) -> Shown:
    """Return how a state is shown; that of a run, too."""
    return SHOWN.get(state, Shown("○", "off"))

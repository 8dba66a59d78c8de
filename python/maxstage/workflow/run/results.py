"""How tasks and runs end."""

from __future__ import annotations

from typing import Any, NamedTuple

from maxstage.output.task_output import TaskOutput

RUNNING, COMPLETED, FAILED, INTERRUPTED = "running", "completed", "failed", "interrupted"
"""The status of a run. One that is ``running`` and not locked was killed."""
WAITING = "waiting"
"""The status of a run that goes on once a question is answered."""
SKIPPED = "skipped"
"""How a task may end, apart from ``completed`` and ``failed``."""


class TaskResult:
    """How a task ended.

    Attributes:
        status: ``completed``, ``failed``, ``skipped``, or ``interrupted`` if it was ended with the run.
        output: What it printed; None if it was skipped.
        attempts: How many times it was tried.
        error: Why it failed.
        tolerated: Whether it failed and the run continues (``on_error: {continue: true}``).
        pruned: Whether its output was dropped.
        cached: Whether it was taken from an earlier run.
        cache: From which, or why it was not; None if it has no cache.
    """

    __slots__ = ("attempts", "cache", "cached", "error", "output", "pruned", "status", "tolerated")

    def __init__(
        self,
        status: str,
        output: TaskOutput | None = None,
        *,
        attempts: int = 0,
        error: str | None = None,
        tolerated: bool = False,
        pruned: bool = False,
        cached: bool = False,
        cache: str | None = None,
    ) -> None:
        self.cached = cached
        self.cache = cache
        self.pruned = pruned
        self.status = status
        self.output = output
        self.attempts = attempts
        self.error = error
        self.tolerated = tolerated

    @property
    def state(self) -> str:
        """How it ended, in a word or two: ``completed``, ``cached``, ``failed, tolerated``."""
        if self.cached:
            return "cached"
        return f"{self.status}, tolerated" if self.tolerated else self.status

    @property
    def is_final(self) -> bool:
        """Whether it need not be tried again when the run is resumed."""
        return self.status not in {FAILED, INTERRUPTED} or self.tolerated

    def __repr__(self) -> str:
        return f"TaskResult({self.status!r}, attempts={self.attempts}, error={self.error!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        output = None if self.output is None else self.output.to_dict()
        return {
            "status": self.status,
            "attempts": self.attempts,
            "error": self.error,
            "tolerated": self.tolerated,
            "pruned": self.pruned,
            "cached": self.cached,
            "cache": self.cache,
            "output": output,
        }

    def summary(self) -> dict[str, Any]:
        """Return the result without content, as plain data for JSON."""
        values: dict[str, Any] = {"status": self.status, "attempts": self.attempts, "error": self.error}
        for name in ("tolerated", "pruned", "cached", "cache"):
            if getattr(self, name):
                values[name] = getattr(self, name)
        if self.output is not None:
            values["bytes"] = self.output.original_size
            for name in ("exit_code", "truncated", "token", "external_path", "duration"):
                values[name] = getattr(self.output, name)
            values["ref"] = self.output.token  # as in all JSON that has a token
            if self.output.warnings:
                values["warnings"] = list(self.output.warnings)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TaskResult:
        """Create a result from what `to_dict` returned."""
        output = None if values["output"] is None else TaskOutput.from_dict(values["output"])
        return cls(
            values["status"],
            output,
            attempts=values["attempts"],
            error=values["error"],
            tolerated=values["tolerated"],
            pruned=values["pruned"],
            cached=values.get("cached", False),
            cache=values.get("cache"),
        )


class Ended(NamedTuple):
    """A task that has ended, without its output.

    Attributes:
        time: When it ended, Unix time in seconds.
        accessed: When its output was last used.
        size: The size of its output's text; 0 once it is pruned.
        has_output: Whether it has an output that is not pruned.
        is_final: Whether it need not be tried again when the run is resumed.
        pruned: Whether its output was pruned.
        moved: Whether its output's text is in the store.
    """

    time: float
    accessed: float
    size: int
    has_output: bool
    is_final: bool
    pruned: bool = False
    moved: bool = False

    @property
    def held(self) -> int:
        """The bytes of its text that are in the state."""
        return 0 if self.moved else self.size


def held_bytes(output: TaskOutput | None) -> int:
    """Return the size of an output's content, including that of stderr."""
    if output is None:
        return 0
    return len(output.content) + (0 if output.stderr is None else len(output.stderr.content))

"""What a run tells while it goes on, and what came out of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.workflow.run.results import COMPLETED, INTERRUPTED, TaskResult
from maxstage.workflow.run.state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator


class Event(NamedTuple):
    """Something that happened in a run.

    Attributes:
        kind: ``run_started``, ``task_started``, ``task_retried``, ``task_finished``, ``loop_started``,
            ``loop_progress``, ``warning``, ``stopping`` or ``run_finished``.
        time: When, Unix time in seconds.
        task: The task's path, or None.
        data: What else is known; for ``task_finished`` its ``result``.
    """

    kind: str
    time: float
    task: str | None
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; of a result the content is left out."""
        values: dict[str, Any] = {"event": self.kind, "time": round(self.time, 3), "task": self.task}
        for name, value in self.data.items():
            if isinstance(value, TaskResult):
                values |= value.summary()
            else:
                values[name] = value
        return {name: value for name, value in values.items() if value is not None}


class Results(Mapping[str, TaskResult]):
    """How the tasks of a run ended, in the order in which they did."""

    def __init__(self, folder: str, run_id: str) -> None:
        self._state = RunState(folder, run_id)
        self._paths = self._state.paths()

    def __getitem__(self, path: str) -> TaskResult:
        found = self._state.find(path)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __del__(self) -> None:
        if hasattr(self, "_state"):  # it could be opened
            self._state.close()


class RunResult:
    """What came out of a run.

    Attributes:
        run_id: The run.
        status: ``completed``, ``failed`` or ``interrupted``.
        outputs: The workflow's outputs.
        error: Why it failed.
        seconds: How long it took, this time.
    """

    def __init__(
        self,
        folder: str,
        run_id: str,
        status: str,
        outputs: dict[str, str],
        error: str | None,
        seconds: float,
    ) -> None:
        self._folder = folder
        self.run_id = run_id
        self.status = status
        self.outputs = outputs
        self.error = error
        self.seconds = seconds

    @property
    def ok(self) -> bool:
        """Whether all of it succeeded."""
        return self.status == COMPLETED

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """What outputs took, and what was put into prompts, by name, as ``max runs show -o json`` has it."""
        state = RunState(self._folder, self.run_id)
        try:
            found: dict[str, Any] = state.facts().get("metrics", {})
        finally:
            state.close()
        return found

    @functools.cached_property
    def interrupted(self) -> list[str]:
        """The paths of the tasks that were ended with the run; what they had printed is kept."""
        state = RunState(self._folder, self.run_id)
        try:
            return [path for path, status in state.statuses().items() if status == INTERRUPTED]
        finally:
            state.close()

    @functools.cached_property
    def tasks(self) -> Mapping[str, TaskResult]:
        """How each task ended, by its path like ``build.compile``, and each iteration, like ``build[2]``.

        Looked up where it is asked for: all outputs together may be more than fits into memory.
        """
        return Results(self._folder, self.run_id)

    def __repr__(self) -> str:
        return f"RunResult({self.run_id!r}, {self.status!r})"


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal that asks to end, while a workflow ran. What had ended is kept.

    Attributes:
        result: Tells the run, which can be resumed.
        number: The signal.
    """

    def __init__(self, result: RunResult, number: int) -> None:
        super().__init__()
        self.result = result
        self.number = number

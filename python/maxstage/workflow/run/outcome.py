"""The events of a run, and its result."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.workflow.execution.outputs import named_again
from maxstage.workflow.run.questions import questions_of
from maxstage.workflow.run.results import COMPLETED, INTERRUPTED, WAITING, TaskResult
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.unfinished import unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.workflow.run.questions import Question
    from maxstage.workflow.run.unfinished import Unfinished


class Event(NamedTuple):
    """Something that happened in a run.

    Attributes:
        kind: ``run_started``, ``task_started``, ``task_retried``, ``task_waiting``, ``task_finished``,
            ``loop_started``, ``loop_progress``, ``warning``, ``stopping`` or ``run_finished``.
        time: When it happened, Unix time in seconds.
        task: The task's path, or None.
        data: Further details; for ``task_finished`` its ``result``.
    """

    kind: str
    time: float
    task: str | None
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain data for JSON, without the content of results."""
        values: dict[str, Any] = {"event": self.kind, "time": round(self.time, 3), "task": self.task}
        for name, value in self.data.items():
            if isinstance(value, TaskResult):
                values |= value.summary()
            else:
                values[name] = value
        return {name: value for name, value in values.items() if value is not None}


class Results(Mapping[str, TaskResult]):
    """The results of a run's tasks, in the order in which they ended."""

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
    """The result of a run.

    Attributes:
        run_id: The run.
        status: ``completed``, ``failed``, ``interrupted``, or ``waiting`` for an answer.
        outputs: The workflow's outputs.
        error: Why it failed.
        seconds: How long it took since it was last started or resumed.
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
        """Whether the run succeeded."""
        return self.status == COMPLETED

    @property
    def is_resumable(self) -> bool:
        """Whether it may get further when it is resumed."""
        return self.status not in {COMPLETED, WAITING} and self.to_rerun is None

    @property
    def to_rerun(self) -> str | None:
        """The task without which the run gets no further: it has ended, and has to be done again."""
        return named_again(self.error)

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The sizes of outputs and prompts by name, as in ``max runs show -o json``."""
        state = RunState(self._folder, self.run_id)
        try:
            found: dict[str, Any] = state.facts().get("metrics", {})
        finally:
            state.close()
        return found

    @functools.cached_property
    def interrupted(self) -> list[str]:
        """The paths of the tasks that were interrupted with the run; their output so far is kept."""
        state = RunState(self._folder, self.run_id)
        try:
            return [path for path, status in state.statuses().items() if status == INTERRUPTED]
        finally:
            state.close()

    @functools.cached_property
    def waiting(self) -> list[Question]:
        """What is asked and not answered, while the run waits; ``max answer`` answers."""
        state = RunState(self._folder, self.run_id)
        try:
            return list(questions_of(state))
        finally:
            state.close()

    @functools.cached_property
    def unfinished(self) -> list[Unfinished]:
        """What has no result: what waits for an answer first, then what never started, or was left on the way."""
        state = RunState(self._folder, self.run_id)
        try:
            return unfinished(state)
        finally:
            state.close()

    @functools.cached_property
    def tasks(self) -> Mapping[str, TaskResult]:
        """The results of tasks by path, like ``build.compile``, and of iterations, like ``build[2]``.

        They are looked up on access, since all outputs together may not fit in memory.
        """
        return Results(self._folder, self.run_id)

    def __repr__(self) -> str:
        return f"RunResult({self.run_id!r}, {self.status!r})"


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal, ended a workflow. The results of tasks that had ended are kept.

    Attributes:
        result: The result of the run, which can be resumed.
        number: The signal.
    """

    def __init__(self, result: RunResult, number: int) -> None:
        super().__init__()
        self.result = result
        self.number = number

"""What a run has not finished: tasks that never started, that wait for an answer, or that were left on the way.

The state only has what has ended. So that it can be told what has not, even once the file is gone or another, each
start of a run records its plan: the tasks of the file, and what each waits for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.humanize import counted
from maxstage.workflow.run.paths import around, container_of, is_iteration, spec_path
from maxstage.workflow.run.questions import questions_of
from maxstage.workflow.run.results import FAILED, INTERRUPTED, WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.state import RunState

NOT_STARTED, NOT_ENDED, STOPPED = "not started", "not ended", "stopped"


class Unfinished(NamedTuple):
    """A task that has no result.

    Attributes:
        task: Its path.
        state: ``waiting`` for an answer; ``not started``; ``not ended``, which is all that is known while the run goes
            on, or once it was killed; ``stopped`` if it was begun, and won't be gone on with unless the run is.
        note: What it asks, why its last attempt failed, or how far it came; "" if there is nothing to say.
    """

    task: str
    state: str
    note: str = ""


def plan_of(workflow: ValidWorkflow) -> dict[str, dict[str, Any]]:
    """Return the tasks of a file by path, as `RunState.plan` has them: the tasks each waits for, and what it is."""
    return {
        path: {
            "after": [_sibling(path, name) for name in workflow.graph.dependencies[path]],
            "kind": _kind(task),
            "loop": task.loop is not None,
        }
        for path, task in workflow.tasks.items()
    }


def _sibling(path: str, name: str) -> str:
    prefix = path.rpartition(".")[0]
    return f"{prefix}.{name}" if prefix else name


def _kind(task: Task) -> str:
    if task.subtasks is not None:
        return "group"
    if task.await_ is not None:
        return "question"
    if task.intent is not None:
        return "intent"
    return "program" if task.agent is None else "agent"


def unfinished(state: RunState) -> list[Unfinished]:
    """Return what a run has not finished: what waits for an answer first, the rest in the order of the file.

    Within a task that never started nothing more is told; nor is anything of runs of which no plan is known.
    """
    asked = [Unfinished(one.task, WAITING, one.prompt) for one in questions_of(state)]
    statuses = state.statuses()
    open_ended = state.facts().get("status") == "running"
    known = _Known(
        statuses,
        {path for one in asked for path in around(spec_path(one.task))},
        state.given_up(),
        NOT_ENDED if open_ended else NOT_STARTED,
    )
    return [*asked, *known.left_of(state.plan())]


class _Known:
    """What is known of a run's tasks, to tell what has become of the others."""

    def __init__(
        self, statuses: Mapping[str, str], asked: set[str], given_up: Mapping[str, str | None], begun: str
    ) -> None:
        self._statuses = statuses
        self._asked = asked
        self._given_up = given_up
        self._not_ended = begun
        self._iterations = Counter(container_of(path) for path in statuses if is_iteration(path))
        self._begun = {outer for path in (*statuses, *given_up) for outer in around(spec_path(path))[:-1]} | {
            spec_path(path) for path in self._iterations
        }

    def left_of(self, plan: Mapping[str, Mapping[str, Any]]) -> Iterator[Unfinished]:
        """Yield what is left of a plan, in its order; of what never began, the outermost task alone."""
        settled: set[str] = set()
        for path, task in plan.items():
            outer = path.rpartition(".")[0]
            is_group = task["kind"] == "group" and not task["loop"]
            if outer in settled or self._is_settled(path, is_group=is_group):
                settled.add(path)
                continue
            if path in self._statuses or path in self._asked or (is_group and path in self._begun):
                continue  # what is within it is told
            settled.add(path)
            yield self._left(path)

    def _is_settled(self, path: str, *, is_group: bool) -> bool:
        status = self._statuses.get(path)
        return status is not None and not (is_group and status in {FAILED, INTERRUPTED})

    def _left(self, path: str) -> Unfinished:
        if path in self._begun:
            note = counted(self._iterations[path], "iteration") + " ended" if path in self._iterations else ""
            return Unfinished(path, NOT_ENDED if self._not_ended == NOT_ENDED else STOPPED, note)
        if path in self._given_up:
            return Unfinished(path, STOPPED, self._given_up[path] or "")
        return Unfinished(path, self._not_ended)

"""What all parts of a run share."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

from maxstage.workflow.execution import DEFAULT, EXECUTORS
from maxstage.workflow.format.agents import providers_from
from maxstage.workflow.run.files import Writers
from maxstage.workflow.run.limits import effective_limits, workflow_limits
from maxstage.workflow.run.paths import spec_path
from maxstage.workflow.run.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.output.limits import Limits
    from maxstage.store.store import Store
    from maxstage.workflow.execution import Executor
    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.format.schema import WorkflowSpec
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.state import RunState


@dataclasses.dataclass(frozen=True)
class RunContext:
    """What all parts of a run share; made once when a run starts.

    Attributes:
        workflow: The file.
        store: The project.
        state: What has ended.
        folder: The working directory; relative paths start there.
        limits: The limits of the workflow; those of a task are `limits_of`.
        providers: The agents known by name.
        scheduler: Decides what starts when.
        executor: Runs programs.
        jobs: How many programs may run at once.
        emit: Called with an event's name, the path of its task and what is known.
        writers: Which task wrote which file.
    """

    workflow: ValidWorkflow
    store: Store
    state: RunState
    folder: str
    limits: Limits
    providers: Mapping[str, Provider]
    scheduler: Scheduler
    executor: Executor
    jobs: int
    emit: Callable[..., None]
    writers: Writers = dataclasses.field(default_factory=Writers)
    _limits: dict[str, Limits] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def run_id(self) -> str:
        """The run."""
        return self.state.run_id

    @property
    def spec(self) -> WorkflowSpec:
        """What the file says."""
        return self.workflow.spec

    @property
    def graph(self) -> TaskGraph:
        """What waits for what."""
        return self.workflow.graph

    @property
    def cancel(self) -> threading.Event:
        """Once it is set, what runs is ended."""
        return self.scheduler.cancel

    def limits_of(self, path: str) -> Limits:
        """Return the limits that hold for a task.

        Args:
            path: Its path, in the run or in the file.
        """
        where = spec_path(path)
        found = self._limits.get(where)
        if found is None:
            found = self._limits[where] = effective_limits(self.workflow, where, self.limits, self.folder)
        return found


def open_context(
    workflow: ValidWorkflow,
    store: Store,
    state: RunState,
    folder: str,
    *,
    jobs: int = 1,
    cancel: threading.Event | None = None,
    emit: Callable[..., None] = lambda *_, **__: None,
    executor: Executor | None = None,
) -> RunContext:
    """Return the context of a run.

    Args:
        workflow: The file.
        store: The project.
        state: The run, which is ours.
        folder: The working directory.
        jobs: How many programs may run at once.
        cancel: Once it is set, what runs is ended.
        emit: Called with each event.
        executor: Runs programs; None: this machine does.
    """
    return RunContext(
        workflow=workflow,
        store=store,
        state=state,
        folder=folder,
        limits=workflow_limits(store, workflow, folder),
        providers=providers_from(store.settings.providers),
        scheduler=Scheduler(jobs, cancel or threading.Event(), lambda now: emit("stopping", now=now)),
        executor=executor or EXECUTORS[DEFAULT](store),
        jobs=jobs,
        emit=emit,
    )

"""The context that all parts of a run share."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from maxstage.workflow.execution import executor_on
from maxstage.workflow.format.agents import providers_from
from maxstage.workflow.run.earlier_runs import Cache
from maxstage.workflow.run.files import Writers
from maxstage.workflow.run.limits import effective_limits, keeping, workflow_limits
from maxstage.workflow.run.paths import around, spec_path
from maxstage.workflow.run.scheduler import Scheduler
from maxstage.workflow.run.secrets import Secrets

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


def _nothing(_path: str) -> Mapping[str, str]:
    return {}


@dataclasses.dataclass(frozen=True)
class RunContext:
    """What all parts of a run share; created once when a run starts.

    Attributes:
        workflow: The workflow.
        store: The project.
        state: The state of the run.
        folder: The working directory, where relative paths start.
        limits: The limits of the workflow; `limits_of` returns those of a task.
        providers: The providers by name.
        scheduler: Decides what starts when.
        executor: Runs programs.
        jobs: How many programs may run at once.
        emit: Called with an event's name, the path of its task and its data.
        writers: Which task wrote which file.
        cache: Finds tasks in earlier runs.
        secrets: The secrets to mask.
        environment: Returns what else a task's program finds in its environment, given the path of the task.
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
    writers: Writers
    cache: Cache
    secrets: Secrets = dataclasses.field(default_factory=Secrets)
    environment: Callable[[str], Mapping[str, str]] = dataclasses.field(default=_nothing)
    _limits: dict[str, Limits] = dataclasses.field(default_factory=dict, repr=False)
    _job_limits: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.state.run_id

    @property
    def spec(self) -> WorkflowSpec:
        """The parsed workflow file."""
        return self.workflow.spec

    @property
    def graph(self) -> TaskGraph:
        """The dependencies of the tasks."""
        return self.workflow.graph

    @property
    def cancel(self) -> threading.Event:
        """An event that, once set, ends the programs that are running."""
        return self.scheduler.cancel

    def limits_of(self, path: str) -> Limits:
        """Return the limits in force for a task.

        Args:
            path: Its path, in the run or in the file.
        """
        where = spec_path(path)
        found = self._limits.get(where)
        if found is None:
            found = self._limits[where] = effective_limits(self.workflow, where, self.limits, self.folder)
        return found

    def is_wanted_whole(self, path: str) -> bool:
        """Return whether another task, or a file, needs the full output of a task, or of one around it."""
        return any(name in self.graph.wanted_whole for name in around(spec_path(path)))

    def job_limits(self, path: str) -> dict[str, Any]:
        """Return the limits of a task's jobs as plain data; if its full output is needed, it is kept when cut.

        Args:
            path: The task's path in the file.
        """
        found = self._job_limits.get(path)
        if found is None:
            limits = self.limits_of(path)
            limits = keeping(limits) if self.is_wanted_whole(path) else limits
            found = self._job_limits[path] = limits.to_dict()
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
    secrets: Secrets | None = None,
    cache: Cache | None = None,
    environment: Callable[[str], Mapping[str, str]] | None = None,
) -> RunContext:
    """Return the context of a run.

    Args:
        workflow: The workflow.
        store: The project.
        state: The state of the run, which must be acquired.
        folder: The working directory.
        jobs: How many programs may run at once.
        cancel: An event that, once set, ends the programs that are running.
        emit: Called with each event.
        executor: Runs programs; None to run them on this machine.
        secrets: The secrets to mask; None for none.
        cache: Finds tasks in earlier runs; None for one that finds nothing.
        environment: Returns what else a task's program finds in its environment, given the path of the task.
    """
    return RunContext(
        workflow=workflow,
        store=store,
        state=state,
        folder=folder,
        limits=workflow_limits(store, workflow, folder),
        providers=providers_from(store.settings.providers),
        scheduler=Scheduler(jobs, cancel or threading.Event(), lambda now: emit("stopping", now=now)),
        executor=executor or executor_on(None, store),
        jobs=jobs,
        emit=emit,
        secrets=secrets or Secrets(),
        cache=cache or Cache(store.layout.runs, None, state.run_id),
        environment=environment or _nothing,
        # Ignore tasks that are no longer in the workflow file.
        writers=Writers(
            {path: file for path, file in state.files().items() if spec_path(path) in workflow.tasks}
        ),
    )

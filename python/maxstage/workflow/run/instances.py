"""Tasks as they run: levels of tasks and retries, each a small machine that the scheduler drives.

Every one is given a callback, which gets its result once it is recorded; None means that the run stops before it
was finished, and that a resumed run has to do it.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from maxstage.errors import Error, describe
from maxstage.workflow.run.asking import Asking
from maxstage.workflow.run.clock import Clock
from maxstage.workflow.run.gathering import gather
from maxstage.workflow.run.instance import TaskInstance
from maxstage.workflow.run.jobs import perform, prepare
from maxstage.workflow.run.loops import Loop, failed
from maxstage.workflow.run.numbers import seconds
from maxstage.workflow.run.results import COMPLETED, FAILED, INTERRUPTED, SKIPPED, TaskResult
from maxstage.workflow.run.task_files import file_of, names_iteration, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.files import Located
    from maxstage.workflow.run.monitor import RunMonitor
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope

    Done = Callable[[TaskResult | None], None]


class Level:
    """Tasks that are siblings. Succeeds when all have ended well; one that fails lets no further one start."""

    def __init__(
        self,
        run: RunContext,
        monitor: RunMonitor,
        tasks: Mapping[str, Task],
        instance: TaskInstance,
        scope: Scope,
        done: Callable[[bool | None, str | None], None],
    ) -> None:
        self._run = run
        self._monitor = monitor
        self._tasks = tasks
        self._instance = instance
        self._scope = scope
        self._done = done
        prefix = f"{instance.spec_path}." if instance.spec_path else ""
        self._waiting = {name: set(run.graph.dependencies[f"{prefix}{name}"]) for name in tasks}
        self._dependents: dict[str, list[str]] = {name: [] for name in tasks}
        for name, others in self._waiting.items():
            for other in others:
                self._dependents[other].append(name)
        self._order = {name: (task.priority, number) for number, (name, task) in enumerate(tasks.items())}
        self._active = 0
        self._started: set[str] = set()
        self._error: str | None = None
        self._dropped = False

    def start(self) -> None:
        """Start what waits for nothing."""
        self._active = 1
        for name in [name for name, others in self._waiting.items() if not others]:
            self._start(name)
        self._leave()

    def _wanted(self) -> bool:
        return self._error is None and self._instance.wanted()

    def _start(self, name: str) -> None:
        self._active += 1
        self._started.add(name)
        outer = self._instance
        task = self._tasks[name]
        path = f"{outer.spec_path}.{name}" if outer.spec_path else name
        instance = TaskInstance(
            f"{outer.path}.{name}" if outer.path else name,
            path,
            name,
            (*outer.key, *self._order[name]),
            self._run.limits_of(path),
            outer.clock,
            (lambda: True) if task.always else self._wanted,
        )
        done = functools.partial(self._ended, name, instance.path)
        TaskNode(self._run, self._monitor, task, instance, self._scope, done).start()

    def _ended(self, name: str, path: str, result: TaskResult | None) -> None:
        if result is None:
            self._dropped = True
        else:
            self._scope.ended[name] = path
            if not result.is_final:
                self._error = self._error or f"{name}: {result.error}"
            for other in self._dependents[name]:
                self._waiting[other].discard(name)
                if not self._waiting[other] and (self._wanted() or self._runs_anyway(other)):
                    self._start(other)
        self._leave()

    def _runs_anyway(self, name: str) -> bool:
        """Whether a task runs even where others have failed: but not where the run is to stop."""
        return self._tasks[name].always and not self._run.scheduler.stopping

    def _start_what_runs_anyway(self) -> None:
        """Start the tasks that run always, once nothing else goes on: what they still wait for never starts."""
        left = {name for name in self._tasks if name not in self._started and self._runs_anyway(name)}
        for name in self._order:
            if name in left and not self._waiting[name] & left:
                self._start(name)

    def _leave(self) -> None:
        if self._active == 1:
            self._start_what_runs_anyway()
        self._active -= 1
        if self._active:
            return
        if self._error is not None:
            self._done(False, self._error)
        else:
            missing = self._dropped or len(self._scope.ended) < len(self._tasks)
            self._done(None if missing else True, None)


class TaskNode:
    """A task of a level: its condition, and then its body or its loop."""

    def __init__(
        self,
        run: RunContext,
        monitor: RunMonitor,
        task: Task,
        instance: TaskInstance,
        scope: Scope,
        done: Done,
    ) -> None:
        self._run = run
        self._monitor = monitor
        self._task = task
        self._instance = instance
        self._scope = scope
        self._done = done

    def start(self) -> None:
        """Begin; where it has ended in an earlier start of the run, it is not done again."""
        run, task, instance = self._run, self._task, self._instance
        known = run.state.find(instance.path)
        if known is not None and known.is_final:
            run.emit("task_finished", instance.path, result=known, resumed=True)
            run.scheduler.soon(functools.partial(self._done, known))
            return
        try:
            scope = self._scope
            if task.inputs:
                values = {
                    name: scope.render(value) if isinstance(value, str) else value
                    for name, value in task.inputs.items()
                }
                scope = scope.inner(inputs=values)
            if task.condition is not None and not scope.holds(task.condition):
                self._end(TaskResult(SKIPPED))
            elif task.loop is not None:
                Loop(run, self._monitor, task, instance, scope, self._end_loop, Body).start()
            else:
                Body(run, self._monitor, task, instance, scope, self._done).start()
        except (Error, OSError) as error:
            self._end(TaskResult(FAILED, error=describe(error), tolerated=task.on_error.continue_))

    def _end(self, result: TaskResult) -> None:
        self._monitor.set_aside(self._instance.path)
        self._monitor.record(self._instance, result)
        self._run.scheduler.soon(functools.partial(self._done, result))

    def _end_loop(self, result: TaskResult | None) -> None:
        if result is None:
            self._done(None)
        else:
            self._end(result)


class Body:
    """What a task does, once: a program or subtasks, with its retries. It is recorded when it has ended."""

    def __init__(
        self,
        run: RunContext,
        monitor: RunMonitor,
        task: Task,
        instance: TaskInstance,
        scope: Scope,
        done: Done,
    ) -> None:
        self._run = run
        self._monitor = monitor
        self._task = task
        self._instance = instance
        self._scope = scope
        self._done = done
        self._attempts = 0
        self._started = 0.0

    def start(self) -> None:
        """Begin."""
        self._attempt()

    def _attempt(self) -> None:
        run, task, instance = self._run, self._task, self._instance
        if run.scheduler.stopping or not instance.wanted():
            run.scheduler.soon(functools.partial(self._done, None))
            return
        if task.await_ is not None:
            self._begin()
            Asking(run, task, instance, self._scope, self._attempted).start()
            return
        if task.subtasks is None:
            run.scheduler.submit(instance.key, self._prepare, self._attempted, instance.wanted)
            return
        self._begin()
        scope = self._scope.inner(name=instance.name)
        if task.timeout_secs is not None:
            instance = instance._replace(clock=Clock(seconds(task.timeout_secs, scope), instance.clock))
        Level(run, self._monitor, task.subtasks, instance, scope, self._level_ended).start()

    def _begin(self) -> None:
        self._attempts += 1
        self._started = time.monotonic()
        self._run.emit("task_started", self._instance.path, attempt=self._attempts)

    def _prepare(self) -> Callable[[], TaskResult]:
        run, instance = self._run, self._instance
        self._begin()
        instance.clock.start()
        ready = prepare(
            run,
            self._task,
            instance,
            self._scope,
            context=self._monitor.context(instance, self._task, self._scope)
            if self._task.inject_context
            else b"",
            file=self._file(),
        )
        return functools.partial(perform, run, ready)

    def _file(self) -> Located | None:
        """Return the file for what is printed here; where the loop writes one for all its iterations, there is none."""
        if (
            self._instance.iteration is not None
            and self._task.loop is not None
            and not names_iteration(self._task)
        ):
            return None
        return file_of(self._run, self._task, self._instance, self._scope)

    def _level_ended(self, succeeded: bool | None, error: str | None) -> None:
        if succeeded is None:
            self._done(None)
            return
        paths = (f"{self._instance.path}.{name}" for name in self._task.subtasks or {})
        started = self._started

        def work(file: Located | None) -> TaskResult:
            output = gather(self._run, self._instance, paths, ok=succeeded, started=started)
            if file is not None and succeeded:
                write_file(self._run, output, file, self._instance.path)
            return TaskResult(COMPLETED if succeeded else FAILED, output, error=error)

        def prepare() -> Callable[[], TaskResult]:
            return functools.partial(work, self._file())

        self._run.scheduler.submit(self._instance.key, prepare, self._attempted, always=True)

    def _attempted(self, result: TaskResult | BaseException | None) -> None:
        run, task, instance = self._run, self._task, self._instance
        if isinstance(result, BaseException):
            result = failed(result)
        if result is None:
            self._done(None)
            return
        if result.status == FAILED:
            if run.scheduler.cancel.is_set():
                # It did not fail: it was ended.
                if result.output is not None and task.subtasks is None:
                    self._monitor.set_aside(instance.path)
                    result.status, result.attempts = INTERRUPTED, self._attempts
                    self._monitor.record_interrupted(instance.path, result)
                self._done(None)
                return
            if self._attempts <= task.on_error.retry and not run.scheduler.stopping and instance.wanted():
                self._monitor.set_aside(instance.path)
                result.attempts = self._attempts
                self._monitor.failed_attempt(instance.path, result)
                self._retry(result.error)
                return
        self._monitor.set_aside(instance.path)
        result.attempts = self._attempts
        result.tolerated = result.status == FAILED and task.on_error.continue_
        if task.loop_control.checkpoint_interval is not None and self._commits():
            self._monitor.checkpoint()
        self._monitor.record(
            instance, result, seconds=time.monotonic() - self._started, commit=self._commits()
        )
        self._done(result)

    def _retry(self, error: str | None) -> None:
        rule = self._task.on_error
        delay = rule.retry_delay_secs * (2 ** (self._attempts - 1) if rule.exponential_backoff else 1)
        self._run.emit("task_retried", self._instance.path, attempt=self._attempts, delay=delay, error=error)
        self._run.scheduler.after(delay, self._attempt, self._instance.wanted)

    def _commits(self) -> bool:
        """Whether it is written down at once: of a loop with checkpoint_interval, every so many iterations are."""
        interval = self._task.loop_control.checkpoint_interval or 1
        number = self._instance.iteration
        return number is None or (number + 1) % interval == 0

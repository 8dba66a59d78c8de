"""The loop of a task: its iterations, one after the other or side by side."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol

from maxstage.errors import Error, WorkflowError, describe
from maxstage.workflow.run import loop_items
from maxstage.workflow.run.clock import Clock
from maxstage.workflow.run.collections import Records, open_records
from maxstage.workflow.run.gathering import gather
from maxstage.workflow.run.numbers import seconds, whole
from maxstage.workflow.run.results import COMPLETED, FAILED, SKIPPED, TaskResult
from maxstage.workflow.run.task_files import file_of, names_iteration, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.files import Located
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.monitor import RunMonitor
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope

    Done = Callable[[TaskResult | None], None]


class Body(Protocol):
    """What an iteration does."""

    def __init__(
        self,
        run: RunContext,
        monitor: RunMonitor,
        task: Task,
        instance: TaskInstance,
        scope: Scope,
        done: Done,
    ) -> None: ...

    def start(self) -> None:
        """Begin."""
        ...


class Loop:
    """A task's loop: its iterations, one after the other or some at once."""

    def __init__(
        self,
        run: RunContext,
        monitor: RunMonitor,
        task: Task,
        instance: TaskInstance,
        scope: Scope,
        done: Done,
        body: type[Body],
    ) -> None:
        assert task.loop is not None  # noqa: S101 - it is what the caller looked at
        self._run = run
        self._monitor = monitor
        self._task = task
        self._instance = instance
        self._scope = scope.inner()
        self._done = done
        self._body = body
        self._loop = task.loop
        self._records: Records | None = None
        self._next = 0
        self._finished = 0
        self._active = 0
        self._most = 1
        self._over = False
        self._dropped = False
        self._closed = False
        self._error: str | None = None
        self._total: int | None = None
        self._is_changed = False
        self._timeout = seconds(task.loop_control.timeout_secs, scope)
        self._clock = Clock(self._timeout, instance.clock)

    def start(self) -> None:
        """Begin.

        Raises:
            WorkflowError, OSError, Error: What it goes over can't be read.
        """
        each = self._loop.for_each
        total = None
        if self._loop.repeat is not None:
            total = whole(self._loop.repeat.count, self._scope, least=0)
        if each is not None:
            self._records = open_records(each.collection, self._scope, self._run.folder, self._run.store)
            total = self._records.total
        if self._loop.side_by_side is not None:
            self._most = self._loop.side_by_side.max_parallel or self._run.jobs
        self._total = total
        self._run.emit("loop_started", self._instance.path, total=total)
        self._advance()

    def _wanted(self) -> bool:
        return self._error is None and self._instance.wanted()

    def _advance(self) -> None:
        """Start what may start now."""
        try:
            while not self._over and self._active < self._most and self._wanted():
                if self._run.scheduler.stopping:
                    self._dropped = True
                    break
                self._start_next()
        except (Error, OSError) as error:
            self._error = describe(error)
            self._is_changed = isinstance(error, loop_items.ItemsChanged)
        if not self._active and (self._over or self._dropped or not self._wanted()):
            self._finish()

    def _start_next(self) -> None:
        if self._clock.is_over:
            raise WorkflowError(f"the loop timed out after {self._timeout:g} s")
        # A for_each puts its item there instead.
        variables: dict[str, Any] = dict.fromkeys(("iteration", *self._loop.variables), self._next)
        if self._is_over(variables):
            self._over = True
            return
        scope = self._scope.inner(variables=variables)
        control = self._task.loop_control
        if control.break_condition is not None and scope.holds(control.break_condition):
            self._over = True
            return
        number, self._next = self._next, self._next + 1
        instance = self._instance._replace(
            path=f"{self._instance.path}[{number}]",
            key=(*self._instance.key, number),
            clock=self._clock,
            wanted=self._wanted,
            iteration=number,
        )
        known = self._run.state.find(instance.path)
        if known is not None and not known.is_final:
            known = None
        if self._records is not None:
            loop_items.check(self._run.state, instance.path, variables["item"], is_done=known is not None)
        self._active += 1
        done = functools.partial(self._ended, number, instance.path)
        if known is not None:
            self._run.scheduler.soon(functools.partial(done, known))
        elif control.continue_condition is not None and scope.holds(control.continue_condition):
            skipped = TaskResult(SKIPPED)
            self._monitor.record(instance, skipped)
            self._run.scheduler.soon(functools.partial(done, skipped))
        else:
            self._body(self._run, self._monitor, self._task, instance, scope, done).start()

    def _is_over(self, variables: dict[str, Any]) -> bool:
        """Whether no further iteration comes; else add what it is given."""
        if self._records is not None and self._loop.for_each is not None:
            try:
                item = next(self._records.items)
            except StopIteration:
                loop_items.check_count(self._run.state, self._instance.path, self._next)
                return True
            variables["item"] = variables[self._loop.for_each.iterator] = item
            return False
        if self._loop.repeat is not None:
            assert self._total is not None  # noqa: S101 - `start` has set it
            return self._next >= self._total
        turns = self._loop.turns
        assert turns is not None  # noqa: S101 - a loop is one of four
        if self._loop.while_ is not None:
            over = not self._scope.holds(turns.condition)
        else:
            over = self._next >= turns.least and self._scope.holds(turns.condition)
        if not over and self._next >= turns.max_iterations:
            word = "still holds" if self._loop.while_ is not None else "does not hold"
            raise WorkflowError(f"the condition {word} after {self._next} iterations (max_iterations)")
        return over

    def _ended(self, number: int, path: str, result: TaskResult | None) -> None:
        self._active -= 1
        if result is None:
            self._dropped = True
        else:
            self._finished += 1
            self._scope.ended[self._instance.name] = path
            self._run.emit("loop_progress", self._instance.path, done=self._finished, total=self._total)
            if not result.is_final:
                self._error = self._error or f"iteration {number}: {result.error}"
        delay = 0.0 if self._loop.turns is None else self._loop.turns.delay_between_secs
        if delay and not self._dropped and self._error is None:
            self._run.scheduler.after(delay, self._advance, self._wanted)
        else:
            self._run.scheduler.soon(self._advance)

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._records is not None:
            self._records.close()
        if self._error is None and not self._over:
            self._done(None)
            return
        paths = (f"{self._instance.path}[{number}]" for number in range(self._next))
        error, started = self._error, self._clock.started

        def work(file: Located | None) -> TaskResult:
            output = gather(self._run, self._instance, paths, ok=error is None, started=started)
            if file is not None and error is None:
                write_file(self._run, output, file, self._instance.path)
            # What was done with other items must not pass for this loop's, not even for its failure.
            tolerated = error is not None and self._task.on_error.continue_ and not self._is_changed
            status = COMPLETED if error is None else FAILED
            return TaskResult(status, output, attempts=self._finished, error=error, tolerated=tolerated)

        def prepare() -> Callable[[], TaskResult]:
            file = (
                None
                if names_iteration(self._task)
                else file_of(self._run, self._task, self._instance, self._scope)
            )
            return functools.partial(work, file)

        self._run.scheduler.submit(self._instance.key, prepare, self._gathered, always=True)

    def _gathered(self, result: TaskResult | BaseException | None) -> None:
        if isinstance(result, BaseException):
            result = failed(result)
            result.tolerated = self._task.on_error.continue_
        self._done(result)


def failed(error: BaseException) -> TaskResult:
    """Return what went wrong as a task's result; what is no error of the task's is raised."""
    if isinstance(error, Error | OSError):
        return TaskResult(FAILED, error=describe(error))
    raise error

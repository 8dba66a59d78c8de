"""Tasks as they run: levels of tasks, loops and retries, each a small machine that the engine drives.

Every one is given a callback, which gets its result once it is recorded; None means that the run stops before it
was finished, and that a resumed run has to do it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import Error, WorkflowError
from maxstage.workflow.format import references
from maxstage.workflow.format.checking import loop_names
from maxstage.workflow.run import files, loop_items
from maxstage.workflow.run import jobs as leaf
from maxstage.workflow.run.collections import Records, open_records
from maxstage.workflow.run.gathering import gather
from maxstage.workflow.run.loop_clock import Clock
from maxstage.workflow.run.state import COMPLETED, FAILED, SKIPPED, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.output.limits import Limits
    from maxstage.output.strategies import Keep
    from maxstage.workflow.format.loading import Checked
    from maxstage.workflow.format.schema import Task, While
    from maxstage.workflow.run.scheduler import Engine, Key
    from maxstage.workflow.run.scope import Scope
    from maxstage.workflow.run.state import Ended, RunState

    Done = Callable[[TaskResult | None], None]


class Run(NamedTuple):
    """What all parts of a run share.

    Attributes:
        engine: The scheduler.
        state: What has ended.
        checked: The file, and what waits for what.
        given: What programs are given.
        jobs: How many programs may run at once.
        emit: Tells whoever watches: an event's name and what is known.
        known: All that have ended, by path, without their outputs.
        ended: Is told that a task, or an iteration, has ended.
        context: Returns what an agent's task is given of other outputs.
        checkpoint: Is told that the state is about to be written, of a loop with checkpoints.
    """

    engine: Engine
    state: RunState
    checked: Checked
    given: leaf.Given
    jobs: int
    emit: Callable[..., None]
    known: dict[str, Ended]
    ended: Callable[[Place, TaskResult], None]
    context: Callable[[Place, Task, Scope], bytes]
    checkpoint: Callable[[], None]


class Place(NamedTuple):
    """Where a task stands.

    Attributes:
        path: Its path in the run: ``build[2].compile``.
        spec_path: Its path in the file: ``build.compile``.
        name: Its name.
        key: Its turn: priority and place in the file, level by level.
        limits: Its limits.
        clock: How long the loops around it may take.
        wanted: Whether it still is to be started.
        iteration: Which iteration of its loop it is; None where it is no iteration.
    """

    path: str
    spec_path: str
    name: str
    key: Key
    limits: Limits
    clock: Clock
    wanted: Callable[[], bool]
    iteration: int | None = None


class Level:
    """Tasks that are siblings. Succeeds when all have ended well; one that fails lets no further one start."""

    def __init__(
        self,
        run: Run,
        tasks: Mapping[str, Task],
        place: Place,
        scope: Scope,
        done: Callable[[bool | None, str | None], None],
    ) -> None:
        self._run = run
        self._tasks = tasks
        self._place = place
        self._scope = scope
        self._done = done
        prefix = f"{place.spec_path}." if place.spec_path else ""
        self._waiting = {name: set(run.checked.dependencies[f"{prefix}{name}"]) for name in tasks}
        self._dependents: dict[str, list[str]] = {name: [] for name in tasks}
        for name, others in self._waiting.items():
            for other in others:
                self._dependents[other].append(name)
        self._order = {name: (task.priority, number) for number, (name, task) in enumerate(tasks.items())}
        self._active = 0
        self._error: str | None = None
        self._dropped = False

    def start(self) -> None:
        """Start what waits for nothing."""
        self._active = 1
        for name in [name for name, others in self._waiting.items() if not others]:
            self._start(name)
        self._leave()

    def _wanted(self) -> bool:
        return self._error is None and self._place.wanted()

    def _start(self, name: str) -> None:
        self._active += 1
        outer = self._place
        task = self._tasks[name]
        place = Place(
            f"{outer.path}.{name}" if outer.path else name,
            f"{outer.spec_path}.{name}" if outer.spec_path else name,
            name,
            (*outer.key, *self._order[name]),
            outer.limits.override(leaf.limits_of(task.limits, self._run.given.folder)),
            outer.clock,
            self._wanted,
        )
        TaskNode(
            self._run, task, place, self._scope, functools.partial(self._ended, name, place.path)
        ).start()

    def _ended(self, name: str, path: str, result: TaskResult | None) -> None:
        if result is None:
            self._dropped = True
        else:
            self._scope.ended[name] = path
            if not result.is_final:
                self._error = self._error or f"{name}: {result.error}"
            else:
                for other in self._dependents[name]:
                    self._waiting[other].discard(name)
                    if not self._waiting[other] and self._wanted():
                        self._start(other)
        self._leave()

    def _leave(self) -> None:
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

    def __init__(self, run: Run, task: Task, place: Place, scope: Scope, done: Done) -> None:
        self._run = run
        self._task = task
        self._place = place
        self._scope = scope
        self._done = done

    def start(self) -> None:
        """Begin; where it has ended in an earlier start of the run, it is not done again."""
        run, task, place = self._run, self._task, self._place
        known = run.state.find(place.path)
        if known is not None and known.is_final:
            if task.loop is None or not names_iteration(task):
                claim_again(run, task, place, self._scope, known)
            run.emit("task_finished", place.path, result=known, resumed=True)
            run.engine.soon(functools.partial(self._done, known))
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
                Loop(run, task, place, scope, self._end_loop).start()
            else:
                Body(run, task, place, scope, self._done).start()
        except (Error, OSError) as error:
            self._end(TaskResult(FAILED, error=str(error), tolerated=task.on_error.continue_))

    def _end(self, result: TaskResult) -> None:
        record(self._run, self._place, result)
        self._run.engine.soon(functools.partial(self._done, result))

    def _end_loop(self, result: TaskResult | None) -> None:
        if result is None:
            self._done(None)
        else:
            self._end(result)


class Body:
    """What a task does, once: a program or subtasks, with its retries. It is recorded when it has ended."""

    def __init__(self, run: Run, task: Task, place: Place, scope: Scope, done: Done) -> None:
        self._run = run
        self._task = task
        self._place = place
        self._scope = scope
        self._done = done
        self._attempts = 0
        self._started = 0.0

    def start(self) -> None:
        """Begin."""
        self._attempt()

    def _attempt(self) -> None:
        run, task, place = self._run, self._task, self._place
        if run.engine.stopping or not place.wanted():
            run.engine.soon(functools.partial(self._done, None))
            return
        if task.subtasks is None:
            run.engine.submit(place.key, self._prepare, self._attempted, place.wanted)
            return
        self._begin()
        scope = self._scope.inner(name=place.name)
        Level(run, task.subtasks, place, scope, self._level_ended).start()

    def _begin(self) -> None:
        self._attempts += 1
        self._started = time.monotonic()
        self._run.emit("task_started", self._place.path, attempt=self._attempts)

    def _prepare(self) -> Callable[[], TaskResult]:
        run, place = self._run, self._place
        self._begin()
        place.clock.start()
        ready = leaf.prepare(
            run.given,
            self._task,
            place.path,
            self._scope,
            limits=leaf.keeping(place.limits) if self._keeps() else place.limits,
            keep=self._keep(),
            deadline=place.clock.deadline,
            context=run.context(place, self._task, self._scope) if self._task.inject_context else b"",
            output=self._file(),
        )
        return functools.partial(leaf.execute, run.given, ready)

    def _file(self) -> files.Located | None:
        """Return the file for what is printed here; where the loop writes one for all its iterations, there is none."""
        if (
            self._place.iteration is not None
            and self._task.loop is not None
            and not names_iteration(self._task)
        ):
            return None
        return file_of(self._run, self._task, self._place, self._scope)

    def _keeps(self) -> bool:
        return is_wanted_whole(self._run, self._place)

    def _keep(self) -> Keep:
        wanted = self._place.spec_path in self._run.checked.tokens_wanted
        return "always" if wanted and self._place.iteration is None else "truncated"

    def _level_ended(self, succeeded: bool | None, error: str | None) -> None:
        if succeeded is None:
            self._done(None)
            return
        paths = (f"{self._place.path}.{name}" for name in self._task.subtasks or {})
        keep, whole, started = self._keep(), self._keeps(), self._started

        def work(file: files.Located | None) -> TaskResult:
            output = gather(
                self._run, self._place, paths, keep=keep, whole=whole, ok=succeeded, started=started
            )
            if file is not None and succeeded:
                leaf.write_file(self._run.given, output, file, self._place.path)
            return TaskResult(COMPLETED if succeeded else FAILED, output, error=error)

        def prepare() -> Callable[[], TaskResult]:
            return functools.partial(work, self._file())

        self._run.engine.submit(self._place.key, prepare, self._attempted, always=True)

    def _attempted(self, result: TaskResult | BaseException | None) -> None:
        run, task, place = self._run, self._task, self._place
        if isinstance(result, BaseException):
            result = _failed(result)
        if result is None:
            self._done(None)
            return
        if result.status == FAILED:
            if run.engine.cancel.is_set():
                # It did not fail: it was ended.
                leaf.unstage(run.given.store, result.output)
                self._done(None)
                return
            if self._attempts <= task.on_error.retry and not run.engine.stopping and place.wanted():
                leaf.unstage(run.given.store, result.output)
                self._retry(result.error)
                return
        result.attempts = self._attempts
        result.tolerated = result.status == FAILED and task.on_error.continue_
        if task.loop_control.checkpoint_interval is not None and self._commits():
            run.checkpoint()
        record(run, place, result, seconds=time.monotonic() - self._started, commit=self._commits())
        self._done(result)

    def _retry(self, error: str | None) -> None:
        rule = self._task.on_error
        delay = rule.retry_delay_secs * (2 ** (self._attempts - 1) if rule.exponential_backoff else 1)
        self._run.emit("task_retried", self._place.path, attempt=self._attempts, delay=delay, error=error)
        self._run.engine.after(delay, self._attempt, self._place.wanted)

    def _commits(self) -> bool:
        """Whether it is written down at once: of a loop with checkpoint_interval, every so many iterations are."""
        interval = self._task.loop_control.checkpoint_interval or 1
        number = self._place.iteration
        return number is None or (number + 1) % interval == 0


class Loop:
    """A task's loop: its iterations, one after the other or some at once."""

    def __init__(self, run: Run, task: Task, place: Place, scope: Scope, done: Done) -> None:
        assert task.loop is not None  # noqa: S101 - it is what the caller looked at
        self._run = run
        self._task = task
        self._place = place
        self._scope = scope.inner()
        self._done = done
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
        self._is_changed = False
        self._clock = Clock(task.loop_control.timeout_secs, place.clock)

    def start(self) -> None:
        """Begin.

        Raises:
            WorkflowError, OSError, Error: What it goes over can't be read.
        """
        each = self._loop.for_each
        total = self._loop.repeat.count if self._loop.repeat is not None else None
        if each is not None:
            given = self._run.given
            self._records = open_records(each.collection, self._scope, given.folder, given.store)
            total = self._records.total
            self._most = (each.max_parallel or self._run.jobs) if each.parallel else 1
        self._run.emit("loop_started", self._place.path, total=total)
        self._total = total
        self._advance()

    @property
    def _turns(self) -> While | None:
        return self._loop.while_ or self._loop.repeat_until

    def _wanted(self) -> bool:
        return self._error is None and self._place.wanted()

    def _advance(self) -> None:
        """Start what may start now."""
        try:
            while not self._over and self._active < self._most and self._wanted():
                if self._run.engine.stopping:
                    self._dropped = True
                    break
                self._start_next()
        except (Error, OSError) as error:
            self._error = str(error)
            self._is_changed = isinstance(error, loop_items.ItemsChanged)
        if not self._active and (self._over or self._dropped or not self._wanted()):
            self._finish()

    def _start_next(self) -> None:
        if self._clock.is_over:
            raise WorkflowError(f"the loop took longer than {self._task.loop_control.timeout_secs:g} s")
        variables: dict[str, Any] = {"iteration": self._next}
        if self._is_over(variables):
            self._over = True
            return
        scope = self._scope.inner(variables=variables)
        control = self._task.loop_control
        if control.break_condition is not None and scope.holds(control.break_condition):
            self._over = True
            return
        number, self._next = self._next, self._next + 1
        place = self._place._replace(
            path=f"{self._place.path}[{number}]",
            key=(*self._place.key, number),
            clock=self._clock,
            wanted=self._wanted,
            iteration=number,
        )
        known = self._run.state.find(place.path)
        if known is not None and not known.is_final:
            known = None
        if self._records is not None:
            loop_items.check(self._run.state, place.path, variables["item"], is_done=known is not None)
        self._active += 1
        done = functools.partial(self._ended, number, place.path)
        if known is not None:
            if names_iteration(self._task):
                claim_again(self._run, self._task, place, scope, known)
            self._run.engine.soon(functools.partial(done, known))
        elif control.continue_condition is not None and scope.holds(control.continue_condition):
            skipped = TaskResult(SKIPPED)
            record(self._run, place, skipped)
            self._run.engine.soon(functools.partial(done, skipped))
        else:
            Body(self._run, self._task, place, scope, done).start()

    def _is_over(self, variables: dict[str, Any]) -> bool:
        """Whether no further iteration comes; else add what it is given."""
        if self._records is not None and self._loop.for_each is not None:
            try:
                item = next(self._records.items)
            except StopIteration:
                loop_items.check_count(self._run.state, self._place.path, self._next)
                return True
            variables["item"] = variables[self._loop.for_each.iterator] = item
            return False
        if self._loop.repeat is not None:
            return self._next >= self._loop.repeat.count
        turns = self._turns
        assert turns is not None  # noqa: S101 - a loop is one of four
        if self._loop.while_ is not None:
            over = not self._scope.holds(turns.condition)
        else:
            over = self._next > 0 and self._scope.holds(turns.condition)
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
            self._scope.ended[self._place.name] = path
            self._run.emit("loop_progress", self._place.path, done=self._finished, total=self._total)
            if not result.is_final:
                self._error = self._error or f"iteration {number}: {result.error}"
        delay = 0.0 if self._turns is None else self._turns.delay_between_secs
        if delay and not self._dropped and self._error is None:
            self._run.engine.after(delay, self._advance, self._wanted)
        else:
            self._run.engine.soon(self._advance)

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._records is not None:
            self._records.close()
        if self._error is None and not self._over:
            self._done(None)
            return
        paths = (f"{self._place.path}[{number}]" for number in range(self._next))
        keep: Keep = "always" if self._place.spec_path in self._run.checked.tokens_wanted else "truncated"
        whole = is_wanted_whole(self._run, self._place)
        error, started = self._error, self._clock.started

        def work(file: files.Located | None) -> TaskResult:
            output = gather(
                self._run, self._place, paths, keep=keep, whole=whole, ok=error is None, started=started
            )
            if file is not None and error is None:
                leaf.write_file(self._run.given, output, file, self._place.path)
            # What was done with other items must not pass for this loop's, not even for its failure.
            tolerated = error is not None and self._task.on_error.continue_ and not self._is_changed
            status = COMPLETED if error is None else FAILED
            return TaskResult(status, output, attempts=self._finished, error=error, tolerated=tolerated)

        def prepare() -> Callable[[], TaskResult]:
            file = (
                None
                if names_iteration(self._task)
                else file_of(self._run, self._task, self._place, self._scope)
            )
            return functools.partial(work, file)

        self._run.engine.submit(self._place.key, prepare, self._gathered, always=True)

    def _gathered(self, result: TaskResult | BaseException | None) -> None:
        if isinstance(result, BaseException):
            result = _failed(result)
            result.tolerated = self._task.on_error.continue_
        self._done(result)


def is_wanted_whole(run: Run, place: Place) -> bool:
    """Whether somebody wants all that is printed here, or by a task around: another task, or a file."""
    names = place.spec_path.split(".")
    return any(".".join(names[:count]) in run.checked.wanted_whole for count in range(1, len(names) + 1))


def names_iteration(task: Task) -> bool:
    """Whether the file of a task is another one for each iteration of its own loop."""
    found = references.find(task.output or "")
    return any(reference.kind == "local" and reference.name in loop_names(task) for reference in found)


def file_of(run: Run, task: Task, place: Place, scope: Scope) -> files.Located | None:
    """Return where a task's file is, if it has one.

    Raises:
        WorkflowError: Something that it refers to is not there, the path leads out of its folder, or another task
            wrote the file.
    """
    if task.output is None:
        return None
    located = files.locate(run.given.folder, task.output, scope.render)
    run.given.writers.check(located, place.path)
    return located


def claim_again(run: Run, task: Task, place: Place, scope: Scope, known: TaskResult) -> None:
    """Note the file that a task wrote in an earlier start of the run, so that no other one writes it now."""
    if task.output is not None and known.status == COMPLETED:
        # The file may have been another one, where what it was named by is gone.
        with contextlib.suppress(Error):
            run.given.writers.claim(files.locate(run.given.folder, task.output, scope.render), place.path)


def _failed(error: BaseException) -> TaskResult:
    """Return what went wrong as a task's result; what is no error of the task's is raised."""
    if isinstance(error, Error | OSError):
        return TaskResult(FAILED, error=str(error))
    raise error


def record(
    run: Run, place: Place, result: TaskResult, *, seconds: float | None = None, commit: bool = True
) -> None:
    """Note that a task, or an iteration, has ended, and tell."""
    if result.error is not None:
        # It may quote a name that is no text; it is kept, printed, and told to hooks.
        result.error = references.printable(result.error)
    if result.output is not None:
        dependents = run.checked.dependents.get(place.spec_path, ())
        result.output = dataclasses.replace(result.output, depended_by=dependents)
    run.known[place.path] = run.state.record(place.path, result, commit=commit)
    run.emit("task_finished", place.path, result=result, seconds=seconds)
    run.ended(place, result)

"""Starting a run, or going on with one: its state, what its parts share, and how it ends."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage import exact
from maxstage.errors import WorkflowError, describe
from maxstage.store.clock import check_clock
from maxstage.workflow.execution import executor_on
from maxstage.workflow.execution.job import ANSWER
from maxstage.workflow.format.input_types import problem_with
from maxstage.workflow.run import cancelling
from maxstage.workflow.run.again import Again
from maxstage.workflow.run.clock import Clock
from maxstage.workflow.run.earlier_runs import Cache
from maxstage.workflow.run.folder import find_runs, list_runs, new_run_id, runs_folder
from maxstage.workflow.run.instance import TaskInstance
from maxstage.workflow.run.instances import Level
from maxstage.workflow.run.leftovers import sweep_orphans
from maxstage.workflow.run.monitor import RunMonitor
from maxstage.workflow.run.outcome import Event, RunInterrupted, RunResult
from maxstage.workflow.run.paths import spec_path
from maxstage.workflow.run.questions import answer, forget_taken
from maxstage.workflow.run.results import COMPLETED, FAILED, INTERRUPTED, RUNNING, WAITING
from maxstage.workflow.run.run_context import open_context
from maxstage.workflow.run.run_files import is_run_id
from maxstage.workflow.run.scope import Scope
from maxstage.workflow.run.secrets import Secrets
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.unfinished import plan_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from maxstage.store.store import Store
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.again import Start
    from maxstage.workflow.run.asking import Asking
    from maxstage.workflow.run.questions import Question
    from maxstage.workflow.run.run_context import RunContext

    Ask = Callable[[Question, Callable[[], bool]], str | None]


class _Outcome(NamedTuple):
    """How the tasks of a run ended.

    Attributes:
        status: ``completed``, ``failed``, ``interrupted`` or ``waiting``.
        error: Why it failed.
        outputs: The workflow's outputs.
    """

    status: str
    error: str | None = None
    outputs: Mapping[str, str] = {}


def _existing(folder: str) -> str:
    if not os.path.isdir(folder):
        raise WorkflowError(f"the working directory {folder} does not exist")
    return folder


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Return the inputs that have another value than before."""
    return {name for name, value in now.items() if name not in before or not exact.equal(before[name], value)}


def _check_changed(run_id: str, again: Again, changed: set[str]) -> None:
    """Check that what has ended with other inputs is done again.

    Raises:
        WorkflowError: Some is not.
    """
    left = again.left_with(changed) if changed else []
    if left:
        raise WorkflowError(
            f"run {run_id} was started with other inputs ({', '.join(sorted(changed))}); start a new one, or do what "
            f"uses them again: --rerun {','.join(left)}"
        )


class RunStart:
    """One start of a run, its first or a later one.

    Args:
        workflow: The file.
        store: The project.
        on_event: Called with each event.
        jobs: How many programs may run at once; None for what the executor suggests.
        use_cache: Whether to take tasks from earlier runs.
        on: Where programs run (``--on``); None for where those of the run ran before, or this machine.
        ask: Called with a question once nothing else is left to do, and with a function that returns whether it was
            answered elsewhere, or the run stops; returns the answer, or None.
        environment: Returns what else a task's program finds in its environment, given the path of the task.
        on_output: Called with the path of a task, the stream and what its program prints, as it comes.
    """

    def __init__(
        self,
        workflow: ValidWorkflow,
        store: Store,
        on_event: Callable[[Event], None],
        jobs: int | None,
        *,
        use_cache: bool = True,
        ask: Ask | None = None,
        environment: Callable[[str], Mapping[str, str]] | None = None,
        on: str | None = None,
        on_output: Callable[[str, int, bytes], None] | None = None,
    ) -> None:
        self._on_output = on_output
        self._environment = environment
        self._ask = ask
        self._use_cache = use_cache
        self._named: frozenset[str] = frozenset()
        self._workflow = workflow
        self._spec = workflow.spec
        self._store = store
        self._on = on
        self._executor = executor_on(on, store)
        self._on_event = on_event
        self._jobs = jobs
        self._folder = runs_folder(store)
        self._file = os.path.abspath(workflow.file)
        self._secrets = Secrets()

    def _emit(self, kind: str, task: str | None = None, **data: Any) -> None:
        self._on_event(Event(kind, time.time(), self._secrets.mask_all(task), self._secrets.mask_all(data)))

    def open_state(
        self, inputs: Mapping[str, Any], start: Start, folder: str
    ) -> tuple[RunState, dict[str, Any], str]:
        """Return the state, the inputs and the working directory of a new run, or of one that goes on.

        Args:
            inputs: Values for its inputs.
            start: Which run to go on with, and what of it to do again.
            folder: Where relative paths start.

        Raises:
            WorkflowError: An input is missing or unknown, there is nothing to go on with, a task to do again doesn't
                exist, or the run is running already.
            Error: The machine's clock is wrong by centuries.
        """
        check_clock(time.time())
        self._secrets = Secrets(self._spec.secrets)
        run_id = self._to_go_on_with(start, inputs)
        if run_id is None or self._is_elsewhere(run_id):
            self._open_executor()
            facts = self._first_facts(inputs, folder)
            state = RunState.create(self._folder, run_id or new_run_id(), facts)
            return state, facts["inputs"], facts["folder"]
        state = RunState(self._folder, run_id)
        try:
            state.acquire()
            facts = state.facts()
            self._go_on_where(facts)
            if "inputs" not in facts:
                # Imported from the older form: nothing is known but what some tasks said.
                facts = self._first_facts(inputs, folder)
                state.set_facts(**facts)
            _existing(facts["folder"])
            facts["inputs"] = self._go_on(state, facts, inputs, start)
        except BaseException:
            state.close()
            raise
        return state, facts["inputs"], facts["folder"]

    def _is_elsewhere(self, run_id: str) -> bool:
        """Return whether a run whose state is not here has programs where ours run, whose results are joined."""
        if run_id in list_runs(self._folder) or not is_run_id(run_id):
            return False
        return self._executor.knows(run_id)

    def _open_executor(self) -> None:
        """Connect to where programs run, and tell what the user should know of it."""
        queues = [
            None if task.runs_on is None else task.runs_on.queue
            for task in self._workflow.tasks.values()
            if task.subtasks is None and task.await_ is None and task.intent is None
        ]
        for text in self._executor.open(queues):
            self._emit("warning", text=text)

    def _go_on_where(self, facts: Mapping[str, Any]) -> None:
        """Let programs run where those of the run ran before, unless the user says; then those have to end first.

        Raises:
            WorkflowError: They can't be reached.
        """
        before, now = facts.get("on"), self._executor.on
        if self._on is None and before != now:
            self._executor = executor_on(before, self._store)
        self._open_executor()

    def _end_what_runs(self, run_id: str, before: str | None) -> None:
        """End what an earlier start of the run has left running, unless it is joined."""
        if before != self._executor.on:
            earlier = executor_on(before, self._store)
            try:
                earlier.reap(run_id)
            finally:
                earlier.close()
        elif not self._executor.goes_on:
            self._executor.reap(run_id)

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self._workflow.text.encode("utf-8", "surrogatepass")).hexdigest()

    def _first_facts(self, inputs: Mapping[str, Any], folder: str) -> dict[str, Any]:
        """Return what is known of a run from its beginning."""
        where = _existing(os.path.normpath(os.path.join(folder, self._spec.cwd or "")))
        return {
            "workflow": self._spec.name,
            "file": self._file,
            "sha256": self._fingerprint,
            "inputs": self._inputs(inputs),
            "folder": where,
            "stores": self._directories(where),
            "on": self._executor.on,
            "started": time.time(),
            "status": RUNNING,
            "plan": plan_of(self._workflow),
        }

    def _go_on(
        self, state: RunState, facts: Mapping[str, Any], given: Mapping[str, Any], start: Start
    ) -> dict[str, Any]:
        """Make a run ready to go on; return its inputs."""
        if facts.get("sha256") != self._fingerprint:
            text = "the file has changed since the run began; tasks that have ended are not run again"
            gone = sorted({spec_path(path) for path in state.paths()} - set(self._workflow.tasks))
            if gone:
                text += f"; no longer in it: {', '.join(gone)}"
            self._emit("warning", text=text)
        inputs = self._inputs_now(facts["inputs"], given)
        again = Again(self._workflow, state.ended(), start)
        self._named = again.named
        _check_changed(state.run_id, again, _changed(facts["inputs"], inputs))
        self._end_what_runs(state.run_id, facts.get("on"))
        state.set_aside(again.paths(), repeated=True)
        if not self._executor.goes_on:
            sweep_orphans(self._store, state)
        state.set_facts(status=RUNNING, inputs=inputs, on=self._executor.on, plan=plan_of(self._workflow))
        return inputs

    def _inputs_now(self, before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of a run that goes on: those that it had, unless others are given."""
        if not given:
            return dict(before)
        declared = self._spec.inputs
        return self._inputs({name: one for name, one in before.items() if name in declared} | dict(given))

    def _directories(self, folder: str) -> list[str]:
        """Return the folders beside the project's store that full outputs may go to."""
        parts = [self._store.settings.limits, self._spec.limits]
        parts += [task.limits for task in self._workflow.tasks.values()]
        found = {part["external_storage_dir"] for part in parts if part.get("external_storage_dir")}
        return sorted(os.path.join(folder, path) for path in found)

    def _to_go_on_with(self, start: Start, inputs: Mapping[str, Any]) -> str | None:
        """Return the id of the run to go on with; None for a new one.

        Raises:
            WorkflowError: There is none to go on with.
        """
        if start.run_id is not None:
            return start.run_id
        if not start.again and not start.resume:
            return None
        for run_id, facts in find_runs(self._folder):
            if facts.get("file") != self._file:
                continue
            if start.or_new and _changed(facts.get("inputs", {}), self._inputs(inputs)):
                continue  # a run with other inputs
            if start.again or facts.get("status") != COMPLETED:
                return run_id
            break
        if start.or_new:
            return None
        if start.again:
            raise WorkflowError(f"there is no run of {self._workflow.file} in which to do anything again")
        raise WorkflowError(
            f"there is no unfinished run of {self._workflow.file} to resume; to start one then: --resume-or-start"
        )

    def _inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        declared = self._spec.inputs
        unknown = sorted(set(given) - set(declared))
        if unknown:
            known = ", ".join(declared) or "none"
            raise WorkflowError(f"the workflow has no input {unknown[0]!r}; it has: {known}")
        missing = [
            name
            for name, one in declared.items()
            if one.required and name not in given and one.default is None
        ]
        if missing:
            raise WorkflowError(f"the workflow needs a value for: {', '.join(missing)}")
        values = {name: given.get(name, one.default) for name, one in declared.items()}
        for name, value in values.items():
            problem = problem_with(declared[name], value) if name in given else None
            if problem is not None:
                raise WorkflowError(f"input {name} {problem}")
            secret = self._secrets.find_in(exact.dumps(value))
            if secret is not None:
                raise WorkflowError(
                    f"the input {name} has the secret {secret} in it, and inputs are kept: "
                    f"refer to {{{{ env.{secret} }}}}"
                )
        return values

    def run(self, state: RunState, inputs: dict[str, Any], folder: str, cancel: threading.Event) -> RunResult:
        """Run it to its end.

        Args:
            state: The run, which is ours.
            inputs: The values of all its inputs.
            folder: Its working directory.
            cancel: Once it is set, what runs is ended.

        Raises:
            RunInterrupted: Ctrl-C or SIGTERM.
        """
        cache = Cache(self._folder, self._file, run_id=state.run_id, use=self._use_cache, named=self._named)
        run = open_context(
            self._workflow,
            self._store,
            state,
            folder,
            jobs=self._jobs or self._executor.jobs or os.cpu_count() or 1,
            cancel=cancel,
            emit=self._emit,
            executor=self._executor,
            secrets=self._secrets,
            cache=cache,
            environment=self._environment,
        )
        if self._ask is not None:
            run.scheduler.ask = self._asked
        cancelling.forget(self._folder, state.run_id)
        run.scheduler.is_cancelled = functools.partial(cancelling.is_cancelled, self._folder, state.run_id)
        if self._on_output is not None and not self._executor.follow(self._on_output):
            self._emit("warning", text="what programs print there can't be shown as it comes")
        with run.scheduler.signals(), contextlib.closing(cache), self._answers(state):
            try:
                result = self._run(run, inputs)
            except BaseException as error:
                # Else it would pass for one that was killed. Where the state can't be written, that is what is raised.
                with contextlib.suppress(WorkflowError):
                    if state.facts()["status"] == RUNNING:
                        text = describe(error) if isinstance(error, Exception) else str(error)
                        why = self._secrets.mask(text) or "it was interrupted"
                        state.set_facts(status=INTERRUPTED, error=why)
                raise
        if result.status == COMPLETED and self._executor.goes_on:
            # What was sent to workers, and what several of them kept of one program. Nothing of the run goes on.
            sweep_orphans(self._store, state, spared=ANSWER)
        if result.status == INTERRUPTED and run.scheduler.ended_by is not None:
            raise RunInterrupted(result, run.scheduler.ended_by)
        return result

    def close(self) -> None:
        """Let go of where programs run."""
        self._executor.close()

    @contextlib.contextmanager
    def _answers(self, state: RunState) -> Iterator[None]:
        """See that no answer is left that was taken, neither now nor before."""
        if all(task.await_ is None for task in self._workflow.tasks.values()):
            yield
            return
        forget_taken(state)
        try:
            yield
        finally:
            forget_taken(state)

    def _asked(self, waiting: Asking, is_over: Callable[[], bool]) -> bool:
        """Ask whoever started the run; return whether there is an answer."""
        assert self._ask is not None  # noqa: S101 - it is what the caller looked at
        question = waiting.question
        given = self._ask(question, is_over)
        if given is None:
            return False
        answer(self._folder, question.run_id, question.task, given)
        return True

    def _run(self, run: RunContext, inputs: dict[str, Any]) -> RunResult:
        started = time.monotonic()
        scope = _scope_of(run, inputs)
        monitor = RunMonitor(run, scope)
        self._emit("run_started", run=run.run_id, workflow=run.spec.name, tasks=len(run.spec.tasks))
        status, error, outputs = self._secrets.mask_all(
            tuple(_with_outputs(run, scope, _run_tasks(run, monitor, scope)))
        )
        result = RunResult(self._folder, run.run_id, status, dict(outputs), error, time.monotonic() - started)
        metrics = monitor.close()
        run.state.set_facts(
            status=status, error=error, ended=time.time(), outputs=result.outputs, metrics=metrics
        )
        if status not in {INTERRUPTED, WAITING}:
            monitor.hooks.after(status)
            run.scheduler.run()
        self._emit(
            "run_finished", run=run.run_id, status=status, error=error, seconds=round(result.seconds, 3)
        )
        return result


def _scope_of(run: RunContext, inputs: dict[str, Any]) -> Scope:
    """Return what the tasks of the first level can refer to."""
    before = Scope(inputs, os.environ, run.state.find, run.store)
    env = {name: before.render(text) for name, text in run.spec.env.items()}
    return Scope(inputs, env, run.state.find, run.store, run.graph.matrices)


def _run_tasks(run: RunContext, monitor: RunMonitor, scope: Scope) -> _Outcome:
    """Run the hooks before the workflow, and then its tasks."""
    found: list[tuple[bool | None, str | None]] = []
    top = TaskInstance("", "", "", (), run.limits, Clock(), lambda: True)
    level = Level(run, monitor, run.spec.tasks, top, scope, lambda good, why: found.append((good, why)))
    monitor.hooks.before(level.start, lambda why: found.append((False, why)))
    run.scheduler.run()
    good, error = found[0] if found else (None, None)
    if good is None and run.scheduler.is_waiting:
        return _Outcome(WAITING)
    return _Outcome(INTERRUPTED if good is None else COMPLETED if good else FAILED, error)


def _with_outputs(run: RunContext, scope: Scope, outcome: _Outcome) -> _Outcome:
    """Return how a run ended, with the outputs of the workflow where it has completed."""
    if outcome.status != COMPLETED:
        return outcome
    try:
        outputs = {name: scope.render(text) for name, text in run.spec.outputs.items()}
    except WorkflowError as problem:
        return _Outcome(FAILED, f"outputs: {problem}")
    return outcome._replace(outputs=outputs)

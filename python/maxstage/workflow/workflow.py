"""Workflows from Python: load one, run it, look at what came out."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.store.store import Store
from maxstage.workflow.format import loading
from maxstage.workflow.format.agents import PROVIDERS, providers_from
from maxstage.workflow.format.checking import in_order, walk
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.run import instances as nodes
from maxstage.workflow.run import jobs as leaf
from maxstage.workflow.run.context import spec_path
from maxstage.workflow.run.files import Writers
from maxstage.workflow.run.hooks import Hooks
from maxstage.workflow.run.leftovers import end_leftovers, sweep_orphans
from maxstage.workflow.run.loop_clock import Clock
from maxstage.workflow.run.monitor import Books
from maxstage.workflow.run.run_list import find_runs
from maxstage.workflow.run.scheduler import Engine
from maxstage.workflow.run.scope import Scope
from maxstage.workflow.run.state import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    RUNNING,
    RunState,
    TaskResult,
    new_run_id,
    runs_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.workflow.format.loading import Checked, Problem


_NOT_IN_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that JSON has in a text as they are."""


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
        """What outputs took, and what was put into prompts: see `maxstage.workflow.run.metrics`."""
        state = RunState(self._folder, self.run_id)
        try:
            found: dict[str, Any] = state.facts().get("metrics", {})
        finally:
            state.close()
        return found

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


class Workflow:
    """A workflow that was read and found good.

    >>> workflow = Workflow.from_dict({
    ...     "name": "two", "version": "1",
    ...     "tasks": {
    ...         "one": {"command": {"executable": "echo", "args": ["a & b"]}},
    ...         "two": {"script": {"content": "echo got {{ tasks.one.output }}"}},
    ...     },
    ... })
    >>> workflow.order()
    ['one', 'two']
    """

    def __init__(self, checked: Checked) -> None:
        if checked.spec is None:
            raise WorkflowError("\n".join(checked.told(checked.errors)))
        self.checked = checked
        self.spec = checked.spec

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, store: Store | None = None) -> Workflow:
        """Read a workflow file.

        Args:
            path: The YAML file.
            store: The project whose settings name further providers; None: the one around, if there is one.

        Raises:
            WorkflowError: It is no good; the message has a line for each error, with file, line and column.
            OSError: It can't be read.
        """
        return cls(loading.load(os.fspath(path), _providers(store)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, store: Store | None = None) -> Workflow:
        """Take a workflow from plain data, of the same form as the file. Raises as `load` does."""
        # YAML is a superset of JSON, and so errors have their place here as well.
        text = json.dumps(values, indent=2, ensure_ascii=False)
        # But for what YAML takes for ends of lines, or does not take at all.
        text = _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        return cls(loading.check(Source(text), "<workflow>", _providers(store)))

    @property
    def warnings(self) -> list[Problem]:
        """What is doubtful in the file."""
        return self.checked.problems

    def order(self) -> list[str]:
        """Return the tasks of the first level in an order in which they could run one by one."""
        return in_order(self.spec.tasks, self.checked.dependencies)

    def run(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        jobs: int | None = None,
        on_event: Callable[[Event], None] | None = None,
        store: Store | None = None,
        resume: str | bool = False,
        folder: str | os.PathLike[str] | None = None,
        cancel: threading.Event | None = None,
    ) -> RunResult:
        """Run it.

        Args:
            inputs: Values for its inputs; the others have their defaults.
            jobs: Programs that run at once; None: as many as there are processors.
            on_event: Called with each event, in the calling thread. What it raises ends the run.
            store: The project; None: found as `Store.find` does it.
            resume: The id of a run to go on with, or True for the newest of this file that has not completed.
            folder: Where relative paths start, and ``cwd`` of the file too; None is the working directory.
            cancel: Once it is set, the run is stopped and what runs is ended.

        Returns:
            How it ended. A failed task makes no exception.

        Raises:
            WorkflowError: An input is missing or unknown, there is nothing to resume, or the run is running already.
            RunInterrupted: Ctrl-C or SIGTERM. The run can be resumed.
        """
        store = store or Store.find()
        start = _Start(self, store, on_event or (lambda _: None), jobs or os.cpu_count() or 1)
        state, values, where = start.open_state(inputs or {}, resume, os.path.abspath(folder or "."))
        try:
            return start.run(state, values, where, cancel or threading.Event())
        finally:
            state.close()


def _providers(store: Store | None) -> Any:
    from maxstage.errors import NoProject

    try:
        store = store or Store.find()
    except NoProject:
        return PROVIDERS
    return providers_from(store.settings.providers)


def _existing(folder: str) -> str:
    if not os.path.isdir(folder):
        raise WorkflowError(f"the working directory {folder} does not exist")
    return folder


class _Start:
    """One start of a run, its first or a later one."""

    def __init__(
        self, workflow: Workflow, store: Store, on_event: Callable[[Event], None], jobs: int
    ) -> None:
        self._workflow = workflow
        self._spec = workflow.spec
        self._store = store
        self._on_event = on_event
        self._jobs = jobs
        self._folder = runs_folder(store)
        self._file = os.path.abspath(workflow.checked.file)

    def emit(self, kind: str, task: str | None = None, **data: Any) -> None:
        self._on_event(Event(kind, time.time(), task, data))

    def open_state(
        self, inputs: Mapping[str, Any], resume: str | bool, folder: str
    ) -> tuple[RunState, dict[str, Any], str]:
        """Return the state, the inputs and the working directory of a new run, or of one that is resumed."""
        missing = [name for name in self._spec.secrets if not os.environ.get(name)]
        if missing:
            raise WorkflowError(
                f"the environment has no {', '.join(missing)}, which the workflow names as secrets"
            )
        if not resume:
            facts = self._first_facts(inputs, folder)
            state = RunState.create(self._folder, new_run_id(), facts)
            return state, facts["inputs"], facts["folder"]
        state = RunState(self._folder, self._newest() if resume is True else str(resume))
        try:
            state.acquire()
            facts = state.facts()
            if "inputs" not in facts:
                # Imported from the older form: nothing is known but what some tasks said.
                facts = self._first_facts(inputs, folder)
                state.set_facts(**facts)
            else:
                _existing(facts["folder"])
                self._go_on(state, facts, inputs)
        except BaseException:
            state.close()
            raise
        return state, facts["inputs"], facts["folder"]

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256(self._workflow.checked.source.text.encode("utf-8", "surrogatepass")).hexdigest()

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
            "started": time.time(),
            "status": RUNNING,
        }

    def _go_on(self, state: RunState, facts: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        if facts.get("sha256") != self._fingerprint:
            text = "the file has changed since the run began; what has ended is not done again"
            gone = sorted({spec_path(path) for path in state.paths()} - set(self._workflow.checked.paths))
            if gone:
                text += f"; no longer in it: {', '.join(gone)}"
            self.emit("warning", text=text)
        if inputs and self._inputs(inputs) != facts["inputs"]:
            raise WorkflowError(f"run {state.run_id} was started with other inputs; start a new one")
        end_leftovers(state.run_id)
        sweep_orphans(self._store, state)
        state.set_facts(status=RUNNING)

    def _directories(self, folder: str) -> list[str]:
        """Return the folders beside the project's store that whole outputs may go to."""
        parts = [self._store.settings.limits, self._spec.limits]
        parts += [task.limits for _, task in walk(self._spec.tasks)]
        found = {part["external_storage_dir"] for part in parts if part.get("external_storage_dir")}
        return sorted(os.path.join(folder, path) for path in found)

    def _newest(self) -> str:
        for run_id, facts in find_runs(self._folder):
            if facts.get("file") == self._file:
                if facts.get("status") == COMPLETED:
                    break
                return run_id
        raise WorkflowError(f"there is no unfinished run of {self._workflow.checked.file} to resume")

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
            raise WorkflowError(f"the workflow wants a value for: {', '.join(missing)}")
        return {name: given.get(name, one.default) for name, one in declared.items()}

    def run(self, state: RunState, inputs: dict[str, Any], folder: str, cancel: threading.Event) -> RunResult:
        engine = Engine(self._jobs, cancel, lambda now: self.emit("stopping", now=now))
        with engine.signals():
            try:
                result = self._run(state, inputs, folder, engine)
            except BaseException as error:
                # Else it would pass for one that was killed. Where the state can't be written, that is what is raised.
                with contextlib.suppress(WorkflowError):
                    if state.facts()["status"] == RUNNING:
                        state.set_facts(status=INTERRUPTED, error=str(error) or type(error).__name__)
                raise
        if result.status == INTERRUPTED and engine.ended_by is not None:
            raise RunInterrupted(result, engine.ended_by)
        return result

    def _run(self, state: RunState, inputs: dict[str, Any], folder: str, engine: Engine) -> RunResult:
        started = time.monotonic()
        spec = self._spec
        providers = providers_from(self._store.settings.providers)
        given = leaf.Given(state.run_id, spec, self._store, providers, folder, engine.cancel, Writers())
        before = Scope(inputs, os.environ, state.find, self._store)
        env = {name: before.render(text) for name, text in spec.env.items()}
        scope = Scope(inputs, env, state.find, self._store)
        limits = leaf.workflow_limits(self._store, spec, folder)
        books = Books(self._workflow.checked, spec, state, self._store, limits, self.emit)
        hooks = Hooks(spec.hooks, given, scope, engine, self.emit, books.checkpoint)
        self.emit("run_started", run=state.run_id, workflow=spec.name, tasks=len(spec.tasks))

        def ended(place: nodes.Place, result: TaskResult) -> None:
            books.task_ended(result)
            hooks.task_ended(place, result)

        run = nodes.Run(
            engine,
            state,
            self._workflow.checked,
            given,
            self._jobs,
            self.emit,
            books.known,
            ended,
            books.context,
            books.checkpoint,
        )
        outcome: list[tuple[bool | None, str | None]] = []
        top = nodes.Place("", "", "", (), limits, Clock(), lambda: True)
        level = nodes.Level(run, spec.tasks, top, scope, lambda good, why: outcome.append((good, why)))
        hooks.before(level.start, lambda why: outcome.append((False, why)))
        engine.run()
        good, error = outcome[0] if outcome else (None, None)
        status = INTERRUPTED if good is None else COMPLETED if good else FAILED
        outputs = {}
        if status == COMPLETED:
            try:
                outputs = {name: scope.render(text) for name, text in spec.outputs.items()}
            except WorkflowError as problem_of_outputs:
                status, error = FAILED, f"outputs: {problem_of_outputs}"
        result = RunResult(self._folder, state.run_id, status, outputs, error, time.monotonic() - started)
        metrics = books.close()
        state.set_facts(status=status, error=error, ended=time.time(), outputs=outputs, metrics=metrics)
        if status != INTERRUPTED:
            hooks.after(status)
            engine.run()
        self.emit(
            "run_finished", run=state.run_id, status=status, error=error, seconds=round(result.seconds, 3)
        )
        return result

"""Workflows from Python: load one, run it, and look at its results."""

from __future__ import annotations

import json
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.store.project import absolute
from maxstage.store.store import Store
from maxstage.workflow.format import loading
from maxstage.workflow.format.agents import PROVIDERS, providers_from
from maxstage.workflow.format.graph import in_order
from maxstage.workflow.format.problems import Problems
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.run.again import Start
from maxstage.workflow.run.outcome import Event, RunInterrupted, RunResult
from maxstage.workflow.run.start import RunStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from maxstage.workflow.format.problems import Problem
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.start import Ask

__all__ = ["Event", "RunInterrupted", "RunResult", "Workflow"]

_NOT_IN_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that JSON strings may contain and YAML doesn't accept, or takes for line breaks."""


class Workflow:
    """A valid workflow.

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

    def __init__(self, valid: ValidWorkflow) -> None:
        self.valid = valid
        self.spec = valid.spec

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, store: Store | None = None) -> Workflow:
        """Read a workflow file.

        Args:
            path: The YAML file.
            store: The project whose settings define more providers; None for the one found as by `Store.find`, if any.

        Raises:
            WorkflowError: It is invalid; the message has a line for each error, with file, line and column.
            OSError: It can't be read.
        """
        return cls(_valid(loading.load(os.fspath(path), _providers(store))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, store: Store | None = None) -> Workflow:
        """Create a workflow from plain data in the same form as the file.

        Args:
            values: The content of the file.
            store: The project whose settings define more providers; None for the one found as by `Store.find`, if any.

        Raises:
            WorkflowError: It is invalid; the message has a line for each error, with line and column.
        """
        # YAML is a superset of JSON, so this gives errors a line and column as well.
        text = json.dumps(values, indent=2, ensure_ascii=False)
        # Except for characters that YAML takes for line breaks, or rejects.
        text = _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        return cls(_valid(loading.check(Source(text), "<workflow>", _providers(store))))

    @property
    def warnings(self) -> list[Problem]:
        """The warnings about the file."""
        return self.valid.problems

    def order(self) -> list[str]:
        """Return the top-level tasks in an order in which they could run one by one."""
        return in_order(self.spec.tasks, self.valid.graph.dependencies)

    def run(
        self,
        *,
        inputs: Mapping[str, Any] | None = None,
        jobs: int | None = None,
        on_event: Callable[[Event], None] | None = None,
        store: Store | None = None,
        resume: str | bool = False,
        or_start: bool = False,
        rerun: Iterable[str] = (),
        start_from: str | None = None,
        use_cache: bool = True,
        ask: Ask | None = None,
        on: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        cancel: threading.Event | None = None,
        environment: Callable[[str], Mapping[str, str]] | None = None,
        on_output: Callable[[str, int, bytes], None] | None = None,
    ) -> RunResult:
        """Run the workflow.

        Args:
            inputs: Values for its inputs; the others have their defaults.
            jobs: How many programs may run at once; None for the number of processors, or 64 on other machines.
            on_event: Called with each event, in the calling thread. If it raises, the run ends.
            store: The project; None to find it as `Store.find` does.
            resume: The id of a run to resume, or True for the newest run of this file that has not completed.
            or_start: Start a new run if there is none to resume that has these inputs.
            rerun: Tasks to do again in the newest run of this file, or in the one that `resume` names, together with
                all that depends on them. ``build.compile`` names a subtask, ``build[2]`` an iteration.
            start_from: A task to do again in the same way, together with all that comes after it in the plan.
            use_cache: Whether a task with a ``cache`` may be taken from an earlier run.
            ask: Called once nothing else is left to do, with a question (`maxstage.workflow.run.questions.Question`)
                and with a function that returns whether it was answered elsewhere or the run stops. Returns the
                answer as text; None lets the run end as ``waiting``.
            on: Where programs run: ``local``, or an engine that has workers, like ``temporal://host:7233/namespace``.
                None for where those of the run ran before; for a new one, this machine.
            folder: Where relative paths start, including the file's ``cwd``; None for the working directory.
            cancel: An event that, once set, stops the run and ends its programs.
            environment: Called with the path of a task, ``build[2].compile``; returns variables for the environment
                of its program. Those of the file come first.
            on_output: Called with the path of a task, the stream (0 or 1) and the bytes that its program prints, as
                they come and with secrets masked. The threads that run programs call it, several at once; a program
                waits while it is busy.

        Returns:
            How it ended. A failed task doesn't raise an exception.

        Raises:
            WorkflowError: An input is missing or unknown, there is nothing to resume, a task to do again doesn't
                exist, or the run is running already.
            NoProject: There is no project, or the working directory was deleted.
            RunInterrupted: Ctrl-C or SIGTERM. The run can be resumed.
        """
        store = store or Store.find()
        start = RunStart(
            self.valid,
            store,
            on_event or (lambda _: None),
            jobs,
            use_cache=use_cache,
            ask=ask,
            environment=environment,
            on=on,
            on_output=on_output,
        )
        how = Start(
            resume if isinstance(resume, str) else None, bool(resume), or_start, tuple(rerun), start_from
        )
        try:
            state, values, where = start.open_state(inputs or {}, how, absolute(folder or None))
            try:
                return start.run(state, values, where, cancel or threading.Event())
            finally:
                state.close()
        finally:
            start.close()


def _valid(loaded: ValidWorkflow | Problems) -> ValidWorkflow:
    if isinstance(loaded, Problems):
        raise WorkflowError("\n".join(loaded.told(loaded.errors)))
    return loaded


def _providers(store: Store | None) -> Any:
    from maxstage.errors import NoProject

    try:
        store = store or Store.find()
    except NoProject:
        return PROVIDERS
    return providers_from(store.settings.providers)

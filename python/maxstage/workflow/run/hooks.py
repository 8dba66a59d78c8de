"""Hooks: commands that run beside the tasks, each a line for bash.

They are told what it is about by their environment: MAX_RUN, MAX_WORKFLOW, and where it applies MAX_TASK, MAX_STATUS,
MAX_EXIT_CODE, MAX_TOKEN and MAX_ERROR. One that fails is a warning, except before the workflow.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

from maxstage.errors import Error
from maxstage.output.run import run
from maxstage.workflow.format.scripts import filling as scripts
from maxstage.workflow.run.jobs import check_strings, environment
from maxstage.workflow.run.state import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.workflow.format import schema
    from maxstage.workflow.run.instances import Place
    from maxstage.workflow.run.jobs import Given
    from maxstage.workflow.run.scheduler import Engine
    from maxstage.workflow.run.scope import Scope
    from maxstage.workflow.run.state import TaskResult

CHECKPOINT = "checkpoint_and_prune"
"""A hook after a task that is ours: it prunes what is no longer needed. (The state is written after each task.)"""

_LIMITS = {"max_stdout_bytes": "4KiB", "max_stderr_bytes": "4KiB", "truncation_strategy": "tail"}
"""What is kept of a hook's output: enough for its error."""


class Hooks:
    """The hooks of a run."""

    def __init__(
        self,
        spec: schema.Hooks,
        given: Given,
        scope: Scope,
        engine: Engine,
        emit: Callable[..., None],
        checkpoint: Callable[[], None],
    ) -> None:
        self._spec = spec
        self._given = given
        self._scope = scope
        self._engine = engine
        self._emit = emit
        self._checkpoint = checkpoint

    def before(self, begin: Callable[[], None], fail: Callable[[str], None]) -> None:
        """Let those before the workflow run, one after the other.

        Args:
            begin: Called once all went well.
            fail: Told why the workflow can't begin. Where the run is ended meanwhile, neither is called.
        """
        waiting = deque(self._spec.pre_workflow)

        def step(problems: list[str | None] | BaseException | None) -> None:
            if isinstance(problems, BaseException):
                raise problems
            if problems is None or self._engine.cancel.is_set():
                return  # it was ended, and did not fail
            if problems[0] is not None:
                fail(f"pre_workflow: {problems[0]}")
            elif waiting:
                work = functools.partial(self._run_first, waiting.popleft())
                self._engine.submit((), lambda: work, step)
            else:
                begin()

        self._engine.soon(functools.partial(step, [None]))

    def _run_first(self, text: str) -> list[str | None]:
        # In a list: None alone says that it never ran.
        return [self._run(text, {})]

    def after(self, status: str) -> None:
        """Let those after the workflow run, one after the other."""
        waiting = deque(self._spec.post_workflow)

        def step(problem: str | BaseException | None) -> None:
            self._tell("post_workflow", problem)
            if waiting:
                work = functools.partial(self._run, waiting.popleft(), {"MAX_STATUS": status})
                self._engine.submit((), lambda: work, step, always=True)

        self._engine.soon(functools.partial(step, None))

    def task_ended(self, place: Place, result: TaskResult) -> None:
        """Let those after a task run; an iteration of a loop is none."""
        if place.iteration is not None:
            return
        output = result.output
        known = {
            "MAX_TASK": place.path,
            "MAX_STATUS": result.status,
            "MAX_EXIT_CODE": "" if output is None or output.exit_code is None else str(output.exit_code),
            "MAX_TOKEN": "" if output is None else output.token or "",
            "MAX_ERROR": result.error or "",
        }
        texts = [("post_task", text) for text in self._spec.post_task]
        texts += [("on_error", text) for text in self._spec.on_error] if result.status == FAILED else []
        for kind, text in texts:
            if text.strip() == CHECKPOINT:
                self._checkpoint()
                continue
            work = functools.partial(self._run, text, known)
            # Before what is ready: they belong to what is done. Also where nothing new is started.
            self._engine.submit((), lambda work=work: work, functools.partial(self._tell, kind), always=True)  # type: ignore[misc]

    def _run(self, text: str, known: dict[str, str]) -> str | None:
        """Run one; return what went wrong."""
        given = self._given
        env = {**environment(), **self._scope.env, **known}
        env |= {
            "MAX_RUN": given.run_id,
            "MAX_WORKFLOW": given.spec.name,
            "MAX_DIR": given.store.layout.project,
        }
        try:
            argv = ["bash", "-c", scripts.fill("bash", text, self._scope.value)]
            check_strings(argv, env)
            done = run(argv, limits=_LIMITS, cwd=given.folder, env=env, keep="never", cancel=given.cancel)
        except (Error, OSError) as error:
            return str(error)
        if done.ok:
            return None
        last = (done.stderr.text if done.stderr is not None else "").strip().splitlines()
        return f"{text!r} ended with {done.exit_code}" + (f": {last[-1]}" if last else "")

    def _tell(self, kind: str, problem: str | BaseException | None) -> None:
        if isinstance(problem, BaseException):
            raise problem
        if problem is not None:
            self._emit("warning", text=f"{kind}: {problem}")

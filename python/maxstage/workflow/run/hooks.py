"""Hooks: commands that run before or after the workflow, or after a task, each a line for bash.

Their environment describes the occasion: MAX_RUN, MAX_WORKFLOW, and where they apply MAX_TASK, MAX_STATUS,
MAX_EXIT_CODE, MAX_TOKEN and MAX_ERROR. A hook that fails causes a warning, except before the workflow.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections import deque
from typing import TYPE_CHECKING

from maxstage.errors import Error, describe
from maxstage.output.run import run
from maxstage.workflow.execution.local import environment, script_file
from maxstage.workflow.format.languages import LANGUAGES, SHELL
from maxstage.workflow.format.scripts.filling import fill
from maxstage.workflow.run.jobs import check_strings
from maxstage.workflow.run.results import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope

CHECKPOINT = "checkpoint_and_prune"
"""A built-in hook after a task, which prunes what is no longer needed. (The state is written after each task.)"""

_LIMITS = {"max_stdout_bytes": "4KiB", "max_stderr_bytes": "4KiB", "truncation_strategy": "tail"}
"""What is kept of a hook's output: enough for its error."""


class Hooks:
    """The hooks of a run.

    Args:
        run: The run.
        scope: What the hooks can refer to.
        checkpoint: Prunes what is no longer needed.
    """

    def __init__(self, run: RunContext, scope: Scope, checkpoint: Callable[[], None]) -> None:
        self._context = run
        self._scope = scope
        self._checkpoint = checkpoint

    def before(self, begin: Callable[[], None], fail: Callable[[str], None]) -> None:
        """Run the hooks before the workflow, one after the other.

        Args:
            begin: Called once all have succeeded.
            fail: Called with the reason why the workflow can't begin. If the run is ended, neither is called.
        """
        waiting = deque(self._context.spec.hooks.pre_workflow)

        def step(problems: list[str | None] | BaseException | None) -> None:
            if isinstance(problems, BaseException):
                raise problems
            if problems is None or self._context.scheduler.cancel.is_set():
                return  # it was ended, and did not fail
            if problems[0] is not None:
                fail(f"pre_workflow: {problems[0]}")
            elif waiting:
                work = functools.partial(self._run_first, waiting.popleft())
                self._context.scheduler.submit((), lambda: work, step)
            else:
                begin()

        self._context.scheduler.soon(functools.partial(step, [None]))

    def _run_first(self, text: str) -> list[str | None]:
        # In a list: None alone says that it never ran.
        return [self._run(text, {})]

    def after(self, status: str) -> None:
        """Run the hooks after the workflow, one after the other."""
        waiting = deque(self._context.spec.hooks.post_workflow)

        def step(problem: str | BaseException | None) -> None:
            self._tell("post_workflow", problem)
            if waiting:
                work = functools.partial(self._run, waiting.popleft(), {"MAX_STATUS": status})
                self._context.scheduler.submit((), lambda: work, step, always=True)

        self._context.scheduler.soon(functools.partial(step, None))

    def task_ended(self, instance: TaskInstance, result: TaskResult) -> None:
        """Run the hooks after a task; the iterations of a loop don't count as tasks."""
        if instance.iteration is not None:
            return
        output = result.output
        known = {
            "MAX_TASK": instance.path,
            "MAX_STATUS": result.status,
            "MAX_EXIT_CODE": "" if output is None or output.exit_code is None else str(output.exit_code),
            "MAX_TOKEN": "" if output is None else output.token or "",
            "MAX_ERROR": result.error or "",
        }
        hooks, submit = self._context.spec.hooks, self._context.scheduler.submit
        texts = [("post_task", text) for text in hooks.post_task]
        texts += [("on_error", text) for text in hooks.on_error] if result.status == FAILED else []
        for kind, text in texts:
            if text.strip() == CHECKPOINT:
                self._checkpoint()
                continue
            work = functools.partial(self._run, text, known)
            # Run them before other work, since the task is done; also if the run is stopping.
            submit((), lambda work=work: work, functools.partial(self._tell, kind), always=True)  # type: ignore[misc]

    def _run(self, text: str, known: dict[str, str]) -> str | None:
        """Run a hook; return what went wrong."""
        context = self._context
        env = {**environment(), **self._scope.env, **known}
        env |= {
            "MAX_RUN": context.run_id,
            "MAX_WORKFLOW": context.spec.name,
            "MAX_DIR": context.store.layout.project,
        }
        try:
            filled, interpreter = fill(SHELL, text, self._scope.value), LANGUAGES[SHELL].interpreter
            check_strings([interpreter, filled], env)
            with contextlib.ExitStack() as stack:
                argv = [interpreter, LANGUAGES[SHELL].flag, filled]
                if context.secrets.names and filled != text:
                    # Other users can see arguments, and a value that was filled in may be a secret.
                    argv = [interpreter, stack.enter_context(script_file(filled))]
                done = run(
                    argv,
                    limits=_LIMITS,
                    cwd=context.folder,
                    env=env,
                    keep="never",
                    cancel=context.cancel,
                    secrets=[os.environ[name] for name in context.secrets.names],
                )
        except (Error, OSError) as error:
            return describe(error)
        if done.ok:
            return None
        last = (done.stderr.text if done.stderr is not None else "").strip().splitlines()
        return f"{text!r} ended with {done.exit_code}" + (f": {last[-1]}" if last else "")

    def _tell(self, kind: str, problem: str | BaseException | None) -> None:
        if isinstance(problem, BaseException):
            raise problem
        if problem is not None:
            self._context.emit("warning", text=f"{kind}: {problem}")

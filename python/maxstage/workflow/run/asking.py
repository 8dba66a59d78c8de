"""A task that waits for an answer, as it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error, describe
from maxstage.output.task_output import TaskOutput
from maxstage.workflow.format import references
from maxstage.workflow.run.numbers import seconds
from maxstage.workflow.run.questions import Question, forget_answer, take_answer
from maxstage.workflow.run.results import COMPLETED, FAILED, TaskResult
from maxstage.workflow.run.task_files import file_of, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope


class Asking:
    """Asks, and waits.

    Args:
        run: The run.
        task: The task, which has ``await``.
        instance: Which of the run's it is.
        scope: What it can refer to.
        done: Called with how it ended; with None if the run stops before there is an answer.

    Raises:
        WorkflowError: Something that it refers to is not there.
    """

    def __init__(
        self,
        run: RunContext,
        task: Task,
        instance: TaskInstance,
        scope: Scope,
        done: Callable[[TaskResult | None], None],
    ) -> None:
        assert task.await_ is not None  # noqa: S101 - it is what the caller looked at
        self._run = run
        self._task = task
        self._await = task.await_
        self._instance = instance
        self._scope = scope
        self._done = done
        self._over = False
        self.question = self._asked()

    def _asked(self) -> Question:
        """Return the question, asked now or in an earlier start of the run."""
        run, path = self._run, self._instance.path
        asked = run.state.questions().get(path)
        if asked is None:
            forget_answer(run.state.folder, run.run_id, path)
            now, limit = time.time(), seconds(self._limit(), self._scope)
            asked = {
                "prompt": run.secrets.mask(references.printable(self._scope.render(self._await.prompt))),
                "choices": run.secrets.mask_all(self._await.choices),
                "schema": run.secrets.mask_all(self._await.schema_),
                "since": now,
                "until": None if limit is None else now + limit,
            }
            run.state.ask(path, asked)
        return Question(run.run_id, path, run.spec.name, **asked)

    def _limit(self) -> float | str | None:
        return self._task.timeout_secs if self._await.timeout_secs is None else self._await.timeout_secs

    def start(self) -> None:
        """Ask, and begin to wait."""
        self._run.emit("task_waiting", self._instance.path, **self._told())
        self._run.scheduler.wait_for(self)

    def _told(self) -> dict[str, Any]:
        return {"prompt": self.question.prompt, "choices": self.question.choices}

    def is_over(self) -> bool:
        """Return whether it no longer waits: there is an answer, it is too late, or the run stops."""
        self._over = self._over or self._is_over_now()
        return self._over

    def _is_over_now(self) -> bool:
        if self._run.scheduler.stopping or not self._instance.wanted():
            self._run.scheduler.soon(lambda: self._done(None))
            return True
        try:
            answered, value = take_answer(self._run.state.folder, self._run.run_id, self._instance.path)
            if answered:
                problem = self.question.problem_with(value)
                self._end(value, None if problem is None else f"the answer {problem}")
            elif self.question.until is not None and time.time() >= self.question.until:
                self._too_late()
            else:
                return False
        except (Error, OSError) as error:
            self._end(None, describe(error))
        return True

    def _too_late(self) -> None:
        limit = (self.question.until or 0) - self.question.since
        if "default" in self._await.given:
            default = self._await.default
            self._end(self._scope.render(default) if isinstance(default, str) else default, None)
        else:
            self._end(None, f"nobody answered within {limit:g} s")

    def _end(self, value: Any, error: str | None) -> None:
        run, path = self._run, self._instance.path
        content = b""
        if error is None:
            text = run.secrets.mask(references.as_text(value))
            content = references.to_bytes(f"{text}\n", "the answer")
        took = time.time() - self.question.since
        output = TaskOutput(
            path, "stdout", content, len(content), exit_code=int(error is not None), duration=took
        )
        file = None if error is not None else file_of(run, self._task, self._instance, self._scope)
        if file is not None:
            write_file(run, output, file, path)
        result = TaskResult(COMPLETED if error is None else FAILED, output, error=error)
        run.state.answered(path)
        run.scheduler.soon(lambda: self._finish(result))

    def _finish(self, result: TaskResult) -> None:
        self._done(result)
        # Now that it is recorded.
        forget_answer(self._run.state.folder, self._run.run_id, self._instance.path)

"""Questions of tasks that wait for an answer from outside, and the answers.

A question is a row in the state of its run, and can be read by anybody who can read the run. An answer is a file beside
the state, ``RUN.answer.DIGEST``, since only the process that executes a run writes its state, and an answer may come
while it does or while nobody does. It appears whole or not at all, and the first one stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage import exact
from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.format.answers import problem_with_answer, read_answer
from maxstage.workflow.run.folder import find_runs
from maxstage.workflow.run.run_files import ANSWER
from maxstage.workflow.run.state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 1 << 20
"""Bytes of an answer at most: a reference takes as many."""
_LONGEST = 120
"""Characters of a name that an error quotes."""


class Question(NamedTuple):
    """A task that waits for an answer.

    Attributes:
        run_id: The run.
        task: The path of the task.
        workflow: The name of the workflow.
        prompt: What is asked.
        choices: What the answer must be one of; None for anything.
        schema: The JSON Schema of the answer; None for any.
        since: When it was asked, Unix time in seconds.
        until: When it is too late, Unix time in seconds; None if never.
    """

    run_id: str
    task: str
    workflow: str
    prompt: str
    choices: list[Any] | None
    schema: dict[str, Any] | None
    since: float
    until: float | None

    def problem_with(self, value: Any) -> str | None:
        """Return what is wrong with an answer; None if nothing is."""
        return problem_with_answer(value, self.schema, self.choices)

    def read(self, text: str) -> Any:
        """Return an answer that was given as text as a value."""
        return read_answer(text, self.schema, self.choices)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        values = self._asdict()
        return {"run": values.pop("run_id"), **values}


def questions_of(state: RunState) -> Iterator[Question]:
    """Yield the questions of a run that wait for an answer, in the order in which they were asked."""
    workflow = str(state.facts().get("workflow", ""))
    for task, asked in state.questions().items():
        if not os.path.exists(answer_path(state.folder, state.run_id, task)):
            yield Question(state.run_id, task, workflow, **asked)


def pending(folder: str) -> Iterator[Question]:
    """Yield the questions of all runs of a project that wait for an answer, the newest run first."""
    for run_id, facts in find_runs(folder):
        if facts.get("status") in {"waiting", "running"}:
            with (
                contextlib.suppress(WorkflowError, OSError),
                contextlib.closing(RunState(folder, run_id)) as state,
            ):
                yield from list(questions_of(state))


def answer_path(folder: str, run_id: str, task: str) -> str:
    """Return the name of the file for the answer to a task's question."""
    digest = hashlib.sha256(task.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return os.path.join(folder, f"{run_id}{ANSWER}{digest}")


def answer(folder: str, run_id: str, task: str, given: str) -> Question:
    """Answer a question; return it.

    Args:
        folder: The folder of the project's runs.
        run_id: The run.
        task: The path of the task.
        given: The answer: text, one of the choices, or JSON where a schema asks for it.

    Raises:
        WorkflowError: The task doesn't wait for an answer, or not for this one, or was answered before.
        OSError: It can't be written.
    """
    with contextlib.closing(RunState(folder, run_id)) as state:
        known = {one.task: one for one in questions_of(state)}
        if task not in known:
            shown = printable(task, _LONGEST)
            if task in state.questions():
                raise WorkflowError(f"task '{shown}' of run {run_id} was answered before")
            others = (
                f"; {', '.join(known)} does"
                if len(known) == 1
                else f"; {', '.join(known)} do"
                if known
                else ""
            )
            raise WorkflowError(f"task '{shown}' of run {run_id} waits for no answer{others}")
    question = known[task]
    value = question.read(given)
    problem = question.problem_with(value)
    if problem is not None:
        raise WorkflowError(f"the answer {problem}")
    text = exact.dumps(value, ensure_ascii=True)
    if len(text) > _MOST:
        raise WorkflowError(
            f"the answer has {len(text):,} bytes, and {_MOST:,} is the most; stage it, and answer with the token"
        )
    _write(
        answer_path(folder, run_id, task),
        json.dumps({"task": task, "at": time.time()})[:-1] + f', "value": {text}}}',
    )
    return question


def _write(path: str, text: str) -> None:
    """Create a file that nobody sees before it is whole.

    Raises:
        WorkflowError: There is one already.
    """
    # The name begins as those of the run do, so that it is deleted with them if we are killed.
    fd, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f"{os.path.basename(path)}.")
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise WorkflowError("it was answered before") from None
    finally:
        os.unlink(temporary)


def take_answer(folder: str, run_id: str, task: str) -> tuple[bool, Any]:
    """Return whether a question was answered, and the answer."""
    try:
        fd = os.open(
            answer_path(folder, run_id, task), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except FileNotFoundError:
        return False, None
    with open(fd, "rb") as file:
        try:
            values = exact.loads(file.read(2 * _MOST).decode())
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict) or values.get("task") != task or "value" not in values:
        raise WorkflowError("its answer is damaged: start the task again with --rerun")
    return True, values["value"]


def forget_taken(state: RunState) -> None:
    """Delete the answers of a run that nothing waits for, which may be what nobody else should read.

    Each is deleted once it is taken; what is left is of a process that was killed, or failed, in between.
    """
    open_ones = {
        os.path.basename(answer_path(state.folder, state.run_id, task)) for task in state.questions()
    }
    length = len(os.path.basename(answer_path(state.folder, state.run_id, "")))
    for name in os.listdir(state.folder):
        # One that is being written begins with the name that it will have.
        if name.startswith(f"{state.run_id}{ANSWER}") and name[:length] not in open_ones:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(state.folder, name))


def forget_answer(folder: str, run_id: str, task: str) -> None:
    """Delete the answer to a task's question, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(answer_path(folder, run_id, task))

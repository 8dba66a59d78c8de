"""What a task's program is given: a task of the file becomes a job, with its references filled in."""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from maxstage.errors import Error, WorkflowError, describe
from maxstage.workflow.execution.job import Job, JobResult, StagedInput
from maxstage.workflow.execution.outputs import gone, why_not_kept
from maxstage.workflow.format import references
from maxstage.workflow.format.agents import command_of, prompt_of
from maxstage.workflow.format.languages import LANGUAGES
from maxstage.workflow.format.scripts import filling
from maxstage.workflow.run import files, intents
from maxstage.workflow.run.cache import adopt, parts_of, why_not_linked
from maxstage.workflow.run.earlier_runs import key_of
from maxstage.workflow.run.numbers import seconds
from maxstage.workflow.run.outputs import PRUNED
from maxstage.workflow.run.results import COMPLETED, FAILED, TaskResult
from maxstage.workflow.run.task_files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.format import schema
    from maxstage.workflow.run.earlier_runs import Parts
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope

_LONGEST_ARGUMENT = 100 * 1024
"""Bytes; a longer script goes through a file. Linux takes 128 KiB in one argument."""


class Prepared(NamedTuple):
    """A job that is ready to run.

    Attributes:
        job: The job.
        file: Where its full output is to be written, or None.
        parts: Returns what it depends on, if it may be taken from an earlier run; else None.
    """

    job: Job
    file: files.Located | None
    parts: Callable[[], Parts] | None = None


def prepare(
    run: RunContext,
    task: schema.Task,
    instance: TaskInstance,
    scope: Scope,
    *,
    context: bytes = b"",
    file: files.Located | None = None,
) -> Prepared:
    """Fill in the references of a task.

    Args:
        run: The run.
        task: A task that has no subtasks.
        instance: Which of the run's it is.
        scope: What it can refer to.
        context: What an agent is given of other outputs.
        file: The file for all that it prints, or None.

    Raises:
        WorkflowError: Something that it refers to is not there.
    """
    part = task.script or task.command
    folder = run.folder
    env = {
        **run.environment(instance.path),
        **scope.env,
        "MAX_RUN": run.run_id,
        "MAX_TASK": instance.path,
        "MAX_DIR": run.store.layout.project,
    }
    if part is not None:
        env.update((name, scope.render(text)) for name, text in part.env.items())
        if part.working_dir is not None:
            folder = files.locate_to_read(folder, part.working_dir, scope)
    if task.intent is not None:
        program = _Program(intents.command_line(run, task.intent, instance, scope))
    else:
        program = _program(run, task, scope)
    words = [*program.argv, *((program.script_path,) if program.script_path is not None else ())]
    check_strings(words, env)
    _check_no_secret(run, words)
    job = Job(
        run_id=run.run_id,
        task=instance.path,
        argv=tuple(program.argv),
        attempt=_next_attempt(run, instance.path),
        script=program.script,
        script_path=program.script_path,
        base=_base(run, part, folder),
        upload=tuple(files.below(pattern, scope.render(pattern)) for pattern in task.upload),
        queue=None if task.runs_on is None else task.runs_on.queue,
        local=task.intent is not None,
        stdin=_stdin(run, task, scope, context),
        cwd=folder,
        env=env,
        timeout_secs=_timeout(task, scope, instance.clock.deadline),
        limits=run.job_limits(instance.spec_path),
        keep=instance.keep(run.graph),
        output=None if file is None else file.path,
        secrets=run.secrets.names,
    )
    parts = None
    if task.cache is not None:
        parts = functools.partial(parts_of, run, task, instance.spec_path, scope, context)
    return Prepared(job, file, parts)


def perform(run: RunContext, ready: Prepared) -> TaskResult:
    """Run a job to its end, and write its file. Whatever goes wrong is told by the result."""
    if ready.parts is None:
        return _perform(run, ready, None)
    try:
        parts = ready.parts()
    except (Error, OSError) as problem:
        return TaskResult(FAILED, error=describe(problem))
    path = ready.job.task
    run.state.note_cache(path, key_of(parts), parts)
    found = run.cache.find(path, parts)
    why = found.why
    if found.result is not None:
        try:
            output = adopt(run.store, found.result, path, run.run_id)
        except (Error, OSError) as problem:
            why = why_not_linked(problem)
        else:
            result = _perform(run, ready, output)
            result.cached, result.cache = True, why
            return result
    result = _perform(run, ready, None)
    result.cache = why
    return result


def _perform(run: RunContext, ready: Prepared, taken: TaskOutput | None) -> TaskResult:
    done = run.executor.run(ready.job, run.cancel) if taken is None else JobResult(taken)
    if done.error is not None or done.output is None or ready.file is None:
        return TaskResult(COMPLETED if done.error is None else FAILED, done.output, error=done.error)
    try:
        write_file(run, done.output, ready.file, ready.job.task)
    except OSError as problem:
        where = ready.file.path if problem.filename is None else os.fsdecode(problem.filename)
        return TaskResult(FAILED, error=f"{problem.strerror or problem}: {where}")
    except (Error, ValueError) as problem:
        return TaskResult(FAILED, error=str(problem))
    return TaskResult(COMPLETED, done.output)


def _timeout(task: schema.Task, scope: Scope, deadline: float | None) -> float | None:
    """Return how long a program may take: no longer than the loop, or the task, around it."""
    part = task.script or task.command
    limits = [seconds(task.timeout_secs, scope), None if part is None else seconds(part.timeout_secs, scope)]
    if deadline is not None:
        limits.append(max(0.01, deadline - time.monotonic()))
    return min((one for one in limits if one is not None), default=None)


def _next_attempt(run: RunContext, path: str) -> int:
    """Return the number of a task's next attempt, from 1, however often the run was started.

    A start that follows one that was killed gives it to the same attempt again.
    """
    known = run.state.find(path)
    return run.state.count_attempts(path) + (known is not None and not known.is_final) + 1


class _Program(NamedTuple):
    """A program: its arguments, and the text or the path of a script that is another one."""

    argv: list[str]
    script: str | None = None
    script_path: str | None = None


def _base(run: RunContext, part: schema.Script | schema.Command | None, cwd: str) -> str | None:
    """Return the folder of the run if a program runs there, or below it; None if the file names another by its path."""
    named = [None if part is None else part.working_dir, run.spec.cwd]
    if any(text is not None and text.startswith("/") for text in named):
        return None
    base = os.path.realpath(run.folder)
    inside = os.path.relpath(os.path.realpath(cwd), base).split("/")[0] != ".."
    return base if inside else None


def _program(run: RunContext, task: schema.Task, scope: Scope) -> _Program:
    if task.agent is not None:
        return _Program(command_of(run.spec.agents[task.agent], run.providers))
    if task.command is not None:
        return _Program([scope.render(text) for text in (task.command.executable, *task.command.args)])
    assert task.script is not None  # noqa: S101 - a task that is none of these has subtasks
    language = LANGUAGES[task.script.language]
    strict = language.strict if task.script.strict is not False else ()
    if task.script.content is None:
        file = files.locate_to_read(run.folder, task.script.file or "", scope)
        if not os.path.isfile(file):
            raise WorkflowError(f"the script file {file} does not exist")
        return _Program([language.interpreter, *strict], None, file)
    text = filling.fill(language.name, task.script.content, scope.value)
    _check_string(text, "the script")
    # Arguments can be seen by everybody; what is filled in may be a secret.
    is_private = bool(run.secrets.names) and text != task.script.content
    if is_private or len(references.to_bytes(text, "the script")) > _LONGEST_ARGUMENT:
        return _Program([language.interpreter, *strict], text)
    return _Program([language.interpreter, *strict, language.flag, text])


def _stdin(run: RunContext, task: schema.Task, scope: Scope, context: bytes) -> bytes | StagedInput | None:
    if task.agent is not None:
        known = context.decode("utf-8", "surrogateescape")
        of_agent = run.spec.agents[task.agent].system_prompt or ""
        prompt = prompt_of(scope.render(of_agent), scope.render(task.description or ""), known)
        return references.to_bytes(run.secrets.mask(prompt), "the prompt")
    if task.stdin_from is None:
        return None
    source = scope.task(task.stdin_from)
    if source is None or source.output is None:
        return b""  # it was skipped
    output = source.output
    if source.pruned:
        raise gone(task.stdin_from, PRUNED, scope.path_of(task.stdin_from))
    if not output.truncated:
        return output.content
    if output.token is None:
        raise gone(task.stdin_from, why_not_kept(output), scope.path_of(task.stdin_from))
    elsewhere = None if output.store == run.store.layout.project else output.store
    return StagedInput(output.token, output.task_id, elsewhere)


def _check_no_secret(run: RunContext, argv: Sequence[str]) -> None:
    """Check that no argument has a secret in it: everybody on the machine can see them.

    Raises:
        WorkflowError: One has.
    """
    for number, text in enumerate(argv):
        secret = run.secrets.find_in(text)
        if secret is not None:
            what = f"argument {number}" if number else "the name of the program"
            raise WorkflowError(
                f"{what} has the secret {secret} in it, which everybody could see: the program finds it in its "
                f"environment, as {secret}"
            )


def check_strings(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Check that a program can be given its arguments and environment.

    Raises:
        WorkflowError: The system would not take one of them.
    """
    for number, text in enumerate(argv):
        _check_string(text, f"argument {number}" if number else "the name of the program")
    for name, text in env.items():
        if not name or "=" in name or "\0" in name:
            raise WorkflowError(f"{name!r} can't be the name of an environment variable")
        _check_string(name, f"the name of the environment variable {name!a}")
        _check_string(text, f"the environment variable {name}")


def _check_string(text: str, what: str) -> None:
    if "\0" in text:
        raise WorkflowError(
            f"{what} has a NUL byte, which can't be passed to a program this way: use stdin_from, or the token"
        )
    references.to_bytes(text, what)

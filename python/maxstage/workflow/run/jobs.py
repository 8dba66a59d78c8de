"""Running one task that is a program: what it is given, and what becomes of its output."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import os
import shutil
import signal
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import Corrupt, Error, Expired, NotFound, WorkflowError
from maxstage.files import write_all
from maxstage.output.limits import Limits
from maxstage.output.run import run
from maxstage.output.task_output import TaskOutput
from maxstage.workflow.format import references
from maxstage.workflow.format.agents import command_of, prompt_of
from maxstage.workflow.format.checking import LANGUAGES
from maxstage.workflow.format.scripts import filling as scripts
from maxstage.workflow.run import files
from maxstage.workflow.run.state import COMPLETED, FAILED, TaskResult

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from maxstage.output.strategies import Keep
    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store
    from maxstage.workflow.format import schema
    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.run.scope import Scope

_FLAGS = {"bash": "-c", "python": "-c", "javascript": "-e", "ruby": "-e", "perl": "-e"}
"""How each interpreter takes a script as an argument."""
_LONGEST_ARGUMENT = 100 * 1024
"""Bytes; a longer script goes through a file. Linux takes 128 KiB in one argument."""
MOST = 1024 * 1024
"""Bytes of an output that a reference takes."""
PRUNED = "it was pruned: name it in depends_on, or raise keep_count of cleanup_strategy in the limits"
_TOLD = 200
"""Characters of a failed task's last line of stderr that its error quotes."""


class Given(NamedTuple):
    """What all tasks of a run share.

    Attributes:
        run_id: The run.
        spec: The workflow.
        store: Where whole outputs go.
        providers: The agents known by name.
        folder: The working directory; relative paths start there.
        cancel: Once it is set, what runs is ended.
        writers: Which task wrote which file.
    """

    run_id: str
    spec: schema.WorkflowSpec
    store: Store
    providers: Mapping[str, Provider]
    folder: str
    cancel: threading.Event
    writers: files.Writers


class Leaf(NamedTuple):
    """A program that is ready to run.

    Attributes:
        path: The task's path.
        argv: The program and its arguments.
        script: A script that is too long for an argument: it goes through a file, whose name is added to `argv`.
        stdin: What it reads.
        cwd: Its working directory.
        env: Its environment.
        timeout: Seconds until it is ended, or None.
        limits: Its limits.
        keep: When its whole output is kept.
        output: The file that its output is written to, or None.
    """

    path: str
    argv: list[str]
    script: str | None
    stdin: bytes | TaskOutput | None
    cwd: str
    env: dict[str, str]
    timeout: float | None
    limits: Limits
    keep: Keep
    output: files.Located | None


def prepare(
    given: Given,
    task: schema.Task,
    path: str,
    scope: Scope,
    *,
    limits: Limits,
    keep: Keep,
    deadline: float | None,
    context: bytes = b"",
    output: files.Located | None = None,
) -> Leaf:
    """Fill in the references of a task.

    Args:
        given: The run.
        task: A task that has no subtasks.
        path: Its path.
        scope: What it can refer to.
        limits: Its limits.
        keep: When its whole output is kept.
        deadline: When the loop around it must be over, as `time.monotonic` tells it.
        context: What an agent is given of other outputs.
        output: The file for all that it prints, or None.

    Raises:
        WorkflowError: Something that it refers to is not there.
    """
    part = task.script or task.command
    folder = given.folder
    env = {
        **environment(),
        **scope.env,
        "MAX_RUN": given.run_id,
        "MAX_TASK": path,
        "MAX_DIR": given.store.layout.project,
    }
    timeout = None
    if part is not None:
        env.update((name, scope.render(text)) for name, text in part.env.items())
        if part.working_dir is not None:
            folder = files.locate_to_read(folder, part.working_dir, scope)
        timeout = part.timeout_secs
    argv, script = _command_line(given, task, scope)
    check_strings(argv, env)
    if deadline is not None:
        left = max(0.01, deadline - time.monotonic())
        timeout = left if timeout is None else min(left, timeout)
    return Leaf(
        path,
        argv,
        script,
        _stdin(given, task, scope, context),
        folder,
        env,
        timeout,
        limits,
        keep,
        output,
    )


def _command_line(given: Given, task: schema.Task, scope: Scope) -> tuple[list[str], str | None]:
    if task.agent is not None:
        return command_of(given.spec.agents[task.agent], given.providers), None
    if task.command is not None:
        return [scope.render(text) for text in (task.command.executable, *task.command.args)], None
    assert task.script is not None  # noqa: S101 - a task that is none of these has subtasks
    language = task.script.language
    if task.script.content is None:
        file = files.locate_to_read(given.folder, task.script.file or "", scope)
        if not os.path.isfile(file):
            raise WorkflowError(f"the script file {file} does not exist")
        return [LANGUAGES[language], file], None
    text = scripts.fill(language, task.script.content, scope.value)
    _check_string(text, "the script")
    if len(references.to_bytes(text, "the script")) > _LONGEST_ARGUMENT:
        return [LANGUAGES[language]], text
    return [LANGUAGES[language], _FLAGS[language], text], None


def _stdin(given: Given, task: schema.Task, scope: Scope, context: bytes) -> bytes | TaskOutput | None:
    if task.agent is not None:
        known = context.decode("utf-8", "surrogateescape")
        prompt = prompt_of(given.spec.agents[task.agent], scope.render(task.description or ""), known)
        return references.to_bytes(prompt, "the prompt")
    if task.stdin_from is None:
        return None
    source = scope.task(task.stdin_from)
    if source is None or source.output is None:
        return b""  # it was skipped
    output = source.output
    if source.pruned:
        raise gone(task.stdin_from, PRUNED)
    if output.token is None and output.truncated:
        raise gone(task.stdin_from, _not_kept(output))
    return output if output.truncated else output.content


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
            f"{what} has a NUL byte, which no program can be given so: use stdin_from, or the token"
        )
    references.to_bytes(text, what)


def execute(given: Given, leaf: Leaf) -> TaskResult:
    """Run a program to its end. Whatever goes wrong is told by the result."""
    try:
        with contextlib.ExitStack() as stack:
            argv = leaf.argv
            if leaf.script is not None:
                argv = [*argv, stack.enter_context(_script_file(leaf.script))]
            stdin = leaf.stdin
            output = run(
                argv,
                limits=leaf.limits,
                stdin=stdin if stdin is None or isinstance(stdin, bytes) else open_whole(given.store, stdin),
                timeout=leaf.timeout,
                cwd=leaf.cwd,
                env=leaf.env,
                store=given.store,
                keep=leaf.keep,
                cancel=given.cancel,
                task_id=leaf.path,
                owner=given.run_id,
            )
        error = _why_failed(output, leaf)
        if error is None and leaf.output is not None:
            write_file(given, output, leaf.output, leaf.path)
    except OSError as problem:
        if problem.errno == errno.E2BIG:
            return TaskResult(FAILED, error=_too_long(leaf))
        where = problem.filename if problem.filename is not None else leaf.argv[0]
        return TaskResult(FAILED, error=f"{problem.strerror or problem}: {os.fsdecode(where)}")
    except (NotFound, Expired, Corrupt) as problem:
        read = leaf.stdin
        told = gone(read.task_id, str(problem)) if isinstance(read, TaskOutput) else problem
        return TaskResult(FAILED, error=str(told))
    except (Error, ValueError) as problem:
        # A ValueError is the system's: what it is given is nothing that it can take.
        return TaskResult(FAILED, error=str(problem))
    return TaskResult(COMPLETED if error is None else FAILED, output, error=error)


def _too_long(leaf: Leaf) -> str:
    """Return which argument, or variable, is too long for the system."""
    strings = {f"argument {number} of {leaf.argv[0]}": text for number, text in enumerate(leaf.argv)}
    strings |= {f"the environment variable {name}": text for name, text in leaf.env.items()}
    name = max(strings, key=lambda one: len(strings[one]))
    size = len(references.to_bytes(strings[name], name))
    return (
        f"arguments and environment are too long for the system; {name} has {size:,} bytes: "
        "use stdin_from, a file, or the token"
    )


@contextlib.contextmanager
def _script_file(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(
        "w", prefix="max-script-", encoding="utf-8", errors="surrogateescape"
    ) as file:
        file.write(text)
        file.flush()
        yield file.name


def _why_failed(output: TaskOutput, leaf: Leaf) -> str | None:
    if output.ok:
        return None
    if output.timed_out:
        text = f"took longer than {leaf.timeout:g} s"
    elif output.signal is not None:
        text = f"ended by {signal.Signals(output.signal).name}"
    else:
        text = f"exit status {output.exit_code}"
    lines = (output.stderr.text if output.stderr is not None else "").strip().splitlines()
    return f"{text}: {lines[-1][:_TOLD]}" if lines else text


def open_whole(store: Store, output: TaskOutput) -> OpenItem:
    """Open the whole of an output that is kept under a token."""
    return store.at(output.store).open_item(output.token or "")


def gone(task: str, why: str) -> WorkflowError:
    """Return the error that the whole output of a task is not there."""
    return WorkflowError(
        f"the whole output of task {task!r} is not there ({why}); the task has to be done again, in a new run"
    )


def _not_kept(output: TaskOutput) -> str:
    return "; ".join(output.warnings) or "it was cut, and not kept whole"


@contextlib.contextmanager
def reading(task: str) -> Iterator[None]:
    """Tell whose output can't be read.

    Raises:
        WorkflowError: It can't be.
    """
    try:
        yield
    except (NotFound, Expired, Corrupt, OSError) as error:
        raise gone(task, str(error)) from None


def open_output(store: Store, task: str, result: TaskResult) -> BinaryIO:
    """Open all that a task printed.

    Raises:
        WorkflowError: It is not there any more.
    """
    output = result.output
    if output is None:
        return io.BytesIO()
    if result.pruned:
        raise gone(task, PRUNED)
    if not output.truncated:
        return io.BytesIO(output.content)
    if output.token is None:
        raise gone(task, _not_kept(output))
    with reading(task):
        return store.at(output.store).open(output.token)


def read_output(store: Store, task: str, result: TaskResult) -> bytes:
    """Return all that a task printed.

    Raises:
        WorkflowError: It is not there any more, or longer than a reference may be.
    """
    size = 0 if result.output is None else result.output.original_size
    if size > MOST:
        raise WorkflowError(
            f"the output of task {task!r} has {size:,} bytes, and a reference takes {MOST:,} at most: use stdin_from, "
            f"the token ({{{{ tasks.{task}.token }}}}), or the text as it was cut ({{{{ tasks.{task}.excerpt }}}})"
        )
    with reading(task), open_output(store, task, result) as file:
        return file.read()


def unstage(store: Store, output: TaskOutput | None) -> None:
    """Delete what is kept of an output that nothing will refer to."""
    for part in (output, None if output is None else output.stderr):
        if part is not None and part.token is not None:
            store.at(part.store).unstage(part.token)


def write_file(given: Given, output: TaskOutput, located: files.Located, task: str) -> None:
    """Write all that a task printed to a file, which is there whole or not at all."""
    path = located.path
    if output.truncated and output.token is None:
        raise WorkflowError(
            f"{path} can't be written: the whole output was not kept: {'; '.join(output.warnings)}"
        )

    def fill(fd: int) -> None:
        if output.token is not None:
            with open_whole(given.store, output) as opened:
                opened.copy_to(fd, path)
            return
        write_all(fd, output.content, path)

    given.writers.claim(located, task)
    try:
        files.write(located, fill)
    except BaseException:
        given.writers.give_up(located, task)
        raise


def environment() -> dict[str, str]:
    """Return our environment; where ``max`` is not on the PATH, our own is added, since tasks are to hand data over."""
    env = dict(os.environ)
    ours = os.path.dirname(sys.executable)
    if shutil.which("max") is None and os.path.exists(os.path.join(ours, "max")):
        env["PATH"] = os.pathsep.join(part for part in (env.get("PATH"), ours) if part)
    return env


def limits_of(values: Mapping[str, Any], folder: str) -> Limits:
    """Return the limits that a part of the file gives; paths in them start at `folder`."""
    limits = Limits.parse(values)
    if limits.external_storage_dir is None:
        return limits
    return dataclasses.replace(limits, external_storage_dir=os.path.join(folder, limits.external_storage_dir))


def workflow_limits(store: Store, spec: schema.WorkflowSpec, folder: str) -> Limits:
    """Return the limits of a workflow, over those of the project's settings."""
    return limits_of(store.settings.limits, folder).override(limits_of(spec.limits, folder))


def keeping(limits: Limits) -> Limits:
    """Return limits under which what is cut is kept whole, since another task wants it."""
    if limits.external_storage_threshold is not None:
        return limits
    return dataclasses.replace(limits, external_storage_threshold=Limits().external_storage_threshold)

"""What a task with a ``cache`` depends on, and taking its result from an earlier run.

What it depends on is a digest for each of its parts: what it does, each value that it refers to, each file that its
``cache`` names. The parts are kept in the state of each run, so that it can be said which of them have changed.
"""

from __future__ import annotations

import glob
import hashlib
import os
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import describe
from maxstage.store.linking import link
from maxstage.store.project import PROJECT
from maxstage.workflow.execution.outputs import reading
from maxstage.workflow.format import references
from maxstage.workflow.format.agents import command_of
from maxstage.workflow.format.task_texts import references_of
from maxstage.workflow.run import files
from maxstage.workflow.run.earlier_runs import DIGITS, Parts, digest
from maxstage.workflow.run.outputs import open_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store
    from maxstage.workflow.format.references import Reference
    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope


def parts_of(run: RunContext, task: Task, path: str, scope: Scope, context: bytes) -> Parts:
    """Return what a task depends on.

    Args:
        run: The run.
        task: The task, which has a cache.
        path: Its path in the file.
        scope: What it refers to.
        context: What an agent is given of other outputs.

    Raises:
        WorkflowError, OSError: Something can't be read.
    """
    assert task.cache is not None  # noqa: S101 - it is what the caller looked at
    secrets = set(run.secrets.names)
    parts = {"the task": digest(exact.dumps(_what(run, task, path))), "the folder": digest(run.folder)}
    parts |= {
        f"env {name}": digest(run.secrets.mask(text))
        for name, text in scope.env.items()
        if name not in secrets
    }
    for reference in references_of(task, run.spec.agents):
        if reference.kind == "env" and reference.name in secrets:
            continue
        parts[references.written(reference)] = _digest_of(run, scope, reference)
    if task.stdin_from is not None:
        parts[f"stdin_from {task.stdin_from}"] = _of_output(
            run.store, task.stdin_from, scope.path_of(task.stdin_from), scope.task(task.stdin_from)
        )
    if context:
        parts["the context"] = digest(context.decode("utf-8", "surrogateescape"))
    if task.script is not None and task.script.file is not None:
        parts["the script"] = _of_file(files.locate_to_read(run.folder, task.script.file, scope))
    for name in task.cache.env:
        parts[f"env {name}"] = digest(os.environ.get(name, "\0"))
    if task.cache.key is not None:
        parts["key"] = digest(scope.render(task.cache.key))
    for pattern in task.cache.inputs:
        parts |= _of_inputs(run.folder, scope.render(pattern))
    return parts


def _what(run: RunContext, task: Task, path: str) -> dict[str, Any]:
    """Return what a task does, as the file has it, except for how long it may take."""
    if task.agent is not None:
        agent = run.spec.agents[task.agent]
        did: Any = [command_of(agent, run.providers), agent.system_prompt, task.description]
    else:
        part = task.script or task.command
        assert part is not None  # noqa: S101 - a task with a cache runs a program
        did = {name: value for name, value in part.plain().items() if name != "timeout_secs"}
    return {"does": did, "task": path, "limits": run.job_limits(path), "cwd": run.spec.cwd}


def _digest_of(run: RunContext, scope: Scope, reference: Reference) -> str:
    # A token is another one in each run; what counts is what it stands for.
    if reference.kind == "tasks" and reference.field == "token":
        return _of_output(run.store, reference.name, *scope.named(reference))
    return digest(run.secrets.mask(references.as_text(scope.value(reference))))


def _of_output(store: Store, name: str, path: str | None, result: TaskResult | None) -> str:
    if result is None or result.output is None:
        return "none"
    with reading(name, path), open_output(store, name, result, path) as file:
        return _of_open(file)


def _of_open(file: BinaryIO) -> str:
    made = hashlib.sha256()
    while data := file.read(1 << 20):
        made.update(data)
    return made.hexdigest()[:DIGITS]


def _of_file(path: str) -> str:
    """Return the digest of a regular file, or what it is else: never wait for a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return "missing"
    with open(fd, "rb") as file:
        return _of_open(file)


def _of_inputs(folder: str, pattern: str) -> Parts:
    """Return the digests of the files that a name or a pattern stands for; of a folder, all that are below it."""
    found = [pattern]
    if glob.has_magic(pattern):
        found = sorted(glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True))
        found = [name for name in found if PROJECT not in name.split("/")]
    parts: Parts = {}
    for name in found:
        path = os.path.join(folder, name)
        below = sorted(_below(path)) if os.path.isdir(path) else [path]
        for one in below:
            if os.path.isfile(one) or not os.path.lexists(one):
                parts[f"file {os.path.relpath(one, folder)}"] = _of_file(one)
    return parts


def _below(folder: str) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        # What we keep ourselves is another in each run.
        folders[:] = [name for name in folders if name != PROJECT]
        yield from (os.path.join(where, name) for name in names)


def adopt(store: Store, result: TaskResult, path: str, run_id: str) -> TaskOutput | None:
    """Return the output of a result of another run as our own: what stores keep of it is linked, not copied.

    Args:
        store: The project.
        result: The result.
        path: The path of our task.
        run_id: Our run.

    Raises:
        NotFound, Corrupt, QuotaExceeded, OSError: It is gone, or can't be linked.
    """
    output = result.output
    if output is None:
        return None
    stderr = output.stderr
    linked = [None if part is None else _link(store, part, path, run_id) for part in (output, stderr)]
    changed: Mapping[str, Any] = linked[0] or {}
    if stderr is not None:
        stderr = stderr.replace(task_id=path, **(linked[1] or {}))
    return output.replace(task_id=path, stderr=stderr, duration=0.0, **changed)


def _link(store: Store, part: TaskOutput, path: str, run_id: str) -> dict[str, Any]:
    if part.token is None:
        return {}
    place = store.at(part.store)
    item = link(place, part.token, source=f"run/{path}", owner=run_id)
    return {"token": item.token, "external_path": place.storage.path(item)}


def why_not_linked(error: Exception) -> str:
    """Return why a result that was found could not be taken."""
    return f"its full output can't be linked: {describe(error)}"

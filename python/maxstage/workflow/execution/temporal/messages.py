"""What passes between a driver and its workers: calls, answers, names and times. Of both sides this is the contract."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.workflow.execution.job import JobResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store

CONTRACT = 1
"""The version of this file's meaning. It is part of the name of each queue: workers of another one take no job."""

ACTIVITY = "maxstage.job"
"""The type of the activities."""
DEFAULT_QUEUE = "default"

LEASE = 30.0
"""Seconds after the last heartbeat that the engine got until it gives a program to another worker."""
FENCE = 20.0
"""Seconds after the last heartbeat that was *answered* until a worker ends a program: the engine may soon give it to
another one."""
GRACE = 5.0
"""Seconds that a program then gets, until SIGKILL. With `FENCE` less than `LEASE`, so that two never run at once."""
BEAT = 1.5
"""Seconds between heartbeats. Their answers tell that a program is cancelled: within 5 s all of it must have ended, of
which 2 s are for its own tidying up."""

INLINE = 60_000
"""Bytes of a message that goes through the engine itself, whose limit is 64 KiB here; a larger one goes as an item."""
CALL = "run/call"
"""The source of the items that calls become, with their files."""
_LONGEST_PATH = 700
"""Characters of a task's path in a name; the engine takes 1,000 for all of it."""


def now() -> float:
    """Return the seconds since this machine was started, those included in which it slept: a lease goes on then."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def queue_name(queue: str | None, contract: int = CONTRACT) -> str:
    """Return what the engine calls a queue.

    >>> queue_name("gpu")
    'maxstage-1:gpu'
    """
    return f"maxstage-{contract}:{queue or DEFAULT_QUEUE}"


def activity_name(run_id: str, task: str, attempt: int) -> str:
    """Return the name of a program at the engine.

    >>> activity_name("20261122-020000-1a2b", "build[2].compile", 1)
    '20261122-020000-1a2b/build[2].compile/1'
    """
    if len(task) > _LONGEST_PATH:
        import hashlib

        task = f"{task[:_LONGEST_PATH]}#{hashlib.sha256(os.fsencode(task)).hexdigest()[:16]}"
    return f"{run_id}/{task}/{attempt}"


def pack(store: Store, message: dict[str, Any], run_id: str, source: str) -> dict[str, Any]:
    """Return a message that fits through the engine: itself, or the token of an item that has it.

    Args:
        store: Where the item is made.
        message: Plain data.
        run_id: The run, which owns the item.
        source: What the item is from: `CALL`, or `maxstage.workflow.execution.job.ANSWER`.
    """
    text = json.dumps(message)
    if len(text) <= INLINE:
        return message
    with store.draft() as draft:
        draft.write(text.encode())
        item = draft.publish(ttl_minutes=None, source=source, owner=run_id)
    return {"contract": CONTRACT, "token": item.token}


def unpack(store: Store, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `pack` was given.

    Raises:
        WorkflowError: It is of another contract.
        NotFound, Expired, Corrupt, OSError: The item can't be read.
    """
    if message.get("contract") != CONTRACT:
        raise WorkflowError(f"it is of contract {message.get('contract')}, and this is contract {CONTRACT}")
    if "token" not in message:
        return dict(message)
    with store.open(message["token"]) as file:
        found: dict[str, Any] = json.loads(file.read())
    return found


def answer_of(store: Store, result: JobResult) -> dict[str, Any]:
    """Return a result as plain data that means the same on another machine, where the store may have another path."""
    output = result.output
    if output is not None:
        output = _placed(output, store.layout.project, "")
        if output.stderr is not None:
            output = output.replace(stderr=_placed(output.stderr, store.layout.project, ""))
    return {"contract": CONTRACT, "result": JobResult(output, result.error).to_dict()}


def result_of(store: Store, answer: Mapping[str, Any]) -> JobResult:
    """Return the result that `answer_of` was given, as it is here."""
    result = JobResult.from_dict(answer["result"])
    output = result.output
    if output is None:
        return result
    output = _placed(output, "", store.layout.project)
    if output.stderr is not None:
        output = output.replace(stderr=_placed(output.stderr, "", store.layout.project))
    return JobResult(output, result.error)


def _placed(output: TaskOutput, before: str, after: str) -> TaskOutput:
    """Return an output whose item is in the project `after`, if it was in `before`; an empty one is that of the run."""
    if output.token is None or (output.store or "") != before:
        return output
    path = output.external_path
    if path is not None and before and path.startswith(f"{before}/"):
        path = path[len(before) + 1 :]
    elif path is not None and after:
        path = os.path.join(after, path)
    return output.replace(store=after, external_path=path)

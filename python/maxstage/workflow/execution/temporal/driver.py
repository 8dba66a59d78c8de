"""The driver's side: programs are started at the engine by name, or joined where they exist."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import ActivityFailureError
from temporalio.common import ActivityIDConflictPolicy, ActivityIDReusePolicy, RetryPolicy
from temporalio.exceptions import ActivityAlreadyStartedError, CancelledError, TerminatedError
from temporalio.exceptions import TimeoutError as WorkersLost
from temporalio.service import RPCError, RPCStatusCode

from maxstage.errors import Error, WorkflowError, describe
from maxstage.humanize import printable
from maxstage.output.task_output import CANCELLED
from maxstage.workflow.execution.job import JobResult
from maxstage.workflow.execution.local import LocalExecutor
from maxstage.workflow.execution.temporal.address import Address
from maxstage.workflow.execution.temporal.calls import Calls
from maxstage.workflow.execution.temporal.connection import PASSING, LoopThread, connect, one_line
from maxstage.workflow.execution.temporal.messages import (
    ACTIVITY,
    CONTRACT,
    DEFAULT_QUEUE,
    LEASE,
    activity_name,
    queue_name,
    result_of,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from temporalio.client import ActivityHandle, Client

    from maxstage.store.store import Store
    from maxstage.workflow.execution.job import Job

_AT_ONCE = 64
"""Programs at once unless the user says: they wait for workers, not for this machine."""
_TICK = 0.25
"""Seconds between two looks at the event that cancels."""
_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds until the engine is asked again that gave no answer: growing."""
_LONGEST = timedelta(days=3650)
"""A limit that the engine insists on; those of tasks are the workers' to keep."""
_MOST_WORKERS = 5
"""How many workers a program may be given, each of which is lost: it may be what ends them."""
_AFTER_LEASE = 15.0
"""Seconds after a lease in which the engine must have noticed that a worker is gone."""
_SHORT_RETENTION = timedelta(days=3)
"""A run that waits over a weekend finds its results."""
_BY_DRIVER = "max run is stopping"
"""The reason of a cancellation that is the driver's own."""
_BY_USER = "max runs cancel"


class TemporalExecutor:
    """Runs programs by an engine, on its workers.

    Args:
        store: Where full outputs go, which the workers reach, too.
        on: The address.

    Raises:
        WorkflowError: It is not an address.
    """

    on: str | None
    jobs: int | None = _AT_ONCE
    goes_on = True

    def __init__(self, store: Store, on: str) -> None:
        self._address = Address.parse(on)
        self.on = str(self._address)
        self._store = store
        self._local = LocalExecutor(store)
        self._calls = Calls(store)
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._client: Client | None = None

    def _run(self, work: Any) -> Any:
        with self._lock:
            if self._thread is None:
                self._thread = LoopThread()
            thread = self._thread
        try:
            return thread.run(work)
        except RPCError as error:
            raise WorkflowError(f"{self.on}: {one_line(error)}") from None

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await connect(self._address)
        return self._client

    def open(self, queues: Iterable[str | None]) -> list[str]:
        """Connect; return what the user should know.

        Args:
            queues: The queues that jobs will name.

        Raises:
            WorkflowError: The engine can't be reached, or is too old.
        """
        found: list[str] = self._run(self._open(sorted({one or DEFAULT_QUEUE for one in queues})))
        return found

    async def _open(self, queues: list[str]) -> list[str]:
        client = await self._connected()
        try:
            await client.get_activity_handle("maxstage/none").describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise WorkflowError(
                    f"{self.on} can't run programs: {one_line(error)}; standalone activities are needed, which "
                    "Temporal has from 1.31 on (its development server from 1.7 on)"
                ) from None
        warnings = []
        known = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
        kept = known.config.workflow_execution_retention_ttl.ToTimedelta()
        if kept < _SHORT_RETENTION:
            hours = kept.total_seconds() / 3600
            warnings.append(
                f"{self.on} keeps results for {hours:g} h: a run that is resumed later repeats what it had not "
                "yet noted; give the namespace a longer retention"
            )
        for queue in queues:
            if not await self._pollers(client, queue):
                named = "" if queue == DEFAULT_QUEUE else f" --queue {queue}"
                warnings.append(
                    f"no worker of contract {CONTRACT} takes jobs of the queue {queue!r} yet; "
                    f"to start one: max worker --on {self.on}{named}"
                )
        return warnings

    async def _pollers(self, client: Client, queue: str) -> list[str]:
        """Return the workers of a queue."""
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue_name(queue)),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        found = await client.workflow_service.describe_task_queue(asked)
        return [one.identity for one in found.pollers]

    def follow(self, show: Callable[[str, int, bytes], None]) -> bool:  # noqa: ARG002 - as every executor has it
        """Return false: what programs print reaches us once they have ended."""
        return False

    def knows(self, run_id: str) -> bool:
        """Return whether the engine has programs of a run, ended or not."""
        return bool(self._run(self._names(run_id, limit=1)))

    async def _names(self, run_id: str, *, running: bool = False, limit: int | None = None) -> list[str]:
        query = f'ActivityId STARTS_WITH "{run_id}/"' + (
            ' AND ExecutionStatus = "Running"' if running else ""
        )
        client = await self._connected()
        return [one.activity_id async for one in client.list_activities(query, limit=limit)]

    def run(self, job: Job, cancel: threading.Event) -> JobResult:
        """Run a program on a worker, or join it where it was started before.

        Args:
            job: The program and its input.
            cancel: An event that, once set, ends it and all that it started. It is set here if somebody else has
                cancelled the run.

        Returns:
            What it printed and how it ended. Errors are returned here, not raised.
        """
        if job.local:
            return self._local.run(job, cancel)
        if cancel.is_set():
            return JobResult(None, CANCELLED)
        try:
            call = self._calls.of(job)
        except (Error, OSError, ValueError) as problem:
            return JobResult(None, describe(problem))
        try:
            found: JobResult = self._run(self._perform(job, call, cancel))
        except (Error, OSError) as problem:
            return JobResult(None, describe(problem))
        return found

    async def _perform(self, job: Job, call: dict[str, Any], cancel: threading.Event) -> JobResult:
        while True:
            handle = await self._started(job, call, cancel)
            if handle is None:
                return JobResult(None, CANCELLED)
            try:
                answer = await self._ended(handle, cancel)
            except ActivityFailureError as failure:
                if isinstance(failure.cause, CancelledError):
                    if not cancel.is_set() and await self._reason(handle) == _BY_DRIVER:
                        continue  # an earlier start of the run has cancelled it
                    cancel.set()
                    given = failure.cause.details
                    return self._result(given[0]) if given else JobResult(None, CANCELLED)
                return JobResult(None, _why(failure.cause))
            return self._result(answer)

    def _result(self, answer: dict[str, Any]) -> JobResult:
        # An answer that is an item is left there: the state has not noted the result yet, and may be lost later.
        return result_of(self._store, unpack(self._store, answer))

    async def _started(
        self, job: Job, call: dict[str, Any], cancel: threading.Event
    ) -> ActivityHandle[Any] | None:
        """Start it, or find it; return None if it was cancelled before that."""
        name = activity_name(job.run_id, job.task, job.attempt)
        pause = _PAUSE
        while not cancel.is_set():
            try:
                client = await self._connected()
                return await client.start_activity(
                    ACTIVITY,
                    call,
                    id=name,
                    task_queue=queue_name(job.queue),
                    # What has ended by itself is never done again; what was cancelled, or lost, may be.
                    id_reuse_policy=ActivityIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=ActivityIDConflictPolicy.USE_EXISTING,
                    start_to_close_timeout=_LONGEST,
                    heartbeat_timeout=timedelta(seconds=LEASE),
                    retry_policy=RetryPolicy(
                        initial_interval=timedelta(seconds=1),
                        backoff_coefficient=1,
                        maximum_attempts=_MOST_WORKERS,
                    ),
                )
            except ActivityAlreadyStartedError as error:
                return client.get_activity_handle(name, run_id=error.run_id)
            except RPCError as error:
                if error.status not in PASSING:
                    raise
            pause = await _wait(pause)
        return None

    async def _ended(self, handle: ActivityHandle[Any], cancel: threading.Event) -> dict[str, Any]:
        """Return the answer of a program once it has ended, cancelled or not.

        Raises:
            ActivityFailureError: It has none.
            WorkflowError: It was cancelled, and the engine doesn't say that it has ended.
        """
        waiting = asyncio.ensure_future(self._awaited(handle))
        until: float | None = None
        loop = asyncio.get_running_loop()
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=_TICK)
                if until is None and cancel.is_set():
                    until = loop.time() + LEASE + _AFTER_LEASE
                    asking = asyncio.ensure_future(self._cancelled(handle, _BY_DRIVER))
                if until is not None and loop.time() > until:
                    asking.cancel()
                    raise WorkflowError(
                        f"it was cancelled, and {self.on} doesn't say that it has ended; no worker that has lost "
                        "its connection lets it run on"
                    )
            return waiting.result()
        finally:
            waiting.cancel()

    async def _awaited(self, handle: ActivityHandle[Any]) -> dict[str, Any]:
        pause = _PAUSE
        while True:
            try:
                answer: dict[str, Any] = await handle.result()
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    raise WorkflowError(
                        f"{self.on} no longer knows of it: its data was lost, or its namespace keeps it too briefly"
                    ) from None
                if error.status not in PASSING:
                    raise
            else:
                return answer
            pause = await _wait(pause)

    async def _cancelled(self, handle: ActivityHandle[Any], reason: str) -> None:
        """Ask the engine to cancel a program, until it has heard."""
        pause = _PAUSE
        while True:
            try:
                await handle.cancel(reason=reason)
            except RPCError as error:
                if error.status not in PASSING:
                    return  # it has ended
            else:
                return
            pause = await _wait(pause)

    async def _reason(self, handle: ActivityHandle[Any]) -> str | None:
        reason: str | None = (await handle.describe()).canceled_reason
        return reason

    def reap(self, run_id: str) -> int:
        """Cancel all programs of a run, and wait until they have ended.

        Raises:
            WorkflowError: Some have not.
        """
        count: int = self._run(self._reap(run_id))
        return count

    async def _reap(self, run_id: str) -> int:
        client = await self._connected()
        told: set[str] = set()
        loop = asyncio.get_running_loop()
        until = loop.time() + LEASE + _AFTER_LEASE
        while True:
            try:
                left = await self._names(run_id, running=True)
            except RPCError as error:
                raise WorkflowError(
                    f"{self.on} can't list the programs of run {run_id}: {one_line(error)}"
                ) from None
            for name in set(left) - told:
                await self._cancelled(client.get_activity_handle(name), _BY_USER)
            if told and not left:
                return len(told)
            if not left and not told:
                return 0
            told.update(left)
            if loop.time() > until:
                raise WorkflowError(f"these were cancelled and have not ended: {', '.join(sorted(left)[:5])}")
            await asyncio.sleep(_TICK)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            thread, self._thread, self._client = self._thread, None, None
        if thread is not None:
            thread.close()


async def _wait(seconds: float) -> float:
    """Wait; return how long to wait the next time."""
    await asyncio.sleep(seconds)
    return min(2 * seconds, _LONGEST_PAUSE)


def _why(cause: BaseException) -> str:
    """Return why a program has no answer."""
    if isinstance(cause, WorkersLost):
        return f"{_MOST_WORKERS} workers that had it were lost, one after the other"
    if isinstance(cause, TerminatedError):
        return f"it was terminated at the engine: {printable(str(cause), 200)}"
    return f"{_MOST_WORKERS} workers could not run it to its end; the last: {printable(one_line(cause), 300)}"

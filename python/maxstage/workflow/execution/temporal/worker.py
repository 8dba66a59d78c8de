"""The worker: it takes programs from a queue at the engine, has them run by its supervisor, and keeps their lease."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import AsyncActivityCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker as Poller

from maxstage.errors import WorkflowError
from maxstage.workflow.execution.temporal.address import Address
from maxstage.workflow.execution.temporal.connection import PASSING, connect, one_line
from maxstage.workflow.execution.temporal.descendants import adopt_orphans, kill_all
from maxstage.workflow.execution.temporal.messages import (
    ACTIVITY,
    BEAT,
    CONTRACT,
    DEFAULT_QUEUE,
    LEASE,
    now,
    queue_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.client import AsyncActivityHandle

    Tell = Callable[..., None]

_SUPERVISOR = "maxstage.workflow.execution.temporal.supervisor"
_LONGEST_LINE = 1024 * 1024
"""Bytes of an answer, which has far less."""
_ANSWERS_WITHIN = timedelta(seconds=5)
"""For the answer to a heartbeat: several tries fit into the time until a program must be ended."""
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_DRAIN = timedelta(days=365)
"""How long a worker that is asked to stop lets its programs go on: as long as they take."""
_OTHERS_EVERY = 60.0
"""Seconds between two looks for jobs of other contracts."""
_NEIGHBOURS = 3
"""How many later contracts are looked for, besides all earlier ones."""


class Worker:
    """Takes programs from a queue, and runs them.

    Args:
        project: The folder of the project whose store outputs go to.
        on: The address of the engine.
        queue: The queue; None for the default one.
        jobs: How many programs at once.
        tell: Called with each event: its name, and its data by keyword.

    Raises:
        WorkflowError: It is not an address, or this is not Linux.
    """

    def __init__(self, project: str, on: str, queue: str | None, jobs: int, tell: Tell) -> None:
        if sys.platform != "linux":
            raise WorkflowError("a worker needs Linux, which lets it end all that a program has started")
        self._project = project
        self._address = Address.parse(on)
        self._queue = queue or DEFAULT_QUEUE
        self._jobs = jobs
        self._tell = tell
        self._running: dict[str, _Program] = {}
        self._stopping = 0
        self._stop = asyncio.Event()
        self._lost: str | None = None

    async def run(self) -> None:
        """Work until a signal asks to stop: after the first, programs go on to their end; a second one ends them.

        Raises:
            WorkflowError: The engine can't be reached, or the supervisor has ended.
        """
        self._client = await connect(self._address)
        try:
            await self._client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self._address.namespace)
            )
        except RPCError as error:
            raise WorkflowError(f"{self._address}: {one_line(error)}") from None
        adopt_orphans()
        folder = tempfile.mkdtemp(prefix="max-worker-")
        supervisor, self._control = await _start_supervisor(self._project, folder)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_reader(self._control, self._supervisor_ended)
        try:
            await self._work()
        finally:
            loop.remove_reader(self._control)
            self._control.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                supervisor.wait(LEASE)
            kill_all()
            shutil.rmtree(folder, ignore_errors=True)
        if self._lost is not None:
            raise WorkflowError(self._lost)

    async def _work(self) -> None:
        poller = Poller(
            self._client,
            task_queue=queue_name(self._queue),
            activities=[self._job],
            max_concurrent_activities=self._jobs,
            graceful_shutdown_timeout=_DRAIN,
            on_fatal_error=self._fatal,
        )
        others = asyncio.ensure_future(self._tell_of_others())
        try:
            await self._poll(poller)
        except (RuntimeError, RPCError) as error:
            # The SDK tells that the engine refuses a worker, or has done so since, by a RuntimeError.
            self._lost = self._lost or f"{self._address} refuses this worker: {one_line(error)}"
        finally:
            others.cancel()

    async def _poll(self, poller: Poller) -> None:
        try:
            async with poller:
                self._tell(
                    "ready", queue=self._queue, on=str(self._address), jobs=self._jobs, contract=CONTRACT
                )
                await self._stop.wait()
        except asyncio.CancelledError:
            # So the SDK ends what is within the block, once it has called `_fatal`.
            if self._lost is None:
                raise

    async def _fatal(self, error: BaseException) -> None:
        self._lost = f"{self._address} refuses this worker: {one_line(error)}"
        self._stop.set()

    def _asked_to_stop(self) -> None:
        self._stopping += 1
        self._stop.set()
        if self._stopping == 1:
            self._tell("stopping", jobs=len(self._running))
        else:
            for program in self._running.values():
                program.end("the worker was stopped")

    def _supervisor_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        self._lost = "the supervising process has ended, and with it all programs"
        self._stop.set()

    async def _tell_of_others(self) -> None:
        """Say so if jobs wait that only workers of another contract take."""
        numbers = [one for one in range(1, CONTRACT + _NEIGHBOURS + 1) if one != CONTRACT]
        while True:
            for number in numbers:
                with contextlib.suppress(RPCError):  # it is a hint, and no more
                    query = f'TaskQueue = "{queue_name(self._queue, number)}" AND ExecutionStatus = "Running"'
                    count = (await self._client.count_activities(query)).count
                    if count:
                        self._tell("other_contract", contract=number, jobs=count)
            await asyncio.sleep(_OTHERS_EVERY)

    @activity.defn(name=ACTIVITY)
    async def _job(self, message: dict[str, Any]) -> None:
        info = activity.info()
        name, token = info.activity_id, info.task_token
        program = _Program(self._client.get_async_activity_handle(task_token=token))
        work = asyncio.ensure_future(program.run(self._control, message))
        self._running[name] = program
        self._tell("started", job=name, attempt=info.attempt)
        try:
            while not work.done():
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError:
                    if work.cancelled():
                        raise
                    # The engine's own library has heard of a cancellation. What it means the next heartbeat tells.
                    program.hurry()
        finally:
            del self._running[name]
        self._tell("ended", job=name, how=work.result())
        activity.raise_complete_async()


class _Program:
    """A program that runs here, for as long as the engine answers that it is ours.

    Args:
        handle: What the engine knows it by.
    """

    def __init__(self, handle: AsyncActivityHandle) -> None:
        self._handle = handle
        self._answered = 0.0
        self._beat = asyncio.Event()
        self._why_ended: str | None = None
        self._writer: asyncio.StreamWriter | None = None

    def hurry(self) -> None:
        """Send the next heartbeat now."""
        self._beat.set()

    def end(self, why: str) -> None:
        """End it; another worker may have it."""
        self._why_ended = why
        self._cancel()

    def _cancel(self) -> None:
        self._send({"cancel": True})

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def run(self, control: socket.socket, message: dict[str, Any]) -> str:
        """Run it, and tell the engine how it ended; return that in a word."""
        # It may have been given to another worker while this one slept: nothing starts before the engine has said.
        if not await self._heartbeat():
            return "not ours"
        reader, self._writer = await _linked(control)
        try:
            self._send({"answered": self._answered, "message": message})
            answer = await self._attend(reader)
        finally:
            self._writer.close()
        if answer is None:
            return "not ours"
        return await self._report(answer)

    async def _attend(self, reader: asyncio.StreamReader) -> dict[str, Any] | None:
        """Return its answer; None if it is no longer ours. If its process has died, the answer is empty."""
        reading = asyncio.ensure_future(reader.readline())
        try:
            while True:
                waiting = asyncio.ensure_future(self._beat.wait())
                await asyncio.wait({reading, waiting}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if reading.done():
                    line = reading.result()
                    found: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
                    return found
                self._beat.clear()
                activity.heartbeat()
                if not await self._heartbeat():
                    return None
        except OSError:
            return {}
        finally:
            reading.cancel()

    async def _heartbeat(self) -> bool:
        """Ask the engine whether it is still ours; return false only if it says no. Without an answer nobody knows."""
        sent = now()
        try:
            await self._handle.heartbeat(rpc_timeout=_ANSWERS_WITHIN)
        except AsyncActivityCancelledError as asked:
            if asked.details is None or not asked.details.cancel_requested:
                self._why_ended = "it was paused, or reset, at the engine"
            self._cancel()
        except RPCError as error:
            # Where it never was answered it doesn't begin.
            return error.status in PASSING and self._answered > 0
        self._answered = sent
        self._send({"answered": sent})
        return True

    async def _report(self, answer: dict[str, Any]) -> str:
        """Tell the engine how it has ended, for as long as that is ours to tell."""
        pause = _PAUSE
        while now() - self._answered < LEASE:
            try:
                return await self._told(answer)
            except RPCError as error:
                if error.status not in PASSING:
                    return "not ours"
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return "no connection"

    async def _told(self, answer: dict[str, Any]) -> str:
        if "answer" not in answer or (self._why_ended is not None and answer["cancelled"]):
            fenced = "the engine gave no answer" if answer.get("fenced") else "its process was killed"
            why = self._why_ended or fenced
            await self._handle.fail(ApplicationError(why))
            return why
        if answer["cancelled"]:
            await self._handle.report_cancellation(answer["answer"])
            return "cancelled"
        await self._handle.complete(answer["answer"])
        return "done"


async def _start_supervisor(project: str, folder: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the process that has a process for each program; return it, and the connection to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(  # noqa: ASYNC220 - at the start, when nothing else goes on
            [sys.executable, "-P", "-m", _SUPERVISOR, str(theirs.fileno()), project, folder],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            # Ctrl-C in a terminal is ours to handle, and to kill our group must not kill what ends the programs.
            start_new_session=True,
        )
    ready = await asyncio.get_running_loop().run_in_executor(None, ours.recv, 16)
    if not ready:
        raise WorkflowError("the supervising process could not be started")
    return process, ours


async def _linked(control: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Have the supervisor fork a process; return the connection to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(control, [b"job"], [theirs.fileno()])
    return await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)

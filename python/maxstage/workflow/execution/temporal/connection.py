"""The connection to an engine: what is asked of Temporal, and an event loop in a thread for callers that have none."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import threading
import warnings
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import KeepAliveConfig, RPCError, RPCStatusCode

from maxstage import __version__
from maxstage.errors import WorkflowError
from maxstage.workflow.execution.temporal.messages import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import TypeVar

    from maxstage.workflow.execution.temporal.address import Address

    Result = TypeVar("Result")

PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)
"""What says nothing about the request itself: the engine is away, busy or being started."""

_TRY_FOR = 5.0
"""Seconds to try to connect: an engine that was started a moment ago needs some."""
_ALIVE = KeepAliveConfig(interval_millis=4000, timeout_millis=4000)
"""A connection that is cut without a word is noticed in 8 s, and made anew, well before a program must be ended."""
_MESSAGE = re.compile(r'message: "([^"]+)"')
"""What an error of the SDK's core has to say, within all that it prints of itself."""
_runtime: list[Runtime] = []


def _one_runtime() -> Runtime:
    """Return a runtime that prints nothing: what matters is told by us, in one line."""
    if not _runtime:
        logging.getLogger("temporalio").addHandler(logging.NullHandler())
        logging.getLogger("temporalio").propagate = False
        warnings.filterwarnings("ignore", module=r"temporalio\.")
        _runtime.append(Runtime(telemetry=TelemetryConfig(logging=None)))
    return _runtime[0]


async def connect(address: Address, seconds: float = _TRY_FOR) -> Client:
    """Connect to an engine. Certificates and keys come from where Temporal's own tools find them (``TEMPORAL_…``).

    Raises:
        WorkflowError: It can't be reached, and why.
    """
    given: dict[str, Any] = {**ClientConfig.load_client_connect_config()}
    given |= {"target_host": address.target, "namespace": address.namespace}
    until = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await Client.connect(
                **given,
                identity=f"{socket.gethostname()}:{os.getpid()} maxstage {__version__} contract {CONTRACT}",
                runtime=_one_runtime(),
                keep_alive_config=_ALIVE,
            )
        except (RuntimeError, RPCError) as error:
            # The SDK tells a connection that fails by a RuntimeError.
            if asyncio.get_running_loop().time() >= until or _is_final(error):
                raise WorkflowError(f"no connection to {address}: {one_line(error)}") from None
        await asyncio.sleep(0.25)


def _is_final(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status not in PASSING


def one_line(error: BaseException) -> str:
    """Return what an error of the SDK says, in one line that is not too long.

    >>> one_line(RuntimeError('Failed client connect: E("tcp", Os { code: 111, message: "Connection refused" })'))
    'Connection refused'
    """
    text = " ".join(str(error).split())
    inner = _MESSAGE.findall(text)
    return (inner[-1] if inner else text)[:300] or type(error).__name__


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="max-temporal", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """End the loop, and what still waits in it."""

        async def end() -> None:
            waiting = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

"""Passing messages between the client and a server until one of them has gone."""

import select
import time

from maxstage.files import read_some
from maxstage.interrupts import Terminated
from maxstage.mcp.waiting import Waiting
from maxstage.mcp.wrap.channel import READ, Splitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from maxstage.mcp.wrap.channel import Bell, Out
    from maxstage.mcp.wrap.gateway import Gateway, Passed

    class Upstream(Protocol):
        """A server, behind whatever leads to it.

        Attributes:
            over: Rings once nothing more will come of it.
        """

        over: Bell

        def start(self, gateway: Gateway, out: Out, waiting: Waiting, /) -> None:
            """Begin to pass on what it sends, in a thread.

            Raises:
                OSError: It can't be started.
            """

        def send(self, passed: Passed, /) -> None:
            """Pass on a message of the client."""

        def close_input(self) -> None:
            """Tell it that the client has no more to say."""

        def end(self, number: int, /) -> int:
            """End it with this signal, or with more; return what it exits with."""


_TICK = 0.2
"""Seconds between two looks whether the client is still there."""

_IDLE = 2.0
"""Seconds that a server is given to end by itself once its client has gone and waits for nothing: clients give us as
long before they send a signal."""

_PATIENCE = 5.0
"""Seconds for our own tools to end."""

_SIGINT, _SIGTERM = 2, 15


def relay(
    upstream: "Upstream",
    gateway: "Gateway",
    out: "Out",
    folder: str | None,
    warn: "Callable[[str], object]",
    stdin: int = 0,
) -> int:
    """Pass messages until the client or the server has gone; return what the server exits with.

    Raises:
        OSError: The server can't be started.
        BaseException: What a handler of signals raises ends the server as well.
    """
    splitter = Splitter(folder)
    number = _SIGTERM
    with Waiting(stdin, upstream.over.fd) as waiting:
        upstream.start(gateway, out, waiting)
        try:
            if _pass_on(upstream, gateway, splitter, waiting, stdin, warn):
                upstream.close_input()
                _wait_for_end(upstream, gateway, out, waiting)
        except KeyboardInterrupt:
            number = _SIGINT
            raise
        except Terminated as error:
            number = error.number
            raise
        finally:
            splitter.close()
            gateway.end(_PATIENCE, waiting.signal_came)
            code = upstream.end(number)
    return code


def _pass_on(
    upstream: "Upstream",
    gateway: "Gateway",
    splitter: Splitter,
    waiting: Waiting,
    stdin: int,
    warn: "Callable[[str], object]",
) -> bool:
    """Pass on what the client says; return whether it has said all, and not the server ended before."""
    is_open = True
    while is_open:
        ready = waiting.wait()
        if upstream.over.fd in ready:
            return False
        if stdin not in ready:
            continue
        data = read_some(stdin, READ, "<stdin>")
        is_open = bool(data)
        for body, problem in splitter.feed(data) if data else splitter.finish():
            with body:
                if problem is not None:
                    warn(f"a message of the client can't be passed on: {problem}")
                    continue
                passed = gateway.from_client(body)
                if passed.message is not None:
                    upstream.send(passed)
    return True


def _wait_for_end(upstream: "Upstream", gateway: "Gateway", out: "Out", waiting: Waiting) -> None:
    """Wait for the server to end by itself, as long as somebody still waits for an answer."""
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < _IDLE:
        if waiting.wait_for({upstream.over.fd: select.POLLIN}, _TICK):
            return
        if gateway.is_waiting and out.has_reader():
            idle_since = time.monotonic()

"""Requests that are answered beside each other: one thread each, and a way to cancel them."""

import sys
import threading
import time

from maxstage.errors import Error, describe
from maxstage.mcp.protocol import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    RpcError,
    check_batch,
    encode,
    failure,
    failure_for,
    is_id,
    notification,
    parse,
    read_message,
)
from maxstage.mcp.tools.tool import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maxstage.mcp.protocol import Message, Request, Session
    from maxstage.mcp.server import Server

    Reply = Callable[[Message | None], None]

_MOST = 64
"""Requests that are answered at once: more are refused, so that no client can start threads without end."""

_TICK = 0.2
"""Seconds between two looks whether waiting is still wanted."""


def answer(server: "Server", request: "Request", session: "Session") -> "Message | None":
    """Answer a request, whatever goes wrong with it; None where it was cancelled."""
    try:
        return server.answer(request, session)
    except Cancelled:
        return None
    except RpcError as error:
        return failure(request.id, error)
    except (Error, OSError, ImportError) as error:
        return failure(request.id, RpcError(INTERNAL_ERROR, describe(error)))
    except Exception as error:  # noqa: BLE001 - a defect of ours must not leave the client waiting
        sys.stderr.write(f"max mcp: {request.method}: {type(error).__name__}: {error}\n")
        return failure(request.id, RpcError(INTERNAL_ERROR, f"Internal error: {type(error).__name__}"))


class Connection:
    """A client whose messages come and go by one pair of streams.

    Args:
        server: What answers.
        session: What is known of the client.
        send: Takes the bytes of a message, without an end of line; called by many threads.
    """

    def __init__(self, server: "Server", session: "Session", send: "Callable[[bytes], None]") -> None:
        self._server = server
        self._session = session
        self._send_bytes = send
        self._lock = threading.Lock()
        self._running: dict[tuple[type, object], Request] = {}
        self._replying = 0
        self._idle = threading.Condition(self._lock)
        self._warming: threading.Thread | None = None

    def receive(self, data: bytes) -> None:
        """Take a message, and answer it now or later."""
        try:
            message = parse(data)
            if isinstance(message, list):
                check_batch(message, self._session)
        except RpcError as error:
            self.refuse(error)
            return
        if isinstance(message, list):
            batch = _Batch(len(message), self._send)
            for one in message:
                self._take(one, batch.reply)
        else:
            self._take(message, self._reply)

    def refuse(self, error: RpcError) -> None:
        """Answer what could not even be read."""
        self._send(failure(None, error))

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self._running)

    def wait(self, patience: float, is_enough: "Callable[[], bool]") -> None:
        """Wait for running requests to end, for at most `patience` seconds, or until `is_enough()`."""
        deadline = time.monotonic() + patience
        with self._idle:
            while (
                (self._running or self._replying)
                and not is_enough()
                and (left := deadline - time.monotonic()) > 0
            ):
                self._idle.wait(min(left, _TICK))

    def close(self, patience: float, is_enough: "Callable[[], bool]") -> None:
        """Cancel what runs, and wait for it as `wait` does."""
        with self._idle:
            for request in self._running.values():
                request.cancelled.set()
        self.wait(patience, is_enough)
        if self._warming is not None and not is_enough():
            self._warming.join(patience)

    def _take(self, message: "Any", reply: "Reply") -> None:
        try:
            request = read_message(message, self._session)
        except RpcError as error:
            reply(failure_for(message, error))
            return
        if request is None:
            reply(None)
        elif request.id is None:
            self._note(request)
            reply(None)
        elif self._server.is_quick(request):
            reply(answer(self._server, request, self._session))
            if self._warming is None:
                self._warming = threading.Thread(target=self._server.warm_up, daemon=True)
                self._warming.start()
        else:
            self._start(request, reply)

    def _note(self, request: "Request") -> None:
        """Take a notification: of one that we don't know nobody wants to hear."""
        if request.method != "notifications/cancelled":
            return
        cancelled = request.params.get("requestId")
        with self._lock:
            running = self._running.get((type(cancelled), cancelled)) if is_id(cancelled) else None
        if running is not None:
            running.cancelled.set()

    def _start(self, request: "Request", reply: "Reply") -> None:
        key = type(request.id), request.id
        problem = None
        with self._lock:
            if key in self._running:
                problem = RpcError(INVALID_REQUEST, f"Invalid Request: id {request.id!r:.100} is in use")
            elif len(self._running) >= _MOST:
                problem = RpcError(
                    INTERNAL_ERROR, f"{_MOST} requests are being answered; wait for one to end"
                )
            else:
                self._running[key] = request
        if problem is not None:
            reply(failure(request.id, problem))
            return
        request.notify = lambda method, params: self._send(notification(method, params))
        threading.Thread(target=self._run, args=(key, request, reply), daemon=True).start()

    def _run(self, key: "tuple[type, object]", request: "Request", reply: "Reply") -> None:
        message = answer(self._server, request, self._session)
        with self._idle:
            # From here on it can't be cancelled, and its id may be used again.
            del self._running[key]
            self._replying += 1
        try:
            reply(None if request.cancelled.is_set() else message)
        finally:
            with self._idle:
                self._replying -= 1
                self._idle.notify_all()
        self._server.access.sweep()

    def _reply(self, message: "Message | None") -> None:
        if message is not None:
            self._send(message)

    def _send(self, message: "Message | list[Message]") -> None:
        self._send_bytes(encode(message))


class _Batch:
    """Gathers the answers to several messages that came together, and sends them together."""

    def __init__(self, count: int, send: "Callable[[list[Message]], None]") -> None:
        self._left = count
        self._send = send
        self._answers: list[Message] = []
        self._lock = threading.Lock()

    def reply(self, message: "Message | None") -> None:
        """Take the answer to one of them."""
        with self._lock:
            self._left -= 1
            if message is not None:
                self._answers.append(message)
            if self._left:
                return
        if self._answers:
            self._send(self._answers)

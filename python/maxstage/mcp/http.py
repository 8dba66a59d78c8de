"""Messages by HTTP on this machine: each is a POST to ``/mcp``, answered with JSON or a stream of events.

A page that a browser shows can reach every port of its machine, so a client must know a secret, and neither ``Host``
nor ``Origin`` may name another machine: a name that is made to lead here (DNS rebinding) is told by that.
"""

import hmac
import http.server
import select
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING

from maxstage.errors import ConfigError
from maxstage.mcp.calls import answer
from maxstage.mcp.headers import check_headers
from maxstage.mcp.protocol import (
    INVALID_REQUEST,
    LEGACY,
    METHOD_NOT_FOUND,
    MODERN,
    UNSUPPORTED_VERSION,
    RpcError,
    Session,
    check_batch,
    clip,
    encode,
    failure,
    failure_for,
    is_id,
    notification,
    parse,
    read_message,
)
from maxstage.mcp.stdio import LONGEST
from maxstage.mcp.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maxstage.mcp.protocol import Message, Request
    from maxstage.mcp.server import Server

PATH = "/mcp"
_HERE = ("127.0.0.1", "localhost", "[::1]")
"""What this machine may be called."""

_SHORTEST_SECRET = 16
"""Characters of a secret: fewer can be guessed by trying."""

_MOST = 64
"""Connections at once; more are refused."""

_MOST_SESSIONS = 256
"""Clients of earlier revisions that are remembered; of more, those that came first are forgotten."""

_IDLE_SECONDS = 60
"""Seconds that a connection may be silent."""

_TICK = 0.1
"""Seconds between two looks whether a client still waits."""

_PATIENCE = 5.0
"""Seconds for what runs to end, once we are told to."""


def serve(server: "Server", port: int, secret: str | None, tell: "Callable[[str], object]") -> None:
    """Answer messages until a signal comes.

    Args:
        server: What answers.
        port: Where; 0 for any that is free.
        secret: What a client must know; None makes one, and tells it.
        tell: Takes lines for whoever has started us.

    Raises:
        ConfigError: The secret is too short.
        OSError: The port is taken.
    """
    if secret is not None and len(secret) < _SHORTEST_SECRET:
        raise ConfigError(f"MAX_MCP_TOKEN must have {_SHORTEST_SECRET} characters or more")
    made = secret is None
    if secret is None:
        import secrets

        secret = secrets.token_hex(16)
    try:
        listener = _Listener(server, port, secret)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, f"127.0.0.1:{port}") from None
    with listener:
        tell(f"Serving MCP at http://127.0.0.1:{listener.server_port}{PATH}\n")
        if made:
            tell(f"Authorization: Bearer {secret}\n")
        with Waiting(listener.fileno()) as waiting:
            try:
                while True:
                    if waiting.wait():
                        listener.handle_request()
            finally:
                listener.end(_PATIENCE, waiting.signal_came)


class _Client(Session):
    """A client of an earlier revision, and its requests that run."""

    def __init__(self, version: "str | None") -> None:
        super().__init__(version)
        self.running: dict[tuple[type, object], Request] = {}


class _Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Takes connections."""

    daemon_threads = True
    block_on_close = False
    timeout = 0
    allow_reuse_address = True

    def __init__(self, server: "Server", port: int, secret: str) -> None:
        self.server = server
        self._expected = f"Bearer {secret}".encode()
        self._free = threading.BoundedSemaphore(_MOST)
        self._lock = threading.Lock()
        self._running: set[Request] = set()
        self._clients: dict[str, _Client] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Take the port, without asking what this machine is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: "Any", client_address: "Any") -> None:
        """Serve a connection in a thread of its own, if there are not too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: "Any", client_address: "Any") -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: "Any", client_address: "Any") -> None:
        """Pass over what fails with a connection: the client has gone."""

    def is_known(self, authorization: str) -> bool:
        """Whether this is the secret."""
        return hmac.compare_digest(authorization.encode("utf-8", "surrogateescape"), self._expected)

    def remember(self, client: _Client) -> str:
        """Remember a client of an earlier revision; return what it is called from now on."""
        import secrets

        name = secrets.token_hex(16)
        with self._lock:
            self._clients[name] = client
            while len(self._clients) > _MOST_SESSIONS:
                del self._clients[next(iter(self._clients))]
        return name

    def client(self, name: str) -> _Client | None:
        """Return a client that is remembered."""
        return self._clients.get(name)

    def forget(self, name: str) -> bool:
        """Forget a client."""
        return self._clients.pop(name, None) is not None

    def run(self, request: "Request", client: Session, is_there: "Callable[[], bool]") -> "Message | None":
        """Answer a request in a thread, and cancel it where its client goes; None where it was cancelled."""
        answers: list[Message | None] = []
        done = threading.Event()

        def work() -> None:
            try:
                answers.append(answer(self.server, request, client))
            finally:
                done.set()

        key = type(request.id), request.id
        running = client.running if isinstance(client, _Client) else {}
        with self._lock:
            self._running.add(request)
            running[key] = request
        try:
            threading.Thread(target=work, daemon=True).start()
            while not done.wait(_TICK):
                if not is_there():
                    request.cancelled.set()
        finally:
            with self._lock:
                self._running.discard(request)
                running.pop(key, None)
        return None if request.cancelled.is_set() else answers[0]

    def end(self, patience: float, is_enough: "Callable[[], bool]") -> None:
        """Cancel what runs, and wait for it to end, for at most `patience` seconds, or until `is_enough()`."""
        deadline = time.monotonic() + patience
        with self._lock:
            for request in self._running:
                request.cancelled.set()
        while self._running and not is_enough() and time.monotonic() < deadline:
            time.sleep(_TICK)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers what comes by one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "maxstage"
    sys_version = ""
    timeout = _IDLE_SECONDS
    # Headers and body are written one after the other: the second would wait 40 ms for word that the first has come.
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: nobody has asked."""

    def do_GET(self) -> None:
        """Refuse: there is nothing that we say unasked."""
        if self._is_welcome():
            self._refuse(405, "POST messages here")

    def do_DELETE(self) -> None:
        """End what is remembered of a client."""
        if self._is_welcome():
            known = self.server.forget(self.headers.get("Mcp-Session-Id", ""))
            self._respond(200 if known else 405, b"")

    def do_POST(self) -> None:
        """Answer a message."""
        if not self._is_welcome():
            return
        body = self._body()
        if body is None:
            return
        try:
            self._answer(body)
        finally:
            self.server.server.access.sweep()

    def _answer(self, body: bytes) -> None:
        message: Any = None
        try:
            client = self._client()
            if client is None:
                self._refuse(404, "This session has ended; begin with initialize")
                return
            message = parse(body)
            if isinstance(message, list):
                check_batch(message, client)
                self._answer_batch(message, client)
                return
            request = read_message(message, client)
            if request is not None:
                check_headers(request, self.headers)
        except RpcError as error:
            self._send(failure_for(message, error), 400)
            return
        if request is None or request.id is None:
            if request is not None:
                self._note(request, client)
            self._respond(202, b"")
        else:
            self._answer_request(request, client)

    def _answer_request(self, request: "Request", client: _Client) -> None:
        wants_events = "text/event-stream" in self.headers.get("Accept", "")
        if wants_events and request.progress_token is not None:
            self._stream(request, client)
            return
        found = self.server.run(request, client, self._is_there)
        if found is None:
            self.close_connection = True
            return
        headers = {}
        if request.method == "initialize" and "result" in found:
            headers["Mcp-Session-Id"] = self.server.remember(client)
        self._send(found, _status(found, request), headers)

    def _stream(self, request: "Request", client: _Client) -> None:
        """Answer with a stream: what comes of the request meanwhile, and the answer as its last event."""
        self.close_connection = True
        self.send_response(200)
        for name, value in (
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        request.notify = lambda method, params: self._event(notification(method, params))
        found = self.server.run(request, client, self._is_there)
        if found is not None:
            self._event(found)

    def _event(self, message: "Message") -> None:
        try:
            self.wfile.write(b"event: message\ndata: " + encode(message) + b"\n\n")
        except OSError:
            self.close_connection = True  # which `_is_there` sees as well

    def _answer_batch(self, messages: "list[Any]", client: _Client) -> None:
        answers: list[Message] = []
        for one in messages:
            try:
                request = read_message(one, client)
            except RpcError as error:
                answers.append(failure_for(one, error))
                continue
            if request is not None and request.id is not None:
                found = self.server.run(request, client, self._is_there)
                answers += [] if found is None else [found]
        if answers:
            self._respond(200, encode(answers))
        else:
            self._respond(202, b"")

    def _note(self, request: "Request", client: _Client) -> None:
        cancelled = request.params.get("requestId")
        if request.method == "notifications/cancelled" and is_id(cancelled):
            running = client.running.get((type(cancelled), cancelled))
            if running is not None:
                running.cancelled.set()

    def _client(self) -> _Client | None:
        """Return what is known of the client; None where it names a session that is none.

        Raises:
            RpcError: It follows a revision that is none of ours.
        """
        name = self.headers.get("Mcp-Session-Id")
        version = self.headers.get("MCP-Protocol-Version")
        if version in MODERN:
            return _Client(None)
        if name is not None:
            return self.server.client(name)
        if version is not None and version not in LEGACY:
            supported = {"supported": list(MODERN), "requested": version}
            raise RpcError(UNSUPPORTED_VERSION, f"Unsupported protocol version: {clip(version)}", supported)
        # The header came with 2025-06-18.
        return _Client(version or "2025-03-26")

    def _is_welcome(self) -> bool:
        """Look whether the client may ask at all; if not, say so."""
        host = self.headers.get("Host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in _HERE:
            self._refuse(403, f"Host must be {_HERE[0]}:{self.server.server_port}")
        elif not _is_local(self.headers.get("Origin")):
            self._refuse(403, "Origin must be of this machine")
        elif not self.server.is_known(self.headers.get("Authorization", "")):
            self._refuse(401, "Authorization must be: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        elif self.path.partition("?")[0] != PATH:
            self._refuse(404, f"There is nothing but {PATH}")
        else:
            return True
        return False

    def _body(self) -> bytes | None:
        """Return what was sent; None where that was refused."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not (length.isascii() and length.isdigit()):
            self._refuse(411, "Content-Length is needed")
        elif len(length) > len(str(LONGEST)) or int(length) > LONGEST:
            self._refuse(413, f"A message may have {LONGEST:,} bytes; stage a file by its path")
        elif kind != "application/json":
            self._refuse(415, "Content-Type must be application/json")
        else:
            return self.rfile.read(int(length))
        return None

    def _is_there(self) -> bool:
        """Whether the client still waits: one that does not has closed its end."""
        if self.close_connection and self.wfile.closed:
            return False
        try:
            if not select.select([self.connection], [], [], 0)[0]:
                return True
            return bool(self.connection.recv(1, socket.MSG_PEEK))
        except (OSError, ValueError):
            return False

    def _refuse(self, status: int, message: str, headers: "dict[str, str] | None" = None) -> None:
        """Answer a request that is not even looked at; what it has sent may still lie in the connection."""
        self.close_connection = True
        allow = {"Allow": "POST"} if status == 405 else {}  # noqa: PLR2004
        error = failure(None, RpcError(INVALID_REQUEST, message))
        self._respond(status, encode(error), {"Connection": "close", **allow, **(headers or {})})

    def _send(self, message: "Message", status: int, headers: "dict[str, str] | None" = None) -> None:
        self._respond(status, encode(message), headers)

    def _respond(self, status: int, body: bytes, headers: "dict[str, str] | None" = None) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _is_local(origin: str | None) -> bool:
    """Whether a page of this origin may ask; what is no page has none."""
    if origin is None:
        return True
    scheme, _, rest = origin.lower().partition("://")
    name = rest.rpartition(":")[0] if rest.rpartition(":")[2].isdigit() else rest
    return scheme in {"http", "https"} and name in _HERE


def _status(found: "Message", request: "Request") -> int:
    """Return the status of an answer: with the revision in force, errors of the protocol show in it."""
    code = found.get("error", {}).get("code")
    return 404 if request.is_modern and code == METHOD_NOT_FOUND else 200

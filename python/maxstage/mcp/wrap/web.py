"""A server that is reached by Streamable HTTP: each message of the client is a POST, answered with JSON or a stream.

Since 2026-07-28 that is all. Before, there may be a session, which we begin anew when its server has forgotten it; a
stream of what the server says unasked; and a stream that breaks off is asked for again where it tells how far it was.
"""

import http.client
import os
import queue
import re
import threading
import time

from maxstage.errors import ConfigError, Error
from maxstage.light_json import loads
from maxstage.mcp.headers import encode_value
from maxstage.mcp.protocol import MODERN, clip, encode
from maxstage.mcp.wrap.address import Exchange, Site, parse_address, proxy_of, user_agent, why
from maxstage.mcp.wrap.body import IN_MEMORY, Body, TooLong, pieces
from maxstage.mcp.wrap.channel import Bell
from maxstage.mcp.wrap.events import Events
from maxstage.mcp.wrap.gateway import Ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maxstage.mcp.waiting import Waiting
    from maxstage.mcp.wrap.channel import Out
    from maxstage.mcp.wrap.gateway import Asked, Gateway, Passed

    Headers = dict[str, str | bytes]

_READ = 64 * 1024
"""Bytes read at a time."""

_FOR_NOTIFICATION = 30.0
"""Seconds for a server to take what needs no answer: what the client says next waits for it."""

_AGAIN = 1.0
"""Seconds until a stream that has ended is asked for again, if the server has told nothing else."""

_TRIES = 3
"""How often in a row a stream is asked for again in vain."""

_LEAVING = 1.0
"""Seconds for the server to take note that we leave, and to end a stream on which all was said."""

_TICK = 0.05
"""Seconds between two looks whether all is answered, once the client has no more to say."""

_MOST = 64
"""Requests that are on their way at once: more are refused."""

_ERROR = 64 * 1024
"""Bytes of an answer with an error that are read."""

_OK, _REDIRECT, _GONE = 200, 300, 404

_BROKEN_OFF = "the server's answer ended before it was whole"

_VARIABLE_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE = re.compile(rf"\$\{{({_VARIABLE_NAME.pattern})\}}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_OURS = re.compile(
    "accept|accept-encoding|connection|content-.*|expect|host|last-event-id|mcp-.*|te|trailer|transfer-encoding|upgrade",
    re.IGNORECASE,
)
"""Headers that say what we send and how."""

_SHORTEST_SECRET = 4
"""Characters of a value that is masked; shorter ones stand everywhere."""


class Given:
    """The headers that each request has.

    Args:
        written: Each as ``NAME: VALUE``, with ``${NAME}`` for what the environment holds.
        bearer_env: The variable that holds a token for ``Authorization: Bearer``; None for none. Clients, like shells,
            fill in ``${NAME}`` themselves, and a secret would stand in the list of processes.

    Attributes:
        headers: The headers, with what the environment holds.

    Raises:
        ConfigError: One is none, or the environment has no such variable.
    """

    def __init__(self, written: "list[str]", bearer_env: str | None = None) -> None:
        self.headers: Headers = {"User-Agent": user_agent()}
        self._secrets: list[str] = []
        for text in written:
            self._add(text)
        if bearer_env is not None:
            if not _VARIABLE_NAME.fullmatch(bearer_env):
                raise ConfigError("--bearer-env must be the name of an environment variable")
            self._add(f"Authorization: Bearer ${{{bearer_env}}}")

    def _add(self, text: str) -> None:
        name, colon, value = text.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise ConfigError("--header must be like 'NAME: VALUE'")
        if _OURS.fullmatch(name):
            raise ConfigError(f"--header {name}: this one says what is sent, and is not yours to give")
        for variable in _VARIABLE.findall(value):
            if variable not in os.environ:
                raise ConfigError(f"{name}: there is no {variable} in the environment")
            self._secrets.append(os.environ[variable])
        value = _VARIABLE.sub(lambda found: os.environ[found[1]], value).strip(" \t")
        if not value.isascii() or not value.isprintable():
            raise ConfigError(f"{name}: its value has characters that no header has")
        self._secrets.append(value)
        for other in [other for other in self.headers if other.lower() == name.lower()]:
            del self.headers[other]
        self.headers[name] = value

    def masked(self, text: str) -> str:
        """Return a text without what the headers say: a server may repeat it."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


class Web:
    """A server at an address.

    Args:
        url: The address.
        given: What each request has.
        folder: Where files for long messages go; None for the system's own place.
        warn: Takes a line for whoever has started us.

    Raises:
        ConfigError: The address is none of HTTP, or the proxy for it is none.
    """

    def __init__(self, url: str, given: Given, folder: str | None, warn: "Callable[[str], object]") -> None:
        self._site = Site(parse_address(url))
        proxy_of(self._site.target)
        self._given = given
        self._folder = folder
        self._warn = warn
        self._queue: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._room = threading.BoundedSemaphore(_MOST)
        self._lock = threading.Lock()
        self._running: dict[tuple[type, object], _Message] = {}
        self._open: set[Exchange] = set()
        self._session: str | None = None
        self._renewing = threading.Lock()
        self._beginning: bytes | None = None
        self._is_over = threading.Event()
        self._is_listening = False
        self.over = Bell()

    @property
    def host(self) -> str:
        """What the server's machine is called."""
        return self._site.target.host

    def start(self, gateway: "Gateway", out: "Out", waiting: "Waiting") -> None:  # noqa: ARG002 - as of others
        """Begin to take messages."""
        self._gateway = gateway
        threading.Thread(target=self._post_all, daemon=True).start()

    def send(self, passed: "Passed") -> None:
        """Pass on a message of the client."""
        cancelled = passed.cancelled
        running = None
        if cancelled is not None:
            with self._lock:
                running = self._running.get((type(cancelled), cancelled))
            if self._gateway.version is None:
                # That is how a request is cancelled there, and there is no other.
                if running is not None:
                    running.exchange.close()
                return
        if passed.message is None:
            return
        try:
            message = _Message(passed, self._exchange(), self._folder)
        except TooLong as error:
            self._warn(f"a message of the client can't be passed on: {error}")
            for asked in passed.requests:
                self._gateway.answer_for(asked.id, f"the request can't be passed on: {error}")
            return
        message.cancels = None if running is None else running.exchange
        with self._lock:
            self._running |= dict.fromkeys(message.keys, message)
        self._queue.put(message)

    def close_input(self) -> None:
        """Take note that the client has no more to say."""
        self._queue.put(None)

    def end(self, number: int) -> int:  # noqa: ARG002 - as of others
        """Leave: close what is open, and tell the server."""
        self._is_over.set()
        with self._lock:
            exchanges = [*self._open]
        for exchange in exchanges:
            exchange.close()
        if self._session is not None:
            leaving = threading.Thread(target=self._leave, daemon=True)
            leaving.start()
            leaving.join(_LEAVING)
        self._site.close()
        return 0

    def _exchange(self) -> Exchange:
        exchange = Exchange(self._site)
        with self._lock:
            self._open.add(exchange)
        return exchange

    def _drop(self, exchange: Exchange) -> None:
        exchange.finish()
        with self._lock:
            self._open.discard(exchange)

    # What is sent

    def _post_all(self) -> None:
        """Send messages in their order; wait only where what comes next may rely on it."""
        while (message := self._queue.get()) is not None:
            if not message.requests or message.begins:
                self._post(message)
            elif self._room.acquire(blocking=False):
                threading.Thread(target=self._post_beside, args=(message,), daemon=True).start()
            else:
                self._done(message, f"{_MOST} requests are on their way; wait for one to end")
        while self._gateway.is_waiting and not self._is_over.wait(_TICK):
            continue
        self.over.ring()

    def _post_beside(self, message: "_Message") -> None:
        try:
            self._post(message)
        finally:
            self._room.release()

    def _post(self, message: "_Message") -> None:
        """Send a message, and pass on what is answered."""
        told: str | None = _BROKEN_OFF
        try:
            told = self._exchanged(message)
        except Ended:
            return
        except (OSError, http.client.HTTPException, ValueError, Error) as error:
            told = f"{self.host}: {self._given.masked(why(error))}"
            if not message.requests and not self._is_over.is_set():
                self._warn(told)
        finally:
            self._done(message, told or _BROKEN_OFF)
        if message.cancels is not None:
            message.cancels.close()
        if message.begins_session:
            self._begin_listening()

    def _exchanged(self, message: "_Message") -> str | None:
        """Send a message, once more if its session was forgotten; return why it is not answered, if that is known."""
        session = self._session
        response = self._sent(message)
        if response.status == _GONE and session is not None and not message.begins:
            response.read(_ERROR)
            message.exchange.finish()
            if not self._renewed(session):
                return "the server has forgotten the session, and would not begin another"
            response = self._sent(message)
        if message.begins and response.status < _REDIRECT:
            self._session = response.headers.get("Mcp-Session-Id")
            self._beginning = message.short
        if response.status >= _REDIRECT:
            return self._refused(response, message)
        kind = response.headers.get_content_type()
        if kind == "text/event-stream":
            return self._take_stream(response, message)
        if message.requests and kind == "application/json":
            return self._take_json(response, message)
        # It has said all that it will: the connection can be used again.
        response.read(_ERROR)
        if message.requests:
            return f"the server answered with {response.status} and {clip(kind)}, which is no message"
        return None

    def _sent(self, message: "_Message") -> http.client.HTTPResponse:
        patience = None if message.requests else _FOR_NOTIFICATION
        return message.exchange.send("POST", self._headers_of(message), message.read, patience)

    def _done(self, message: "_Message", told: str) -> None:
        """Let go of a message; what was asked in it and not answered gets an error."""
        self._drop(message.exchange)
        message.close()
        with self._lock:
            for key in message.keys:
                if self._running.get(key) is message:
                    del self._running[key]
        for asked in message.requests:
            if self._gateway.awaits(asked):
                self._gateway.answer_for(asked.id, told)

    def _headers_of(self, message: "_Message") -> "Headers":
        headers: Headers = {
            "Content-Type": "application/json",
            "Content-Length": str(message.size),
            "Accept": "application/json, text/event-stream",
        }
        asked = message.requests[0] if len(message.requests) == 1 else None
        if asked is not None and asked.version in MODERN:
            headers |= {"MCP-Protocol-Version": str(asked.version), "Mcp-Method": encode_value(asked.method)}
            if asked.name:
                headers["Mcp-Name"] = encode_value(asked.name)
            headers |= asked.headers
        elif not message.begins:
            headers |= self._of_session()
        return self._given.headers | headers

    def _of_session(self) -> "Headers":
        headers: Headers = {}
        if self._gateway.version is not None:
            headers["MCP-Protocol-Version"] = self._gateway.version
        if self._session is not None:
            headers["Mcp-Session-Id"] = self._session
        return headers

    # What is answered

    def _take_json(self, response: http.client.HTTPResponse, message: "_Message") -> str | None:
        with Body(self._folder) as body:
            try:
                while data := response.read1(_READ):
                    body.add(data)
            except TooLong as error:
                self._gateway.refuse(body, error)
                return None
            if response.length:
                return _BROKEN_OFF
            # Now: the client may ask for more as soon as it reads this.
            message.exchange.finish()
            self._gateway.from_server(body)
        return None

    def _take_stream(self, response: http.client.HTTPResponse, message: "_Message") -> str | None:
        """Pass on what comes until all is answered; where a stream breaks off before that, ask for the rest of it."""
        events = Events(self._folder)
        failures = 0
        try:
            while True:
                known = events.last_id
                try:
                    self._take_events(response, events, message)
                except (OSError, http.client.HTTPException):
                    if self._is_awaited(message) and (events.last_id is None or message.exchange.is_closed):
                        raise
                if not self._is_awaited(message):
                    return None
                if events.last_id is None or message.is_modern:
                    return _BROKEN_OFF
                # A server may end its streams at will, as long as it goes on with them.
                failures = 0 if events.last_id != known else failures
                resumed = None
                while resumed is None:
                    if failures == _TRIES or self._is_over.is_set():
                        return _BROKEN_OFF
                    failures += 1
                    resumed = self._stream_of(message.exchange, events)
                response = resumed
        finally:
            events.close()

    def _is_awaited(self, message: "_Message") -> bool:
        return any(map(self._gateway.awaits, message.requests))

    def _take_events(
        self, response: http.client.HTTPResponse, events: Events, message: "_Message | None" = None
    ) -> None:
        """Pass on what comes; once all is answered, only for as long as it takes to end the stream."""
        until = None
        while data := response.read1(_READ):
            for body, problem in events.feed(data):
                with body:
                    if problem is None:
                        self._gateway.from_server(body)
                    else:
                        self._gateway.refuse(body, problem)
            if message is None or self._is_awaited(message):
                continue
            if until is None:
                until = time.monotonic() + _LEAVING
                message.exchange.set_patience(_LEAVING)
            elif time.monotonic() > until:
                return

    def _stream_of(self, exchange: Exchange, events: Events) -> http.client.HTTPResponse | None:
        """Ask for a stream after a pause, from where it was; return None where there is none."""
        if self._is_over.wait(_AGAIN if events.pause is None else events.pause):
            return None
        exchange.finish()
        events.begin_again()
        try:
            return self._asked_for(exchange, events)
        except (OSError, http.client.HTTPException):
            if exchange.is_closed:
                raise
            return None

    def _asked_for(self, exchange: Exchange, events: Events) -> http.client.HTTPResponse | None:
        headers = self._given.headers | self._of_session() | {"Accept": "text/event-stream"}
        if events.last_id is not None:
            headers["Last-Event-ID"] = events.last_id
        response = exchange.send("GET", headers)
        is_stream = response.headers.get_content_type() == "text/event-stream"
        return response if response.status == _OK and is_stream else None

    def _refused(self, response: http.client.HTTPResponse, message: "_Message") -> str:
        """Pass on an error of the protocol, which may have no id; return what is told of any other."""
        try:
            told = loads(response.read(_ERROR).decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            told = None
        error = told.get("error") if isinstance(told, dict) else None
        if (
            isinstance(error, dict)
            and isinstance(error.get("code"), int)
            and isinstance(error.get("message"), str)
        ):
            for asked in message.requests:
                self._gateway.answer_with(asked.id, error)
        more = (
            "; give --bearer-env NAME or --header 'Authorization: …'" if response.status in {401, 403} else ""
        )
        location = response.headers.get("Location")
        if location is not None:
            to = clip(location.partition("?")[0])
            more = f" to {to}, which is not followed; if that is the server, give it as --url"
        reason = clip(f"{response.status} {response.reason}")
        told_of = self._given.masked(f"the server answered {reason}{more}")
        if not message.requests:
            self._warn(told_of)
        return told_of

    # Sessions, which there were before 2026-07-28

    def _begin_listening(self) -> None:
        with self._lock:
            if self._is_listening:
                return
            self._is_listening = True
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Pass on what a server says unasked, if it has a stream for that."""
        exchange, events = self._exchange(), Events(self._folder)
        events.pause = 0.0
        failures = 0
        try:
            while failures < _TRIES and not self._is_over.is_set():
                failures += 1
                try:
                    response = self._stream_of(exchange, events)
                    if response is None:
                        return
                    failures = 0
                    events.pause = _AGAIN
                    self._take_events(response, events)
                except (OSError, http.client.HTTPException):
                    continue  # it is asked for again
        except Ended:
            return
        finally:
            events.close()
            self._drop(exchange)
            with self._lock:
                self._is_listening = False

    def _renewed(self, forgotten: str) -> bool:
        """Begin another session in place of one that the server has forgotten; return whether there is one."""
        with self._renewing:
            if self._session != forgotten:
                return self._session is not None
            if self._beginning is None:
                return False
            session = self._begun(self._beginning)
            if session is None:
                return False
            self._session = session
            with Body() as note:
                note.add(encode({"jsonrpc": "2.0", "method": "notifications/initialized"}))
                self._told(note, self._of_session())
        self._warn("the server had forgotten the session; another was begun")
        self._begin_listening()
        return True

    def _begun(self, beginning: bytes) -> str | None:
        """Say again what the client began with; return the session, or None if there is none."""
        with Body() as body:
            body.add(beginning)
            return self._told(body, {})

    def _told(self, body: Body, headers: "Headers") -> str | None:
        """Send a message whose answer is of no concern to the client; return the session that it names."""
        headers = headers | {
            "Content-Type": "application/json",
            "Content-Length": str(body.size),
            "Accept": "application/json, text/event-stream",
        }
        exchange = self._exchange()
        try:
            response = exchange.send(
                "POST", self._given.headers | headers, lambda: pieces(body), _FOR_NOTIFICATION
            )
            if response.status >= _REDIRECT:
                return None
            response.read(_ERROR)
            return response.headers.get("Mcp-Session-Id")
        finally:
            self._drop(exchange)

    def _leave(self) -> None:
        """End the session. A server that knows no end, or has gone, is none of our concern any more."""
        exchange = self._exchange()
        try:
            exchange.send("DELETE", self._given.headers | self._of_session(), patience=_LEAVING)
        except (OSError, http.client.HTTPException, ValueError, Error):
            return
        finally:
            self._drop(exchange)


class _Message:
    """A message of the client that is sent, once its turn comes.

    Attributes:
        requests: The requests in it.
        keys: What they are found by when they are cancelled.
        exchange: What it is sent by.
        cancels: What is closed once it is sent; None for nothing.
        begins: Whether it is the first message of a session.
        begins_session: Whether the session can be used after it.
        size: Its bytes.
    """

    def __init__(self, passed: "Passed", exchange: Exchange, folder: str | None) -> None:
        message = passed.message
        assert message is not None  # noqa: S101 - whoever sends it has looked
        self.requests: list[Asked] = passed.requests
        self.keys = [(type(asked.id), asked.id) for asked in self.requests]
        self.exchange = exchange
        self.cancels: Exchange | None = None
        self.begins = any(asked.method == "initialize" for asked in self.requests)
        self.begins_session = passed.method == "notifications/initialized"
        self.size = message.size
        self._body = Body(folder)
        try:
            for piece in pieces(message):
                self._body.add(piece)
        except BaseException:
            self._body.close()
            raise

    @property
    def is_modern(self) -> bool:
        """Whether it is a request of a revision that has no ``initialize``."""
        return len(self.requests) == 1 and self.requests[0].version in MODERN

    @property
    def short(self) -> bytes | None:
        """Its bytes, to be kept; None if they are many."""
        return self._body.read(0, self.size) if self.size <= IN_MEMORY else None

    def read(self) -> "Iterator[bytes]":
        """Return its bytes bit by bit."""
        return pieces(self._body)

    def close(self) -> None:
        """Let go of it."""
        self._body.close()

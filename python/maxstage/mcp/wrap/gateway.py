"""What becomes of each message, in either direction: nearly all pass as they are."""

import threading

from maxstage.errors import Error, NoProject, describe
from maxstage.light_json import loads
from maxstage.mcp.calls import Connection
from maxstage.mcp.headers import NAMES
from maxstage.mcp.protocol import (
    INTERNAL_ERROR,
    LEGACY,
    SERVER_KEY,
    VERSION_KEY,
    Request,
    RpcError,
    Session,
    clip,
    encode,
    failure,
    is_id,
    meta_of,
)
from maxstage.mcp.server import Server
from maxstage.mcp.wrap.body import IN_MEMORY, Body, Part, pieces
from maxstage.mcp.wrap.listing import RETRIEVE_NAME, SEARCH_NAME, TOOLS, Listing
from maxstage.mcp.wrap.parameters import rendered
from maxstage.mcp.wrap.previews import Reading
from maxstage.mcp.wrap.results import Staging
from maxstage.mcp.wrap.scan import NotJson, Scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from maxstage.mcp.access import Access
    from maxstage.mcp.protocol import Message
    from maxstage.mcp.tools.tool import Options
    from maxstage.mcp.wrap.body import Bytes, TooLong
    from maxstage.mcp.wrap.parameters import Wanted
    from maxstage.mcp.wrap.scan import Member

_MOST_WAITING = 10_000
"""Requests that are remembered until they are answered; of more, those that came first are forgotten."""

_LOOKED_AT = 64 * 1024
"""Bytes of a message of the client that are parsed; of a longer one only what it is is looked for."""

_SHORT = 1024
"""Bytes of an id, or of a name, that is looked at."""

_SHOWN = 200
"""Characters of what is no message that are told."""

_MOST_TOLD = 20
"""How often it is told that the server prints what is no message."""


class Asked:
    """A request that the server has not answered yet.

    Attributes:
        id: What its answer is told by.
        method: What is asked for.
        name: What is asked for, of several: a tool, a resource or a prompt; or empty.
        is_first: Whether it asks for a list from its beginning.
        version: The revision that it says; None where it says none.
        headers: What of its arguments is repeated in headers of HTTP.
    """

    __slots__ = ("headers", "id", "is_first", "method", "name", "version")

    def __init__(
        self,
        request_id: "str | int",
        method: str,
        *,
        name: str = "",
        is_first: bool = True,
        version: str | None = None,
    ) -> None:
        self.id = request_id
        self.method = method
        self.name = name
        self.is_first = is_first
        self.version = version
        self.headers: dict[str, str] = {}


class Passed:
    """What is passed on of a message of the client.

    Attributes:
        requests: The requests in it.
        message: What is passed on; None where all of it was answered here.
        method: What a single message is about; empty where it is an answer, or there are several.
        cancelled: The id of the request that it cancels; None where it cancels none.
    """

    __slots__ = ("cancelled", "message", "method", "requests")

    def __init__(
        self, requests: "list[Asked]", message: "Bytes | None", *, method: str = "", cancelled: "Any" = None
    ) -> None:
        self.method = method
        self.requests = requests
        self.message = message
        self.cancelled = cancelled


class Ended(BaseException):
    """The gateway ends: what is being staged is given up."""


class Gateway:
    """Stands between a client and a server.

    Args:
        access: Where results go.
        options: What our own tools are given; ``max_bytes`` is also what passes.
        cut_to: Bytes that are shown of a result that does not pass.
        name: What the server is called.
        write: Writes a message to the client, given bit by bit; called by several threads.
        warn: Takes a line for whoever has started us.
    """

    def __init__(
        self,
        access: "Access",
        options: "Options",
        cut_to: int,
        name: str,
        write: "Callable[[Iterable[bytes]], None]",
        warn: "Callable[[str], object]",
    ) -> None:
        self._limit = options.max_bytes
        self._write = write
        self._warn = warn
        self._lock = threading.Lock()
        self._waiting: dict[tuple[type, object], Asked] = {}
        self._session = Session()
        self._taken: set[str] = set()
        self._wanted: dict[str, Wanted] = {}
        self._over = threading.Event()
        self._told = 0
        self._passing = 0
        self._is_kept = True
        self._own = Connection(Server(access, options, TOOLS), self._session, lambda data: write([data]))
        self._access = access
        self._staging = Staging(access, self._limit, cut_to, name, self._check)

    # From the client

    def from_client(self, message: "Bytes") -> "Passed":
        """Look at a message of the client; return what is passed on, byte for byte but for calls of our own tools."""
        if message.size > _LOOKED_AT:
            return self._with_headers(Passed(self._await_all(_long_requests(message)), message))
        data = message.read(0, message.size)
        value = _parsed(data)
        if isinstance(value, list) and any(map(self._is_ours, value)):
            theirs = [one for one in value if not self._is_ours(one)]
            self._call_own(encode([one for one in value if self._is_ours(one)]))
            return Passed(self._await_all(theirs), _memory(encode(theirs)) if theirs else None)
        if self._is_ours(value):
            self._call_own(data)
            return Passed([], None)
        if isinstance(value, dict) and value.get("method") == "notifications/cancelled":
            self._own.receive(data)
            cancelled = params_of(value).get("requestId")
            self._forget(cancelled)
            return Passed([], message, cancelled=cancelled)
        method = value.get("method") if isinstance(value, dict) else ""
        passed = Passed(
            self._await_all(value if isinstance(value, list) else [value]),
            message,
            method=method if isinstance(method, str) else "",
        )
        return self._with_headers(passed)

    def _with_headers(self, passed: "Passed") -> "Passed":
        """Note what of the arguments of a call its server wants in headers."""
        message = passed.message
        if message is not None and len(passed.requests) == 1 and passed.requests[0].name in self._wanted:
            asked = passed.requests[0]
            for path, header in self._wanted[asked.name].items():
                value = rendered(_value_at(message, ("params", "arguments", *path)))
                if value is not None:
                    asked.headers[header] = value
        return passed

    def _call_own(self, data: bytes) -> None:
        """Have our own tools answer, beside all else: what is refused at once may find a client that does not read."""
        threading.Thread(target=self._own.receive, args=(data,), daemon=True).start()

    def _await_all(self, messages: "Iterable[Any]") -> "list[Asked]":
        """Remember the requests among some messages until they are answered; return them."""
        found = [one for one in map(_request_in, messages) if one is not None]
        for request in found:
            self._await(request)
        return found

    def _is_ours(self, value: "Any") -> bool:
        """Whether it calls a tool of ours, and the server has none of that name."""
        if not isinstance(value, dict) or value.get("method") != "tools/call" or not is_id(value.get("id")):
            return False
        name = params_of(value).get("name")
        return isinstance(name, str) and name in TOOLS and name not in self._taken

    def _await(self, request: Asked) -> None:
        with self._lock:
            self._waiting[(type(request.id), request.id)] = request
            if len(self._waiting) > _MOST_WAITING:
                del self._waiting[next(iter(self._waiting))]

    def _forget(self, request_id: object) -> "Asked | None":
        with self._lock:
            return self._waiting.pop((type(request_id), request_id), None) if is_id(request_id) else None

    @property
    def version(self) -> str | None:
        """The revision that was agreed on by ``initialize``; None before that."""
        return self._session.version

    def awaits(self, request: Asked) -> bool:
        """Whether a request has not been answered yet."""
        with self._lock:
            return self._waiting.get((type(request.id), request.id)) is request

    @property
    def is_waiting(self) -> bool:
        """Whether anybody still has a request to answer, or an answer to pass on."""
        return bool(self._waiting) or self._passing > 0 or self._own.is_busy

    # From the server

    def from_server(self, message: "Bytes") -> None:
        """Pass on a message of the server, changed if it must be.

        Raises:
            OSError: The client has gone.
        """
        with self._lock:
            self._passing += 1
        try:
            if message.size <= self._limit:
                self._pass_short(message)
            else:
                self._pass_long(message)
        except NotJson as error:
            self._tell_nonsense(message, str(error))
        finally:
            with self._lock:
                self._passing -= 1

    def _pass_short(self, message: "Bytes") -> None:
        data = message.read(0, message.size)
        value = _parsed(data)
        if not isinstance(value, dict | list):
            if data.strip():
                raise NotJson("it is no JSON")
            return
        if isinstance(value, list):
            edited = [one for one in value if isinstance(one, dict) and self._is_changed(one)]
            if edited:
                self._pass_long(message)
                return
            for one in value:
                self._note(one)
        elif self._is_changed(value):
            self._pass_long(message)
            return
        else:
            self._note(value)
        # By HTTP it may have come on several lines.
        self._write(_line(iter([data])))

    def _is_changed(self, message: "dict[str, Any]") -> bool:
        """Whether a short answer is changed: those that list tools are."""
        result = message.get("result")
        return isinstance(result, dict) and isinstance(result.get("tools"), list)

    def _note(self, message: "Any") -> None:
        """Take note of an answer that passes as it is."""
        if not isinstance(message, dict) or "method" in message:
            return
        asked = self._forget(message.get("id"))
        result = message.get("result")
        if (
            asked is None
            or asked.method not in {"initialize", "server/discover"}
            or not isinstance(result, dict)
        ):
            return
        if asked.method == "initialize":
            version = result.get("protocolVersion")
            self._session.version = version if version in LEGACY else LEGACY[0]
        server = result.get("serverInfo") or meta_of(result).get(SERVER_KEY)
        if isinstance(server, dict) and isinstance(server.get("name"), str):
            self._staging.server = server["name"]

    def _pass_long(self, message: "Bytes") -> None:
        # What is longer is not looked at so closely.
        if message.size <= IN_MEMORY and _parsed(message.read(0, message.size)) is None:
            raise NotJson("it is no JSON")
        scanner = Scanner(message)
        if scanner.peek() == ord("["):
            spans = [*scanner.elements()]
            parts: list[Bytes] = [Part(message, *span) for span in spans]
            self._write(_array([self._changed(part) for part in parts]))
        else:
            changed = self._changed(message)
            self._write(_line(changed))

    def _changed(self, message: "Bytes") -> "Iterator[bytes]":
        """Return a message as it is passed on.

        Raises:
            NotJson: It is none.
        """
        scanner = Scanner(message)
        members = {member.name: member for member in scanner.members()}
        if not scanner.at_end():
            raise NotJson("something follows its end")
        if "method" in members or not ("result" in members or "error" in members):
            return pieces(message)
        request_id = _short_value(message, members.get("id"))
        asked = self._forget(request_id)
        result = members.get("result")
        if result is None or message.read(result.start, result.start + 1) != b"{":
            return pieces(message)
        try:
            if asked is not None and asked.method == "tools/list":
                return self._listed(message, result.start, asked)
            return self._replaced(message, result.start, asked)
        except NotJson as error:
            if asked is None:
                raise
            told = f"the server's answer is broken: {error}"
            return iter([encode(failure(request_id, RpcError(INTERNAL_ERROR, told)))])

    def _listed(self, message: "Bytes", start: int, asked: Asked) -> "Iterator[bytes]":
        listing = Listing(message, start)
        # What a server calls its tools is its own affair: ours give way.
        self._taken |= listing.names & TOOLS.keys()
        self._wanted = ({} if asked.is_first else self._wanted) | listing.wanted
        version = asked.version or self._session.version
        request = Request(asked.id, asked.method, {}, version) if asked.is_first else None
        return listing.edited(request).apply(message)

    def _replaced(self, message: "Bytes", start: int, asked: Asked | None) -> "Iterator[bytes]":
        names = [None if name in self._taken else name for name in (RETRIEVE_NAME, SEARCH_NAME)]
        try:
            edits = self._staging.replace(
                message,
                start,
                asked.name if asked is not None and asked.method == "tools/call" else "",
                Reading(*names),
            )
        except NoProject as error:
            if self._is_kept:
                self._warn(f"nothing is kept, so results of any length pass: {error}")
            self._is_kept = False
            return pieces(message)
        except (Error, OSError, ValueError) as error:
            if isinstance(error, NotJson):
                raise
            self._warn(
                f"a result of {message.size:,} bytes could not be kept, so it passes: {describe(error)}"
            )
            return pieces(message)
        self._access.sweep()
        return pieces(message) if edits is None else edits.apply(message)

    def refuse(self, message: "Bytes", error: "TooLong") -> None:
        """Answer in place of the server, of whose message there is only the beginning."""
        told = f"the server's answer can't be passed on: {error}"
        self._warn(told)
        request_id = self._id_in(message)
        with self._lock:
            waiting = [*self._waiting.values()]
        if request_id is None and len(waiting) == 1:
            request_id = waiting[0].id
        self.answer_for(request_id, told)

    @staticmethod
    def _id_in(message: "Bytes") -> object:
        """Return the id of an answer that is broken; None where it is none, or its id comes after the fault."""
        request_id: object = None
        try:
            for member in Scanner(message).members():
                if member.name == "method":
                    return None
                if member.name == "id":
                    request_id = _short_value(message, member)
        except NotJson:
            return request_id
        return request_id

    def _tell_nonsense(self, message: "Bytes", why: str) -> None:
        """Tell what the server prints that is no message; its client would fail on it."""
        self._told += 1
        if self._told <= _MOST_TOLD:
            shown = message.read(0, 4 * _SHOWN).decode("utf-8", "replace")
            more = "" if self._told < _MOST_TOLD else "; more of it is not told"
            self._warn(f"not a message ({why}){more}: {clip(shown)}")
        self.answer_for(self._id_in(message), f"the server's answer is broken: {why}")

    # The end

    def answer_for(self, request_id: object, why: str) -> None:
        """Answer a request that the server will not answer any more; nothing if it has."""
        if self._forget(request_id) is not None:
            self._fail(request_id, why)

    def answer_with(self, request_id: object, error: "Message") -> None:
        """Answer a request with an error of the server that may have come without its id; nothing if it has one."""
        if self._forget(request_id) is not None:
            self._write([encode({"jsonrpc": "2.0", "id": request_id, "error": error})])

    def answer_all(self, why: str) -> None:
        """Answer all that the server has not answered."""
        with self._lock:
            waiting = [*self._waiting.values()]
            self._waiting.clear()
        for request in waiting:
            self._fail(request.id, why)

    def _fail(self, request_id: object, why: str) -> None:
        self._forget(request_id)
        if is_id(request_id):
            self._write([encode(failure(request_id, RpcError(INTERNAL_ERROR, why)))])

    def end(self, patience: float, is_enough: "Callable[[], bool]") -> None:
        """Give up what is being done; wait for that so many seconds, or until `is_enough()`."""
        self._over.set()
        self._own.close(patience, is_enough)

    def _check(self, _more: int) -> None:
        if self._over.is_set():
            raise Ended


def params_of(message: "dict[str, Any]") -> "dict[str, Any]":
    """Return the params of a message; empty where they are none."""
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _memory(data: bytes) -> "Bytes":
    body = Body()
    body.add(data)
    return body


def _parsed(data: bytes) -> "Any":
    """Return what a message says; None where it is none. What is no UTF-8 is no reason: it passes as it is."""
    try:
        return loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _request_in(message: "Any") -> Asked | None:
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        return None
    request_id, params = message.get("id"), params_of(message)
    if not isinstance(request_id, str | int) or isinstance(request_id, bool):
        return None
    name = params.get(NAMES.get(message["method"], ""))
    version = meta_of(params).get(VERSION_KEY)
    return Asked(
        request_id,
        message["method"],
        name=name if isinstance(name, str) else "",
        is_first=params.get("cursor") is None,
        version=version if isinstance(version, str) else None,
    )


def _long_requests(message: "Bytes") -> "list[Message]":
    """Return the requests of a long message, as much of them as matters here."""
    try:
        scanner = Scanner(message)
        if scanner.peek() == ord("["):
            return [_outlined(Part(message, *span)) for span in scanner.elements()]
        return [_outlined(message)]
    except NotJson:
        return []


def _outlined(message: "Bytes") -> "Message":
    """Return a message without its arguments."""
    members = _members(message, 0)
    outlined = {name: _short_value(message, members.get(name)) for name in ("id", "method")}
    if "params" in members:
        params = _members(message, members["params"].start)
        names = ("name", "uri", "cursor", "_meta")
        outlined["params"] = {name: _short_value(message, params[name]) for name in names if name in params}
    return outlined


def _members(message: "Bytes", start: int) -> "dict[str, Member]":
    """Return the members of an object by their names; none of what is no object."""
    scanner = Scanner(message, start)
    if scanner.peek() != ord("{"):
        return {}
    return {member.name: member for member in scanner.members()}


def _value_at(message: "Bytes", path: "tuple[str, ...]") -> "Any":
    """Return the value at the end of a path through objects; None if it is not there, or long."""
    start, member = 0, None
    try:
        for name in path:
            member = _members(message, start).get(name)
            if member is None:
                return None
            start = member.start
    except NotJson:
        return None
    return _short_value(message, member)


def _short_value(message: "Bytes", member: "Member | None") -> "Any":
    if member is None or member.end - member.start > _SHORT:
        return None
    return _parsed(message.read(member.start, member.end))


def _line(data: "Iterator[bytes]") -> "Iterator[bytes]":
    """Return JSON on one line: in a text of JSON there is no end of a line, and elsewhere it means nothing."""
    for piece in data:
        yield piece.replace(b"\n", b" ")


def _array(messages: "list[Iterator[bytes]]") -> "Iterator[bytes]":
    yield b"["
    for number, message in enumerate(messages):
        if number:
            yield b", "
        yield from _line(message)
    yield b"]"

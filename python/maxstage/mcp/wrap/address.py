"""Where a server is, and the connections to it: proxies, TLS, redirects."""

import contextlib
import http.client
import os
import select
import socket
import threading
import time
from urllib.parse import urljoin, urlsplit

from maxstage import __version__
from maxstage.errors import ConfigError, describe
from maxstage.mcp.protocol import clip

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

_CONNECTING = 30.0
"""Seconds for a connection to be made. For an answer there is no limit: the client has its own."""

_SILENT, _BETWEEN, _PROBES = 60, 15, 4
"""Seconds without a byte until the other side is asked whether it is still there, seconds until it is asked again, and
how often: a machine that has gone is noticed after two minutes."""

_IDLE = 4.0
"""Seconds that a connection is kept for the next request: servers close theirs after 5 and more."""

_MOST_IDLE = 8

_MOST_REDIRECTS = 5

_MOST_OF_REDIRECT = 64 * 1024
"""Bytes that a redirect says besides its address; of one that says more the connection is not used again."""

_PORTS = {"http": 80, "https": 443}

_REDIRECTS = {301, 302, 307, 308}
"""What leads elsewhere and is asked there in the same way. (303 means: ask there for another thing.)"""

_LASTING = {301, 308}


class Target:
    """An address of HTTP.

    Attributes:
        origin: What must be the same for a redirect to be followed, and for a connection to be used again: the scheme,
            the host and the port.
        path: The path with the query.
    """

    __slots__ = ("origin", "path")

    def __init__(self, parts: "SplitResult") -> None:
        scheme = parts.scheme.lower()
        self.origin = scheme, parts.hostname or "", parts.port or _PORTS[scheme]
        self.path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def host(self) -> str:
        """What it is called."""
        return self.origin[1]

    @property
    def is_safe(self) -> bool:
        """Whether it is reached by TLS."""
        return self.origin[0] == "https"

    def __str__(self) -> str:
        """Return the address without its query, which may hold secrets."""
        scheme, host, port = self.origin
        shown = f"[{host}]" if ":" in host else host
        return (
            f"{scheme}://{shown}{'' if port == _PORTS[scheme] else f':{port}'}{self.path.partition('?')[0]}"
        )

    def redirected(self, location: str) -> "Target | None":
        """Return where a redirect leads, if it stays with this server or only changes over to TLS."""
        try:
            parts = urlsplit(urljoin(f"{self}", location))
            target = Target(parts) if _is_address(parts) else None
        except (ValueError, KeyError):
            return None
        if target is None or parts.username is not None:
            return None
        upgrade = ("https", self.host, 443) if self.origin == ("http", self.host, 80) else self.origin
        return target if target.origin in {self.origin, upgrade} else None


def parse_address(url: str) -> Target:
    """Return the address that a URL says.

    Raises:
        ConfigError: It says none, or more than that.
    """
    try:
        parts = urlsplit(url)
        if not _is_address(parts) or not url.isprintable() or not url.isascii() or " " in url:
            raise ConfigError(f"--url must be like https://example.com/mcp, not {clip(url)}")
        if parts.username is not None:
            raise ConfigError("--url must have no user and no password; give --header 'Authorization: …'")
        return Target(parts)
    except ValueError as error:
        raise ConfigError(f"--url {clip(url)}: {error}") from None


def _is_address(parts: "SplitResult") -> bool:
    return parts.scheme.lower() in _PORTS and bool(parts.hostname)


class Site:
    """A server, whose connections are used again.

    Args:
        target: Where it is.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[str, str, int], float, http.client.HTTPConnection]] = []
        self._tls: ssl.SSLContext | None = None

    def connect(self, target: Target) -> http.client.HTTPConnection:
        """Return a connection, which may have been used before, or has yet to be made."""
        while (idle := self._take_idle(target)) is not None:
            # Nothing can have come since the last answer but word that it was closed.
            if not _is_readable(idle.sock):
                return idle
            idle.close()
        return self._new(target)

    def keep(self, target: Target, connection: http.client.HTTPConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        with self._lock:
            self._idle.append((target.origin, time.monotonic(), connection))
            spare = self._idle[:-_MOST_IDLE]
            del self._idle[:-_MOST_IDLE]
        for _, _, one in spare:
            one.close()

    def close(self) -> None:
        """Close what is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, _, connection in idle:
            connection.close()

    def _take_idle(self, target: Target) -> http.client.HTTPConnection | None:
        since = time.monotonic() - _IDLE
        with self._lock:
            old = [one for one in self._idle if one[1] < since]
            self._idle = [one for one in self._idle if one[1] >= since]
            found = next((one for one in reversed(self._idle) if one[0] == target.origin), None)
            if found is not None:
                self._idle.remove(found)
        for _, _, connection in old:
            connection.close()
        return None if found is None else found[2]

    def _new(self, target: Target) -> http.client.HTTPConnection:
        _, host, port = target.origin
        proxy = proxy_of(target)
        at = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        connection: http.client.HTTPConnection
        if target.is_safe:
            connection = http.client.HTTPSConnection(*at, timeout=_CONNECTING, context=self._context())
            if proxy is not None:
                connection.set_tunnel(host, port, _authorization(proxy))
        else:
            connection = http.client.HTTPConnection(*at, timeout=_CONNECTING)
        return connection

    def _context(self) -> "ssl.SSLContext":
        import ssl

        # Reading the certificates that are trusted takes longer than all else.
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context()
                self._tls.set_alpn_protocols(["http/1.1"])
            return self._tls


class Exchange:
    """A request and its response, which another thread may break off.

    Attributes:
        is_closed: Whether it was broken off.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._target = site.target
        self._response: http.client.HTTPResponse | None = None
        self.is_closed = False

    def send(
        self,
        method: str,
        headers: "Mapping[str, str | bytes]",
        data: "Callable[[], Iterator[bytes]]" = lambda: iter(()),
        patience: float | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request; return the response, whose body is yet to be read.

        A redirect within the server is followed; any other is returned.

        Args:
            method: The method of HTTP.
            headers: The headers.
            data: Returns the body bit by bit, each time that it is called.
            patience: The most seconds between two signs of life; None for any.

        Raises:
            OSError: It can't be reached, or was broken off.
            http.client.HTTPException: What came is no response.
        """
        self._target = self._site.target
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send(method, headers, data, patience)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                break
            target = self._target.redirected(location)
            if target is None:
                break
            if response.status in _LASTING:
                self._site.target = target
            response.read(_MOST_OF_REDIRECT)
            self.finish()
            self._target = target
        return response

    def _send(
        self,
        method: str,
        headers: "Mapping[str, str | bytes]",
        data: "Callable[[], Iterator[bytes]]",
        patience: float | None,
    ) -> http.client.HTTPResponse:
        connection = self._site.connect(self._target)
        if connection.sock is None:
            connection.connect()
        # Of some responses the connection forgets its socket.
        sock: socket.socket = connection.sock
        _notice_silence(sock)
        with self._lock:
            self._connection, self._socket = connection, sock
        if self.is_closed:
            self.close()
            raise ConnectionAbortedError("broken off")
        sock.settimeout(patience)
        # Without Accept-Encoding nothing is compressed.
        connection.putrequest(method, self._written_path(), skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if not self._target.is_safe and (proxy := proxy_of(self._target)) is not None:
            for name, value in _authorization(proxy).items():
                connection.putheader(name, value)
        # A server may answer before it has read all, and close its end.
        with contextlib.suppress(BrokenPipeError):
            connection.endheaders()
            for piece in data():
                connection.send(piece)
        self._response = connection.getresponse()
        return self._response

    def _written_path(self) -> str:
        """Return what the request is for; a proxy wants to know all of it."""
        if self._target.is_safe or proxy_of(self._target) is None:
            return self._target.path
        return str(self._target).removesuffix(self._target.path.partition("?")[0]) + self._target.path

    def set_patience(self, seconds: float) -> None:
        """Wait no longer than this for more of the response."""
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def finish(self) -> None:
        """Let go of the connection; it is used again if the response was read to its end."""
        with self._lock:
            connection, response = self._connection, self._response
            self._connection = self._socket = self._response = None
        if connection is None:
            return
        is_read = response is not None and (response.isclosed() or response.length == 0)
        if response is not None:
            response.close()
        if is_read and connection.sock is not None:
            self._site.keep(self._target, connection)
        else:
            connection.close()

    def close(self) -> None:
        """Break it off, even while another thread reads."""
        self.is_closed = True
        with self._lock:
            sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def why(error: Exception) -> str:
    """Return on one line why a server can't be reached."""
    message = getattr(error, "verify_message", None)
    if message:
        return f"its certificate is not trusted: {message} (SSL_CERT_FILE names certificates that are)"
    if isinstance(error, OSError):
        return clip(describe(error) or type(error).__name__)
    return clip(f"what it sent is no HTTP: {type(error).__name__} {error}".rstrip())


def user_agent() -> str:
    """Return what we call ourselves: some servers refuse whoever has no name."""
    return f"maxstage/{__version__}"


def proxy_of(target: Target) -> "SplitResult | None":
    """Return the proxy that the environment names for an address; None where there is none.

    Raises:
        ConfigError: It names one of another kind.
    """
    # The module that knows the rules is a large one.
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass

    scheme, host, port = target.origin
    proxies = getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    with contextlib.suppress(ValueError):
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return parts
    raise ConfigError(f"the proxy for {scheme} in the environment must be like http://proxy:8080")


def _authorization(proxy: "SplitResult") -> dict[str, str]:
    if proxy.username is None:
        return {}
    import base64
    from urllib.parse import unquote

    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _is_readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _notice_silence(sock: socket.socket) -> None:
    """Have the system ask now and then whether the other side is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _SILENT), ("TCP_KEEPINTVL", _BETWEEN), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

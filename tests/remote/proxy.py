"""A proxy that does to requests what a network does: delays, drops, cuts answers short, loses them, or refuses."""

import http.client
import http.server
import threading
import time
import urllib.parse
from collections.abc import Callable  # noqa: TC003 - an annotation of an attribute


class Proxy:
    """Stands before a server, on loopback.

    Args:
        upstream: The server.

    Attributes:
        url: Its own address.
        seen: The requests that came, as ``METHOD PATH``.
        decide: Says what is done to a request: ``pass``, ``drop`` (the server never sees it), ``lose`` (the server's
            answer is dropped), ``cut`` (half the answer), ``503`` or an XML error as ``STATUS CODE``.
        delay: Seconds that each request waits.
    """

    def __init__(self, upstream: str) -> None:
        parts = urllib.parse.urlsplit(upstream)
        self._address = (parts.hostname, parts.port)
        self.seen: list[str] = []
        self.decide: Callable[[str, str], str] = lambda _method, _path: "pass"
        self.delay = 0.0
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_any(self) -> None:
                proxy._handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 - http.server names them

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.seen.append(f"{request.command} {request.path}")
        if self.delay:
            time.sleep(self.delay)
        action = self.decide(request.command, request.path)
        if action == "drop":
            request.close_connection = True
            return
        if action not in {"pass", "lose", "cut"}:
            status, _, code = action.partition(" ")
            answer = f"<Error><Code>{code or 'SlowDown'}</Code><RequestId>tx-of-the-proxy</RequestId></Error>".encode()
            _answer(request, int(status), {"Content-Type": "application/xml"}, answer, len(answer))
            return
        try:
            status, headers, answer = self._ask(request, body)
        except OSError:
            request.close_connection = True  # the server is away
            return
        if action == "lose":
            request.close_connection = True
            return
        sent = len(answer) // 2 if action == "cut" else len(answer)
        _answer(request, status, headers, answer[:sent], len(answer))
        if action == "cut":
            request.close_connection = True

    def _ask(
        self, request: http.server.BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        server = http.client.HTTPConnection(*self._address, timeout=60)
        try:
            server.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                server.putheader(name, value)
            server.endheaders(body)
            answer = server.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            server.close()


def _answer(
    request: http.server.BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, size: int
) -> None:
    try:
        request.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                request.send_header(name, value)
        # A HEAD has no body, but says how long it would be.
        length = headers.get("Content-Length", str(size)) if request.command == "HEAD" else str(size)
        request.send_header("Content-Length", length)
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()
    except OSError:
        request.close_connection = True

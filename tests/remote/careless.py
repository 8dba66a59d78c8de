"""A server that keeps objects and knows conditions, but looks first and then writes: what some emulators do."""

import hashlib
import http.server
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

_GAP = 0.002
"""Seconds between the look and the write."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for a `Careless`, which is an attribute of the server."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        careless = self.server.careless
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urllib.parse.unquote(self.path.partition("?")[0])
        if careless.lock is None:
            self._put(path, data)
        else:
            with careless.lock:
                self._put(path, data)

    def _put(self, path: str, data: bytes) -> None:
        careless = self.server.careless
        knows = careless.knows
        old = careless.objects.get(path)
        if "If-None-Match" in knows and self.headers.get("If-None-Match") == "*" and old is not None:
            self._answer(412)
            return
        wanted = self.headers.get("If-Match")
        if "If-Match" in knows and wanted is not None and (old is None or tag(old) != wanted):
            self._answer(412)
            return
        time.sleep(careless.gap)
        self.server.careless.objects[path] = data
        self._answer(200, b"", tag(data))

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "list-type=2" in query:
            self._list(dict(urllib.parse.parse_qsl(query)).get("prefix", ""))
            return
        data = self.server.careless.objects.get(urllib.parse.unquote(path))
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        asked = self.headers.get("Range")
        if asked is None:
            self._answer(200, data, tag(data))
            return
        first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        where = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        self._answer(206, part, tag(data), {"Content-Range": where})

    def _list(self, prefix: str) -> None:
        found = [
            f"<Contents><Key>{escape(path.split('/', 2)[2])}</Key><Size>{len(data)}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            for path, data in sorted(self.server.careless.objects.items())
            if path.split("/", 2)[2].startswith(prefix)
        ]
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(found)}</ListBucketResult>"
        self._answer(200, body.encode())

    def do_DELETE(self) -> None:
        self.server.careless.objects.pop(urllib.parse.unquote(self.path), None)
        self._answer(204)

    def _answer(
        self, status: int, body: bytes = b"", etag: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if etag:
            self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Careless:
    """The server, on loopback.

    Args:
        knows: The conditions that it looks at: ``If-None-Match``, ``If-Match``.

    Attributes:
        url: Its address.
        objects: What it keeps, by path.
    """

    def __init__(self, *knows: str, gap: float = _GAP, lock: bool = False) -> None:
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock() if lock else None
        self.knows = knows
        self.gap = gap

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64
            careless = self

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def tag(data: bytes) -> str:
    """Return the tag of an object."""
    return f'"{hashlib.md5(data).hexdigest()}"'

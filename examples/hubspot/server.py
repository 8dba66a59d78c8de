"""A small stand-in for the API of a CRM: pages of 100 objects, and now and then "too many requests".

Usage: server.py [COUNT] serves so many contacts on a port of 127.0.0.1, which it prints first.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FIRST_NAMES = ("Ada", "Ben", "Cleo", "John", "Ève")
COMPANIES = ("Acme", "Globex", "Hooli")
BUSY = 3
"""Every third request is refused the first time."""


class Crm(BaseHTTPRequestHandler):
    """Answers ``GET /crm/v3/objects/TYPE?limit=N&after=ID``."""

    count = 1000
    asked = 0

    def do_GET(self) -> None:
        """Answer with a page."""
        parts = urlsplit(self.path)
        kind = parts.path.removeprefix("/crm/v3/objects/")
        if kind != "contact":
            self._answer(404, {"message": f"no objects of type {kind}"})
            return
        Crm.asked += 1
        if Crm.asked % BUSY == 0:
            self._answer(429, {"message": "too many requests"}, {"Retry-After": "0.01"})
            return
        query = parse_qs(parts.query)
        start, limit = int(query.get("after", ["0"])[0]), min(100, int(query.get("limit", ["10"])[0]))
        end = min(start + limit, self.count)
        page: dict = {"results": [contact(number) for number in range(start, end)]}
        if end < self.count:
            page["paging"] = {"next": {"after": str(end)}}
        self._answer(200, page)

    def _answer(self, code: int, body: dict, headers: dict | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def contact(number: int) -> dict:
    """Return an object."""
    properties = {
        # Some come more often than others.
        "firstName": FIRST_NAMES[min(number % 7, len(FIRST_NAMES) - 1)],
        "company": COMPANIES[number % len(COMPANIES)],
        "amount": number * 10,
    }
    return {"id": str(number), "properties": properties}


def main() -> None:
    """Serve until it is ended."""
    if len(sys.argv) > 1:
        Crm.count = int(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Crm)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

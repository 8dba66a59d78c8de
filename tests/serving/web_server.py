"""A server by HTTP that answers as it is told to, good or bad."""

import http.server
import json
import threading


class Server(http.server.ThreadingHTTPServer):
    """Has for each method a status, headers and a body, or a function that answers, or several of these in turn."""

    daemon_threads = True

    def __init__(self, port=0, tls=None, protocol="HTTP/1.0"):
        super().__init__(("127.0.0.1", port), type("Handler", (_Handler,), {"protocol_version": protocol}))
        self.answers = {}
        self.asked = []
        self.connections = 0
        self.gone = threading.Event()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.origin = f"http{'' if tls is None else 's'}://localhost:{self.server_port}"
        self.url = f"{self.origin}/mcp?x=1"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def handle_error(self, *_):
        """Say nothing: clients go away."""

    def methods(self):
        """Return what was asked for."""
        return [
            message if isinstance(message, str) else message.get("method") for _, message, _ in self.asked
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, name, message):
        self.server.asked.append((self.headers, message, self.path))
        answer = self.server.answers.get(name)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if callable(answer):
            answer(self, message)
            return
        status, headers, body = answer or (405 if name == "GET" else 202, {}, b"")
        if body is None:  # it never answers, and tells when nobody waits any more
            self.rfile.read(1)
            self.server.gone.set()
            return
        if isinstance(message, dict):
            body = body.replace(b"ID", json.dumps(message.get("id")).encode())
        self.say(
            status,
            headers | ({"Content-Length": str(len(body))} if self.protocol_version > "HTTP/1.0" else {}),
        )
        self.wfile.write(body)

    def say(self, status, headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(message.get("method"), message)

    def do_GET(self):
        self._answer("GET", "GET")

    def do_DELETE(self):
        self._answer("DELETE", "DELETE")

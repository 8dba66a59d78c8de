"""A client that sees each byte, and checks each message against the protocol's schema."""

import importlib.util
import json
import os
import queue
import threading

from schemas import MODERN, check_answer, check_sent

from helpers import PATIENCE

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

TOOLS = [
    "stage",
    "retrieve",
    "search",
    "count",
    "schema",
    *(["sql"] if importlib.util.find_spec("duckdb") else []),
    "info",
    "list",
    "pending",
    "answer",
    "plan",
    "preview",
]
"""The tools that a server offers, and in which order, where nothing else is allowed."""


def slow_to_stage(program):
    """Put a file into a project that takes a while to be staged there; return its size."""
    (program.folder / ".max" / "config.toml").write_text("compress = true\n")
    noise = os.urandom(1 << 20)
    with (program.folder / "big").open("wb") as file:
        for _ in range(192):
            file.write(noise)
    return 192 << 20


class Wire:
    """A server that runs, and a client of one revision at the other end of its pipes."""

    def __init__(self, program, *args, version=MODERN, begin=True, **options):
        self.version = version
        self.process = program.start("mcp", *args, **options)
        self.raw = b""
        self._lines = queue.Queue()
        self._asked = {}
        self._next = 0
        self.notifications = []
        threading.Thread(target=self._read, daemon=True).start()
        self.begun = self.initialize() if begin and version != MODERN else None

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def initialize(self, version=None):
        capabilities = {"name": "test", "version": "1"}
        params = {"protocolVersion": version or self.version, "capabilities": {}, "clientInfo": capabilities}
        begun = self.ask("initialize", **params)
        self.tell("notifications/initialized")
        return begun["result"]

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method, *, meta=None, request_id=..., **params):
        """Send a request; return its id."""
        if request_id is ...:
            self._next += 1
            request_id = self._next
        meta = (META if self.version == MODERN else {}) | (meta or {})
        if meta:
            params["_meta"] = meta
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        check_sent(self.version, message)
        self._asked[request_id] = method
        self.write(json.dumps(message).encode() + b"\n")
        return request_id

    def tell(self, method, **params):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        check_sent(self.version, message)
        self.write(json.dumps(message).encode() + b"\n")

    def line(self):
        """Return the next line as it came; None at the end."""
        return self._lines.get(timeout=PATIENCE)

    def receive(self):
        """Return the next answer; notifications are put aside."""
        while True:
            line = self.line()
            assert line is not None, self.process.stderr.read()
            assert line.endswith(b"\n")
            self.raw = line
            message = json.loads(line.decode())
            if isinstance(message, dict) and "method" in message:
                check_sent(self.version, message)
                self.notifications.append(message)
                continue
            for one in message if isinstance(message, list) else [message]:
                check_answer(self.version, self._asked.get(one.get("id")), one)
            return message

    def ask(self, method, **params):
        """Send a request and return its answer."""
        request_id = self.send(method, **params)
        answer = self.receive()
        assert answer["id"] == request_id
        return answer

    def call(self, name, **arguments):
        """Call a tool; return the text of its result, which must be none of an error."""
        result = self.ask("tools/call", name=name, arguments=arguments)["result"]
        assert not result["isError"], result
        return result["content"][0]["text"]

    def fails(self, name, **arguments):
        """Call a tool; return the text of its error, which must be one line."""
        result = self.ask("tools/call", name=name, arguments=arguments)["result"]
        assert result["isError"], result
        (content,) = result["content"]
        assert "\n" not in content["text"]
        return content["text"]

    def stage(self, text, **arguments):
        """Stage text; return the token."""
        return self.call("stage", text=text, **arguments).split()[0]

    def end(self):
        """Close our end; the server must end by that, quietly."""
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        assert self.process.stderr.read() == b""

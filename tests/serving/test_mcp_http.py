"""By HTTP: who may ask, what the headers must say, and what is answered."""

import http.client
import json
import os
import re
import signal
import socket

import pytest
from schemas import LEGACY, MODERN, check_answer
from wire import META, slow_to_stage

from helpers import PATIENCE, Gate, wait_until, wait_until_gone
from maxstage import Store

SECRET = "a-secret-of-the-tests"


class Http:
    """A server, and requests to it."""

    def __init__(self, program, *args):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAX_")}
        environment |= {"MAX_MCP_TOKEN": SECRET, "MAX_USER_STORE": "0"}
        self.process = program.start("mcp", "--http", "0", *args, env=environment)
        line = self.process.stderr.readline().decode()
        self.port = int(re.fullmatch(r"Serving MCP at http://127\.0\.0\.1:(\d+)/mcp\n", line)[1])

    def send(self, message, *, method="POST", path="/mcp", connection=None, **changes):
        """Send a message; return the response."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = {
            "Authorization": f"Bearer {SECRET}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if isinstance(message, dict):
            params = message.get("params", {})
            if "_meta" in params:
                headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": message["method"]}
            if "name" in params or "uri" in params:
                headers["Mcp-Name"] = params.get("name") or params["uri"]
        headers = {key: value for key, value in (headers | changes).items() if value is not None}
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def ask(self, name, **arguments):
        """Call a tool; return the text of the result."""
        response = self.send(call(name, **arguments))
        answer = json.loads(response.read())
        assert response.status == 200, answer
        check_answer(MODERN, "tools/call", answer)
        return answer["result"]["content"][0]["text"]

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(PATIENCE) == 128 + signal.SIGTERM
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


def request(method, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}


def call(name, **arguments):
    return request("tools/call", name=name, arguments=arguments)


@pytest.fixture
def web(program):
    """A server that runs commands."""
    server = Http(program, "--allow", "exec")
    yield server
    server.end()


@pytest.fixture(scope="module")
def shared_web(program_type, tmp_path_factory):
    """The same, for tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    Store.init(folder)
    server = Http(program_type(folder), "--allow", "exec")
    yield server
    server.end()


def test_tokens_can_not_be_guessed(web, store):
    token = web.ask("stage", text="x").split()[0]
    assert re.fullmatch("max:[0-9a-f]{32}", token)
    assert web.ask("retrieve", token=token) == "x"
    assert store.info(token)
    kept = web.ask("exec", command=["seq", "100000"]).rpartition(": ")[2].rstrip("]")
    assert re.fullmatch("max:[0-9a-f]{32}", kept)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": f"Basic {SECRET}"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "https://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "file://"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"path": "/"}, 404),
        ({"path": "/mcp/x"}, 404),
        ({"path": "/mcp?x=1"}, 200),
        ({"method": "GET"}, 405),
        ({"method": "DELETE"}, 405),
        ({"method": "PUT"}, 501),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": None}, 415),
        ({"Content-Length": "99999999999"}, 413),
        ({"Content-Length": "9" * 5000}, 413),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Length": "x"}, 411),
    ],
    ids=str,
)
def test_who_may_ask(shared_web, changes, status):
    response = shared_web.send(request("tools/list"), **changes)
    assert response.status == status
    if status == 401:
        assert response.getheader("WWW-Authenticate") == "Bearer"
    if status in {401, 403}:
        assert SECRET.encode() not in response.read()


@pytest.mark.parametrize(
    ("message", "changes", "status", "code"),
    [
        (b"{", {}, 400, -32700),
        (b"\xff", {}, 400, -32700),
        (b"[" * 100_000, {}, 400, -32700),
        ([], {}, 400, -32600),
        ({}, {}, 400, -32600),
        (b"1", {}, 400, -32600),
        (request("tools/list"), {"MCP-Protocol-Version": None}, 400, -32020),
        (request("tools/list"), {"MCP-Protocol-Version": LEGACY[0]}, 400, -32020),
        (request("tools/list"), {"MCP-Protocol-Version": "1900-01-01"}, 400, -32022),
        (request("tools/list"), {"Mcp-Method": None}, 400, -32020),
        (request("tools/list"), {"Mcp-Method": "tools/call"}, 400, -32020),
        (call("list"), {"Mcp-Name": None}, 400, -32020),
        (call("list"), {"Mcp-Name": "stage"}, 400, -32020),
        (call("list"), {"Mcp-Name": "=?base64?!?="}, 400, -32020),
        (call("list"), {"Mcp-Name": "=?base64?bGlzdA==?="}, 200, None),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {"MCP-Protocol-Version": MODERN}, 200, -32602),
        (request("nope"), {}, 404, -32601),
        (request("tools/call", name="nope"), {}, 200, -32602),
    ],
    ids=lambda one: str(one)[:60],
)
def test_messages_that_are_no_good(shared_web, message, changes, status, code):
    response = shared_web.send(message, **changes)
    answer = json.loads(response.read())
    assert (response.status, answer.get("error", {}).get("code")) == (status, code)
    check_answer(MODERN, "tools/call", answer)


def test_many_messages_by_one_connection(web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE)
    for _ in range(5):
        response = web.send(request("tools/list"), connection=connection)
        assert json.loads(response.read())["result"]["tools"]


@pytest.mark.parametrize("version", LEGACY)
def test_earlier_revisions(web, version):
    info = {"name": "test", "version": "1"}
    begin = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": version, "capabilities": {}, "clientInfo": info},
    }
    response = web.send(begin)
    answer = json.loads(response.read())
    check_answer(version, "initialize", answer)
    assert answer["result"]["protocolVersion"] == version
    session = response.getheader("Mcp-Session-Id")
    known = {"Mcp-Session-Id": session}
    assert web.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, **known).status == 202
    answer = json.loads(web.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, **known).read())
    check_answer(version, "tools/list", answer)
    assert "resultType" not in answer["result"]
    batch = [{"jsonrpc": "2.0", "id": 3, "method": "ping"}]
    answer = json.loads(web.send(batch, **known).read())
    assert isinstance(answer, list) == (version < "2025-06-18")
    assert web.send(begin, **{"Mcp-Session-Id": "unknown"}).status == 404
    assert web.send(b"", method="DELETE", **known).status == 200
    assert web.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, **known).status == 404


def test_a_client_that_remembers_nothing(web):
    """Such as a script: the header says the revision, or it is the one that had no header."""
    for changes in ({}, {"MCP-Protocol-Version": "2025-06-18"}):
        answer = json.loads(web.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}, **changes).read())
        assert answer["result"]["tools"]


def test_progress_comes_as_events(web, program):
    size = slow_to_stage(program)
    web.end()
    server = Http(program)
    message = call("stage", path="big")
    message["params"]["_meta"] = META | {"progressToken": "p"}
    response = server.send(message)
    assert response.getheader("Content-Type") == "text/event-stream"
    events = [json.loads(part.partition(b"data: ")[2]) for part in response.read().split(b"\n\n") if part]
    *told, answer = events
    assert told
    assert {one["params"]["total"] for one in told} == {size}
    check_answer(MODERN, "tools/call", answer)
    server.end()


@pytest.mark.parametrize("how", ["a closed connection", "a notification", "the end of the server"])
def test_what_is_cancelled_ends(web, tmp_path, how):
    gate = Gate(tmp_path)
    script = f"sleep 600 & echo $! > {tmp_path}/child; {gate.wait}"
    message = call("exec", command=["sh", "-c", script])
    headers = {}
    if how == "a notification":
        info = {"name": "test", "version": "1"}
        params = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": info}
        begun = web.send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        headers = {"Mcp-Session-Id": begun.getheader("Mcp-Session-Id")}
        del message["params"]["_meta"]
    connection = socket.create_connection(("127.0.0.1", web.port))
    body = json.dumps(message).encode()
    fields = {
        "Host": f"127.0.0.1:{web.port}",
        "Authorization": f"Bearer {SECRET}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **({"MCP-Protocol-Version": MODERN} if not headers else {}),
        "Mcp-Method": "tools/call",
        "Mcp-Name": "exec",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
    gate.reached()
    child = (tmp_path / "child").read_text().strip()
    if how == "a closed connection":
        connection.close()
    elif how == "a notification":
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert web.send(cancel, **headers).status == 202
    else:
        web.process.terminate()
        assert web.process.wait(PATIENCE) == 128 + signal.SIGTERM
    wait_until_gone(child)
    connection.close()
    gate.close()


def test_a_secret_is_made_where_none_is_given(program):
    process = program.start("mcp", "--http", "0")
    port = int(process.stderr.readline().decode().rpartition(":")[2].partition("/")[0])
    secret = process.stderr.readline().decode().strip()
    assert re.fullmatch("Authorization: Bearer [0-9a-f]{32}", secret)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/mcp", headers={"Authorization": secret.removeprefix("Authorization: ")})
    assert connection.getresponse().status == 405
    process.terminate()
    assert process.wait(PATIENCE) == 143
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def test_what_is_wrong_at_the_start(web, program):
    assert program.fails("mcp", "--http", str(web.port)) == f"Address already in use: 127.0.0.1:{web.port}"
    line = program.fails("mcp", "--http", "0", env={**os.environ, "MAX_MCP_TOKEN": "short"})
    assert line == "MAX_MCP_TOKEN must have 16 characters or more"
    assert "65536" in program.fails("mcp", "--http", "65536", code=2)


def test_connections_are_limited(web):
    held = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(64)]
    more = socket.create_connection(("127.0.0.1", web.port))
    assert more.recv(1) == b""
    for connection in (*held, more):
        connection.close()

    def is_free():
        try:
            return web.send(request("tools/list")).status == 200
        except OSError:
            return False

    wait_until(is_free)


def test_nobody_else_can_reach_it(web):
    """It listens at this machine's own address, and at no other."""
    with open("/proc/net/tcp") as file:
        listening = [line.split()[1] for line in file if line.split()[3] == "0A"]
    assert [one for one in listening if one.endswith(f":{web.port:04X}")] == [f"0100007F:{web.port:04X}"]

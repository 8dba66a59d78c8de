"""`max mcp wrap --url`: before a server that is reached by HTTP."""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import threading

import pytest
from schemas import LEGACY, MODERN
from web_server import Server

from helpers import PATIENCE, wait_until

SECRET = "a-secret-of-the-tests"
HEADER = "Authorization: Bearer ${SECRET_OF_TESTS}"


@pytest.fixture
def environment():
    """Where the secret is."""
    return {**os.environ, "SECRET_OF_TESTS": SECRET, "MAX_MCP_TOKEN": SECRET}


@pytest.fixture
def url(program, environment):
    """The address of `max mcp` itself, with results as long as they come."""
    server = program.start("mcp", "--http", "0", "--max-bytes", "64MiB", env=environment)
    yield server.stderr.readline().decode().split()[-1]
    server.terminate()
    server.wait(PATIENCE)
    for pipe in (server.stdin, server.stdout, server.stderr):
        pipe.close()


@pytest.fixture
def server():
    """A server that answers as it is told to."""
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


JSON = {"Content-Type": "application/json"}
EVENTS = {"Content-Type": "text/event-stream"}
DONE = b'{"jsonrpc": "2.0", "id": ID, "result": {"resultType": "complete", "content": []}}'


def begin(connect, server, version=MODERN):
    wire = connect("wrap", "--url", server.url, version=version, begin=False)
    if version != MODERN:
        result = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
        body = json.dumps({"jsonrpc": "2.0", "id": "?", "result": result}).replace('"?"', "ID").encode()
        server.answers["initialize"] = 200, JSON | {"Mcp-Session-Id": "the-session"}, body
        wire.initialize()
    return wire


def call(wire):
    return wire.ask("tools/call", name="do", arguments={})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client(program, store, url, environment, mode):
    pytest.importorskip("mcp", reason="the official client is not installed: pip install --group mcp")
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = [*program.command, "mcp", "wrap", "--url", url, "--header", HEADER]
    parameters = StdioServerParameters(command=words[0], args=words[1:], cwd=program.folder, env=environment)
    whole = "".join(f"line {at} of it\n" for at in range(50_000))
    token = store.stage(whole.encode()).token

    async def main():
        async with asyncio.timeout(PATIENCE), Client(stdio_client(parameters), mode=mode) as client:
            assert "max_retrieve" in [tool.name for tool in (await client.list_tools()).tools]
            shown = (await client.call_tool("retrieve", {"token": token})).content[0].text
            assert len(shown) <= 4096
            kept = shown.split("kept whole as ")[1].split()[0]
            with store.open(kept) as file:
                assert file.read() == whole.encode()
            read = await client.call_tool("max_retrieve", {"token": kept, "lines": "40000"})
            assert read.content[0].text == "line 39999 of it\n"
            assert (await client.call_tool("retrieve", {"token": "max:00000000"})).is_error
            assert len((await client.list_resources()).resources) == 2
            return client.protocol_version

    assert asyncio.run(main()) == (MODERN if mode == "auto" else "2025-11-25")


def test_headers_of_the_revision_in_force(connect, server):
    body = b'{"jsonrpc": "2.0",\n "id": ID,\n "result": {"resultType": "complete", "content": []}}\n'
    server.answers["tools/call"] = 200, JSON, body
    wire = begin(connect, server)
    assert call(wire)["result"]["content"] == []
    headers, _, path = server.asked[0]
    assert path == "/mcp?x=1"
    assert headers["MCP-Protocol-Version"] == MODERN
    assert (headers["Mcp-Method"], headers["Mcp-Name"]) == ("tools/call", "do")
    wire.ask("tools/call", name="é", arguments={})
    assert server.asked[1][0]["Mcp-Name"] == "=?base64?w6k=?="
    wire.end()


def test_a_session_and_what_the_server_says_unasked(connect, server):
    note = {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "data": "unasked"},
    }
    server.answers["GET"] = [(200, EVENTS, b"id: 1\ndata: " + json.dumps(note).encode() + b"\n\n")]
    wire = begin(connect, server, LEGACY[0])
    assert json.loads(wire.line()) == note
    server.answers["tools/call"] = (
        200,
        EVENTS,
        b'data: {"jsonrpc": "2.0", "id": ID, "result": {"content": []}}\r\n\r\n',
    )
    assert call(wire)["result"]["content"] == []
    headers = server.asked[-1][0]
    assert (headers["Mcp-Session-Id"], headers["MCP-Protocol-Version"]) == ("the-session", LEGACY[0])
    assert server.methods()[:2] == ["initialize", "notifications/initialized"]
    wire.end()
    assert server.asked[-1][1] == "DELETE"


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (401, {}, b"", "401 Unauthorized; give --bearer-env"),
        (500, JSON, b"[", "500 Internal Server Error"),
        (
            302,
            {"Location": "http://other.example/?a=b"},
            b"",
            "302 Found to http://other.example/, which is not followed",
        ),
        (307, {"Location": "/mcp"}, b"", "307 Temporary Redirect to /mcp, which is not followed"),
        (303, {"Location": "/other"}, b"", "303 See Other to /other, which is not followed"),
        (502, {}, f"{SECRET}".encode(), "502 Bad Gateway"),
        (429, {}, b"", "429 Too Many Requests"),
        (
            400,
            JSON,
            b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32020, "message": "mismatch"}}',
            "mismatch",
        ),
        (
            200,
            JSON | {"Content-Length": "900"},
            b'{"jsonrpc": "2.0", "id": ID, "res',
            "ended before it was whole",
        ),
        (200, JSON, b'{"jsonrpc": "2.0", "id": ID, "res', "is broken"),
        (200, JSON | {"Transfer-Encoding": "chunked"}, b'5\r\n{"id"\r\nZZ', "no HTTP: IncompleteRead"),
        (200, JSON | {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08", "ended before it was whole"),
        (200, JSON, b"nonsense", "ended before it was whole"),
        (200, EVENTS, b"data: {\n\n", "ended before it was whole"),
        (200, EVENTS, b": nothing\n\n", "ended before it was whole"),
        (200, {"Content-Type": "text/html"}, b"<p>", "200 and text/html, which is no message"),
        (202, {}, b"", "202 and text/plain, which is no message"),
    ],
)
def test_answers_that_are_none(connect, server, status, headers, body, told):
    server.answers["tools/call"] = status, headers, body
    wire = begin(connect, server)
    assert told in call(wire)["error"]["message"]
    wire.process.stdin.close()
    assert wire.process.wait(PATIENCE) == 0


def test_nobody_is_there(connect, server):
    wire = begin(connect, server)
    server.shutdown()
    server.server_close()
    assert "Connection refused" in call(wire)["error"]["message"]
    wire.end()


def test_cancelling_closes_the_connection(connect, server):
    server.answers["tools/call"] = 200, {}, None
    wire = begin(connect, server)
    asked = wire.send("tools/call", name="do", arguments={})
    server.answers["tools/list"] = (
        200,
        JSON,
        b'{"jsonrpc": "2.0", "id": ID, "error": {"code": 1, "message": "x"}}',
    )
    while not server.asked:
        assert "error" in wire.ask("tools/list")
    wire.ask("tools/list")
    wire.tell("notifications/cancelled", requestId=asked)
    assert server.gone.wait(PATIENCE)
    wire.end()


def test_ending_while_a_request_is_on_its_way(connect, server):
    server.answers["tools/call"] = 200, {}, None
    wire = begin(connect, server)
    wire.send("tools/call", name="do", arguments={})
    server.answers["tools/list"] = (
        200,
        JSON,
        b'{"jsonrpc": "2.0", "id": ID, "error": {"code": 1, "message": "x"}}',
    )
    wire.ask("tools/list")
    wire.process.terminate()
    assert wire.process.wait(PATIENCE) == 143


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--url", "ftp://x"], "--url must be like https://example.com/mcp"),
        (["--url", "http://a:b@c/"], "no user and no password"),
        (["--url", "http://a:x/"], "--url http://a:x/: "),
        (["--url", "http://a/", "--header", "x"], "--header must be like"),
        (["--url", "http://a/", "--header", "a: ${NO_SUCH_NAME}"], "there is no NO_SUCH_NAME"),
        (["--url", "http://a/", "--bearer-env", "NO_SUCH_NAME"], "there is no NO_SUCH_NAME"),
        (["--url", "http://a/", "--bearer-env", "a b"], "--bearer-env must be the name"),
        (["--url", "http://a/", "--header", "Host: b"], "says what is sent, and is not yours to give"),
        (["--url", "http://a/", "--header", "a: \r\nb"], "characters that no header has"),
    ],
)
def test_options_that_are_no_good(program, words, told):
    assert told in program.fails("mcp", "wrap", *words)


def test_options_that_do_not_go_together(program):
    assert "name a program, after --, or" in program.fails(
        "mcp", "wrap", "--url", "http://a/", "--", "true", code=2
    )
    assert "--header and --bearer-env are for a --url" in program.fails(
        "mcp", "wrap", "--header", "a: b", "--", "true", code=2
    )


# Long results


def huge(megabytes, kind):
    """Return what answers with a text that is never whole in memory; its id comes last, as with some servers."""

    def answer(handler, message):
        handler.say(200, {"Content-Type": kind})
        write = handler.wfile.write
        if kind != "application/json":
            write(b"event: message\r\nid: 1\r\ndata: ")
        write(
            b'{"jsonrpc": "2.0", "result": {"resultType": "complete", "content": [{"type": "text", "text": "'
        )
        lines = b"".join(b'%06d \\"quoted\\" and \\u00e9\\n' % at for at in range(40_000))[
            : 1_000_000 // 27 * 27
        ]
        for _ in range(megabytes):
            write(lines)
        write(b'"}]}, "id": ' + json.dumps(message["id"]).encode() + b"}")
        if kind != "application/json":
            write(b"\r\n\r\n")

    return answer


def peak_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("megabytes", [26, pytest.param(220, marks=pytest.mark.stress)])
def test_memory_does_not_grow_with_a_result(connect, server, store, kind, megabytes):
    server.answers["tools/call"] = huge(megabytes, kind)
    wire = begin(connect, server)
    shown = call(wire)["result"]["content"][0]["text"]
    size = re.search("the text of do: ([0-9,]+) bytes", shown)[1]
    assert int(size.replace(",", "")) > megabytes * 700_000
    assert peak_of(wire.process.pid) < 64 * 1024
    with store.open(re.search("kept whole as (max:[0-9a-f]+)", shown)[1]) as file:
        assert file.readline() == '000000 "quoted" and é\n'.encode()
    wire.end()


def test_a_flood_of_notifications(connect, server):
    """As many as are sent come through; those after the answer hold up nobody."""
    note = b'data: {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}\n\n'
    done = threading.Event()

    def flood(handler, message):
        handler.say(200, EVENTS)
        for _ in range(200):
            handler.wfile.write(note * 100)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", "content": []}}
        handler.wfile.write(b"data: " + json.dumps(answer).encode() + b"\n\n")
        try:
            while True:
                handler.wfile.write(note * 100)
        except OSError:
            done.set()

    server.answers["tools/call"] = flood
    wire = begin(connect, server)
    assert call(wire)["result"]["content"] == []
    assert len(wire.notifications) == 20_000
    assert done.wait(PATIENCE)
    assert peak_of(wire.process.pid) < 64 * 1024
    wire.process.stdin.close()
    assert wire.process.wait(PATIENCE) == 0


def test_events_in_all_forms(connect, server):
    """Comments, other kinds of events, several lines of data, each end of a line."""
    body = (
        b': hello\r\rretry: 5\r\nevent: endpoint\ndata: /x\n\nevent: message\rdata:{"jsonrpc": "2.0",\r'
        b'data: "id": ID,\r\ndata: "result": {"resultType": "complete", "content": []}}\r\n\r\n'
    )
    server.answers["tools/call"] = 200, EVENTS, body
    wire = begin(connect, server)
    assert call(wire)["result"]["content"] == []
    wire.end()


# Connections


def test_connections_are_used_again(connect):
    server = Server(protocol="HTTP/1.1")
    server.answers["tools/call"] = 200, JSON, DONE
    wire = begin(connect, server)
    for _ in range(5):
        assert "result" in call(wire)
    assert server.connections == 1
    wire.end()
    server.shutdown()
    server.server_close()


def test_a_server_that_closes_connections_that_it_keeps(connect):
    """A request is sent once, on a connection that is open."""
    server = Server(protocol="HTTP/1.1")

    def answer(handler, message):
        handler.say(200, JSON | {"Content-Length": str(len(body_of(message)))})
        handler.wfile.write(body_of(message))
        handler.close_connection = True

    server.answers["tools/call"] = answer
    wire = begin(connect, server)
    for _ in range(5):
        assert "result" in call(wire)
    assert server.methods() == ["tools/call"] * 5
    wire.end()
    server.shutdown()
    server.server_close()


def body_of(message):
    return DONE.replace(b"ID", json.dumps(message["id"]).encode())


@pytest.mark.parametrize(
    ("status", "paths"), [(307, ["/a", "/b/", "/a", "/b/"]), (308, ["/a", "/b/", "/b/"])]
)
def test_redirects_within_the_server(connect, server, environment, status, paths):
    def answer(handler, message):
        if handler.path == "/a":
            handler.say(status, {"Location": "/b/", "Content-Length": "0"})
        else:
            handler.say(200, JSON)
            handler.wfile.write(body_of(message))

    server.answers["tools/call"] = answer
    wire = connect("wrap", "--url", f"{server.origin}/a", "--header", HEADER, env=environment)
    for _ in range(2):
        assert "result" in call(wire)
    assert [path for _, _, path in server.asked] == paths
    assert {headers["Authorization"] for headers, _, _ in server.asked} == {f"Bearer {SECRET}"}
    wire.end()


def test_a_token_from_the_environment(connect, server, environment):
    server.answers["tools/call"] = 200, JSON, DONE
    wire = connect("wrap", "--url", server.url, "--bearer-env", "SECRET_OF_TESTS", env=environment)
    assert "result" in call(wire)
    headers = server.asked[0][0]
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["User-Agent"].startswith("maxstage/")
    wire.end()


def test_nothing_is_sent_to_another_server(connect, server, environment):
    other = Server()
    server.answers["tools/call"] = 307, {"Location": other.url.replace("localhost", "127.0.0.1")}, b""
    wire = connect("wrap", "--url", server.url, "--header", HEADER, env=environment)
    assert "which is not followed" in call(wire)["error"]["message"]
    assert other.asked == []
    wire.end()
    other.shutdown()
    other.server_close()


@pytest.fixture
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody trusts, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = [str(folder / "certificate.pem"), str(folder / "key.pem")]
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    words += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-out",
        names[0],
        "-keyout",
        names[1],
    ]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return names


def test_tls(connect, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = Server(tls=context)
    server.answers["tools/call"] = 200, JSON, DONE
    wire = begin(connect, server)
    assert "its certificate is not trusted: self-signed" in call(wire)["error"]["message"]
    assert server.asked == []
    wire.end()
    environment = {**os.environ, "SSL_CERT_FILE": certificate[0]}
    wire = connect("wrap", "--url", server.url, env=environment)
    assert "result" in call(wire)
    wire.end()
    # Another name than the certificate has.
    wire = connect("wrap", "--url", server.url.replace("localhost", "127.0.0.1"), env=environment)
    assert "its certificate is not trusted: IP address mismatch" in call(wire)["error"]["message"]
    wire.end()
    server.shutdown()
    server.server_close()


def test_a_proxy(connect, server):
    """As curl takes it from the environment: the whole address goes to it, and its own password."""
    server.answers["tools/call"] = 200, JSON, DONE
    proxy = server.origin.replace("://", "://me:p%40ss@")
    environment = {**os.environ, "http_proxy": proxy, "no_proxy": ""}
    wire = connect("wrap", "--url", "http://far.example:81/mcp?x=1", env=environment)
    assert "result" in call(wire)
    headers, _, path = server.asked[0]
    assert path == "http://far.example:81/mcp?x=1"
    assert headers["Host"] == "far.example:81"
    assert headers["Proxy-Authorization"] == "Basic bWU6cEBzcw=="
    wire.end()
    environment["no_proxy"] = "localhost"
    environment["http_proxy"] = "http://127.0.0.1:1"
    wire = connect("wrap", "--url", server.url, env=environment)
    assert "result" in call(wire)
    wire.end()


def test_a_proxy_that_is_none(program):
    environment = {**os.environ, "https_proxy": "socks5://x:1"}
    told = program.fails("mcp", "wrap", "--url", "https://a.example/", env=environment)
    assert told == "the proxy for https in the environment must be like http://proxy:8080"


def test_secrets_are_never_told(connect, server, environment):
    def answer(handler, _message):
        handler.send_response(401, f"no such token {SECRET}")
        handler.send_header("Location", f"/{SECRET}")
        handler.end_headers()

    server.answers["tools/call"] = server.answers["notifications/cancelled"] = answer
    wire = connect("wrap", "--url", f"{server.url}&key={SECRET}", "--header", HEADER, env=environment)
    told = call(wire)["error"]["message"]
    assert "no such token *** to /***, which is not followed" in told
    wire.write(b'{"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": 1}}\n')
    wait_until(lambda: len(server.asked) == 2)
    server.shutdown()
    server.server_close()
    assert "refused" in call(wire)["error"]["message"]
    with open(f"/proc/{wire.process.pid}/cmdline", "rb") as file:
        assert f"Bearer {SECRET}".encode() not in file.read()
    wire.process.stdin.close()
    assert wire.process.wait(PATIENCE) == 0
    assert SECRET.encode() not in wire.process.stderr.read()
    assert SECRET.encode() not in wire.raw


# Sessions, and streams that are resumed


def test_a_session_that_was_forgotten_is_begun_again(connect, server):
    wire = begin(connect, server, LEGACY[0])
    answered = 200, JSON, b'{"jsonrpc": "2.0", "id": ID, "result": {"content": []}}'
    server.answers["tools/call"] = [(404, {}, b"no such session"), answered, answered]
    body = server.answers["initialize"][2]
    server.answers["initialize"] = 200, EVENTS | {"Mcp-Session-Id": "another"}, b"data: " + body + b"\n\n"
    for _ in range(2):
        assert call(wire)["result"]["content"] == []
    told = [
        (headers["Mcp-Session-Id"], message["method"])
        for headers, message, _ in server.asked
        if message != "GET"
    ]
    assert told == [
        (None, "initialize"),
        ("the-session", "notifications/initialized"),
        ("the-session", "tools/call"),
        (None, "initialize"),
        ("another", "notifications/initialized"),
        ("another", "tools/call"),
        ("another", "tools/call"),
    ]
    wire.process.stdin.close()
    assert wire.process.wait(PATIENCE) == 0
    assert b"the server had forgotten the session; another was begun\n" in wire.process.stderr.read()


def test_a_session_that_can_not_be_begun_again(connect, server):
    wire = begin(connect, server, LEGACY[0])
    server.answers["tools/call"] = 404, {}, b""
    server.answers["initialize"] = 500, {}, b""
    assert "forgotten the session, and would not begin another" in call(wire)["error"]["message"]
    wire.end()


def test_a_stream_that_breaks_off_is_resumed(connect, server):
    server.answers["tools/call"] = 200, EVENTS, b'id: e1\nretry: 5\ndata:\n\ndata: {"jsonrpc": "2.0", "id'
    wire = begin(connect, server, LEGACY[0])
    wait_until(lambda: "GET" in server.methods())
    asked = wire.send("tools/call", name="do", arguments={})
    result = b'id: e3\ndata: {"jsonrpc": "2.0", "id": %d, "result": {"content": []}}\n\n' % asked
    # Once it breaks off again after it got somewhere, and once it can't be had.
    server.answers["GET"] = [(200, EVENTS, b"id: e2\ndata:\n\n"), (503, {}, b""), (200, EVENTS, result)]
    assert wire.receive()["result"]["content"] == []
    resumed = [
        headers for headers, message, _ in server.asked if message == "GET" and headers["Last-Event-ID"]
    ]
    assert [headers["Last-Event-ID"] for headers in resumed] == ["e1", "e2", "e2"]
    assert {headers["Mcp-Session-Id"] for headers in resumed} == {"the-session"}
    wire.end()


def test_a_stream_that_can_not_be_resumed(connect, server):
    server.answers["tools/call"] = 200, EVENTS, b"id: e1\nretry: 5\ndata:\n\n"
    wire = begin(connect, server, LEGACY[0])
    assert "ended before it was whole" in call(wire)["error"]["message"]
    wire.end()


# Parameters that are repeated in headers


def test_parameters_in_headers(connect, server):
    schema = {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
            "none": {"type": "string", "x-mcp-header": "None"},
            "bad": {"type": "string", "x-mcp-header": "a: b\r\n"},
        },
    }
    tools = {
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "tools": [{"name": "do", "inputSchema": schema}],
    }
    body = json.dumps({"jsonrpc": "2.0", "id": "?", "result": tools}).replace('"?"', "ID").encode()
    server.answers["tools/list"] = 200, JSON, body
    server.answers["tools/call"] = 200, JSON, DONE
    wire = begin(connect, server)
    wire.ask("tools/list")
    for more in ("", "x" * 100_000):
        arguments = {"region": "Zürich", "deep": {"flag": True}, "bad": "x", "more": more}
        wire.ask("tools/call", name="do", arguments=arguments)
        headers = server.asked[-1][0]
        assert headers["Mcp-Param-Region"] == "=?base64?WsO8cmljaA==?="
        assert headers["Mcp-Param-Flag"] == "true"
        assert headers["Mcp-Param-None"] is None
    wire.end()


# Servers of the official package


SERVER_OF_THE_PACKAGE = """
import logging, sys, uvicorn
from mcp.server import MCPServer
logging.disable()
server = MCPServer("official")

@server.tool()
async def long(lines: int) -> str:
    return "".join(f"line {at} of it\\n" for at in range(lines))

@server.tool()
async def fails() -> str:
    raise ValueError("it is no good")

app = server.streamable_http_app(json_response=sys.argv[1] == "json", stateless_http=sys.argv[2] == "stateless")
class Told(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Told(uvicorn.Config(app, port=0, log_level="critical")).run()
"""


@pytest.mark.parametrize("kind", ["json", "events"])
@pytest.mark.parametrize("state", ["stateful", "stateless"])
def test_a_server_of_the_official_package(program, store, kind, state):
    pytest.importorskip("mcp", reason="the official server is not installed: pip install --group mcp")
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    process = subprocess.Popen(
        [sys.executable, "-c", SERVER_OF_THE_PACKAGE, kind, state], stdout=subprocess.PIPE
    )
    # Its address ends in a slash for us, so that it redirects.
    url = f"http://127.0.0.1:{int(process.stdout.readline())}/mcp/"
    words = [*program.command, "mcp", "wrap", "--url", url]

    async def main(mode):
        parameters = StdioServerParameters(command=words[0], args=words[1:], cwd=program.folder)
        async with asyncio.timeout(PATIENCE), Client(stdio_client(parameters), mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == ["long", "fails", "max_retrieve", "max_search"]
            shown = (await client.call_tool("long", {"lines": 50_000})).content[0].text
            kept = re.search("kept whole as (max:[0-9a-f]+)", shown)[1]
            read = await client.call_tool("max_retrieve", {"token": kept, "lines": "40000"})
            assert read.content[0].text == "line 39999 of it\n"
            assert "Error executing" in (await client.call_tool("fails", {})).content[0].text
            several = await asyncio.gather(*(client.call_tool("long", {"lines": at}) for at in range(20)))
            assert [result.content[0].text.count("\n") for result in several] == [*range(20)]
            return client.protocol_version

    try:
        assert asyncio.run(main("auto")) == MODERN
        assert asyncio.run(main("legacy")) == LEGACY[0]
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()

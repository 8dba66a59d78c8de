"""What is answered to each method, in each revision, and to messages that are none."""

import json

import pytest
from schemas import LEGACY, MODERN
from wire import META, TOOLS

from helpers import PATIENCE


def test_discovering(wire):
    found = wire.ask("server/discover")["result"]
    assert found["supportedVersions"] == [MODERN]
    assert found["capabilities"] == {"tools": {}, "resources": {}}
    assert found["instructions"].count("\n") == 4
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "maxstage"
    wire.end()


@pytest.mark.parametrize("version", LEGACY)
def test_initializing(connect, version):
    wire = connect(version=version)
    assert wire.begun["protocolVersion"] == version
    assert wire.begun["serverInfo"]["name"] == "maxstage"
    assert wire.ask("ping")["result"] == {}
    tools = wire.ask("tools/list")["result"]
    assert "ttlMs" not in tools
    assert "resultType" not in tools
    assert ("annotations" in tools["tools"][0]) == (version >= "2025-03-26")
    assert ("title" in tools["tools"][0]) == (version >= "2025-06-18")
    result = wire.ask("tools/call", name="stage", arguments={"text": "x"})["result"]
    assert (len(result["content"]) == 2) == (version >= "2025-06-18")
    wire.end()


def test_an_unknown_revision_gets_the_newest_that_has_initialize(connect):
    wire = connect(version=LEGACY[0], begin=False)
    assert wire.initialize("1999-01-01")["protocolVersion"] == LEGACY[0]
    assert (
        wire.ask("initialize", protocolVersion=MODERN, capabilities={}, clientInfo=INFO)["result"][
            "protocolVersion"
        ]
        == LEGACY[0]
    )


INFO = {"name": "test", "version": "1"}


def test_tools_are_listed(any_wire):
    tools = any_wire.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == TOOLS
    if any_wire.version >= "2025-03-26":
        read_only = {tool["name"]: tool["annotations"]["readOnlyHint"] for tool in tools}
        assert read_only == {name: name not in {"stage", "plan", "answer"} for name in TOOLS}


def test_resources(any_wire):
    token = any_wire.stage("one\ntwo\n", source="a/b")
    (resource,) = any_wire.ask("resources/list")["result"]["resources"]
    assert resource["uri"] == f"max://{token.removeprefix('max:')}"
    (content,) = any_wire.ask("resources/read", uri=resource["uri"])["result"]["contents"]
    assert (content["uri"], content["text"]) == (resource["uri"], "one\ntwo\n")
    (content,) = any_wire.ask("resources/read", uri=resource["uri"] + "?lines=2:")["result"]["contents"]
    assert content["text"] == "two\n"
    templates = any_wire.ask("resources/templates/list")["result"]["resourceTemplates"]
    assert templates[0]["uriTemplate"] == "max://{token}"
    error = any_wire.ask("resources/read", uri="max://00000000")["error"]
    assert error["code"] == (-32602 if any_wire.version == MODERN else -32002)
    assert error["message"].startswith("Staged data not found: max:00000000")
    for uri in ("file:///etc/passwd", "max://", "max://../x", resource["uri"] + "?x=1"):
        assert any_wire.ask("resources/read", uri=uri)["error"]["code"] in {-32602, -32002}
    any_wire.end()


def test_resources_come_in_pages(wire, store):
    tokens = [item.token for item in store.stage_many(b"%d\n" % number for number in range(230))]
    found, cursor = [], {}
    pages = 0
    while cursor is not None:
        result = wire.ask("resources/list", **cursor)["result"]
        found += [resource["name"] for resource in result["resources"]]
        cursor = {"cursor": result["nextCursor"]} if "nextCursor" in result else None
        pages += 1
    assert (pages, sorted(found)) == (3, sorted(tokens))
    for cursor in ("x", "-1", "9" * 30):
        assert wire.ask("resources/list", cursor=cursor)["error"]["code"] == -32602
    assert wire.ask("tools/list", cursor="x")["error"]["code"] == -32602


def test_binary_resources(wire, store):
    data = bytes(range(256))
    item = store.stage(data)
    (content,) = wire.ask("resources/read", uri=f"max://{item.id}")["result"]["contents"]
    assert content["mimeType"] == "application/octet-stream"
    assert __import__("base64").b64decode(content["blob"]) == data


def modern(**changes):
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": META}}
    return json.dumps(message | changes).encode()


BAD = [
    (b"{", -32700, None),
    (b"x", -32700, None),
    (b"\xff\xfe", -32700, None),
    (b'{"a": "\xff"}', -32700, None),
    (b"[" * 100_000, -32700, None),
    (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, -32700, None),
    (b"1", -32600, None),
    (b"null", -32600, None),
    (b'"x"', -32600, None),
    (b"{}", -32600, None),
    (b"[]", -32600, None),
    (b"[1, 2]", -32600, None),
    (modern(jsonrpc="1.0"), -32600, 7),
    (modern(jsonrpc=2), -32600, 7),
    (modern(method=5), -32600, 7),
    (modern(method=None), -32600, 7),
    (b'{"jsonrpc": "2.0", "id": 7}', -32600, 7),
    (modern(id=None), -32600, None),
    (modern(id=1.5), -32600, None),
    (modern(id=True), -32600, None),
    (modern(id=[1]), -32600, None),
    (modern(id={}), -32600, None),
    (modern(params=[]), -32602, 7),
    (modern(params="x"), -32602, 7),
    (modern(params=None), -32602, 7),
    (modern(params={"_meta": 5}), -32602, 7),
    (modern(params={}), -32602, 7),
    (modern(params={"_meta": {}}), -32602, 7),
    (modern(params={"_meta": META | {"io.modelcontextprotocol/protocolVersion": 5}}), -32602, 7),
    (modern(params={"_meta": META | {"io.modelcontextprotocol/protocolVersion": "1900-01-01"}}), -32022, 7),
    (modern(params={"_meta": META | {"io.modelcontextprotocol/protocolVersion": LEGACY[0]}}), -32022, 7),
    (modern(params={"_meta": META | {"io.modelcontextprotocol/clientInfo": 1}}), -32602, 7),
    (modern(params={"_meta": META | {"io.modelcontextprotocol/clientCapabilities": []}}), -32602, 7),
    (modern(method="nope"), -32601, 7),
    (modern(method="ping"), -32601, 7),
    (modern(method="prompts/list"), -32601, 7),
    (modern(method="logging/setLevel"), -32601, 7),
    (modern(method="x" * 10_000), -32601, 7),
    (modern(method="tools/call"), -32602, 7),
    (modern(method="tools/call", params={"_meta": META, "name": "nope"}), -32602, 7),
    (modern(method="tools/call", params={"_meta": META, "name": 5}), -32602, 7),
    (modern(method="tools/call", params={"_meta": META, "name": "exec", "arguments": {}}), -32602, 7),
    (modern(method="tools/call", params={"_meta": META, "name": "list", "arguments": []}), -32602, 7),
    (modern(method="resources/read"), -32602, 7),
    (modern(method="resources/read", params={"_meta": META, "uri": 5}), -32602, 7),
    (modern(id="\ud800", method="nope"), -32601, "\ud800"),
    (modern(id="", method="nope"), -32601, ""),
    (modern(id=10**30, method="nope"), -32601, 10**30),
    (modern(id=-1, method="nope"), -32601, -1),
]


@pytest.mark.parametrize(("data", "code", "request_id"), BAD, ids=lambda one: repr(one)[:60])
def test_what_is_no_good_is_an_error(connect, data, code, request_id):
    # All of them to one server would be quicker, but would tell less.
    wire = connect()
    wire.write(data + b"\n")
    answer = wire.receive()
    assert answer["error"]["code"] == code
    assert answer.get("id") == request_id
    assert len(answer["error"]["message"]) < 300
    wire.ask("tools/list")
    wire.end()


def test_an_unsupported_version_is_told_what_there_is(wire):
    meta = META | {"io.modelcontextprotocol/protocolVersion": "2030-01-01"}
    wire.write(modern(params={"_meta": meta}) + b"\n")
    answer = wire.receive()
    assert answer["error"]["data"] == {"supported": [MODERN], "requested": "2030-01-01"}


def test_before_initialize_nothing_is_answered_but_ping(connect):
    wire = connect(version=LEGACY[0], begin=False)
    assert wire.ask("tools/list")["error"]["code"] == -32602
    assert wire.ask("ping")["result"] == {}
    wire.initialize()
    wire.ask("tools/list")


def test_both_eras_by_one_pipe(connect):
    wire = connect(version="2025-06-18")
    wire.version = MODERN
    assert wire.ask("tools/list")["result"]["resultType"] == "complete"
    wire.version = "2025-06-18"
    assert "resultType" not in wire.ask("tools/list")["result"]


def test_notifications_and_responses_are_not_answered(wire):
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/nope", "params": {"a": 1}},
        {"jsonrpc": "2.0", "method": "tools/list"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": []}},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
        {"jsonrpc": "2.0", "id": 5, "result": {}},
        {"jsonrpc": "2.0", "id": 5, "error": {"code": 1, "message": "x"}},
    ):
        wire.write(json.dumps(message).encode() + b"\n\n  \r\n")
    assert len(wire.ask("tools/list")["result"]["tools"]) == len(TOOLS)
    wire.end()


@pytest.mark.parametrize("version", ["2025-03-26", "2024-11-05"])
def test_batches_where_they_are_part_of_the_revision(connect, version):
    wire = connect(version=version)
    wire._asked |= {"a": "ping", "b": "tools/call", "c": "nope"}
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "ping"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "list", "arguments": {}}},
        {"jsonrpc": "2.0", "method": "notifications/nope"},
        {"jsonrpc": "2.0", "id": "c", "method": "nope"},
    ]
    wire.write(json.dumps(batch).encode() + b"\n")
    answers = {answer["id"]: answer for answer in wire.receive()}
    assert answers["a"]["result"] == {}
    assert answers["b"]["result"]["content"][0]["text"] == "No staged data."
    assert answers["c"]["error"]["code"] == -32601
    wire.write(b'[{"jsonrpc": "2.0", "method": "notifications/nope"}]\n')
    wire.ask("ping")
    wire.end()


def test_ids_are_given_back_as_they_are(wire):
    for request_id in ("1", 1, "", 'é\u2028"', 2**70):
        wire.send("tools/call", request_id=request_id, name="list", arguments={})
        answer = wire.receive()
        assert answer["id"] == request_id
        assert type(answer["id"]) is type(request_id)


def test_the_last_line_may_have_no_end(wire):
    wire.write(modern())
    wire.process.stdin.close()
    assert json.loads(wire.line())["id"] == 7
    assert wire.process.wait(PATIENCE) == 0

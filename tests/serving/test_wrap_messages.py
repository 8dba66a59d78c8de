"""What the gateway makes of each message, in either direction; without processes."""

import base64
import json
import random

import pytest
from schemas import LEGACY, MODERN, check, check_answer
from test_mcp_robust import request, spoil
from wire import META

from helpers import wait_until
from maxstage.light_json import loads
from maxstage.mcp.access import Access
from maxstage.mcp.tools.tool import Options
from maxstage.mcp.wrap import body, scan
from maxstage.mcp.wrap.body import Body
from maxstage.mcp.wrap.edits import Edits
from maxstage.mcp.wrap.gateway import Gateway
from maxstage.mcp.wrap.scan import NotJson, Scanner
from maxstage.mcp.wrap.texts import decoded

SEED = 20260728
LIMIT = 4096


class Between:
    """A gateway, a client that asks, and a server that answers."""

    def __init__(self, store, version=MODERN):
        self.version = version
        self.store = store
        self.lines = []
        self.told = []
        options = Options(LIMIT, [], frozenset())
        self.gateway = Gateway(Access(lambda: store), options, 2048, "server", self._write, self.told.append)
        if version != MODERN:
            self.ask("initialize", protocolVersion=version)
            self.answer(
                {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
            )

    def _write(self, message):
        self.lines.append(b"".join(message))

    def client(self, data):
        """Send bytes; return those that the server gets, or None."""
        with held(data) as message:
            passed = self.gateway.from_client(message).message
            return None if passed is None else passed.read(0, passed.size)

    def server(self, data):
        """Send bytes of the server; return what the client gets, as lines."""
        self.lines.clear()
        with held(data) as message:
            self.gateway.from_server(message)
        return self.lines[:]

    def ask(self, method, **params):
        if self.version == MODERN:
            params["_meta"] = META
        asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        assert self.client(asked) == asked

    def answer(self, result):
        """Answer what was asked; return what the client gets."""
        if self.version == MODERN:
            result = {"resultType": "complete", **result}
        (line,) = self.server(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode())
        return json.loads(line)

    def result(self, **result):
        """Answer a call of a tool; return the result that the client gets, held to the schema."""
        self.ask("tools/call", name="tool", arguments={})
        answer = self.answer(result)
        check_answer(self.version, "tools/call", answer)
        return answer["result"]

    def kept(self, text):
        """Return what is under the token that a text names."""
        with self.store.open(text.split("kept whole as ")[1].split()[0].rstrip(";")) as file:
            return file.read()


def held(data):
    message = Body()
    message.add(data)
    return message


def text(content):
    return {"type": "text", "text": content}


@pytest.fixture
def between(store):
    """A gateway before a server of the revision in force."""
    return Between(store)


LONG = "one more line\n" * 1000


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
def test_a_long_text_becomes_a_preview(store, version):
    between = Between(store, version)
    shown = between.result(content=[text(LONG)], isError=True)
    assert shown["isError"] is True
    assert len(shown["content"][0]["text"].encode()) <= 2048
    assert between.kept(shown["content"][0]["text"]) == LONG.encode()
    assert store.list()[0].source == ("server/tool" if version == MODERN else "s/tool")


def test_what_is_not_text_stays(between):
    image = {"type": "image", "data": base64.b64encode(b"x" * 9000).decode(), "mimeType": "image/png"}
    link = {"type": "resource_link", "uri": "file:///a", "name": "a"}
    note = text("a note") | {"annotations": {"priority": 1}, "_meta": {"a/b": 1}}
    shown = between.result(content=[image, note, text(LONG), link], x=[1, None])
    assert [shown["content"][at] for at in (0, 1, 3)] == [image, note, link]
    assert shown["x"] == [1, None]
    assert between.kept(shown["content"][2]["text"]) == LONG.encode()
    # By itself it is no reason to change anything.
    assert between.result(content=[image, link])["content"] == [image, link]
    assert len(between.store.list()) == 1


def test_an_image_that_nobody_can_be_shown(between):
    pixels = bytes(range(256)) * 40_000
    image = {"type": "image", "data": base64.b64encode(pixels).decode(), "mimeType": "image/png"}
    shown = between.result(content=[image, text("a")])["content"]
    assert "image/png of tool: 10,240,000 bytes, too large to be shown" in shown[0]["text"]
    assert shown[1] == text("a")
    with between.store.open(between.store.list()[0].token) as file:
        assert file.read() == pixels


def test_resources_in_a_result(between):
    resource = {
        "type": "resource",
        "resource": {"uri": "file:///log", "text": LONG, "mimeType": "text/plain"},
    }
    shown = between.result(content=[resource])["content"][0]
    assert shown["type"] == "resource"
    assert shown["resource"]["uri"] == "file:///log"
    assert "[the text of tool, file:///log: 14,000 bytes" in shown["resource"]["text"]
    assert between.kept(shown["resource"]["text"]) == LONG.encode()


def test_many_texts_become_one(between):
    texts = [text(f"part {number} " + "x" * 300) for number in range(50)]
    shown = between.result(content=texts)["content"]
    assert len(shown) == 1
    whole = "\n".join(one["text"] for one in texts)
    assert between.kept(shown[0]["text"]) == whole.encode()


def test_only_the_long_one_of_several_texts(between):
    shown = between.result(content=[text("before"), text(LONG), text("after")])["content"]
    assert (shown[0]["text"], shown[2]["text"]) == ("before", "after")
    assert between.kept(shown[1]["text"]) == LONG.encode()


RECORDS = [{"id": number, "name": f"name {number}", "tags": ["a", {"b": None}]} for number in range(200)]


@pytest.mark.parametrize("indent", [None, 2])
def test_structured_content_that_the_text_repeats(between, indent):
    value = {"items": RECORDS, "next": None}
    written = json.dumps(value, indent=indent)
    shown = between.result(content=[text(written)], structuredContent=value)
    assert "structuredContent" not in shown
    (content,) = shown["content"]
    assert "items: array of 200 elements" in content["text"]
    assert between.kept(content["text"]) == written.encode()
    records = content["text"].split('max_search token="')[1].split('"')[0]
    with between.store.open(records) as file:
        assert json.load(file) == RECORDS
    assert len(between.store.list()) == 2


@pytest.mark.parametrize("wrapped", [LONG, RECORDS])
def test_structured_content_as_fastmcp_has_it(between, wrapped):
    texts = (
        [text(wrapped)] if isinstance(wrapped, str) else [text(json.dumps(one, indent=1)) for one in wrapped]
    )
    shown = between.result(content=texts, structuredContent={"result": wrapped})
    assert "structuredContent" not in shown
    assert len(between.store.list()) == 1


def test_structured_content_that_says_more(between):
    shown = between.result(content=[text("200 records")], structuredContent=RECORDS, _meta={"a/b": 2})
    assert shown["content"][0] == text("200 records")
    assert "structuredContent" not in shown
    assert shown["_meta"] == {"a/b": 2}
    told = shown["content"][1]["text"]
    assert told.startswith("A JSON array of 200 elements.\nThe first: {")
    assert "[the structured content of tool: " in told
    assert json.loads(between.kept(told)) == RECORDS
    alone = between.answer({"structuredContent": {"a": LONG}})["result"]
    assert json.loads(between.kept(alone["content"][0]["text"])) == {"a": LONG}


def test_short_structured_content_stays_beside_a_long_text(between):
    shown = between.result(content=[text(LONG)], structuredContent={"count": 1000})
    assert shown["structuredContent"] == {"count": 1000}


def test_long_structured_content_goes_where_a_short_text_says_it(between):
    value = {"a": "é" * 1500}
    shown = between.result(content=[text(json.dumps(value, ensure_ascii=False))], structuredContent=value)
    assert "structuredContent" not in shown
    assert json.loads(shown["content"][0]["text"]) == value
    assert between.store.list() == []


def test_escapes_count_as_what_they_say(between):
    content = [text("é" * 2000)]
    assert between.result(content=content)["content"] == content


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
def test_the_list_of_tools(store, version):
    between = Between(store, version)
    tools = [
        {"name": "a", "outputSchema": {"type": "object"}, "inputSchema": {"type": "object"}},
        {"name": "b", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object", "x": "é" * 5000}},
    ]
    page = {"tools": tools, "ttlMs": 0, "cacheScope": "private"} if version == MODERN else {"tools": tools}
    between.ask("tools/list")
    answer = between.answer({**page, "nextCursor": "2"})
    check_answer(version, "tools/list", answer)
    told = answer["result"]["tools"]
    assert [tool["name"] for tool in told] == ["a", "b", "max_retrieve", "max_search"]
    assert told[:2] == [{"name": name, "inputSchema": {"type": "object"}} for name in "ab"]
    assert answer["result"]["nextCursor"] == "2"
    # Ours are on the first page alone.
    between.ask("tools/list", cursor="2")
    assert [tool["name"] for tool in between.answer(page)["result"]["tools"]] == ["a", "b"]
    between.ask("tools/list")
    assert len(between.answer({**page, "tools": []})["result"]["tools"]) == 2


def test_a_server_with_a_tool_of_our_name(between):
    between.ask("tools/list")
    tools = [{"name": "max_retrieve", "inputSchema": {"type": "object"}}]
    told = between.answer({"tools": tools, "ttlMs": 0, "cacheScope": "private"})["result"]["tools"]
    assert [tool["name"] for tool in told] == ["max_retrieve", "max_search"]
    between.ask("tools/call", name="max_retrieve", arguments={})
    assert "read on with: max retrieve max:" in between.result(content=[text(LONG)])["content"][0]["text"]


@pytest.mark.parametrize("version", ["2025-03-26", "2024-11-05"])
def test_batches(store, version):
    between = Between(store, version)
    token = store.stage(b"kept\n").token
    ours = {"jsonrpc": "2.0", "id": "o", "method": "tools/call"}
    ours["params"] = {"name": "max_retrieve", "arguments": {"token": token}}
    theirs = [
        {"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": {"name": "tool"}} for name in "ab"
    ]
    between.lines.clear()
    passed = between.client(json.dumps([theirs[0], ours, theirs[1]]).encode())
    assert json.loads(passed) == theirs
    (line,) = wait_until(lambda: between.lines)
    assert json.loads(line)[0]["result"]["content"][0]["text"] == "kept\n"
    between.lines.clear()
    assert between.client(json.dumps([ours | {"id": "p"}]).encode()) is None
    wait_until(lambda: between.lines)
    results = [
        {"jsonrpc": "2.0", "id": name, "result": {"content": [text(what)]}}
        for name, what in zip("ab", ["x", LONG], strict=True)
    ]
    (line,) = between.server(json.dumps(results).encode())
    answers = json.loads(line)
    check(version, "JSONRPCMessage", answers) if version == "2025-03-26" else None
    assert answers[0] == results[0]
    assert between.kept(answers[1]["result"]["content"][0]["text"]) == LONG.encode()
    short = json.dumps([{"jsonrpc": "2.0", "id": 1, "result": {}}], indent=None).encode() + b"  "
    assert between.server(short) == [short]


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {"x": LONG}},
        {"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"message": "?"}},
        {
            "jsonrpc": "2.0",
            "method": "notifications/progress",
            "params": {"progressToken": 1, "message": LONG},
        },
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": LONG}},
        {"jsonrpc": "2.0", "id": 1, "result": {"contents": [{"uri": "a:b", "text": LONG}]}},
        {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "input_required", "requestState": LONG}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": "x" * 9000}},
        {"jsonrpc": "2.0", "id": 1, "result": [LONG]},
    ],
    ids=str,
)
def test_all_else_passes_byte_for_byte(between, message):
    between.ask("tools/call", name="tool")
    data = json.dumps(message, indent=None, separators=(" ,", ":  ")).encode()
    assert between.server(data) == [data]
    assert between.client(data) == data


def test_a_result_that_can_not_be_kept_passes(between):
    between.store.settings.max_item_bytes = 1000
    assert between.result(content=[text(LONG)])["content"] == [text(LONG)]
    assert "could not be kept, so it passes: " in between.told[0]
    # Nor is anything left of several of which one is too large.
    both = [text(LONG[:3000]), text(LONG)]
    between.store.settings.max_item_bytes = 5000
    assert between.result(content=both)["content"] == both
    assert between.store.list() == []


def test_broken_answers_are_errors(between):
    between.ask("tools/call", name="tool")
    (line,) = between.server(
        b'{"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "\\u12'
        + b"x" * 9000
        + b'"}]}}'
    )
    assert json.loads(line)["error"]["message"].startswith("the server's answer is broken: ")
    assert not between.gateway.is_waiting


def test_long_requests_are_known_as_well(between):
    asked = {"method": "tools/call", "params": {"arguments": {"x": "x" * 100_000}, "name": "tool"}, "id": "q"}
    data = json.dumps(asked).encode()
    assert between.client(data) == data
    between.gateway.answer_all("gone")
    assert json.loads(between.lines[0]) == {
        "jsonrpc": "2.0",
        "id": "q",
        "error": {"code": -32603, "message": "gone"},
    }


# Nonsense, in either direction


def test_thousands_of_messages_of_a_client_that_are_no_good(between):
    """They are the server's to refuse."""
    rng = random.Random(SEED)
    for number in range(3000):
        data = spoil(rng, number) if number % 2 else json.dumps(request(rng, number)).encode()
        assert between.client(data) == data


def test_thousands_of_messages_of_a_server_that_are_no_good(store):
    """Whatever comes, the client gets whole lines of JSON, or nothing."""
    rng = random.Random(SEED)
    between = Between(store)
    between.store.settings.max_item_bytes = 0
    passed = 0
    for _ in range(3000):
        between.client(json.dumps({"id": 1, "method": rng.choice(["tools/call", "tools/list"])}).encode())
        data = spoiled_answer(rng)
        for line in between.server(data):
            assert b"\n" not in line
            assert isinstance(loads(line.decode("utf-8", "replace")), dict | list), data
            passed += 1
    assert 1000 < passed < 3000


def spoiled_answer(rng):
    """Return an answer that is broken somewhere, mostly; half of them are longer than the limit."""
    value = random_value(rng)
    long = rng.choice(["", "x" * 5000, LONG, "\\" * 3000, '"' * 3000])
    content = rng.choice([[text(long)], [text(long), value], value, [value], {"text": long}])
    result = {
        "content": content,
        "structuredContent": value,
        "tools": rng.choice([[{"name": "a"}], value, [value, long]]),
    }
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        rng.choice(["result", "result", "error", "x"]): rng.choice([result, value]),
    }
    data = json.dumps(rng.choice([message, message, [message, value]]), ensure_ascii=rng.random() < 0.5)
    data = data.encode("utf-8", "backslashreplace")
    how, at = rng.randrange(4), rng.randrange(len(data))
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + bytes([rng.randrange(256)]).replace(b"\n", b"{") + data[at:]
    if how == 2:
        return data[:at] + data[at + rng.randrange(1, 9) :]
    return data


def random_value(rng, depth=0):
    kind = rng.randrange(8 if depth < 5 else 5)
    if kind == 0:
        return rng.choice([1, -2.5, 1e30, None, True, False])
    if kind < 5:
        signs = [
            "a",
            '"',
            "\\",
            "\n",
            "é",
            "😀",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\ud800",
            "ud83d",
            "\\ud83d",
            "/",
        ]
        return "".join(rng.choice(signs) for _ in range(rng.randrange(12)))
    if kind < 7:
        return {
            f"{rng.randrange(100)}{rng.choice(chr(34) + 'é')}": random_value(rng, depth + 1)
            for _ in range(rng.randrange(6))
        }
    return [random_value(rng, depth + 1) for _ in range(rng.randrange(6))]


def test_places_in_json_are_found_whatever_lies_at_the_end_of_a_step(monkeypatch):
    rng = random.Random(SEED)
    for _ in range(800):
        step = rng.choice([1, 2, 3, 5, 7, 16, 64])
        monkeypatch.setattr(body, "STEP", step)
        monkeypatch.setattr(scan, "STEP", step)
        value = {f"k{number}": random_value(rng) for number in range(rng.randrange(5))}
        written = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
        data = written.encode("utf-8", "backslashreplace")
        message = held(data)
        members = [*Scanner(message).members()]
        assert [member.name for member in members] == list(value)
        for member in members:
            wanted = value[member.name]
            assert json.loads(data[member.start : member.end]) == json.loads(json.dumps(wanted))
            if isinstance(wanted, str):
                said = b"".join(decoded(message, member.start, member.end)).decode()
                read = json.loads(data[member.start : member.end])
                assert said == "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in read)
            if isinstance(wanted, list):
                spans = [*Scanner(message, member.start).elements()]
                assert [json.loads(data[start:end]) for start, end in spans] == json.loads(json.dumps(wanted))
        if value:
            name, edits = rng.choice(list(value)), Edits()
            edits.remove(members, name)
            left = json.loads(b"".join(edits.apply(message)))
            assert list(left) == [other for other in value if other != name]


def test_deeply_nested_json_is_passed_over():
    data = b'{"a": ' + b"[{" * 200_000 + b"}]" * 200_000 + b"}"
    (member,) = Scanner(held(data)).members()
    assert (member.start, member.end) == (6, len(data) - 1)
    with pytest.raises(NotJson):
        [*Scanner(held(data[:-4])).members()]


@pytest.mark.parametrize("size", [10, 10_000])
def test_an_answer_that_is_no_json_is_an_error_if_its_id_is_there(between, size):
    between.ask("tools/call", name="tool")
    data = b'{"jsonrpc": "2.0", "id": 1, "result": {"content": "' + b"x" * size + b'"'
    (line,) = between.server(data)
    assert "the server's answer is broken" in json.loads(line)["error"]["message"]
    assert between.server(data) == []
    assert between.server(data.replace(b'"result"', b'"method"')) == []

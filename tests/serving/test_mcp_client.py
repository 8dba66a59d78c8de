"""The official client drives every tool, in its present and its former mode, by stdio and by HTTP.

What goes by the pipes is kept and held to the JSON Schema of the revision.
"""

import asyncio
import json
import os
import shlex

import pytest
from schemas import MODERN, check_answer, check_sent
from wire import TOOLS, slow_to_stage

from helpers import PATIENCE, Gate, wait_until_gone

pytest.importorskip("mcp", reason="the official client is not installed: pip install --group mcp")

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

MODES = ["auto", MODERN, "legacy"]
SECRET = "a-secret-of-the-tests"


class Recorded:
    """A server by stdio, and what went by its pipes."""

    def __init__(self, program, folder, *args):
        self.sent, self.answered = folder / "sent", folder / "answered"
        words = [*program.command, "mcp", *(args or ("--allow", "exec"))]
        command = f"tee {self.sent} | {shlex.join(words)} | tee {self.answered}"
        self.parameters = StdioServerParameters(
            command="sh", args=["-c", command], cwd=program.folder, env=dict(os.environ)
        )

    def client(self, mode):
        return Client(stdio_client(self.parameters), mode=mode)

    def check(self, version):
        """Hold every message to the schema; return the methods that were asked for."""
        methods = {}
        for line in self.sent.read_text().splitlines():
            message = json.loads(line)
            # The first question finds out what the server speaks.
            check_sent(version, message)
            methods[message.get("id")] = message["method"]
        answers = [json.loads(line) for line in self.answered.read_text().splitlines()]
        for answer in answers:
            if "method" in answer:
                check_sent(version, answer)
            else:
                check_answer(version, methods[answer["id"]], answer)
        return set(methods.values())


@pytest.fixture
def recorded(program, tmp_path_factory):
    """A server whose messages are kept."""
    return Recorded(program, tmp_path_factory.mktemp("messages"))


def text_of(result):
    assert not result.is_error, result
    return result.content[0].text


async def drive(client, folder):
    """Use everything that there is once."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == [*TOOLS, "exec"]
    assert tools["retrieve"].annotations.read_only_hint
    assert not tools["exec"].annotations.read_only_hint
    result = await client.call_tool("stage", {"text": "one\ntwo\n", "source": "a/b", "labels": {"job": "1"}})
    token = text_of(result).split()[0]
    assert str(result.content[1].uri) == token.replace("max:", "max://")
    (folder / "data.ndjson").write_text("".join(f'{{"id": {n}}}\n' for n in range(5000)))
    big = text_of(await client.call_tool("stage", {"path": "data.ndjson"})).split()[0]
    assert text_of(await client.call_tool("retrieve", {"token": token})) == "one\ntwo\n"
    assert text_of(await client.call_tool("retrieve", {"token": token, "lines": "2:2"})) == "two\n"
    assert "next_line: " in text_of(await client.call_tool("retrieve", {"token": big}))
    assert "Records:    5,000" in text_of(await client.call_tool("info", {"token": big}))
    found = text_of(await client.call_tool("search", {"token": big, "filter": "id >= 4990", "limit": 2}))
    assert found == '{"id": 4990}\n{"id": 4991}\n[results 1-2 of 10; go on with offset=2]'
    assert text_of(await client.call_tool("count", {"token": big, "filter": "id < 10"})) == "10"
    assert "5,000 records" in text_of(await client.call_tool("schema", {"token": big}))
    assert text_of(await client.call_tool("list", {"labels": {"job": "1"}})).startswith(token)
    assert "exit status 0" in text_of(await client.call_tool("exec", {"command": ["seq", "100000"]}))
    failed = await client.call_tool("retrieve", {"token": "max:00000000"})
    assert failed.is_error
    assert failed.content[0].text.startswith("Staged data not found: max:00000000")
    resources = (await client.list_resources()).resources
    assert {resource.name for resource in resources} >= {token, big}
    read = await client.read_resource(resources[-1].uri)
    assert read.contents[0].text == "one\ntwo\n"
    assert len((await client.list_resource_templates()).resource_templates) == 2


@pytest.mark.parametrize("mode", MODES)
def test_every_tool(recorded, program, mode):
    async def main():
        async with asyncio.timeout(PATIENCE), recorded.client(mode) as client:
            # A client that does not ask what there is, is not told.
            assert mode == MODERN or "retrieve: " in client.instructions
            await drive(client, program.folder)
            return client.protocol_version

    version = asyncio.run(main())
    assert version == ("2025-11-25" if mode == "legacy" else MODERN)
    methods = recorded.check(version)
    assert {"tools/list", "tools/call", "resources/list", "resources/read"} <= methods
    assert ("initialize" in methods) == (mode == "legacy")
    assert ("server/discover" in methods) == (mode == "auto")


@pytest.mark.parametrize("mode", MODES)
def test_a_wrapped_server(program, store, tmp_path_factory, mode):
    """Which is `max mcp` itself here, with results as long as they come; each message is held to the schema."""
    server = [*program.command, "mcp", "--allow", "exec", "--max-bytes", "64MiB"]
    recorded = Recorded(program, tmp_path_factory.mktemp("messages"), "wrap", "--", *server)
    whole = "".join(f"line {at} of it\n" for at in range(50_000))
    token = store.stage(whole.encode()).token

    async def main():
        async with asyncio.timeout(PATIENCE), recorded.client(mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            assert tools[-3:] == ["exec", "max_retrieve", "max_search"]
            shown = text_of(await client.call_tool("retrieve", {"token": token}))
            assert len(shown) <= 4096
            kept = shown.split("kept whole as ")[1].split()[0]
            assert kept != token
            with store.open(kept) as file:
                assert file.read() == whole.encode()
            read = await client.call_tool("max_retrieve", {"token": kept, "lines": "40000"})
            assert text_of(read) == "line 39999 of it\n"
            found = await client.call_tool("max_search", {"token": kept, "pattern": " 777 "})
            assert text_of(found) == "line 777 of it\n[results 1-1 of 1]"
            assert (
                text_of(await client.call_tool("retrieve", {"token": token, "head": 1})) == "line 0 of it\n"
            )
            failed = await client.call_tool("retrieve", {"token": "max:00000000"})
            assert failed.is_error
            assert (await client.list_resources()).resources
            return client.protocol_version

    version = asyncio.run(main())
    assert version == ("2025-11-25" if mode == "legacy" else MODERN)
    recorded.check(version)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_progress(recorded, program, mode):
    size = slow_to_stage(program)
    told = []

    async def note(progress, total, _message):
        told.append((progress, total))

    async def main():
        async with asyncio.timeout(PATIENCE), recorded.client(mode) as client:
            result = await client.call_tool("stage", {"path": "big"}, progress_callback=note)
            assert not result.is_error
            return client.protocol_version

    recorded.check(asyncio.run(main()))
    assert told == sorted(told)
    assert {total for _, total in told} == {size}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_cancelling(recorded, tmp_path, mode):
    gate = Gate(tmp_path)
    script = f"sleep 600 & echo $! > {shlex.quote(str(tmp_path))}/child; {gate.wait}"

    async def main():
        async with asyncio.timeout(PATIENCE), recorded.client(mode) as client:
            call = asyncio.create_task(client.call_tool("exec", {"command": ["sh", "-c", script]}))
            await asyncio.to_thread(gate.reached)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            child = (tmp_path / "child").read_text().strip()
            await asyncio.to_thread(wait_until_gone, child)
            assert (await client.list_tools()).tools
            return client.protocol_version

    version = asyncio.run(main())
    assert "notifications/cancelled" in recorded.sent.read_text()
    recorded.check(version)
    gate.close()


@pytest.mark.parametrize("mode", MODES)
def test_every_tool_by_http(program, mode):
    httpx2 = pytest.importorskip("httpx2")
    from mcp.client.streamable_http import streamable_http_client

    server = program.start(
        "mcp", "--http", "0", "--allow", "exec", env={**os.environ, "MAX_MCP_TOKEN": SECRET}
    )
    try:
        url = server.stderr.readline().decode().split()[-1]

        async def main():
            headers = {"Authorization": f"Bearer {SECRET}"}
            async with (
                asyncio.timeout(PATIENCE),
                httpx2.AsyncClient(headers=headers) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode) as client,
            ):
                await drive(client, program.folder)
                return client.protocol_version

        assert asyncio.run(main()) == ("2025-11-25" if mode == "legacy" else MODERN)
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 143
        for pipe in (server.stdin, server.stdout, server.stderr):
            pipe.close()

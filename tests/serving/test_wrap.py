"""`max mcp wrap` as a process: a client before it, and a server behind it that does what it is told to."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from schemas import LEGACY, MODERN

from helpers import PATIENCE, wait_until_gone, wait_until_group_gone

SERVER = [sys.executable, str(Path(__file__).parent / "fake_server.py")]
WRAP = ["wrap", "--", *SERVER]


@pytest.fixture
def wrapped(connect):
    """A wrapped server, and a client of the revision in force."""
    return connect(*WRAP)


def do(wire, what, **arguments):
    """Have the server do something; return the result."""
    answer = wire.ask("tools/call", name="do", arguments={"do": what, **arguments})
    return answer.get("result") or answer["error"]


def token_in(text):
    return re.search("kept whole as (max:[0-9a-f]+)", text)[1]


@pytest.mark.parametrize("version", [MODERN, *LEGACY])
def test_a_long_result_is_staged_and_read_on(connect, program, version):
    wire = connect(*WRAP, version=version)
    tools = [tool["name"] for tool in wire.ask("tools/list")["result"]["tools"]]
    assert tools == ["do", "max_retrieve", "max_search"]
    whole = "".join(f"line {at} of the output\n" for at in range(10_000))
    shown = do(wire, "lines", n=10_000)["content"][0]["text"]
    assert len(shown.encode()) <= 4096
    assert "line 0 of the output\n" in shown
    assert "line 9999 of the output\n[the text of do: 238,890 bytes, 10,000 lines, kept whole" in shown
    token = token_in(shown)
    assert program.text("retrieve", token) == whole
    read = wire.call("max_retrieve", token=token, lines="5000:5001")
    assert read == "line 4999 of the output\nline 5000 of the output\n"
    assert f'go on with max_retrieve token="{token}"' in wire.call("max_retrieve", token=token)
    found = wire.call("max_search", token=token, pattern="line 777 ")
    assert found == "line 777 of the output\n[results 1-1 of 1]"
    assert wire.fails("max_retrieve", token=token, lines="0").startswith("max_retrieve: lines must be")
    source = json.loads(program.text("stage", "info", token, "-o", "json"))["source"]
    assert source == ("fake/do" if version != MODERN else f"{os.path.basename(SERVER[0])}/do")
    wire.end()


def test_what_is_short_passes_byte_for_byte(wrapped):
    raw = '{ "id":1,"jsonrpc" : "2.0", "x":1e400 , '
    raw += '"result": {"resultType":"complete","content":[ ],"a":"\\u00e9é" ,"a":1}}  '
    wrapped.send("tools/call", name="do", arguments={"do": "raw", "raw": raw})
    wrapped.receive()
    assert wrapped.raw == raw.encode() + b"\n"


def test_memory_does_not_grow_with_a_result(wrapped, store):
    shown = do(wrapped, "huge", n=26)["content"][0]["text"]
    size = re.search("the text of do: ([0-9,]+) bytes", shown)[1]
    assert int(size.replace(",", "")) > 19_000_000
    peak = peak_of(wrapped.process.pid)
    assert peak < 64 * 1024, peak
    with store.open(token_in(shown)) as file:
        assert file.readline() == '000000 "quoted" and é\n'.encode()
    wrapped.end()


@pytest.mark.stress
def test_memory_with_200_megabytes(wrapped):
    do(wrapped, "huge", n=200)
    assert peak_of(wrapped.process.pid) < 64 * 1024


def peak_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


# A server that fails


@pytest.mark.parametrize(
    ("what", "n", "code", "told"),
    [
        ("exit", 3, 3, "ended with exit status 3"),
        ("half", 10, 137, "was ended by SIGKILL"),
        ("half", 3_000_000, 137, "SIGKILL"),
    ],
)
def test_a_server_that_dies_in_the_middle(wrapped, what, n, code, told):
    wrapped.send("tools/call", name="do", arguments={"do": what, "n": n}, request_id="last")
    answer = wrapped.receive()
    assert answer["id"] == "last"
    assert told in answer["error"]["message"]
    assert wrapped.process.wait(PATIENCE) == code


def test_a_server_that_is_killed(wrapped):
    child, server = map(int, do(wrapped, "child")["content"][0]["text"].split())
    os.kill(server, signal.SIGKILL)
    assert wrapped.process.wait(PATIENCE) == 128 + signal.SIGKILL
    wait_until_gone(child)
    assert wrapped.line() is None


def test_a_gateway_that_is_killed(wrapped):
    child, server = map(int, do(wrapped, "child")["content"][0]["text"].split())
    wrapped.process.kill()
    wait_until_gone(child, server)
    wait_until_group_gone(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_the_group_of_the_server(wrapped, number):
    child, server = map(int, do(wrapped, "child")["content"][0]["text"].split())
    wrapped.process.send_signal(number)
    assert wrapped.process.wait(PATIENCE) == 128 + number
    assert b"Traceback" not in wrapped.process.stderr.read()
    wait_until_gone(child, server)


def test_nonsense_goes_to_stderr(wrapped):
    assert do(wrapped, "nonsense")["content"][0]["text"] == "after it"
    wrapped.process.stdin.close()
    assert wrapped.process.wait(PATIENCE) == 0
    told = wrapped.process.stderr.read().decode()
    assert "max mcp wrap: not a message (it is no JSON): Listening on port 8080\n" in told
    assert told.count("\n") == 7


def test_a_flood_of_notifications_while_nobody_reads(program):
    process = program.start("mcp", *WRAP)
    call = {"name": "do", "arguments": {"do": "flood", "n": 30_000}}
    process.stdin.write(
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).encode() + b"\n"
    )
    process.stdin.flush()
    process.stdout.readline()
    assert peak_of(process.pid) < 64 * 1024
    count = 0
    while b'"id": 1' not in (line := process.stdout.readline()):
        count += b"notifications/message" in line
    assert count == 29_999
    assert peak_of(process.pid) < 64 * 1024
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
    process.stderr.close()


def test_a_server_that_never_answers(wrapped):
    """It goes on with all else, and ends with its client."""
    unanswered = wrapped.send("tools/call", name="do", arguments={"do": "nothing"})
    wrapped.tell("notifications/cancelled", requestId=unanswered)
    assert len(do(wrapped, "lines", n=3)["content"][0]["text"]) < 100
    wrapped.end()


def test_a_client_that_goes_while_the_server_answers_never(program):
    process = program.start("mcp", *WRAP)
    for number, what in enumerate(("nothing", "lines")):
        call = {"name": "do", "arguments": {"do": what}}
        asked = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.stdout.close()
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    process.stderr.close()


def test_a_server_that_does_not_mind_its_client_going(wrapped):
    do(wrapped, "deaf")
    wrapped.process.stdin.close()
    assert wrapped.process.wait(PATIENCE) == 128 + signal.SIGTERM


# What goes through


def test_requests_of_the_server(connect):
    wire = connect(*WRAP, version=LEGACY[0])
    asked = wire.send("tools/call", name="do", arguments={"do": "ask"})
    question = json.loads(wire.line())
    assert (question["method"], question["id"]) == ("ping", asked)
    wire.write(json.dumps({"jsonrpc": "2.0", "id": asked, "result": {"x": 1}}).encode() + b"\n")
    assert '"x": 1' in wire.receive()["result"]["content"][0]["text"]


def test_environment_folder_and_stderr(connect, program):
    wire = connect(*WRAP, env={**os.environ, "FOR_THE_SERVER": "yes"})
    assert do(wire, "where")["content"][0]["text"] == f"{program.folder} yes"
    wire.process.stdin.close()
    assert wire.process.wait(PATIENCE) == 0
    assert wire.process.stderr.read() == b"told on stderr\n"


def test_a_script_gets_all_answers(program):
    """One that closes its end at once, as a pipe does."""
    params = {"name": "do", "arguments": {"do": "huge", "n": 3}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    done = program("mcp", *WRAP, stdin=json.dumps(asked).encode())
    assert "kept whole as max:" in json.loads(done.stdout)["result"]["content"][0]["text"]


def test_outside_of_a_store_everything_passes(program_in, tmp_path_factory):
    program = program_in(tmp_path_factory.mktemp("none"))
    params = {"name": "do", "arguments": {"do": "lines", "n": 30_000}}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    done = program("mcp", *WRAP, stdin=json.dumps(asked).encode())
    assert len(json.loads(done.stdout)["result"]["content"][0]["text"]) > 700_000
    assert done.stderr.startswith(
        b"max mcp wrap: nothing is kept, so results of any length pass: Not in a Max project"
    )


# How it is called


def test_the_limits(connect):
    wire = connect("wrap", "--max-bytes", "1KiB", "--cut-to", "1KiB", "--scope", "who=me", "--", *SERVER)
    assert "kept whole" not in do(wire, "lines", n=40)["content"][0]["text"]
    shown = do(wire, "lines", n=100)["content"][0]["text"]
    assert len(shown) < 1100
    assert "line 99 of" in wire.call("max_retrieve", token=token_in(shown), lines="100")
    wire.end()


def test_what_can_not_be_started(program):
    assert (
        program.fails("mcp", "wrap", "--", "no-such-program", code=127)
        == "no-such-program: No such file or directory"
    )
    (program.folder / "plain").write_text("")
    assert "Permission denied" in program.fails("mcp", "wrap", "--", "./plain", code=126)
    assert "name a program" in program.fails("mcp", "wrap", code=2)
    assert "at least 1024 bytes" in program.fails("mcp", "wrap", "--max-bytes", "1", "--", "true", code=2)


def test_a_server_that_ends_at_once(program):
    assert program("mcp", "wrap", "--", "true").stdout == b""
    assert program("mcp", "wrap", "--", "sh", "-c", "exit 7", check=7).stderr == b""

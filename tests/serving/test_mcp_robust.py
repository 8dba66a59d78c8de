"""Clients that send nonsense, too much, or go away in the middle."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from schemas import MODERN, check
from wire import META

from helpers import PATIENCE, wait_until

SEED = 20260728

LIST = (
    json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}) + "\n"
).encode()

TOKENS = ["max:00000000", "max:", "", "\ud800", "../../etc/passwd", "max:" + "f" * 32, "é" * 100, "a" * 5000]


def request(rng, request_id):
    """Return a request that is mostly well formed."""
    method = rng.choice(
        [
            "tools/call",
            "tools/call",
            "tools/list",
            "resources/read",
            "resources/list",
            "server/discover",
            "ping",
            "x",
        ]
    )
    params = {"_meta": dict(META)}
    if method == "tools/call":
        name = rng.choice(["retrieve", "info", "list", "stage", "exec", "nope"])
        keys = [
            "token",
            "text",
            "path",
            "lines",
            "head",
            "tail",
            "bytes",
            "limit",
            "labels",
            "next_line",
            "x",
        ]
        params |= {
            "name": name,
            "arguments": {rng.choice(keys): value(rng) for _ in range(rng.randrange(4))},
        }
    if method == "resources/read":
        params["uri"] = rng.choice(["max://00000000", "max://", "x", "max://a?lines=", 5, None])
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def value(rng):
    """Return any value that JSON has."""
    kind = rng.randrange(9)
    if kind == 0:
        return [value(rng) for _ in range(rng.randrange(3))]
    if kind == 1:
        return {rng.choice(["a", "_meta", "é"]): value(rng) for _ in range(rng.randrange(3))}
    if kind in {2, 3}:
        return rng.choice(TOKENS)
    return rng.choice(
        [None, True, False, 0, -1, 1.5, 2**63, 2**70, 1e308, 10**400, "1:2", "0", "-1", "1" * 5000]
    )


def spoil(rng, request_id):  # noqa: C901 - each way is a line or two
    """Return a message that is no good, as bytes of one line."""
    message = request(rng, request_id)
    how = rng.randrange(7)
    if how == 0:
        del message[rng.choice(["jsonrpc", "method"])]
    elif how == 1:
        key = rng.choice(["jsonrpc", "method", "params"])
        wrong = value(rng)
        while key != "params" and isinstance(wrong, str):
            wrong = value(rng)
        message[key] = wrong if not isinstance(wrong, dict) else []
    elif how == 2:
        message["id"] = rng.choice([None, True, 1.5, [], {}])
    elif how == 3:
        message["params"]["_meta"] = value(rng)
        if isinstance(message["params"]["_meta"], dict):
            message["params"]["_meta"] = {"io.modelcontextprotocol/protocolVersion": value(rng)}
    elif how == 4:
        return json.dumps([message] * rng.randrange(3)).encode()
    data = json.dumps(message).encode()
    if how == 5:
        return data[: rng.randrange(1, len(data))]
    if how == 6:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.choice([0, 0x80, 0xFF, 0x7B, 0x22])]) + data[at:]
        # It may have become good by that: within a text, say.
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            return data
        return data[:-1]
    return data


def test_ten_thousand_messages_that_are_no_good(wire):
    rng = random.Random(SEED)
    count = 10_000
    messages = [spoil(rng, number) for number in range(count)]

    def write():
        for message in messages:
            wire.process.stdin.write(message + b"\n")
        wire.process.stdin.flush()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    codes = {}
    for message in messages:
        answer = json.loads(wire.line())
        check(MODERN, "JSONRPCErrorResponse", answer)
        assert isinstance(answer["error"]["message"], str), message
        assert len(answer["error"]["message"]) < 300
        codes[answer["error"]["code"]] = codes.get(answer["error"]["code"], 0) + 1
    writer.join(PATIENCE)
    # Each of them, and nothing else: -32603 would be a defect of ours.
    assert set(codes) == {-32700, -32600, -32602, -32022}
    assert wire.ask("tools/list")["result"]["tools"]
    wire.end()


def test_thousands_of_requests_whose_arguments_are_anything(wire, store):
    """Each is answered once, and none by an internal error."""
    rng = random.Random(SEED)
    store.stage(b"x")
    for number in range(1500):
        message = request(rng, number)
        wire.write(json.dumps(message).encode() + b"\n")
        answer = json.loads(wire.line())
        assert answer["id"] == number
        if "error" in answer:
            assert answer["error"]["code"] in {-32601, -32602}, (message, answer)
            check(MODERN, "JSONRPCErrorResponse", answer)
        else:
            check(MODERN, "JSONRPCResultResponse", answer)
    wire.end()


def test_a_huge_message_is_refused_in_little_memory(wire):
    wire.ask("tools/list")
    chunk = b"x" * (1 << 20)
    wire.process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "')
    for _ in range(200):
        wire.process.stdin.write(chunk)
    wire.write(b'"}\n')
    answer = wire.receive()
    assert answer["error"]["message"].startswith("Invalid Request: a message may have 16,777,216 bytes; ")
    wire.ask("tools/list")
    with open(f"/proc/{wire.process.pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < 100 * 1024
    # One that is too long and has no end.
    wire.process.stdin.write(chunk * 20)
    wire.process.stdin.close()
    assert "error" in wire.receive()
    assert wire.process.wait(PATIENCE) == 0


def test_a_large_text_is_staged(wire, store):
    text = "0123456789abcde\n" * (15 << 16)
    token = wire.stage(text)
    assert store.info(token).byte_size == len(text)


def fill(program):
    """Start a server, and ask without reading an answer until it takes no more."""
    process = program.start("mcp", stderr=subprocess.DEVNULL)
    fd = process.stdin.fileno()
    os.set_blocking(fd, False)
    refused = 0

    def is_full():
        nonlocal refused
        for _ in range(500):
            try:
                os.write(fd, LIST)
                refused = 0
            except BlockingIOError:
                refused += 1
                return refused > 100
        return False

    wait_until(is_full)
    return process


def test_a_client_that_does_not_read(program):
    """It is waited for, in bounded memory."""
    process = fill(program)
    with open(f"/proc/{process.pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < 60 * 1024
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    process.stdin.close()
    process.stdout.close()


def test_a_client_that_does_not_read_and_goes(program):
    process = fill(program)
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    process.stdout.close()


def test_a_client_that_closes_its_end_of_stdout(program):
    process = program.start("mcp")
    process.stdin.write(LIST)
    process.stdin.flush()
    assert process.stdout.readline()
    process.stdout.close()
    for _ in range(3):
        try:
            process.stdin.write(LIST)
            process.stdin.flush()
        except BrokenPipeError:
            break
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it(wire, number):
    wire.ask("tools/list")
    wire.process.send_signal(number)
    assert wire.process.wait(PATIENCE) == 128 + number
    assert wire.process.stderr.read() == b""


# Sends a signal at the call or return number AT of the server's main thread.
AT_A_PLACE = """
import os, signal, sys
from maxstage.mcp import stdio
at, count = int(sys.argv.pop(1)), 0

def look(frame, event, argument):
    global count
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGTERM)

def watched(*given, serve=stdio.serve):
    sys.setprofile(look)
    try:
        serve(*given)
    finally:
        sys.setprofile(None)

stdio.serve = watched
from maxstage.cli import main
main()
"""


# Places in the start of threads, in locks, and in answers, as counted on CPython 3.11.
@pytest.mark.parametrize("place", [55, 130, 211, 280, 430, 600, 694])
def test_a_signal_anywhere_ends_it(program, place):
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_PLACE, str(place), "mcp"],
        cwd=program.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(LIST * 2)
    process.stdin.flush()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert process.communicate()[1] == b""


def test_a_signal_ends_it_while_nobody_reads(program):
    process = program.start("mcp")
    os.set_blocking(process.stdin.fileno(), False)
    refused = 0
    while refused < 20:  # for a second: it reads no more until its answers are read
        try:
            os.write(process.stdin.fileno(), LIST)
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert process.communicate()[1] == b""


def test_closed_streams(program):
    for redirection, code in ((">&-", 1), ("<&-", 0), ("<&- 2>&-", 0)):
        words = ["sh", "-c", f'"$@" {redirection}', "sh", *program.command, "mcp"]
        done = subprocess.run(words, cwd=program.folder, capture_output=True, timeout=PATIENCE)
        assert done.returncode == code, redirection
        assert b"Traceback" not in done.stderr


def test_a_full_stdout(program):
    words = ["sh", "-c", '"$@" >/dev/full', "sh", *program.command, "mcp"]
    done = subprocess.run(words, cwd=program.folder, input=LIST, capture_output=True, timeout=PATIENCE)
    assert b"Traceback" not in done.stderr


def test_somebody_who_starts_it_by_hand_is_told_what_it_waits_for(program):
    ours, theirs = os.openpty()
    process = program.start("mcp", stdin=theirs)
    os.close(theirs)
    assert process.stderr.readline().startswith(b"Waiting for a client's messages on stdin: ")
    os.write(ours, b"\x04")
    assert process.wait(PATIENCE) == 0
    os.close(ours)
    process.stdout.close()
    process.stderr.close()

"""An MCP server that does what its client tells it to, good or bad; run as a program."""

import json
import os
import signal
import subprocess
import sys
import time


def say(message):
    sys.stdout.buffer.write(message if isinstance(message, bytes) else json.dumps(message).encode())
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def answer(request, result):
    is_modern = "_meta" in request.get("params", {})
    say(
        {
            "jsonrpc": "2.0",
            "id": request["id"],
            "result": ({"resultType": "complete"} if is_modern else {}) | result,
        }
    )


def text(request, content):
    answer(request, {"content": [{"type": "text", "text": content}]})


def call(request):  # noqa: C901, PLR0912 - each is a line or two
    """Do what the arguments say."""
    arguments = request["params"]["arguments"]
    what, number = arguments["do"], arguments.get("n", 0)
    if what == "lines":
        text(request, "".join(f"line {at} of the output\n" for at in range(number)))
    elif what == "result":
        answer(request, arguments["result"])
    elif what == "raw":
        say(arguments["raw"].encode())
    elif what == "huge":
        huge(request, number)
    elif what == "exit":
        sys.exit(number)
    elif what == "half":
        sys.stdout.buffer.write(
            b'{"jsonrpc": "2.0", "result": {"content": [{"type": "text", "text": "' + b"x" * number
        )
        sys.stdout.buffer.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "nonsense":
        for line in (b"Listening on port 8080", b"{", b"\xff\xfe", b"1", b'"x"', b"[[[", b"", b"nul"):
            say(line)
        text(request, "after it")
    elif what == "flood":
        for at in range(number):
            say(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/message",
                    "params": {"level": "info", "data": "x" * 90, "n": at},
                }
            )
        text(request, "done")
    elif what == "ask":
        say({"jsonrpc": "2.0", "id": request["id"], "method": "ping"})
        text(request, "the client said " + sys.stdin.readline())
    elif what == "child":
        child = subprocess.Popen(["sleep", "600"])
        text(request, f"{child.pid} {os.getpid()}")
    elif what == "where":
        sys.stderr.write("told on stderr\n")
        sys.stderr.flush()
        text(request, f"{os.getcwd()} {os.environ.get('FOR_THE_SERVER')}")
    elif what == "deaf":
        text(request, "deaf")
        time.sleep(600)


def huge(request, megabytes):
    """Answer with a text that is never whole in memory here; its id comes last, as with some servers."""
    write = sys.stdout.buffer.write
    write(b'{"jsonrpc": "2.0", "result": {"resultType": "complete", "content": [{"type": "text", "text": "')
    lines = b"".join(b'%06d \\"quoted\\" and \\u00e9\\n' % at for at in range(40_000))
    for _ in range(megabytes):
        write(lines[: 1_000_000 // 27 * 27])
    write(b'"}]}, "id": ' + json.dumps(request["id"]).encode() + b"}\n")
    sys.stdout.buffer.flush()


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        request = json.loads(line)
        method = request.get("method")
        if "id" not in request:
            continue
        if method == "initialize":
            answer(
                request,
                {
                    "protocolVersion": request["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fake", "version": "1"},
                },
            )
        elif method == "tools/list":
            tool = {"name": "do", "inputSchema": {"type": "object"}}
            answer(request, {"tools": [tool], "ttlMs": 0, "cacheScope": "private"})
        elif method == "tools/call":
            call(request)
        elif method == "ping":
            answer(request, {})


if __name__ == "__main__":
    main()

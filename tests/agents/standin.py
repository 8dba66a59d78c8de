"""A scripted stand-in for the Messages API on loopback: asks for shell commands, keeps what it is told of them."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StandIn:
    """Answers each request with the next command, then with an end.

    Args:
        commands: What it wants to be run, one after the other.
    """

    def __init__(self, commands):
        self.commands = list(commands)
        self.results = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
                    self.reply(b'{"input_tokens": 1}', "application/json")
                    return
                events = owner.answer(body)
                lines = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events)
                self.reply(lines.encode(), "text/event-stream")

            def do_GET(self):
                self.reply(b"{}", "application/json")

            do_HEAD = do_GET  # noqa: N815

            def reply(self, content, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, body):
        """Return the events of an answer."""
        done = []
        for message in body["messages"]:
            if message["role"] == "user" and isinstance(message["content"], list):
                done += [part for part in message["content"] if part["type"] == "tool_result"]
        if body.get("tools"):
            self.results = done
        step = len(done)
        if body.get("tools") and step < len(self.commands):
            given = self.commands[step]
            given = given if isinstance(given, dict) else {"command": given}
            block = {"type": "tool_use", "id": f"toolu_{step:04}", "name": "Bash", "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps({"description": "x"} | given)}
            reason = "tool_use"
        else:
            block, reason = {"type": "text", "text": ""}, "end_turn"
            delta = {"type": "text_delta", "text": "done"}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
        message |= {"stop_reason": None, "stop_sequence": None}
        usage = {"input_tokens": 1, "output_tokens": 1}
        return [
            {
                "type": "message_start",
                "message": message | {"usage": usage},
            },
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": reason, "stop_sequence": None},
                "usage": usage,
            },
            {"type": "message_stop"},
        ]

    def texts(self):
        """Return what the model was told of each command, and whether as an error."""
        found = []
        for part in self.results:
            content = part["content"]
            if isinstance(content, list):
                content = "".join(one.get("text", "") for one in content)
            found.append((content, bool(part.get("is_error"))))
        return found


def run(claude, home, folder, commands, *arguments, path):
    """Let the program do these commands; return what the model was told, as `StandIn.texts` does."""
    with StandIn(commands) as stand_in:
        env = {
            "HOME": str(home),
            "PATH": path,
            "ANTHROPIC_BASE_URL": stand_in.url,
            "ANTHROPIC_API_KEY": "x",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",
            "LANG": os.environ.get("LANG", "C.UTF-8"),
        }
        done = subprocess.run(
            [claude, "-p", "go", *arguments], env=env, cwd=folder, capture_output=True, text=True, timeout=300
        )
        told = stand_in.texts()
    assert len(told) == len(commands), (done.returncode, done.stdout, done.stderr, told)
    return told

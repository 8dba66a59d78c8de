"""A scripted stand-in for the Responses API on loopback: asks for shell commands, keeps what it is told of them."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def run(codex, home, folder, commands, *, path):
    """Let the program do these commands, without a sandbox; return what the model was told of each."""
    told = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told[:] = [one["output"] for one in body["input"] if one.get("type") == "function_call_output"]
            step = len(told)
            if step < len(commands):
                given = json.dumps({"cmd": commands[step], "yield_time_ms": 30000})
                item = {"type": "function_call", "id": f"fc_{step}", "call_id": f"call_{step}"}
                item |= {"name": "exec_command", "arguments": given}
            else:
                part = {"type": "output_text", "text": "done"}
                item = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
            usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
            events = [
                {"type": "response.created", "response": {"id": "r"}},
                {"type": "response.output_item.done", "item": item},
                {"type": "response.completed", "response": {"id": "r", "usage": usage}},
            ]
            self.reply(
                "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events).encode()
            )

        def do_GET(self):
            self.reply(b'{"models": []}')

        def reply(self, content):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        provider = f'name="s",base_url="http://127.0.0.1:{server.server_port}/v1",env_key="X_KEY",wire_api="responses"'
        words = [
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-hook-trust",
            "-s",
            "danger-full-access",
        ]
        for setting in ('model="m"', 'model_provider="s"', f"model_providers.s={{{provider}}}"):
            words += ["-c", setting]
        env = {"HOME": str(home), "PATH": path, "X_KEY": "x"}
        done = subprocess.run(
            [codex, *words, "-c", 'approval_policy="never"', "go"],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        server.shutdown()
    assert len(told) == len(commands), (done.returncode, done.stdout, done.stderr, told)
    return [text if isinstance(text, str) else json.dumps(text) for text in told]

"""What `max mcp` costs a client: the time to connect, to stage and to read by a tool, and the memory.

A client that does nothing but ask, over pipes: what an SDK costs on its side is not in here. The best and the median of
several servers, each in a new store; the load of the machine is printed, since it decides about the median.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
TEXT = "a line of some output\n" * 100


class Client:
    """A server, and questions to it that are timed."""

    def __init__(self, command: list[str], folder: str) -> None:
        self._started = time.perf_counter()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
        self._next = 0

    def ask(self, method: str, **params: object) -> tuple[float, dict]:
        """Ask; return the seconds that it took, and the result."""
        self._next += 1
        message = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": {**params, "_meta": META}}
        begun = time.perf_counter()
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return time.perf_counter() - begun, json.loads(answer)["result"]

    def connect(self) -> float:
        """Ask what there is; return the seconds since the start."""
        self.ask("server/discover")
        return time.perf_counter() - self._started

    def call(self, name: str, **arguments: object) -> tuple[float, str]:
        """Call a tool; return the seconds, and the text."""
        seconds, result = self.ask("tools/call", name=name, arguments=arguments)
        return seconds, result["content"][0]["text"]

    def end(self) -> int:
        """End the server; return the most memory that it had, in KiB."""
        status = Path(f"/proc/{self._process.pid}/status")
        peak = 0
        if status.exists():
            peak = next(
                int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")
            )
        self._process.stdin.close()
        self._process.wait()
        return peak


def measure(command: list[str], servers: int, calls: int) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of question, and the KiB of each server."""
    found: dict[str, list[float]] = {
        name: [] for name in ("connect", "first stage", "stage", "retrieve", "KiB")
    }
    for _ in range(servers):
        folder = tempfile.mkdtemp()
        subprocess.run([command[0], "init", folder], check=True, stdout=subprocess.DEVNULL)
        client = Client(command, folder)
        found["connect"].append(client.connect() * 1000)
        seconds, text = client.call("stage", text=TEXT)
        found["first stage"].append(seconds * 1000)
        found["stage"] += [client.call("stage", text=TEXT)[0] * 1000 for _ in range(calls)]
        token = text.split()[0]
        found["retrieve"] += [client.call("retrieve", token=token)[0] * 1000 for _ in range(calls)]
        found["KiB"].append(client.end())
        shutil.rmtree(folder)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--servers", type=int, default=20)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--max", default=os.path.join(os.path.dirname(sys.executable), "max"))
    options = parser.parse_args()
    found = measure([options.max, "mcp"], options.servers, options.calls)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    peak = found.pop("KiB")
    for name, values in found.items():
        print(
            f"{name:12} best {min(values):6.1f} ms, median {statistics.median(values):6.1f}, "
            f"worst {max(values):6.1f}"
        )
    print(f"memory       {max(peak) / 1024:.1f} MiB at most")


if __name__ == "__main__":
    main()

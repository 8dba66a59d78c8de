"""What `max mcp wrap` costs a client: the time to connect and to call, next to the same server without it; the memory.

The server is `max mcp` with room for results of any length, so that its own part is small; by pipes and by HTTP. The
best and the median of several servers; the load of the machine is printed, since it decides about the median. What the
server itself takes is in every figure: the difference between the rows is the gateway.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from mcp import Client

SHORT = "a line of some output\n" * 100
LONG = "a line of some output\n" * 40_000
"""880,000 bytes: what a client would cut, or refuse."""

ROOM = ["--max-bytes", "16MiB"]

TOKEN = "a-token-that-nobody-need-guess"


class Server:
    """The server by HTTP, and its address."""

    def __init__(self, program: str, folder: str) -> None:
        self._process = subprocess.Popen(
            [program, "mcp", "--http", "0", *ROOM],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self.url = self._process.stderr.readline().split()[-1]

    def end(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


def ways(program: str, url: str) -> dict[str, list[str]]:
    """Return the commands by which the server is reached."""
    wrap = [program, "mcp", "wrap"]
    return {
        "bare": [program, "mcp", *ROOM],
        "wrap --": [*wrap, "--", program, "mcp", *ROOM],
        "wrap --url": [*wrap, "--url", url, "--bearer-env", "MAX_MCP_TOKEN"],
    }


def measure(command: list[str], folder: str, calls: int, tokens: tuple[str, str]) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of question, and the KiB of whatever the client has started."""
    client = Client(command, folder)
    found = {"connect": [client.connect() * 1000]}
    for name, token in zip(("short result", "long result"), tokens, strict=True):
        client.call("retrieve", token=token)  # what is imported for the first is another question
        found[name] = [client.call("retrieve", token=token)[0] * 1000 for _ in range(calls)]
    found["KiB"] = [client.end()]
    return found


def staged(program: str, folder: str, text: str) -> str:
    """Stage a text; return the token."""
    done = subprocess.run(
        [program, "stage"], input=text, cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--servers", type=int, default=10)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--max", default=os.path.join(os.path.dirname(sys.executable), "max"))
    options = parser.parse_args()
    program = os.path.abspath(options.max)
    os.environ["MAX_MCP_TOKEN"] = TOKEN
    folder = tempfile.mkdtemp()
    subprocess.run([program, "init", folder], check=True, stdout=subprocess.DEVNULL)
    tokens = staged(program, folder, SHORT), staged(program, folder, LONG)
    server = Server(program, folder)
    found: dict[tuple[str, str], list[float]] = {}
    try:
        for _ in range(options.servers):
            for way, command in ways(program, server.url).items():
                for name, values in measure(command, folder, options.calls, tokens).items():
                    found.setdefault((name, way), []).extend(values)
    finally:
        server.end()
        shutil.rmtree(folder)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for name, way in sorted(found):
        values = found[name, way]
        if name == "KiB":
            print(f"memory       {way:10} {max(values) / 1024:.1f} MiB at most")
        else:
            print(f"{name:12} {way:10} best {min(values):6.1f} ms, median {statistics.median(values):6.1f}")


if __name__ == "__main__":
    main()

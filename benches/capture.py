"""What capturing costs: time beside subprocess's own ways, and peak memory.

``python benches/capture.py [--size MB] [--runs N] [--json FILE]``, where maxstage is installed. Two producers
print the same amount: `seq`, which computes what it prints, as most programs do, and one that does nothing but
write. The ways take turns, each in a process of its own after a round that is not counted; medians and ratios
are printed, and every result is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import environment

import maxstage

PRELUDE = """
import json, resource, subprocess, sys, time
WRITER = '''
import os, sys
left, chunk = int(sys.argv[1]), (b"0123456789abcde" * 7 + b"\\\\n") * 2000
while left > 0:
    left -= os.write(1, chunk[:left])
'''
size = int(sys.argv[1])
writer = [sys.executable, "-c", WRITER, str(size)]
# The numbers from 10^8 on have nine digits, and a newline each.
seq = ["seq", "100000000", str(100_000_000 + size // 10 - 1)]
command = {"writer": writer, "seq": seq}[sys.argv[3]]
bare = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
"""
KEPT = (
    "import maxstage; out = maxstage.run(command{options}, store=maxstage.Store.init(sys.argv[2])); "
    "assert out.original_size == size and len(out.content) <= 1 << 20 and out.token"
)
OURS = {
    "maxstage.run, whole kept": KEPT.format(options=", limits={'compress_external': False}"),
    "maxstage.run, whole kept, gzip": KEPT.format(options=""),
    "maxstage.run, keep=never": "import maxstage; out = maxstage.run(command, keep='never'); "
    "assert out.original_size == size",
}
DEVNULL = "subprocess.run(stdout=DEVNULL)"
CAPTURED = "subprocess.run(capture_output=True)"
PEERS = {
    "subprocess.run(stdout=file)": "import os; path = os.path.join(sys.argv[2], 'out'); "
    "subprocess.run(command, stdout=open(path, 'wb')); assert os.path.getsize(path) == size",
    "subprocess.run(['wc', '-c'], stdin=pipe)": "producer = subprocess.Popen(command, stdout=subprocess.PIPE); "
    "assert int(subprocess.run(['wc', '-c'], stdin=producer.stdout, capture_output=True).stdout) == size",
    DEVNULL: "assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0",
    CAPTURED: "assert len(subprocess.run(command, capture_output=True).stdout) == size",
}
EPILOGUE = """
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_mib": (peak - bare) / 1024}))
"""
PRODUCERS = ("seq", "writer")

Way = tuple[str, str | None]
"""Its name, and the backend; None for a peer."""


def measure(way: Way, producer: str, size: int) -> dict[str, float]:
    """Run one way in a process of its own."""
    name, backend = way
    script = PRELUDE + (OURS | PEERS)[name] + EPILOGUE
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", script, str(size), folder, producer],
            capture_output=True,
            check=True,
            env=environment(backend),
        )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def compare(producer: str, ways: list[Way], size: int, runs: int) -> list[dict[str, object]]:
    """Measure all ways in turn; return the medians of each."""
    results: dict[Way, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(runs + 1):
        for way in ways:
            results[way].append(measure(way, producer, size))
    found: list[dict[str, object]] = []
    for way, measured in results.items():
        counted = measured[1:]  # the first round warms up
        peak = max(result["peak_mib"] for result in counted)
        assert way[1] is None or peak < 64, f"{way}: {peak:.0f} MiB"

        def ratio(peer: str, counted: list[dict[str, float]] = counted) -> float:
            theirs = results[peer, None][1:]
            pairs = zip(counted, theirs, strict=True)
            return statistics.median(mine["seconds"] / other["seconds"] for mine, other in pairs)

        found.append(
            {
                "producer": producer,
                "way": way[0],
                "backend": way[1],
                "seconds": statistics.median(result["seconds"] for result in counted),
                "to_devnull": ratio(DEVNULL),
                "to_capture_output": ratio(CAPTURED),
                "peak_mib": peak,
            }
        )
    return found


def main() -> None:
    """Compare with each producer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=2000, metavar="MB", help="what the command prints (2000)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    backends = ("rust", "python") if maxstage.backend == "rust" else ("python",)
    ways: list[Way] = [(name, backend) for backend in backends for name in OURS]
    ways += [(name, None) for name in PEERS]
    print(f"A command that prints {options.size} MB; medians of {options.runs} runs.\n")
    print("| command | way | seconds | / DEVNULL | / capture_output | peak MiB above bare Python |")
    print("| --- " * 6 + "|")
    rows = []
    for producer in PRODUCERS:
        for row in compare(producer, ways, options.size * 1_000_000, options.runs):
            rows.append(row)
            way = f"{row['way']} (pure)" if row["backend"] == "python" else row["way"]
            print(
                f"| {producer} | {way} | {row['seconds']:.2f} | {row['to_devnull']:.2f} | "
                f"{row['to_capture_output']:.2f} | {row['peak_mib']:.0f} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""What capturing costs: time beside subprocess's own ways, and peak memory.

``python benches/capture.py [--size MB] [--runs N]``, where maxstage is installed. The ways take turns, each in
a process of its own after a warm-up; medians and ratios are printed, and every result is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

PRODUCER = "[sys.executable, '-c', PRINT, sys.argv[1]]"
PRELUDE = """
import json, resource, subprocess, sys, time
PRINT = '''
import os, sys
left, chunk = int(sys.argv[1]), (b"0123456789abcde" * 7 + b"\\\\n") * 2000
while left > 0:
    left -= os.write(1, chunk[:left])
'''
size = int(sys.argv[1])
bare = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
WAYS = {
    "maxstage.run, whole kept": "import maxstage; start = time.perf_counter(); "
    "out = maxstage.run({p}, limits={{'compress_external': False}}, store=maxstage.Store.init(sys.argv[2])); "
    "assert out.original_size == size and len(out.content) <= 1 << 20 and out.token",
    "maxstage.run, whole kept, gzip": "import maxstage; start = time.perf_counter(); "
    "out = maxstage.run({p}, store=maxstage.Store.init(sys.argv[2])); assert out.original_size == size and out.token",
    "maxstage.run, keep=never": "import maxstage; start = time.perf_counter(); "
    "out = maxstage.run({p}, keep='never'); assert out.original_size == size",
    "subprocess.run(stdout=DEVNULL)": "start = time.perf_counter(); "
    "assert subprocess.run({p}, stdout=subprocess.DEVNULL).returncode == 0",
    "subprocess.run(capture_output=True)": "start = time.perf_counter(); "
    "assert len(subprocess.run({p}, capture_output=True).stdout) == size",
}
EPILOGUE = """
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak_mib": (peak - bare) / 1024}))
"""


def measure(way: str, size: int) -> dict[str, float]:
    """Run one way in a process of its own."""
    script = PRELUDE + WAYS[way].format(p=PRODUCER) + EPILOGUE
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", script, str(size), folder], capture_output=True, check=True
        )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure all ways in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=2000, metavar="MB", help="what the command prints (2000)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (5)")
    options = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for run in range(options.runs + 1):
        for way, measured in results.items():
            result = measure(way, options.size * 1_000_000)
            if run:  # the first round warms up
                measured.append(result)
    base = statistics.median(r["seconds"] for r in results["subprocess.run(stdout=DEVNULL)"])
    print(f"A command that prints {options.size} MB; medians of {options.runs} runs.\n")
    print(
        "| way | seconds | against DEVNULL | peak memory above bare Python, MiB |\n| --- | --- | --- | --- |"
    )
    for way, measured in results.items():
        seconds = statistics.median(r["seconds"] for r in measured)
        peak = max(r["peak_mib"] for r in measured)
        print(f"| {way} | {seconds:.2f} | {seconds / base:.2f} | {peak:.0f} |")
        assert "maxstage" not in way or peak < 64, f"{way}: {peak:.0f} MiB"


if __name__ == "__main__":
    main()

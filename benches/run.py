"""Compare whole processes side by side: maxstage and what people would use instead.

Run it in an environment where maxstage is installed: ``python benches/run.py [--size MIB] [--runs N]``. The
commands of a row take turns, after a warm-up; what is printed is the median of each, and the median of the
ratios of neighbours, with their least and greatest, since the machine's own speed drifts. Every result is
checked. ``--json FILE`` writes it all down.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
MAX = str(BIN / "max")


class Bench:
    """Rows of commands, run in one scratch folder."""

    def __init__(self, folder: Path, size: int, runs: int) -> None:
        self.folder = folder
        self.runs = runs
        self.rows: list[dict[str, object]] = []
        self.data = folder / "data.ndjson"
        record = b'{"id":"%012d","source":"hubspot","type":"contact","firstName":"Ada","company":"Acme"}\n'
        with self.data.open("wb") as file:
            for start in range(0, size // len(record % 0), 10_000):
                file.write(b"".join(record % number for number in range(start, start + 10_000)))
        self.size = self.data.stat().st_size
        self.shell("max init")

    def shell(self, script: str) -> tuple[float, str]:
        """Run a script; return its seconds and what it printed."""
        environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        started = time.perf_counter()
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return time.perf_counter() - started, done.stdout

    def row(self, name: str, ours: str, *peers: str, after: str = "true", expect: str | None = None) -> None:
        """Measure `ours` against each of `peers`; `after` cleans up, unmeasured."""
        for peer in peers:
            missing = [word for word in ("pigz", "igzip", "bgzip") if word in peer and not shutil.which(word)]
            if missing:
                print(f"{name}: {missing[0]} is not installed; skipped", file=sys.stderr)
                continue
            pairs = []
            for run in range(self.runs + 1):
                first, out = self.shell(ours)
                assert expect is None or out.strip() == expect, (ours, out)
                self.shell(after)
                second, _ = self.shell(peer)
                self.shell(after)
                if run:  # the first pair warms up
                    pairs.append((first, second))
            ratios = [first / second for first, second in pairs]
            self.rows.append(
                {
                    "name": name,
                    "ours": ours,
                    "peer": peer,
                    "ours_seconds": statistics.median(first for first, _ in pairs),
                    "peer_seconds": statistics.median(second for _, second in pairs),
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "greatest": max(ratios),
                }
            )
            print(self.line(self.rows[-1]), flush=True)

    @staticmethod
    def line(row: dict[str, object]) -> str:
        """Return a row of the table."""
        return "| {name} | `{peer}` | {ratio:.2f} | {least:.2f} to {greatest:.2f} |".format(**row)


def main() -> None:
    """Run all rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="data to move (1024)")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each pair (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.size << 20, options.runs)
        version = bench.shell("max --version")[1].strip()
        print(f"{version}; {platform.machine()}, {os.cpu_count()} cores; {bench.size:,} bytes\n")
        print("| what | compared with | time, ours / theirs | spread |\n| --- | --- | --- | --- |")
        gone = "max unstage --all --yes >/dev/null; rm -f out out.gz"
        stage = "cat data.ndjson | max stage >/dev/null"
        bench.row(
            "stage a pipe",
            stage,
            "cat data.ndjson | cat > out",
            "cat data.ndjson | tee out | wc -l",
            after=gone,
        )
        bench.row("stage a file", "max stage data.ndjson", "cat < data.ndjson > out", after=gone)
        bench.row(
            "stage, durable",
            "max stage --sync data.ndjson",
            "dd if=data.ndjson of=out bs=64K conv=fdatasync",
            after=gone,
        )
        bench.row(
            "stage, compressed",
            "max stage --compress data.ndjson",
            "gzip -1 < data.ndjson > out.gz",
            "pigz -p2 -1 < data.ndjson > out.gz",
            "igzip -1 < data.ndjson > out.gz",
            after=gone,
        )
        token = bench.shell("max stage data.ndjson")[1].strip()
        packed = bench.shell("max stage --compress data.ndjson")[1].strip()
        bench.shell("gzip -1 < data.ndjson > kept.gz")
        lines = bench.data.read_bytes().count(b"\n")
        bench.row(
            "retrieve into a pipe",
            f"max retrieve {token} | cat >/dev/null",
            "cat data.ndjson | cat >/dev/null",
        )
        bench.row(
            "retrieve and count",
            f"max retrieve {token} | wc -l",
            "cat data.ndjson | wc -l",
            expect=str(lines),
        )
        bench.row("retrieve compressed", f"max retrieve {packed} >/dev/null", "gzip -dc kept.gz >/dev/null")
        bench.row("the last 1,000 lines", f"max retrieve {token} --tail 1000", "tail -n 1000 data.ndjson")
        middle = lines // 2
        part, quit_at = f"--lines {middle}:{middle + 10}", middle + 10
        bench.row(
            "lines in the middle",
            f"max retrieve {token} {part}",
            f"sed -n '{middle},{quit_at}p;{quit_at}q' data.ndjson",
        )
        bench.row(
            "the same, compressed",
            f"max retrieve {packed} {part}",
            f"gzip -dc kept.gz | sed -n '{middle},{quit_at}p;{quit_at}q'",
        )
        bench.row(
            "start-up: stage 100 bytes", "head -c 100 data.ndjson | max stage", f"{sys.executable} -c pass"
        )
    if options.json:
        options.json.write_text(json.dumps(bench.rows, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Compare whole processes side by side: maxstage and what people would use instead.

Run it where maxstage is installed: ``python benches/run.py [--size MIB] [--runs N]``. All commands of a row
take turns, after a round that is not counted. Printed is, for each peer, the median of the ratios of the
rounds (ours / theirs, below 1 is faster) with the least and greatest, since the machine's own speed drifts;
whether the goal is met; and the peak memory of ours. Every result is checked. ``--json FILE`` writes it all
down. A peer that is not installed is named and left out.
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
from pathlib import Path
from typing import NamedTuple

from data import write_ndjson
from processes import Cost, environment, run_script

PACKERS = ("pigz", "igzip", "bgzip", "zstd")

LIMIT = Path(__file__).parent.parent / "target" / "release" / "examples" / "limit"
"""The least that must be done: ``cargo build --release --example limit``, which `make bench` does."""
VERSIONED = ("cat", "cp", "dd", "tail", "wc", "sed", "gzip", *PACKERS)

# The best that we could write in Python alone: large reads into one buffer, counted and checksummed in place.
PYTHON_LOOP = """
import os, sys, zlib
buffer = bytearray(1 << 18)
view, lines, crc = memoryview(buffer), 0, 0
out = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
while count := os.readv(0, [buffer]):
    crc = zlib.crc32(view[:count], crc)
    lines += buffer.count(b"\\n", 0, count)
    os.write(out, view[:count])
print(lines, crc)
"""

EAGER_CLICK = """
import click

@click.group()
def program():
    pass

@program.command("list")
@click.option("-o", "--output", default="text")
def list_(output):
    click.echo("nothing")

program()
"""


class Peer(NamedTuple):
    """A command that does the same work; `goal` is the most that ours may take of its time, or None."""

    script: str
    goal: float | None = None


class Row(NamedTuple):
    """What was measured of one piece of work beside one peer; times in seconds, memory in MiB."""

    name: str
    ours: str
    peer: str
    goal: float | None
    ratio: float
    least: float
    greatest: float
    pure_ratio: float | None
    seconds: float
    peer_seconds: float
    peak: float
    pure_peak: float | None


class Bench:
    """Rows of commands, run in one scratch folder."""

    def __init__(self, folder: Path, size: int, runs: int) -> None:
        self.folder = folder
        self.runs = runs
        self.rows: list[Row] = []
        write_ndjson(folder / "data", size)
        (folder / "loop.py").write_text(PYTHON_LOOP)
        (folder / "click_program.py").write_text(EAGER_CLICK)
        self.shell("head -c 100 data > small; max init")
        self.size = size
        self.lines = int(self.shell("wc -l < data"))
        compiled = self.shell("max --version").count("rust")
        self.backends = ("rust", "python") if compiled else ("python",)

    def shell(self, script: str) -> str:
        """Run a script, unmeasured; return what it printed."""
        return run_script(script, self.folder)[1].strip()

    def row(
        self, name: str, ours: str, *peers: Peer, after: str = "true", check: str | None = None, runs: int = 0
    ) -> None:
        """Measure `ours` on each backend beside `peers`; `after` cleans up, unmeasured; `check` is what ours prints."""
        there = [peer for peer in peers if self._is_there(name, peer)]
        rounds: list[tuple[dict[str, Cost], list[Cost]]] = []
        for _ in range((runs or self.runs) + 1):
            mine = {}
            for backend in self.backends:
                mine[backend], out = run_script(ours, self.folder, backend)
                assert check is None or out.strip() == check, (ours, out)
                self.shell(after)
            theirs = []
            for peer in there:
                theirs.append(run_script(peer.script, self.folder)[0])
                self.shell(after)
            rounds.append((mine, theirs))
        del rounds[0]  # it warmed up
        for number, peer in enumerate(there):
            self._add(name, ours, peer, [(mine, theirs[number]) for mine, theirs in rounds])

    def _is_there(self, name: str, peer: Peer) -> bool:
        missing = [word for word in PACKERS if f"{word} " in peer.script and not shutil.which(word)]
        missing += [str(LIMIT)] if str(LIMIT) in peer.script and not LIMIT.exists() else []
        if missing:
            print(f"{name}: {missing[0]} is not installed; left out", file=sys.stderr)
        return not missing

    def _add(self, name: str, ours: str, peer: Peer, rounds: list[tuple[dict[str, Cost], Cost]]) -> None:
        def ratios(backend: str) -> list[float]:
            return [mine[backend].seconds / theirs.seconds for mine, theirs in rounds]

        first, pure = self.backends[0], self.backends[1:] and "python"
        row = Row(
            name,
            ours,
            peer.script,
            peer.goal,
            statistics.median(ratios(first)),
            min(ratios(first)),
            max(ratios(first)),
            statistics.median(ratios("python")) if pure else None,
            statistics.median(mine[first].seconds for mine, _ in rounds),
            statistics.median(theirs.seconds for _, theirs in rounds),
            max(mine[first].peak for mine, _ in rounds),
            max(mine["python"].peak for mine, _ in rounds) if pure else None,
        )
        print(self.line(row), flush=True)
        self.rows.append(row)

    HEAD = "| what | beside | time, ours / theirs | goal | pure Python | peak MiB |\n" + "| --- " * 6 + "|"

    @staticmethod
    def line(row: Row) -> str:
        """Return a row of the table."""
        goal = "" if row.goal is None else f"{row.goal:.2f}, {'met' if row.ratio <= row.goal else 'missed'}"
        pure = "" if row.pure_ratio is None else f"{row.pure_ratio:.2f}"
        peer = row.peer.replace(sys.executable, "python").replace("|", "\\|")
        spread = f"{row.ratio:.2f} ({row.least:.2f} to {row.greatest:.2f})"
        return f"| {row.name} | `{peer}` | {spread} | {goal} | {pure} | {row.peak:.0f} |"


def versions() -> str:
    """Return the versions of the programs that are compared."""
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONED:
        path = shutil.which(name)
        if path is not None:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
            found.append((done.stdout or done.stderr).split("\n")[0].strip())
    return "; ".join(found)


GONE = "max unstage --all --yes >/dev/null; rm -f out; sync"
"""Nothing that one command left to be written may be written while the next is measured."""


def measure_staging(bench: Bench) -> None:
    """Staging: from a pipe, from a file, durably, compressed."""
    bench.row(
        "stage a pipe",
        "cat data | max stage >/dev/null",
        Peer("cat data | cat > out", 0.85),
        Peer("cat data | tee out | wc -l", 0.36),
        Peer(f"cat data | {sys.executable} loop.py", 0.55),
        Peer(f"cat data | {LIMIT} stage out", 1.15),
        after=GONE,
    )
    bench.row(
        "stage a file",
        "max stage ./data >/dev/null",
        Peer("cat < data > out", 1.1),
        Peer("cp --reflink=never data out", 1.1),
        after=GONE,
    )
    bench.row(
        "stage a file, durable",
        "max stage --sync ./data >/dev/null",
        Peer("dd if=data of=out bs=64K conv=fdatasync 2>/dev/null", 0.87),
        after=GONE,
    )
    bench.row(
        "stage a file, compressed",
        "max stage --compress ./data >/dev/null",
        Peer("gzip -1 < data > out"),
        Peer("pigz -p2 -1 < data > out", 0.5),
        Peer("bgzip -@2 -l1 < data > out"),
        Peer("igzip -1 < data > out", 1.0),
        after=GONE,
        runs=3,
    )
    bench.row(
        "stage a file, --compress=zstd",
        "max stage --compress=zstd ./data >/dev/null",
        Peer("zstd -q -T2 -3 < data > out", 1.0),
        Peer("igzip -1 < data > out", 1.0),
        after=GONE,
        runs=3,
    )


def measure_masking(bench: Bench) -> None:
    """Masking: eighteen rules of ours, beside three by sed."""
    # The pure backend takes a second for 25 MB of it.
    bench.shell(f"head -c {min(bench.size, 64 << 20)} data > part")
    rules = (
        "gh[pousr]_[A-Za-z0-9]{36,}",
        "(AKIA|ASIA)[A-Z2-7]{16}",
        "eyJ[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_.-]{20,}",
    )
    sed = " ".join(f"-e 's/{rule}/***/g'" for rule in rules)
    bench.row(
        "stage a pipe, --redact",
        "cat part | max stage --redact >/dev/null",
        Peer(f"cat part | LC_ALL=C sed -E {sed} > out"),
        Peer("cat part | max stage >/dev/null"),
        after=GONE,
        runs=3,
    )


def measure_retrieving(bench: Bench) -> None:
    """Retrieving: into pipes and files, whole and in slices, plain and compressed."""
    token, packed = bench.shell("max stage ./data; max stage --compress ./data").split()
    for name in ("gzip", "igzip"):
        if shutil.which(name):
            bench.shell(f"{name} -1 < data > {name}.gz")
    bench.row(
        "retrieve into a pipe",
        f"max retrieve {token} | cat >/dev/null",
        Peer("cat data | cat >/dev/null", 0.25),
        Peer(f"{LIMIT} retrieve data | cat >/dev/null", 1.25),
    )
    bench.row(
        "retrieve and count",
        f"max retrieve {token} | wc -l",
        Peer("cat data | wc -l", 0.3),
        check=str(bench.lines),
    )
    bench.row(
        "retrieve into a file", f"max retrieve {token} > out", Peer("cat data > out", 1.1), after="rm -f out"
    )
    bench.row(
        "retrieve what is compressed",
        f"max retrieve {packed} >/dev/null",
        Peer("gzip -dc gzip.gz >/dev/null", 0.25),
        Peer("igzip -dc igzip.gz >/dev/null", 1.0),
        runs=3,
    )
    last = bench.shell("tail -n 1000 data | cksum")
    bench.row(
        "the last 1,000 lines",
        f"max retrieve {token} --tail 1000 | cksum",
        Peer("tail -n 1000 data | cksum"),
        Peer(f"{sys.executable} -c pass"),
        check=last,
    )
    middle = bench.lines // 2
    quit_at = middle + 10
    lines, sed = f"--lines {middle}:{quit_at} | cksum", f"sed -n '{middle},{quit_at}p;{quit_at}q'"
    eleven = bench.shell(f"{sed} data | cksum")
    bench.row(
        "eleven lines in the middle",
        f"max retrieve {token} {lines}",
        Peer(f"{sed} data | cksum"),
        Peer(f"{sys.executable} -c pass"),
        check=eleven,
    )
    bench.row(
        "the same, compressed",
        f"max retrieve {packed} {lines}",
        Peer(f"(gzip -dc gzip.gz 2>/dev/null || true) | {sed} | cksum"),
        Peer(f"{sys.executable} -c pass"),
        check=eleven,
    )


def measure_starting(bench: Bench) -> None:
    """Small commands: most of their time is the interpreter's start."""
    bench.shell("max unstage --all --yes")
    token = bench.shell("max stage ./small")
    bare = f"{sys.executable} -c pass"
    click = Peer(f"{sys.executable} click_program.py list", 1.0)
    # Cheap, and most disturbed by what else runs.
    runs = bench.runs * 5
    bench.row(
        "stage 100 bytes", "max stage < small >/dev/null", Peer(f"{bare} < small", 1.3), after=GONE, runs=runs
    )
    token = bench.shell("max stage ./small")
    bench.row("retrieve 100 bytes", f"max retrieve {token} >/dev/null", Peer(bare, 1.3), runs=runs)
    for name in ("list", f"info {token}"):
        bench.row(
            f"max stage {name.split()[0]}", f"max stage {name} >/dev/null", Peer(bare, 4.0), click, runs=runs
        )
    bench.row("max exec true", "max exec -- true", Peer(bare, 4.0), click, runs=runs)


def main() -> None:
    """Run all rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="data to move (1024)")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each command (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    os.environ.update(environment())
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.size << 20, options.runs)
        about = f"{platform.machine()}, {os.cpu_count()} cores; {bench.size:,} bytes; {options.runs} rounds"
        print(f"{bench.shell('max --version')}; {about}\n{versions()}\n\n{Bench.HEAD}")
        for measure in (measure_staging, measure_masking, measure_retrieving, measure_starting):
            measure(bench)
    if options.json:
        facts = {"about": about, "versions": versions(), "rows": [row._asdict() for row in bench.rows]}
        options.json.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()

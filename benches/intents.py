"""Planning, looking at and executing many small moves, next to ``xargs -P2 mv`` started once per 100 files.

The two ways of moving go in turns, on one machine with one load, and the last lines are their ratios: of the time on
the clock, and of the time that processors were busy, which says more on a machine with other work.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROGRAM = [sys.executable, "-m", "maxstage"]


class Taken(NamedTuple):
    """Seconds that processes took: on the clock, and of processors."""

    clock: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} s ({self.cpu:.2f} s CPU)"


def _now() -> Taken:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(time.perf_counter(), used.ru_utime + used.ru_stime)


def _since(start: Taken) -> Taken:
    now = _now()
    return Taken(now.clock - start.clock, now.cpu - start.cpu)


def run(args: list[str], folder: Path, check: bool = True) -> tuple[Taken, str]:
    """Run the program; return the seconds that it took, and what it printed."""
    started = _now()
    done = subprocess.run([*PROGRAM, *args], cwd=folder, capture_output=True, check=False, text=True)
    taken = _since(started)
    if check and done.returncode:
        raise SystemExit(done.stderr)
    return taken, done.stdout.strip()


def by_mv(folder: Path, source: str, target: str) -> Taken:
    """Move all files of a folder by ``mv``, a hundred at a time in two processes; return the seconds."""
    (folder / target).mkdir()
    names = "\0".join(f"{source}/{name}" for name in os.listdir(folder / source))
    started = _now()
    subprocess.run(
        ["xargs", "-0", "-n100", "-P2", "mv", "-n", "-t", target],
        input=names,
        text=True,
        cwd=folder,
        check=True,
    )
    return _since(started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work (a temporary folder)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        run(["init"], folder)
        (folder / "a").mkdir()
        records = folder / "records.ndjson"
        with records.open("w") as file:
            for number in range(options.count):
                (folder / "a" / f"f{number}").write_bytes(b"x")
                file.write(f'{{"name": "f{number}"}}\n')
        ours, theirs = [], []
        for _ in range(options.rounds):
            theirs.append(by_mv(folder, "a", "b"))
            (folder / "a").rmdir()
            (folder / "b").rename(folder / "a")
            planned, token = run(
                ["intent", "move", "records.ndjson", "--from", "a/{name}", "--to", "b/{name}"], folder
            )
            looked, _ = run(["preview", token], folder)
            done, result = run(["execute", token], folder)
            assert len(os.listdir(folder / "b")) == options.count
            back, _ = run(["undo", result], folder)
            assert len(os.listdir(folder / "a")) == options.count
            ours.append(done)
            print(f"plan {planned}, preview {looked}, execute {done}, undo {back}; xargs mv {theirs[-1]}")
        for unit in Taken._fields:
            one, other = (
                statistics.median(getattr(taken, unit) for taken in some) for some in (ours, theirs)
            )
            print(f"{unit}: execute {one:.2f} s, xargs -P2 mv {other:.2f} s, ratio {one / other:.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

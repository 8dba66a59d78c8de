"""Measure what runs inside a process, on both backends, beside what people would write instead.

Run it where maxstage and its group ``bench`` are installed: ``python benches/inside.py [--scale X]``. It runs
the pytest-benchmark suites beside it once with each backend, and prints one table: how long ours takes for
each second that the peer takes in the same run (medians; below 1 is faster). The spread is what the quartiles
of the compiled one allow, or of the pure one where there is no other. ``--json FILE`` writes it all down.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Groups = dict[str, dict[str, "Figure"]]

HERE = Path(__file__).resolve().parent
NAMES = {"rust": "compiled", "python": "pure"}
"""The backends, as ``MAXSTAGE_BACKEND`` has them, and as the table does."""
_OURS = "maxstage ("


class Figure(NamedTuple):
    """Seconds that one implementation takes for one item of the work: the median and the quartiles."""

    median: float
    q1: float
    q3: float


class Ratio(NamedTuple):
    """What ours takes for each second of the peer: of the medians, and what their quartiles allow."""

    ratio: float
    least: float
    greatest: float


def read_figures(benchmarks: Iterable[Mapping[str, Any]]) -> Groups:
    """Return the figures of each group by implementation, from what pytest-benchmark writes."""
    groups: Groups = {}
    for bench in benchmarks:
        items = bench["extra_info"].get("items", 1)
        stats = bench["stats"]
        figure = Figure(*(stats[key] / items for key in ("median", "q1", "q3")))
        groups.setdefault(bench["group"], {})[bench["params"]["impl"]] = figure
    return groups


def seconds_text(seconds: float) -> str:
    """Return seconds as people read them.

    >>> seconds_text(0.0123)
    '12.3 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def compare(ours: Figure, peer: Figure) -> Ratio:
    """Return how ours stands beside a peer."""
    return Ratio(ours.median / peer.median, ours.q1 / peer.q3, ours.q3 / peer.q1)


def measure(backend: str, scratch: Path, options: argparse.Namespace) -> Groups:
    """Run the suites on a backend."""
    report = scratch / f"{backend}.json"
    # No settings of the tests: the suites run wherever pytest-benchmark is.
    command = [sys.executable, "-P", "-m", "pytest", str(HERE), "-c", os.devnull, f"--rootdir={HERE}"]
    command += ["-q", "-p", "no:cacheprovider", "--benchmark-quiet", f"--benchmark-json={report}"]
    command += [f"--scale={options.scale}", f"--rounds={options.rounds}", f"--scratch={scratch}"]
    if options.keyword:
        command += ["-k", options.keyword]
    # On stderr: stdout is for the table.
    subprocess.run(command, env=os.environ | {"MAXSTAGE_BACKEND": backend}, stdout=sys.stderr, check=True)
    return read_figures(json.loads(report.read_bytes())["benchmarks"])


def join(measured: Mapping[str, Groups]) -> list[dict[str, Any]]:
    """Return the rows of the table: each peer of each group, with what each backend takes beside it."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for backend, groups in measured.items():
        for group, figures in groups.items():
            ours = next((figure for impl, figure in figures.items() if impl.startswith(_OURS)), None)
            for impl, figure in figures.items():
                if ours is None or impl.startswith(_OURS):
                    continue
                row = rows.setdefault((group, impl), {"what": group, "beside": impl})
                row[NAMES[backend]] = {
                    "ours_seconds": ours._asdict(),
                    "peer_seconds": figure._asdict(),
                    **compare(ours, figure)._asdict(),
                }
    return list(rows.values())


def line(row: Mapping[str, Any]) -> str:
    """Return a row of the table; the spread is that of the first backend it has."""
    ratios = [f"{row[name]['ratio']:.3g}" if name in row else "" for name in NAMES.values()]
    first = next(row[name] for name in NAMES.values() if name in row)
    spread = f"{first['least']:.3g} to {first['greatest']:.3g}"
    return f"| {row['what']} | {row['beside']} | {' | '.join(ratios)} | {spread} |"


def versions() -> str:
    """Return what was measured, and on what."""
    names = [f"{name} {importlib.metadata.version(name)}" for name in ("maxstage", "pytest-benchmark")]
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return ", ".join([f"Python {platform.python_version()}", *names]) + f"; {machine}"


def main() -> None:
    """Run the suites, join what they measured, print and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all sizes and counts (1.0)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each benchmark (5)")
    parser.add_argument("-k", dest="keyword", metavar="WORDS", help="only these benchmarks, as pytest's -k")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    backends = list(NAMES)
    if importlib.util.find_spec("maxstage._core") is None:
        backends.remove("rust")
        print("The compiled backend is not installed; skipped.", file=sys.stderr)
    scratch = Path(tempfile.mkdtemp(prefix="maxstage-bench-"))
    try:
        report(join({backend: measure(backend, scratch, options) for backend in backends}), options)
    except subprocess.CalledProcessError as failed:
        sys.exit(f"The suites failed: pytest ended with {failed.returncode}.")
    finally:
        # Only now: deleting many files makes the file system slow for a while.
        shutil.rmtree(scratch)


def report(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print the table, and write the figures where they are wanted."""
    print(f"{versions()}; scale {options.scale:g}, {options.rounds} rounds\n")
    print("| what | beside | compiled | pure | spread |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print(line(row))
    if options.json:
        found = {"versions": versions(), "scale": options.scale, "rounds": options.rounds, "rows": rows}
        options.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

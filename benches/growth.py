"""How cost grows with the data: time and peak memory of staging, retrieving, listing and capturing.

Run it where maxstage and its group ``bench`` are installed: ``python benches/growth.py [--out DIR]``. Each
point is measured in fresh processes, checked, and the median of several is taken. Printed are tables, the
slope of time over size (log-log, over the larger half of the sizes; 1.0 is linear), and what one GiB or 1,000
items add; three plots are written to DIR. It ends with an error if peak memory grows with the data. The disk
of the temporary folder needs room for the largest size twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data import delete_gently, write_items, write_ndjson
from processes import Cost, launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    Operations = dict[str, list["Point"]]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
KB, MB, GB = 1000, 1000**2, 1000**3
BLOCK = 32 * MIB
"""Bytes of the file that producers repeat: it stays in the page cache, so no disk is measured."""
FLAT = 64.0
"""MiB above bare Python that nothing may take, whatever the size."""
SETTLED = 2.5
"""Seconds after which an index is believed: see `maxstage.store.storage.local.index`."""
RESERVE = 2 * GIB
"""Bytes of the disk that are left alone."""
MAX = str(Path(sys.executable).parent / "max")
LIST = """
import json, sys, time
import maxstage
store = maxstage.Store.open(sys.argv[1])
limit = {"limit": int(sys.argv[2])} if sys.argv[2:] else {}
started = time.perf_counter()
items = store.list(**limit)
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "ids": [item.id for item in items[:50]], "count": len(items)}))
"""
CAPTURE = """
import json, sys, time
import maxstage
store = maxstage.Store.init(sys.argv[1])
started = time.perf_counter()
done = maxstage.run(["cat", *sys.argv[2:]], keep="always", store=store, limits={"compress_external": False})
seconds = time.perf_counter() - started
kept = store.info(done.token)
assert done.exit_code == 0 and len(done.content) <= 1 << 20 and not done.warnings
print(json.dumps({"seconds": seconds, "size": kept.byte_size, "records": kept.record_count}))
"""


class Point(NamedTuple):
    """Medians at one size (bytes or items): seconds, MiB of peak memory, and how many runs there were."""

    size: int
    seconds: float
    peak: float
    runs: int


class Family(NamedTuple):
    """What belongs in one plot: its operations, and how sizes and the linear cost are told."""

    name: str
    axis: str
    unit: int
    unit_name: str
    operations: Operations


def median_of(runs: int, size: int, once: Callable[[], Cost]) -> Point:
    """Measure `runs` times, after one run that is not counted where they are cheap."""
    if runs > 3:
        once()
    costs = [once() for _ in range(runs)]
    seconds, peak = (statistics.median(column) for column in zip(*costs, strict=True))
    return Point(size, seconds, peak, runs)


def runs_for(size: int) -> int:
    """Return how many runs a size of so many bytes gets."""
    if size <= 64 * MIB:
        return 5
    return 3 if size <= 2 * GIB else 1


class Source:
    """Data of any size, by repeating a file of 32 MiB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[Path, int] = {}
        self._block = self._make(BLOCK)

    def _make(self, size: int) -> Path:
        path = self._folder / f"{size}.ndjson"
        if path not in self._lines:
            write_ndjson(path, size)
            self._lines[path] = path.read_bytes().count(b"\n")
        return path

    def files(self, size: int) -> list[str]:
        """Return the files that together have `size` bytes; some of them many times."""
        rest = [self._make(size % BLOCK)] if size % BLOCK else []
        return [str(path) for path in [self._block] * (size // BLOCK) + rest]

    def records(self, size: int) -> int:
        """Return how many records these have."""
        return sum(self._lines[Path(name)] for name in self.files(size))


@contextlib.contextmanager
def piped(command: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the other end of a pipe; it must end well, by itself."""
    with subprocess.Popen(command, **streams) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))


def stage(project: Path, source: Source, size: int) -> tuple[Cost, str]:
    """Stage `size` bytes from a pipe; return what it cost and the token."""
    with piped(["cat", *source.files(size)], stdout=subprocess.PIPE) as producer:
        assert producer.stdout is not None
        cost, printed = launch([MAX, "stage"], cwd=project, stdin=producer.stdout, stdout=subprocess.PIPE)
        producer.stdout.close()
    token = printed.decode().strip()
    info = subprocess.run(
        [MAX, "stage", "info", token, "-o", "json"], cwd=project, stdout=subprocess.PIPE, check=True
    )
    meta = json.loads(info.stdout)
    found = (meta["byteSize"], meta["recordCount"])
    assert found == (size, source.records(size)), (found, size)
    return cost, token


def retrieve(project: Path, token: str, size: int) -> Cost:
    """Retrieve an item into a pipe; return what it cost."""
    with piped(["wc", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        cost, _ = launch([MAX, "retrieve", token], cwd=project, stdout=reader.stdin)
        reader.stdin.close()
        assert int(reader.stdout.read()) == size
    return cost


def unstage(project: Path, token: str) -> None:
    """Delete an item."""
    subprocess.run([MAX, "unstage", token], cwd=project, stdout=subprocess.DEVNULL, check=True)


def measure_data(folder: Path, source: Source, largest: int) -> Family:
    """Stage and retrieve data of growing size by the program."""
    project = folder / "data"
    subprocess.run([MAX, "init", str(project)], stdout=subprocess.DEVNULL, check=True)
    operations: Operations = {"max stage": [], "max retrieve": []}
    for size in sizes_up_to(largest, (KIB, 32 * KIB, MIB, 32 * MIB, GIB)):
        progress(f"data, {binary(size)}")
        runs = runs_for(size)

        def stage_once(size: int = size) -> Cost:
            cost, token = stage(project, source, size)
            unstage(project, token)
            return cost

        operations["max stage"].append(median_of(runs, size, stage_once))
        _, token = stage(project, source, size)

        def retrieve_once(size: int = size, token: str = token) -> Cost:
            return retrieve(project, token, size)

        operations["max retrieve"].append(median_of(runs, size, retrieve_once))
        unstage(project, token)
    return Family("data", "data, by a pipe", GIB, "GiB", operations)


def measure_list(folder: Path, most: int) -> Family:
    """List stores of growing numbers of items, from Python."""
    operations: Operations = {"Store.list()": [], "Store.list(limit=50)": []}
    for count in sizes_up_to(most, (10, 100, 1000, 10_000, 100_000)):
        progress(f"list, {count:,} items")
        project = folder / f"list-{count}"
        subprocess.run([MAX, "init", str(project)], stdout=subprocess.DEVNULL, check=True)
        ids = write_items(project / ".max" / "staging", count)
        time.sleep(SETTLED)
        for points, limit in zip(operations.values(), ([], ["50"]), strict=True):

            def once(limit: list[str] = limit, project: Path = project, ids: list[str] = ids) -> Cost:
                command = [sys.executable, "-c", LIST, str(project), *limit]
                cost, printed = launch(command, stdout=subprocess.PIPE)
                found = json.loads(printed)
                expected = min(len(ids), int(limit[0])) if limit else len(ids)
                assert (found["count"], found["ids"]) == (expected, ids[:50]), limit
                return Cost(found["seconds"], cost.peak)

            points.append(median_of(5, count, once))
    return Family("list", "items in the store", 1000, "1,000 items", operations)


def measure_capture(folder: Path, source: Source, largest: int) -> Family:
    """Capture commands that print more and more, from Python, and keep the whole."""
    points = []
    for size in sizes_up_to(largest, (KB, 32 * KB, MB, 32 * MB, GB)):
        progress(f"capture, {decimal(size)}")

        def once(size: int = size) -> Cost:
            with tempfile.TemporaryDirectory(dir=folder) as project:
                command = [sys.executable, "-c", CAPTURE, project, *source.files(size)]
                cost, printed = launch(command, stdout=subprocess.PIPE)
            found = json.loads(printed)
            assert (found["size"], found["records"]) == (size, source.records(size)), found
            return Cost(found["seconds"], cost.peak)

        points.append(median_of(runs_for(size), size, once))
    return Family("capture", "output of the command", GB, "GB", {"maxstage.run, whole kept": points})


def sizes_up_to(largest: int, sizes: Sequence[int]) -> list[int]:
    """Return the sizes below `largest`, and `largest`."""
    return [size for size in sizes if size < largest] + [largest]


def progress(text: str) -> None:
    """Say what is being measured."""
    print(f"measuring: {text}", file=sys.stderr, flush=True)


def scaled(size: float, base: int, units: Sequence[str]) -> str:
    """Return a size in the largest unit that it has one of."""
    power = 0
    while size >= base and power < len(units) - 1:
        size /= base
        power += 1
    return f"{size:.4g} {units[power]}"


def binary(size: float) -> str:
    """Return bytes as people read them.

    >>> binary(32 << 20)
    '32 MiB'
    """
    return scaled(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def decimal(size: float) -> str:
    """Return bytes in decimal units."""
    return scaled(size, 1000, ("B", "kB", "MB", "GB", "TB"))


def size_text(family: Family, size: float) -> str:
    """Return a size as the tables and plots of a family tell it."""
    if family.name == "list":
        return f"{size:,.0f}"
    return binary(size) if family.unit == GIB else decimal(size)


def upper_half(points: Sequence[Point]) -> Sequence[Point]:
    """Return the larger half of the sizes, at least two."""
    return points[min(len(points) // 2, max(0, len(points) - 2)) :]


def slope(points: Sequence[Point]) -> float | None:
    """Return how steep time grows over the larger half of the sizes, log-log; None for a single point."""
    from math import log

    half = upper_half(points)
    if len(half) < 2:
        return None
    return statistics.linear_regression(
        [log(point.size) for point in half], [log(point.seconds) for point in half]
    ).slope


def linear_cost(points: Sequence[Point]) -> float | None:
    """Return the seconds that each unit of size adds, over the larger half of the sizes."""
    half = upper_half(points)
    if len(half) < 2:
        return None
    return statistics.linear_regression(
        [point.size for point in half], [point.seconds for point in half]
    ).slope


def report(family: Family, bare: Cost) -> None:
    """Print the tables of a family, with slopes."""
    for name, points in family.operations.items():
        print(f"\n**{name}**\n\n| size | seconds | peak above bare Python, MiB | runs |\n{'| --: ' * 4}|")
        for point in points:
            above = point.peak - bare.peak
            print(f"| {size_text(family, point.size)} | {point.seconds:.4g} | {above:.1f} | {point.runs} |")
        steep, cost = slope(points), linear_cost(points)
        if steep is not None and cost is not None:
            each = cost * family.unit
            print(f"\nSlope {steep:.2f}; {each:.3g} s for each {family.unit_name} more.")


def draw(family: Family, bare: Cost, path: Path) -> None:
    """Write the plot of a family: time and peak memory over size, both logarithmic."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and two runs differ in nothing but the figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "maxstage", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axes, title, values in (
        (panels[0], "time, seconds", lambda point: point.seconds),
        (panels[1], "peak memory of the process, MiB", lambda point: point.peak),
    ):
        _draw_panel(axes, family, title, values)
    panels[1].axhline(bare.peak, color="#777777", linewidth=0.8, label="python -c pass")
    for axes in panels:
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _draw_panel(axes: Any, family: Family, title: str, values: Callable[[Point], float]) -> None:
    # Of the palette of Okabe and Ito, which colour-blind people can tell apart; so do the markers.
    styles = (("#0072B2", "o"), ("#D55E00", "s"))
    axes.set_xscale("log")
    axes.set_yscale("log")
    for (name, points), (colour, marker) in zip(family.operations.items(), styles, strict=False):
        sizes = [point.size for point in points]
        axes.plot(sizes, [values(point) for point in points], color=colour, marker=marker, label=name)
    known = [values(point) for points in family.operations.values() for point in points]
    ends = (min(sizes) / 3, max(sizes) * 3)
    axes.set_xlim(*ends)
    # Room for the legend above the curves.
    axes.set_ylim(min(known) / 3, max(known) * 30)
    # Through the last point of the first curve.
    final = next(iter(family.operations.values()))[-1]
    last = values(final) / final.size
    axes.plot(
        ends, [last * end for end in ends], ":", color="#333333", linewidth=1, label="slope 1: in proportion"
    )
    axes.set_xticks(sizes, [size_text(family, size) for size in sizes], rotation=30, ha="right")
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(family.axis)
    axes.set_title(title, fontsize=10)
    axes.grid(color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


def fit_disk(folder: Path, size: int, what: str) -> int:
    """Return `size`, or less where the disk has no room for twice of it, and say so."""
    room = max(BLOCK, (shutil.disk_usage(folder).free - RESERVE) // 2)
    if size <= room:
        return size
    room -= room % BLOCK
    print(f"The disk has no room for twice {binary(size)} of {what}: {binary(room)} it is.", file=sys.stderr)
    return room


def check_flat(families: Sequence[Family], bare: Cost) -> None:
    """Fail if memory grew with the data; a list of all items is in memory by its nature."""
    for family in families:
        for name, points in family.operations.items():
            for point in points:
                above = point.peak - bare.peak
                assert name == "Store.list()" or above < FLAT, f"{name}, {point.size:,}: {above:.0f} MiB"


def write_json(path: Path, families: Sequence[Family], bare: Cost) -> None:
    """Write all figures down."""
    found: dict[str, Any] = {"bare": bare._asdict()}
    for family in families:
        found[family.name] = {
            name: {
                "slope": slope(points),
                "seconds_per_unit": cost and cost * family.unit,
                "unit": family.unit_name,
                "points": [point._asdict() for point in points],
            }
            for name, points in family.operations.items()
            for cost in (linear_cost(points),)
        }
    path.write_text(json.dumps(found, indent=2) + "\n")


def main() -> None:
    """Measure all families, print, draw, and check that memory is flat."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest-mib", type=int, default=8192, metavar="MIB", help="most data (8192)")
    parser.add_argument("--items", type=int, default=100_000, metavar="N", help="most items (100000)")
    parser.add_argument("--capture-mb", type=int, default=5000, metavar="MB", help="most output (5000)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the plots go (here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="maxstage-growth-"))
    try:
        pairs = [launch([sys.executable, "-c", "pass"])[0] for _ in range(5)]
        bare = Cost(*(statistics.median(column) for column in zip(*pairs, strict=True)))
        source = Source(folder)
        families = [
            measure_data(folder, source, fit_disk(folder, options.largest_mib * MIB, "data")),
            measure_capture(folder, source, fit_disk(folder, options.capture_mb * MB, "output")),
            measure_list(folder, options.items),
        ]
    finally:
        delete_gently(folder)
    for family in families:
        report(family, bare)
        draw(family, bare, options.out / f"growth-{family.name}.svg")
    print(f"\nBare `python -c pass`: {bare.seconds * 1000:.1f} ms, {bare.peak:.1f} MiB.")
    if options.json:
        write_json(options.json, families, bare)
    check_flat(families, bare)


if __name__ == "__main__":
    main()

"""How many of the facts that an agent needs survive a cut: every strategy beside simple and named peers.

The outputs and their facts are in facts/outputs; facts/README.md says how they were made and how a fact counts.

    python benches/facts.py                       # the open half, at 1, 2, 4, 8 and 16 KiB
    python benches/facts.py --show psql-load --size 2
"""

import argparse
import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from maxstage import truncate

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "facts")
OUTPUTS = os.path.join(HERE, "outputs")
# A third list, in neither half: for one blind check of a change that the held-out half gave the cause for.
FRESH = os.path.join(HERE, "fresh")
# More builds, with halves of their own: those of the two halves had all been looked at.
BUILDS = os.path.join(HERE, "builds")
SPLIT = os.path.join(HERE, "split.json")
SIZES = (1, 2, 4, 8, 16)
HALVES = ("open", "held-out", "fresh", "builds-open", "builds-held-out", "all")
KINDS = ("builds", "tests", "tracebacks", "logs", "other")
STRATEGIES = ("head", "tail", "both", "head_lines", "tail_lines", "summary")
SIMPLE = ("head", "tail", "both", "head_lines", "tail_lines", "grep")
# Points of 100 that `summary` may lie below the best simple way.
SLACK = 5
# CSI sequences (colours, cursor) and OSC sequences (titles, links).
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
GREP = re.compile(rb"error|fail|warn", re.IGNORECASE)

Cut = Callable[[bytes, int], bytes]


class Output(NamedTuple):
    """One output with its facts: each a list of strings of which one must be there."""

    name: str
    kind: str
    command: str
    facts: list[list[str]]
    data: bytes


def plain(text: str) -> str:
    """Without ANSI sequences, each run of whitespace one space."""
    return " ".join(ANSI.sub("", text).split())


def missing(output: Output, excerpt: bytes) -> list[list[str]]:
    """The facts of which no alternative is in the excerpt."""
    text = plain(excerpt.decode(errors="replace"))
    return [fact for fact in output.facts if not any(plain(one) in text for one in fact)]


def kept(output: Output, excerpt: bytes) -> float:
    """The share of facts in the excerpt, in percent."""
    return 100 * (1 - len(missing(output, excerpt)) / len(output.facts))


def names(folder: str = OUTPUTS) -> list[str]:
    """The names of all outputs of a folder, sorted."""
    end = ".facts.json"
    return sorted(name.removesuffix(end) for name in os.listdir(folder) if name.endswith(end))


def read(name: str, folder: str = OUTPUTS) -> Output:
    """One output of a folder and its facts."""
    path = os.path.join(folder, name)
    with open(f"{path}.facts.json", encoding="utf-8") as file:
        about = json.load(file)
    if os.path.exists(f"{path}.txt"):
        with open(f"{path}.txt", "rb") as file:
            data = file.read()
    else:
        with gzip.open(f"{path}.txt.gz", "rb") as file:
            data = file.read()
    return Output(name, about["kind"], about["command"], about["facts"], data)


def split(outputs: Iterable[Output]) -> dict[str, list[str]]:
    """Two halves of each kind, in the order of the SHA-256 of the names: by turns open and held out."""
    halves: dict[str, list[str]] = {"open": [], "held_out": []}
    everything = list(outputs)
    turn = 0
    for kind in KINDS:
        of_kind = [output.name for output in everything if output.kind == kind]
        for name in sorted(of_kind, key=lambda name: hashlib.sha256(name.encode()).digest()):
            halves[("open", "held_out")[turn % 2]].append(name)
            turn += 1
    return {half: sorted(chosen) for half, chosen in halves.items()}


def halves() -> dict[str, list[str]]:
    """Which outputs are in which half, of the first outputs and of the builds."""
    builds = split(read(name, BUILDS) for name in names(BUILDS))
    return split(read(name) for name in names()) | {f"builds_{half}": found for half, found in builds.items()}


def half_of(half: str) -> list[Output]:
    """The outputs of a half, of `fresh`, or of `all` lists."""
    if half == "fresh":
        return [read(name, FRESH) for name in names(FRESH)]
    if half == "all":
        return [read(name, folder) for folder in (OUTPUTS, FRESH, BUILDS) for name in names(folder)]
    with open(SPLIT, encoding="utf-8") as file:
        chosen = json.load(file)[half.replace("-", "_")]
    return [read(name, BUILDS if half.startswith("builds-") else OUTPUTS) for name in chosen]


def by_strategy(strategy: str) -> Cut:
    """A strategy of our own; lines are bounded by the bytes alone."""

    def cut(data: bytes, size: int) -> bytes:
        return truncate(data, max_bytes=size, strategy=strategy, max_lines=1 << 30).content

    return cut


def grep(data: bytes, size: int) -> bytes:
    """What `grep -iEn 'error|fail|warn' | head -c SIZE` shows."""
    found, room = [], size
    for number, line in enumerate(data.split(b"\n"), 1):
        if room <= 0:
            break
        if GREP.search(line):
            found.append(b"%d:%s\n" % (number, line))
            room -= len(found[-1])
    return b"".join(found)[:size]


def headroom() -> Callable[[bytes], bytes] | str:
    """Headroom's compressor of logs, or why there is none."""
    import importlib

    try:
        compressor = importlib.import_module("headroom.transforms.log_compressor").LogCompressor()
    except ImportError:
        return "not installed"
    return lambda data: compressor.compress(data.decode(errors="replace")).compressed.encode()


def program(name: str, *arguments: str) -> Callable[[bytes], bytes] | str:
    """A program that filters the output of `cat FILE`, or why there is none."""
    path = shutil.which(name)
    if path is None:
        return "not installed"

    def run(data: bytes) -> bytes:
        import tempfile

        with tempfile.TemporaryDirectory() as home:
            file = os.path.join(home, "output.txt")
            with open(file, "wb") as out:
                out.write(data)
            command = [path, *arguments, "cat", file]
            # A home of its own: these programs keep statistics there.
            environment = os.environ | {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
            return subprocess.run(
                command, capture_output=True, timeout=60, check=False, env=environment
            ).stdout

    return run


def peers() -> tuple[dict[str, Callable[[bytes], bytes]], dict[str, str]]:
    """The named peers that are installed, and why the others are not there."""
    found: dict[str, Callable[[bytes], bytes]] = {}
    absent = {}
    for name, peer in (
        ("headroom", headroom()),
        ("tokf", program("tokf", "err")),
        ("rtk", program("rtk", "err")),
    ):
        if isinstance(peer, str):
            absent[name] = peer
        else:
            found[name] = functools.cache(peer)
    return found, absent


def clip(peer: Callable[[bytes], bytes]) -> Cut:
    """A peer's output, cut to the size."""
    return lambda data, size: peer(data)[:size]


def mean(values: Iterable[float]) -> float:
    """The mean; 0 of nothing."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


Row = tuple[str, dict[str, float]]


def rows(outputs: list[Output], shares: dict[str, dict[str, float]]) -> list[Row]:
    """The mean of each way, for each kind and over all."""
    groups = [(kind, [o.name for o in outputs if o.kind == kind]) for kind in KINDS]
    groups.append(("all", [o.name for o in outputs]))
    return [
        (
            f"{title} ({len(group)})",
            {way: mean(share[name] for name in group) for way, share in shares.items()},
        )
        for title, group in groups
        if group
    ]


def table(table_rows: list[Row]) -> None:
    """Print rows under the names of their columns."""
    ways = list(table_rows[0][1])
    print(" " * 24 + "".join(f"{way:>11}" for way in ways))
    for title, values in table_rows:
        print(f"  {title:22}" + "".join(f"{values[way]:>11.1f}" for way in ways))


def losses(shares: dict[str, dict[str, float]]) -> list[tuple[str, float, str, float]]:
    """Where `summary` is below the best simple way: name, its share, the best way, that one's share."""
    found = []
    for name, ours in shares["summary"].items():
        best = max(SIMPLE, key=lambda way: shares[way][name])
        if shares[best][name] > ours + SLACK:
            found.append((name, ours, best, shares[best][name]))
    return sorted(found, key=lambda loss: loss[1] - loss[3])


def measure(outputs: list[Output], ways: dict[str, Cut], size: int) -> dict[str, dict[str, float]]:
    """For each way, the share of facts kept of each output."""
    return {way: {o.name: kept(o, cut(o.data, size)) for o in outputs} for way, cut in ways.items()}


def show(output: Output, strategy: str, size: int) -> None:
    """Print an excerpt, and the facts that are not in it."""
    excerpt = by_strategy(strategy)(output.data, size)
    print(excerpt.decode(errors="replace"))
    gone = missing(output, excerpt)
    print(f"\n== {output.name}: {len(output.facts) - len(gone)} of {len(output.facts)} facts; missing:")
    for fact in gone:
        print("  " + " | ".join(fact))


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The share of facts that survives a cut.")
    parser.add_argument("--half", choices=HALVES, default="open")
    parser.add_argument(
        "--size", type=int, action="append", metavar="KIB", help="one or more; 1, 2, 4, 8, 16"
    )
    parser.add_argument("--json", metavar="FILE", help="the figures of each output, too")
    parser.add_argument("--show", metavar="NAME", help="the excerpt of one output, and what is missing")
    parser.add_argument("--strategy", choices=STRATEGIES, default="summary", help="for --show")
    parser.add_argument("--no-peers", action="store_true", help="our strategies and grep alone")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    chosen = options()
    sizes = chosen.size or SIZES
    if chosen.show:
        folder = next((one for one in (OUTPUTS, FRESH, BUILDS) if chosen.show in names(one)), None)
        if folder is None:
            sys.exit(f"facts.py: no output is named {chosen.show}: see the folders in benches/facts")
        for size in chosen.size or (8,):
            show(read(chosen.show, folder), chosen.strategy, size * 1024)
        return
    outputs = half_of(chosen.half)
    ways: dict[str, Cut] = {name: by_strategy(name) for name in STRATEGIES} | {"grep": grep}
    found, absent = ({}, {}) if chosen.no_peers else peers()
    ways |= {name: clip(peer) for name, peer in found.items()}
    print(
        f"{len(outputs)} outputs ({chosen.half}), {sum(len(o.facts) for o in outputs)} facts; % of facts kept, mean"
    )
    figures = {}
    for size in sizes:
        figures[f"{size} KiB"] = shares = measure(outputs, ways, size * 1024)
        print(f"\n{size} KiB")
        table(rows(outputs, shares))
        for name, ours, best, theirs in losses(shares):
            print(f"  summary loses: {name:36} {ours:5.1f}, {best} {theirs:5.1f}")
    if found:
        print("\nPeers at their own sizes: % of facts kept, mean KiB")
        for name, peer in found.items():
            own = [(kept(o, peer(o.data)), len(peer(o.data)) / 1024) for o in outputs]
            print(
                f"  {name:22}{mean(share for share, _ in own):>11.1f}{mean(size for _, size in own):>11.1f}"
            )
    for name, why in absent.items():
        print(f"  {name}: {why}")
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()

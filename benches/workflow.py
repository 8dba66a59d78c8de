"""What a workflow costs beside doing the same with a bash loop, GNU make, doit and Snakemake.

Run it in an environment where maxstage is installed: ``python benches/workflow.py [--tasks N] [--runs N]``. All run
their tasks one after the other, and take turns; each result is checked. The start of the program is measured by a
run of a single task and taken off where the cost of a task is told. CPU time includes that of the tasks; it is what to
look at where other programs are running.
"""

from __future__ import annotations

import argparse
import json
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

MAX = str(Path(sys.executable).parent / "max")
_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
DOIT = shutil.which("doit", path=_PATH)
SNAKEMAKE = shutil.which("snakemake", path=_PATH)


class Cost(NamedTuple):
    """What a command took: the medians, in seconds."""

    wall: float
    cpu: float


def write(folder: Path, count: int, command: str) -> dict[str, list[str]]:
    """Write the same tasks for everybody; return how each is started."""
    line = f"{command}; echo x >> done"
    tasks = "".join(f"  t{number}: {{script: {{content: '{line}'}}}}\n" for number in range(count))
    (folder / "flow.yaml").write_text(f"name: bench\nversion: 1\ntasks:\n{tasks}")
    items = f"for_each: {{collection: {{type: range, end: {count}}}}}"
    loop = f"  t: {{loop: {{{items}}}, script: {{content: '{line}'}}}}\n"
    (folder / "loop.yaml").write_text(f"name: bench\nversion: 1\ntasks:\n{loop}")
    names = " ".join(f"t{number}" for number in range(count))
    rules = "".join(f"t{number}:\n\t@{line}\n" for number in range(count))
    (folder / "Makefile").write_text(f"SHELL = bash\nall: {names}\n.PHONY: all {names}\n{rules}")
    (folder / "dodo.py").write_text(
        f"def task_t():\n    for number in range({count}):\n"
        f"        yield {{'name': str(number), 'actions': [['bash', '-c', '{line}']]}}\n"
    )
    found = {
        "bash loop": ["bash", "-c", f"for i in $(seq {count}); do bash -c '{line}'; done"],
        "max run": [MAX, "run", "--jobs", "1", "flow.yaml"],
        "max run, a loop": [MAX, "run", "--jobs", "1", "loop.yaml"],
    }
    if shutil.which("make"):
        found["make"] = ["make", "-s"]
    if DOIT:
        found["doit"] = [DOIT, "-v", "0", "--db-file", "doit.db"]
    if SNAKEMAKE:
        outputs = ", ".join(f"'made/t{number}'" for number in range(count))
        rules = "".join(
            f"rule t{number}:\n    output: 'made/t{number}'\n    shell: '{line}; touch {{output}}'\n"
            for number in range(count)
        )
        (folder / "Snakefile").write_text(f"rule all:\n    input: {outputs}\n{rules}")
        found["Snakemake"] = [SNAKEMAKE, "--cores", "1", "--quiet", "all", "--nolock"]
    return found


def cost_of(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its seconds, and those of CPU time."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(costs: list[tuple[float, float]]) -> Cost:
    """Return the medians of both."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def measure(folder: Path, commands: dict[str, list[str]], count: int, runs: int) -> dict[str, Cost]:
    """Return what each takes."""
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            (folder / "done").unlink(missing_ok=True)
            shutil.rmtree(folder / "made", ignore_errors=True)
            costs[name].append(cost_of(command, folder))
            if (folder / "done").read_text() != "x\n" * count:
                raise SystemExit(f"{name} did not do its {count} tasks")
    return {name: median(found) for name, found in costs.items()}


def compare(title: str, command: str, count: int, runs: int) -> None:
    """Print a table for tasks that run `command`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([MAX, "init"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        one = measure(folder, write(folder, 1, "true"), 1, runs)
        many = measure(folder, write(folder, count, command), count, runs)
    print(f"\n{title}: {count} tasks, one after the other\n")
    print("| | seconds | beside the bash loop | milliseconds a task, start taken off | of CPU time |")
    print("| --- | --- | --- | --- | --- |")
    for name, cost in many.items():
        wall, cpu = ((a - b) / max(1, count - 1) * 1000 for a, b in zip(cost, one[name], strict=True))
        ratio = cost.wall / many["bash loop"].wall
        print(f"| {name} | {cost.wall:.2f} | {ratio:.3f} | {wall:.2f} | {cpu:.2f} |")


LINES = 5_000_000
"""What ``seq`` prints 39 MB with."""


def compare_printing(runs: int) -> None:
    """Print what a task that prints 39 MB costs beside the same into a file; the start of the run is taken off."""
    flows = {
        "nothing": "true",
        "39 MB": f"seq {LINES}",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([MAX, "init"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        commands = {"cat": ["bash", "-c", f"seq {LINES} | cat > file"]}
        for codec in ("true", "false"):
            for what, line in flows.items():
                text = f"name: b\nversion: 1\nlimits: {{compress_external: {codec}}}\n"
                text += f"tasks: {{t: {{script: {{content: '{line}'}}}}}}\n"
                (folder / f"{what}-{codec}.yaml").write_text(text)
                commands[f"{what}, {codec}"] = [MAX, "run", f"{what}-{codec}.yaml"]
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(runs):
            for one, command in commands.items():
                costs[one].append(cost_of(command, folder))
        expected = (folder / "file").read_bytes()
        for codec in ("true", "false"):
            (folder / "check").write_bytes(_output_of(folder, f"39 MB-{codec}.yaml"))
            if (folder / "check").read_bytes() != expected:
                raise SystemExit("the output that was kept is not what was printed")
    found = {name: median(one).cpu for name, one in costs.items()}
    print(
        f"\na task that prints {len(expected) / 1e6:.0f} MB, milliseconds of CPU time, the start of the run taken off\n"
    )
    print(f"| `seq {LINES} \\| cat > file` | {found['cat'] * 1000:.0f} |\n| --- | --- |")
    for codec, words in (("true", "whole kept, compressed"), ("false", "whole kept, as it is")):
        print(f"| {words} | {(found[f'39 MB, {codec}'] - found[f'nothing, {codec}']) * 1000:.0f} |")


def _output_of(folder: Path, flow: str) -> bytes:
    """Return the whole output of the task of the newest run of a file."""
    runs = json.loads(subprocess.check_output([MAX, "runs", "-o", "json"], cwd=folder))
    newest = next(one["run"] for one in runs if Path(one["file"]).name == flow)
    return subprocess.check_output([MAX, "runs", "output", newest, "t"], cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    for name, found in (("doit", DOIT), ("Snakemake", SNAKEMAKE)):
        if found is None:
            print(f"{name} is not installed; skipped")
    compare("tasks of 100 ms", "sleep 0.1", min(100, options.tasks), options.runs)
    compare("tasks that do nothing", "true", options.tasks, options.runs)
    compare_printing(options.runs)


if __name__ == "__main__":
    main()

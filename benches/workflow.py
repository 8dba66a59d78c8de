"""What a workflow costs beside doing the same with a bash loop, GNU make and doit.

Run it in an environment where maxstage is installed: ``python benches/workflow.py [--tasks N] [--runs N]``. All run
their tasks one after the other, and take turns; each result is checked. The start of the program is measured by a
run of a single task and taken off where the cost of a task is told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAX = str(Path(sys.executable).parent / "max")
DOIT = shutil.which("doit", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


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
    return found


def measure(folder: Path, commands: dict[str, list[str]], count: int, runs: int) -> dict[str, float]:
    """Return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            (folder / "done").unlink(missing_ok=True)
            started = time.perf_counter()
            subprocess.run(
                command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            seconds[name].append(time.perf_counter() - started)
            if (folder / "done").read_text() != "x\n" * count:
                raise SystemExit(f"{name} did not do its {count} tasks")
    return {name: statistics.median(times) for name, times in seconds.items()}


def compare(title: str, command: str, count: int, runs: int) -> None:
    """Print a table for tasks that run `command`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([MAX, "init"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        one = measure(folder, write(folder, 1, "true"), 1, runs)
        many = measure(folder, write(folder, count, command), count, runs)
    print(f"\n{title}: {count} tasks, one after the other\n")
    print("| | seconds | beside the bash loop | milliseconds a task, start taken off |")
    print("| --- | --- | --- | --- |")
    for name, seconds in many.items():
        each = (seconds - one[name]) / max(1, count - 1) * 1000
        print(f"| {name} | {seconds:.2f} | {seconds / many['bash loop']:.3f} | {each:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    if DOIT is None:
        print("doit is not installed; skipped")
    compare("tasks of 100 ms", "sleep 0.1", min(100, options.tasks), options.runs)
    compare("tasks that do nothing", "true", options.tasks, options.runs)


if __name__ == "__main__":
    main()

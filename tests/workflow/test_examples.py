"""The examples, run as they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOWS = EXAMPLES / "workflows"


def run(program, name, *args):
    return program("run", str(FLOWS / f"{name}.yaml"), *args).stdout.decode()


def test_basic_limits(program):
    out = run(program, "basic-limits", "--show-task-outputs")
    shown = out.partition("beginning_and_end: ")[2].rpartition("\nrun ")[0]
    assert len(shown) <= 4096
    assert shown.startswith("line 1 of a long log\n")
    assert shown.endswith("line 5000 of a long log")
    assert re.search(
        r"--- \[[\d,]+ bytes \([\d,]+ lines\) truncated; whole output: max retrieve max:[0-9a-f]{8}\] ---",
        shown,
    )
    assert "warning: 100000" in out


def test_external_storage(program):
    out = run(program, "external-storage", "--show-external-storage")
    assert "\nsum: 1250025000\n" in out
    assert (program.folder / "copies" / "export.txt").read_text().count("\n") == 50000
    (path,) = {line.split()[-1] for line in out.splitlines() if line.endswith(".gz") and "  export " in line}
    assert path.startswith(str(program.folder / "big-outputs"))
    assert (
        subprocess.run(["gunzip", "-c", path], capture_output=True, check=True).stdout.count(b"\n") == 50000
    )
    run_id = program.text("runs").split()[0]
    program("runs", "clean", run_id)
    assert not Path(path).exists()


def test_fan_out(program):
    assert "\ntotal: 49950000\n" in run(program, "fan-out")
    assert program.text("stage", "list", "--source", "fan-out*") == "No staged data.\n"


def test_long_loop(program):
    out = run(program, "long-loop")
    assert "iteration 299\n" in out
    assert out.count("iteration") < 100  # within its limits


def test_agent_hand_off(program):
    assert "There are 200,000 records, of 1,288,895 bytes." in run(program, "agent-hand-off")


def test_memory_constrained(program):
    # Address space, so more than memory: the interpreter and its libraries are in it.
    flow = FLOWS / "memory-constrained.yaml"
    command = " ".join([*program.command, "run", "--jobs", "1", str(flow), "--show-task-outputs"])
    script = f"ulimit -v {128 * 1024}; exec {command}"
    # Measuring coverage takes memory of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    done = subprocess.run(["bash", "-c", script], cwd=program.folder, capture_output=True, env=env)
    assert done.returncode == 0, done.stderr[-500:]
    assert b"error: the line that matters" in done.stdout
    assert b"size: 300000029" in done.stdout


def test_an_executor_of_one_s_own(tmp_path):
    script = EXAMPLES / "executor.py"
    assert len(script.read_text().splitlines()) <= 45
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(
        r"log: ok, 288,894 bytes, [\d.]+ s\n  cut to 2,0\d\d bytes; the whole: max retrieve max:", done.stdout
    )
    assert "broken: failed with 2" in done.stdout
    assert "no such table: users" in done.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in FLOWS.glob("*.yaml")))
def test_every_example_is_good(program, name):
    program("validate", str(FLOWS / f"{name}.yaml"))


def test_smart_context(program):
    assert "\nread: 1\n" in run(program, "smart-context")
    prompt = (program.folder / "prompt.txt").read_text()
    assert "## facts (direct dependency)\nfact 1: water boils at 100 degrees\n" in prompt
    assert "whole output: max retrieve max:" in prompt
    assert "it rains" not in prompt  # it depends on it, and leaves it out
    assert len(prompt) <= 4096 + len("\n\nWrite a paragraph.\n")


def test_cleanup(program):
    out = run(program, "cleanup", "-o", "json")
    assert '"base": "10"' in out
    assert '"pruned": true' in out


def test_choosing_context_oneself():
    script = EXAMPLES / "context.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "## count (direct dependency)\nGraz 2000\n" in done.stdout
    assert "fetch: cut, relevance 0.40" in done.stdout
    assert "It rains" not in done.stdout

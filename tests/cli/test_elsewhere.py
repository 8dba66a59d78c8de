"""Running programs elsewhere, as far as that needs no engine: addresses, what is missing, cancelling a run here."""

import importlib.util
import json
import signal
import subprocess

import pytest

from helpers import FOREVER, PATIENCE, wait_for, wait_until_gone

HAS_TEMPORAL = importlib.util.find_spec("temporalio") is not None
FLOW = "name: f\nversion: 1\ntasks:\n  t: {script: {content: %s}}\n"


@pytest.mark.skipif(HAS_TEMPORAL, reason="temporalio is installed")
@pytest.mark.parametrize(
    "words",
    [["run", "flow.yaml", "--on", "temporal://h"], ["worker", "--on", "temporal://h"], ["engine", "start"]],
)
def test_without_the_package_one_line_says_what_to_install(program, words):
    (program.folder / "flow.yaml").write_text(FLOW % "'true'")
    done = program(*words, check=1)
    assert done.stderr.count(b"\n") == 1
    assert b'pip install "maxstage[temporal]"' in done.stderr
    assert not list((program.folder / ".max").glob("runs/*.db"))


def test_where_nothing_runs_programs(program):
    (program.folder / "flow.yaml").write_text(FLOW % "'true'")
    done = program("run", "flow.yaml", "--on", "slurm://h", check=1)
    assert done.stderr.endswith(
        b"nothing runs programs on 'slurm://h'; there are: local, temporal://HOST[:PORT][/NAMESPACE]\n"
    )


@pytest.mark.parametrize("field", ["runs_on: {queue: gpu}", "upload: ['*.csv']"])
def test_here_what_is_for_other_machines_changes_nothing(program, field):
    (program.folder / "flow.yaml").write_text(f"{FLOW % 'pwd'}defaults: {{{field}}}\n")
    assert f"{program.folder}\n" in program.text("run", "flow.yaml", "--show-task-outputs", "--on", "local")


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("runs_on: {queue: 'a b'}", "a queue's name has letters"),
        ("runs_on: {queue: ''}", "a queue's name has letters"),
        ("runs_on: {}", "queue"),
        ("upload: x", "upload"),
    ],
)
def test_what_is_wrong_with_them(program, field, told):
    (program.folder / "flow.yaml").write_text(f"{FLOW % 'pwd'}defaults: {{{field}}}\n")
    assert told in program("validate", "flow.yaml", check=1).stderr.decode()


def test_an_upload_stays_below_the_folder(program):
    (program.folder / "flow.yaml").write_text(f"{FLOW % 'pwd'}defaults: {{upload: ['../x']}}\n")
    done = program("run", "flow.yaml", check=1)
    assert "'../x' must stay below the folder of the run" in (done.stdout + done.stderr).decode()


def test_a_run_is_cancelled_from_outside(program):
    script = f"sleep {FOREVER} & echo $! > pid.new; mv pid.new pid; wait"
    (program.folder / "flow.yaml").write_text(FLOW % json.dumps(script))
    run = subprocess.Popen(
        [*program.command, "run", "flow.yaml"],
        cwd=program.folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    wait_for(program.folder / "pid")
    name = program.text("runs").split()[0]
    assert json.loads(program.text("runs", "cancel", name, "-o", "json")) == {"run": name, "ended": None}
    _, told = run.communicate(timeout=PATIENCE)
    assert run.returncode == 1
    assert f"max run flow.yaml --run-id {name}" in told.decode()
    wait_until_gone((program.folder / "pid").read_text().strip())
    assert "interrupted" in program.text("runs")
    # It can go on: who cancelled it has not cancelled what comes later.
    (program.folder / "flow.yaml").write_text(FLOW % "'true'")
    program("run", "flow.yaml", "--resume")


def test_what_a_killed_run_has_left_is_ended(program):
    script = "echo $$ > pid.new; mv pid.new pid; exec sleep 600"
    command = f"{{executable: setsid, args: [sh, -c, {json.dumps(script)}]}}"
    (program.folder / "flow.yaml").write_text(f"name: f\nversion: 1\ntasks:\n  t: {{command: {command}}}\n")
    run = subprocess.Popen(
        [*program.command, "run", "flow.yaml"], cwd=program.folder, stderr=subprocess.DEVNULL
    )
    wait_for(program.folder / "pid")
    run.send_signal(signal.SIGKILL)
    run.wait()
    name = program.text("runs").split()[0]
    program("runs", "cancel", name)
    wait_until_gone((program.folder / "pid").read_text().strip())
    assert "interrupted" in program.text("runs")
    assert program.text("runs", "cancel", name).endswith("; 0 programs ended\n")

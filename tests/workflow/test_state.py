"""The state of a run: what it keeps, and that it survives anything."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from itertools import chain
from pathlib import Path

import pytest

from helpers import FOREVER, Gate, bash, end, is_running, lines_of, wait_until, wait_until_gone
from maxstage import WorkflowError
from maxstage.workflow.run.folder import find_runs, import_run, list_runs, runs_folder
from maxstage.workflow.run.results import TaskResult
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.tables import VERSION


def export_of(store, run_id):
    state = RunState(runs_folder(store), run_id)
    try:
        return state.export()
    finally:
        state.close()


def test_export_and_import_round_trip(flow, tmp_path_factory):
    result = flow(
        {
            "a": bash("printf '\\xff'; echo err >&2; seq 5000", limits={"max_stdout_bytes": 1024}),
            "b": bash("exit 1", on_error={"continue": True}),
        }
    )
    exported = json.loads(json.dumps(export_of(flow.store, result.run_id)))
    folder = str(tmp_path_factory.mktemp("runs"))
    state = import_run(folder, exported, "x")
    assert state.export() == exported
    state.close()
    with pytest.raises(WorkflowError, match="already exists"):
        import_run(folder, exported, "x")


def test_the_older_form_is_read(flow):
    state = import_run(runs_folder(flow.store), {"task_results": {"a": "what a said\n"}}, "old.json")
    run_id = state.run_id
    state.close()
    result = flow({"a": bash("exit 9"), "b": bash("echo got {{ tasks.a.output }}")}, resume=run_id)
    assert result.tasks["b"].output.text == "got what a said\n"


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ({"a": 5}, "old.json is not the state of a run: task_results.a must be text; put quotes around it"),
        (
            {"a": ["x"]},
            "old.json is not the state of a run: task_results.a must be text; put quotes around it",
        ),
        (
            {"a": None},
            "old.json is not the state of a run: task_results.a must be text; put quotes around it",
        ),
        (
            {"": "x"},
            "old.json is not the state of a run: task_results has '', which can't be the name of a task",
        ),
        (
            {"../a": "x"},
            "old.json is not the state of a run: task_results has '../a', which can't be the name of a task",
        ),
        ({"a\nb": "x"}, r"which can't be the name of a task"),
        (["a"], "old.json is not the state of a run: task_results must be a mapping of names to texts"),
    ],
)
def test_the_older_form_holds_texts_by_name(program, results, told):
    (program.folder / "old.json").write_text(json.dumps({"task_results": results}))
    stderr = program("runs", "import", "old.json", check=1).stderr.decode()
    assert told in stderr
    assert stderr.count("\n") == 1
    assert program.text("runs") == "No runs.\n"


def test_what_was_imported_says_so(program):
    (program.folder / "old.json").write_text(json.dumps({"task_results": {"a": "x", "b[0].c": "y"}}))
    run = program.text("runs", "import", "old.json").strip()
    assert program.text("runs").split()[:2] == [run, "imported"]
    assert "Status:   imported\n" in program.text("runs", "show", run)
    (program.folder / "flow.yaml").write_text(
        "name: s\nversion: 1\ntasks: {a: {script: {content: exit 1}}}\n"
    )
    program("run", "flow.yaml", "--run-id", run)
    assert program.text("runs").split()[:2] == [run, "completed"]


@pytest.mark.parametrize("content", [{}, [], {"task_outputs": {"a": 5}}, {"task_results": 5}])
def test_what_is_no_state_is_refused(flow, content):
    with pytest.raises(WorkflowError, match="is not the state of a run"):
        import_run(runs_folder(flow.store), content, "x.json")
    assert list_runs(runs_folder(flow.store)) == []


def test_a_state_of_a_newer_version_or_a_damaged_one_is_refused(flow):
    result = flow({"a": bash("true")})
    path = Path(runs_folder(flow.store)) / f"{result.run_id}.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(WorkflowError, match="newer maxstage"):
        flow({"a": bash("true")}, resume=result.run_id)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(WorkflowError, match="can't be read"):
        flow({"a": bash("true")}, resume=result.run_id)
    with pytest.raises(WorkflowError, match="There is no run"):
        flow({"a": bash("true")}, resume="nope")


def test_tables_are_migrated_step_by_step(tmp_path):
    state = RunState.create(str(tmp_path), "r", {})
    state.record("a", TaskResult("completed"))
    state.close()
    assert sqlite3.connect(tmp_path / "r.db").execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_one_run_is_run_once_at_a_time(flow):
    result = flow({"a": bash("exit 1")}, check=False)
    state = RunState(runs_folder(flow.store), result.run_id)
    state.acquire()
    try:
        with pytest.raises(WorkflowError, match="already running in another process"):
            flow({"a": bash("true")}, resume=result.run_id)
    finally:
        state.close()


def test_resuming_does_what_failed_again_and_nothing_else(flow):
    tasks = {"a": bash("echo a >> ran"), "b": bash("echo b >> ran; test -e go"), "c": bash("echo c >> ran")}
    tasks["b"]["depends_on"], tasks["c"]["depends_on"] = ["a"], ["b"]
    failed = flow(tasks, check=False)
    assert failed.status == "failed"
    (flow.folder / "go").touch()
    result = flow(tasks, resume=failed.run_id)
    assert (flow.folder / "ran").read_text().split() == ["a", "b", "b", "c"]
    assert [result.tasks[name].status for name in "abc"] == ["completed"] * 3


def test_a_query_that_could_not_write_says_so(flow):
    result = flow({"a": bash("true")})
    state = RunState(runs_folder(flow.store), result.run_id)
    with pytest.raises(WorkflowError, match="can't be written: attempt to write a readonly database"):
        state._rows("DELETE FROM tasks")
    state.close()


def test_a_changed_file_and_changed_inputs(flow):
    stop = {"b": bash("false", depends_on=["a"])}
    failed = flow({"a": bash("echo  {{ inputs.n }}"), **stop}, inputs={"n": 1}, given={"n": 2}, check=False)
    with pytest.raises(WorkflowError, match="was started with other inputs"):
        flow({"a": bash("echo {{ inputs.n }}")}, inputs={"n": 1}, given={"n": 3}, resume=failed.run_id)
    result = flow({"a": bash("echo {{ inputs.n }}")}, inputs={"n": 1}, resume=failed.run_id)
    assert result.tasks["a"].output.text == "2\n"
    assert "file has changed" in flow.events[0].data["text"]


def test_a_full_disk_stops_the_run_with_what_was_done(program):
    # What a task prints fits within the limit of the file's size; what the state would grow to does not.
    (program.folder / "flow.yaml").write_text(
        "name: full\nversion: 1\nlimits: {external_storage_threshold: null}\ntasks:\n"
        "  a: {script: {content: head -c 200000 /dev/zero}, loop: {repeat: {count: 50}}}\n"
    )
    script = "ulimit -f 4000; exec " + " ".join(program.command) + " run flow.yaml"
    done = subprocess.run(["bash", "-c", script], cwd=program.folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "can't be written" in done.stderr.splitlines()[-1]
    again = program("run", "flow.yaml", "--resume", check=0)
    assert b"completed" in again.stdout


FLOW = """\
name: survivor
version: 1
limits: {max_stdout_bytes: 2000, prune_every_tasks: 1000}
tasks:
  first:
    script: {content: "echo first $MAX_TASK >> log; seq 3000"}
  loop:
    loop: {for_each: {collection: {type: range, end: 14}, parallel: true, max_parallel: 2}}
    script: {content: "echo $MAX_TASK >> log; sleep 0.03; echo item {{ item }}; seq {{ item }}000"}
    on_error: {retry: 2}
  flaky:
    loop: {repeat: {count: 6}}
    script:
      content: |
        echo $MAX_TASK >> log; seq 2000; sleep 0.02
        test -e seen{{ iteration }} || { touch seen{{ iteration }}; exit 1; }
    on_error: {retry: 1}
  build:
    subtasks:
      x: {script: {content: "echo $MAX_TASK >> log; sleep 0.05; seq 2500"}}
      y: {script: {content: "echo $MAX_TASK >> log; sleep 0.05; md5sum"}, stdin_from: x}
      z: {script: {content: "echo $MAX_TASK >> log; echo {{ tasks.y.output }} {{ tasks.first.exit_code }}"}}
  until:
    loop: {repeat_until: {condition: {type: state_equals, key: tasks.until.output, value: 5}}}
    script: {content: "echo $MAX_TASK >> log; sleep 0.02; echo {{ iteration }}"}
  last:
    depends_on: [flaky, until]
    script: {content: "echo $MAX_TASK >> log; cat | md5sum; echo {{ tasks.build.output }}"}
    stdin_from: loop
outputs: {last: "{{ tasks.last.output }}"}
"""


def finished(state_path):
    """The tasks that a state says have ended."""
    db = sqlite3.connect(f"file:{state_path}?mode=ro", uri=True)
    try:
        return {path for (path,) in db.execute("SELECT path FROM tasks")}
    except sqlite3.OperationalError:
        return set()  # killed before its tables were there
    finally:
        db.close()


def outcome(exported):
    """What came out, but for what no two runs share: times, tokens, attempts that a kill cut short."""
    text = {
        path: (
            task["status"],
            task["output"] and re.sub(r"max:[0-9a-f]+", "max:x", task["output"]["content"]),
            task["output"] and task["output"]["original_size"],
            task["output"] and task["output"]["token"] is not None,
        )
        for path, task in exported["task_outputs"].items()
    }
    return text, re.sub(r"max:[0-9a-f]+", "max:x", json.dumps(exported["facts"]["outputs"]))


@pytest.mark.parametrize("most", [12, pytest.param(200, marks=pytest.mark.stress)])
def test_kill_9_at_any_instant(program, store, most):
    (program.folder / "flow.yaml").write_text(FLOW)
    program("run", "flow.yaml", "--jobs", "3")
    whole = next(iter(list_runs(runs_folder(store))))
    expected = outcome(export_of(store, whole))
    chance = random.Random(os.environ.get("MAX_TEST_SEED", "kill"))
    kills = rounds = 0
    log = program.folder / "log"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    while kills < most:
        rounds += 1
        for path in [log, *program.folder.glob("seen*")]:
            path.unlink(missing_ok=True)
        known = set(list_runs(runs_folder(store)))
        run_id, args = None, ["flow.yaml"]
        while True:
            before = len(lines_of(log))
            done = set() if run_id is None else finished(Path(runs_folder(store)) / f"{run_id}.db")
            child = program.start("run", *args, "--jobs", "3", **quiet)
            # So many programs it may start; 0 is while it begins.
            programs = chance.choice([0, 1, 1, 2, 3, 5, 8])
            begun = len(list_runs(runs_folder(store)))
            wait_until(
                lambda child=child, enough=before + programs, begun=begun, new=run_id is None: (
                    child.poll() is not None
                    or (
                        len(lines_of(log)) >= enough
                        and (not new or len(list_runs(runs_folder(store))) > begun)
                    )
                )
            )
            # Where it is then is chance: what it writes down takes less.
            time.sleep(chance.uniform(0, 0.02))
            if child.poll() is None:
                child.kill()
                kills += 1
            child.communicate()
            # What had ended was not begun again.
            assert not done & set(lines_of(log)[before:])
            if child.returncode == 0:
                break
            assert child.returncode == -signal.SIGKILL
            new = set(list_runs(runs_folder(store))) - known
            if new:
                # One that was killed before it wrote anything down is none.
                began = [one for one in new if "folder" in facts_of(store, one)]
                if began:
                    (run_id,) = began
                    args = ["flow.yaml", "--run-id", run_id]
        if run_id is None:
            new = set(list_runs(runs_folder(store))) - known
            (run_id,) = [one for one in new if "folder" in facts_of(store, one)]
        exported = export_of(store, run_id)
        assert outcome(exported) == expected
        referred = {
            output["token"]
            for task in (*exported["task_outputs"].values(), *chain(*exported["attempts"].values()))
            for output in (task["output"], task["output"] and task["output"]["stderr"])
            if output and output["token"]
        }
        owned = {item.token for item in store.list() if item.owner == run_id}
        assert owned == referred
        for token in owned:
            store.verify(token)
    print(f"{kills} kills in {rounds} runs")  # noqa: T201 - shown where it fails


def facts_of(store, run_id):
    try:
        state = RunState(runs_folder(store), run_id)
    except WorkflowError:
        return {}
    try:
        return state.facts()
    finally:
        state.close()


def killed_at_a_gate(program):
    """Kill a run whose task has written its process id to `pids`, and would not end at SIGTERM; return that id."""
    gate = Gate(program.folder)
    (program.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks:\n"
        f"  a: {{script: {{content: 'echo $$ >> pids; test -e go && exit; trap \"\" TERM; {gate.wait}'}}}}\n"
    )
    child = program.start("run", "flow.yaml")
    gate.reached()
    child.kill()
    child.communicate()
    (pid,) = lines_of(program.folder / "pids")
    return pid


def test_a_killed_run_leaves_nothing_running(program):
    wait_until_gone(killed_at_a_gate(program))
    (program.folder / "go").touch()
    assert program("run", "flow.yaml", "--resume").returncode == 0
    assert len(lines_of(program.folder / "pids")) == 2


def test_what_a_killed_run_left_running_is_ended_before_it_is_done_again(program, store):
    """As an older version left it, or a system without a shell: there nobody watches over a command."""
    killed_at_a_gate(program)
    ((run_id, _),) = find_runs(runs_folder(store))
    gate = Gate(program.folder, "left")
    left = subprocess.Popen(
        ["bash", "-c", f"trap '' TERM; {gate.wait}"],
        env={**os.environ, "MAX_RUN": run_id},
        start_new_session=True,
    )
    try:
        gate.reached()
        (program.folder / "go").touch()
        assert program("run", "flow.yaml", "--resume").returncode == 0
        assert not is_running(left.pid)
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 200, "a\n"])
def test_an_id_leads_nowhere_else(flow, name, tmp_path):
    with pytest.raises(WorkflowError, match="is not a valid run id"):
        flow({"a": bash("true")}, resume=name or "..")
    with pytest.raises(WorkflowError, match="is not a valid run id"):
        import_run(runs_folder(flow.store), {"task_results": {}, "run": name or ".."}, "x.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".max"]


def test_what_was_doubtful_about_an_output_is_told(program):
    script = f"sleep {FOREVER} & echo $! > pid; echo begun"
    (program.folder / "flow.yaml").write_text(
        f"name: x\nversion: 1\ntasks: {{a: {{script: {{content: '{script}'}}}}}}\n"
    )
    done = program("run", "flow.yaml")
    end(*lines_of(program.folder / "pid"))
    assert b"something that it started still holds its output" in done.stdout

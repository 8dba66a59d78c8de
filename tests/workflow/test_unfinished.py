"""What a run has not finished, in its table and as JSON."""

import contextlib
import json

import pytest

from maxstage.errors import WorkflowError
from maxstage.workflow.run.folder import import_run, runs_folder
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.unfinished import unfinished
from maxstage.workflow.workflow import Workflow

FAILS = {"script": {"content": "echo why >&2; exit 3"}}
ECHO = {"script": {"content": "echo x"}}


def left_of(flow, result):
    with contextlib.closing(RunState(runs_folder(flow.store), result.run_id)) as state:
        return [tuple(one) for one in unfinished(state)]


def test_what_never_started_is_told_by_its_outermost_task(flow):
    tasks = {
        "bad": FAILS,
        "next": {**ECHO, "depends_on": ["bad"]},
        "never": {"subtasks": {"a": ECHO}, "depends_on": ["bad"]},
        "skipped": {"subtasks": {"a": ECHO}, "condition": {"type": "never"}},
        "half": {"subtasks": {"a": ECHO, "b": FAILS, "c": {**ECHO, "depends_on": ["b"]}}},
        "good": {"subtasks": {"a": ECHO}},
    }
    result = flow(tasks, jobs=1, check=False)
    # What stops the run is "bad"; what began before it, or beside it, has ended or not.
    found = dict(one[:2] for one in left_of(flow, result))
    assert found["next"] == found["never"] == "not started"
    assert not {"bad", "skipped", "skipped.a", "never.a"} & found.keys()
    assert left_of(flow, result) == [tuple(one) for one in result.unfinished]


def test_a_task_within_one_that_failed(flow):
    inner = {"a": ECHO, "b": {**FAILS, "depends_on": ["a"]}, "c": {**ECHO, "depends_on": ["b"]}}
    result = flow({"half": {"subtasks": inner}, "last": {**ECHO, "depends_on": ["half"]}}, check=False)
    assert left_of(flow, result) == [("half.c", "not started", ""), ("last", "not started", "")]


def run_with_a_file_at(flow, tasks, kind, task):
    """Run tasks; the file ``now`` appears once something has happened to one of them."""

    def notice(event):
        if (event.kind, event.task) == (kind, task):
            (flow.folder / "now").touch()

    workflow = Workflow.from_dict({"name": "test", "version": "1", "tasks": tasks}, store=flow.store)
    return workflow.run(store=flow.store, folder=flow.folder, jobs=2, on_event=notice)


UNTIL_NOW = "until test -e now; do sleep 0.01; done"


def test_what_was_not_tried_again(flow):
    again = {"retry": 3, "retry_delay_secs": 600}
    tasks = {
        "flaky": {**FAILS, "on_error": again},
        "bad": {"script": {"content": f"{UNTIL_NOW}; exit 4"}},
    }
    result = run_with_a_file_at(flow, tasks, "task_retried", "flaky")
    assert left_of(flow, result) == [("flaky", "stopped", "exit status 3: why")]


def test_a_loop_that_was_left(flow):
    loop = {"for_each": {"collection": {"type": "range", "end": 9}}}
    script = {"content": f"if [ {{{{ item }}}} = 2 ]; then touch two; {UNTIL_NOW}; fi"}
    bad = {"content": "until test -e two; do sleep 0.01; done; exit 1"}
    tasks = {"many": {"script": script, "loop": loop}, "bad": {"script": bad}}
    result = run_with_a_file_at(flow, tasks, "task_finished", "bad")
    assert left_of(flow, result) == [("many", "stopped", "3 iterations ended")]


def test_what_waits_comes_first(flow):
    tasks = {
        "a": ECHO,
        "ask": {"await": {"prompt": "Ship?"}},
        "ship": {**ECHO, "depends_on": ["ask"]},
        "group": {"subtasks": {"q": {"await": {"prompt": "And?"}}, "b": {**ECHO, "depends_on": ["q"]}}},
    }
    result = flow(tasks, check=False)
    assert left_of(flow, result) == [
        ("ask", "waiting", "Ship?"),
        ("group.q", "waiting", "And?"),
        ("ship", "not started", ""),
        ("group.b", "not started", ""),
    ]


def test_of_a_run_that_was_killed_nobody_knows_what_had_begun(flow):
    result = flow({"bad": FAILS, "next": {**ECHO, "depends_on": ["bad"]}}, check=False)
    with contextlib.closing(RunState(runs_folder(flow.store), result.run_id)) as state:
        state.acquire()
        state.set_facts(status="running")
        assert [tuple(one) for one in unfinished(state)] == [("next", "not ended", "")]


def test_a_run_of_which_no_plan_is_known(flow):
    """As those of earlier versions; and one that was moved elsewhere has its plan there."""
    result = flow({"bad": FAILS, "next": {**ECHO, "depends_on": ["bad"]}}, check=False)
    folder = runs_folder(flow.store)
    with contextlib.closing(RunState(folder, result.run_id)) as state:
        exported = json.loads(json.dumps(state.export()))
        assert "plan" not in state.facts()
    exported["run"] = "moved"
    again = import_run(folder, exported, "x")
    assert [tuple(one) for one in unfinished(again)] == [("next", "not started", "")]
    again.close()
    del exported["plan"]
    exported["run"] = "old"
    old = import_run(folder, exported, "x")
    assert unfinished(old) == []
    old.close()
    with pytest.raises(WorkflowError, match="is not the state of a run"):
        import_run(
            folder,
            exported | {"run": "damaged", "plan": {"a": {"after": [], "kind": "?", "loop": False}}},
            "x",
        )


def test_the_tables(program):
    many = "\n".join(f"  t{number:02}: {{script: {{content: x}}, depends_on: [bad]}}" for number in range(30))
    (program.folder / "flow.yaml").write_text(
        "name: n\nversion: 1\ntasks:\n  ask: {await: {prompt: 'Sure?'}}\n"
        f"  bad: {{script: {{content: exit 3}}}}\n{many}\n"
    )
    for command in (["run", "flow.yaml"], ["runs", "show", None]):
        words = [word or json.loads(program.text("runs", "-o", "json"))[0]["run"] for word in command]
        done = program(*words, check=None)
        rows = [line.split() for line in done.stdout.decode().splitlines()]
        assert ["ask", "waiting", "Sure?"] in rows
        assert ["t09", "not", "started"] in rows
        assert ["t10", "not", "started"] not in rows
        assert "and 20 tasks more without a result" in done.stdout.decode()
        told = json.loads(program(*words, "-o", "json", check=None).stdout)["unfinished"]
        assert len(told) == 31
        assert told[0] == {"task": "ask", "state": "waiting", "note": "Sure?"}

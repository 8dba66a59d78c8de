"""Runs that are ended before they are done: by Ctrl-C, from Python, or by an error of the observer."""

import os
import signal
import threading

import pytest

from helpers import FOREVER, PATIENCE, Gate, bash, beside, text_of
from maxstage.workflow.run.folder import find_runs, runs_folder
from maxstage.workflow.workflow import RunInterrupted, Workflow


class Stopping(threading.Event):
    """Set once a run has taken note of a Ctrl-C."""

    def __call__(self, event):
        if event.kind == "stopping":
            self.set()


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_hook_before_the_workflow(flow, times):
    gate, stopping = Gate(flow.folder), Stopping()
    hooks = {
        "pre_workflow": [
            f"echo one >> log; test -e go || {gate.wait}; echo slept >> log",
            "echo two >> log",
        ]
    }
    workflow = Workflow.from_dict(
        {"name": "c", "version": "1", "tasks": {"a": bash("echo a >> log")}, "hooks": hooks}
    )

    def press():
        gate.reached()
        interrupt()
        stopping.wait(PATIENCE)
        if times == 2:
            interrupt()
        else:
            gate.open()

    with beside(press), pytest.raises(RunInterrupted) as caught:
        workflow.run(store=flow.store, folder=flow.folder, on_event=stopping)
    # Once lets the hook end by itself, twice ends it; the run can be resumed.
    assert (flow.folder / "log").read_text().split() == ["one", "slept"][: 3 - times]
    assert caught.value.result.status == "interrupted"
    ((run_id, facts),) = find_runs(runs_folder(flow.store))
    assert (facts["status"], facts["error"], facts["live"]) == ("interrupted", None, False)
    (flow.folder / "log").unlink()
    (flow.folder / "go").touch()
    result = workflow.run(store=flow.store, folder=flow.folder, resume=run_id)
    assert (flow.folder / "log").read_text().split() == ["one", "slept", "two", "a"]
    assert result.ok


def test_ctrl_c_in_a_hook_after_the_workflow_changes_nothing_about_it(flow):
    gate, stopping = Gate(flow.folder), Stopping()
    workflow = Workflow.from_dict(
        {
            "name": "c",
            "version": "1",
            "tasks": {"a": bash("true")},
            "hooks": {"post_workflow": [gate.wait, "echo $MAX_STATUS >> log"]},
        }
    )

    def press_twice():
        gate.reached()
        interrupt()
        stopping.wait(PATIENCE)
        interrupt()

    with beside(press_twice):
        assert workflow.run(store=flow.store, folder=flow.folder, on_event=stopping).ok
    assert not (flow.folder / "log").exists()
    assert [facts["status"] for _, facts in find_runs(runs_folder(flow.store))] == ["completed"]


def test_what_ends_a_run_from_outside_leaves_it_interrupted_and_not_killed(flow):
    def watch(event):
        if event.kind == "task_finished":
            raise RuntimeError("enough")

    tasks = {"a": bash("echo a >> log"), "b": bash("echo b >> log", depends_on=["a"])}
    workflow = Workflow.from_dict({"name": "c", "version": "1", "tasks": tasks})
    with pytest.raises(RuntimeError, match="enough"):
        workflow.run(store=flow.store, folder=flow.folder, on_event=watch)
    ((run_id, facts),) = find_runs(runs_folder(flow.store))
    assert (facts["status"], facts["error"]) == ("interrupted", "enough")
    assert workflow.run(store=flow.store, folder=flow.folder, resume=run_id).ok
    assert (flow.folder / "log").read_text().split() == ["a", "b"]


def cancelled(flow, workflow, gate):
    """Cancel a run once its task waits at the gate; return how it ended."""
    cancel = threading.Event()

    def cancel_there():
        gate.reached()
        cancel.set()

    with beside(cancel_there):
        return workflow.run(store=flow.store, folder=flow.folder, jobs=1, cancel=cancel)


def test_cancelling(flow):
    gate = Gate(flow.folder)
    workflow = Workflow.from_dict(
        {"name": "c", "version": "1", "tasks": {"a": bash(gate.wait), "b": bash("true")}}
    )
    result = cancelled(flow, workflow, gate)
    assert (result.status, result.interrupted) == ("interrupted", ["a"])
    assert {path: task.status for path, task in result.tasks.items()} == {"a": "interrupted"}
    assert flow.store.list() == []


def test_what_is_cancelled_and_ends_politely_is_done_again(flow):
    """Servers and test runners exit with 0 on SIGTERM; what they have printed by then is not all."""
    gate = Gate(flow.folder)
    polite = f"echo half; test -e again || {{ trap 'exit 0' TERM; {gate.wait}; }}; echo whole"
    tasks = {"a": bash(polite), "b": bash("echo got {{ tasks.a.output }}")}
    workflow = Workflow.from_dict({"name": "c", "version": "1", "tasks": tasks})
    result = cancelled(flow, workflow, gate)
    assert (result.status, result.interrupted) == ("interrupted", ["a"])
    (flow.folder / "again").touch()
    result = workflow.run(store=flow.store, folder=flow.folder, resume=result.run_id)
    assert text_of(result, "b") == "got half\nwhole\n"


def test_ctrl_c_lets_what_runs_end_and_a_second_one_does_not(flow):
    gate, closed, stopping = Gate(flow.folder), Gate(flow.folder, "closed"), Stopping()
    ended = threading.Event()
    tasks = {
        "a": bash(f"{gate.wait}; echo done"),
        "b": bash(closed.wait),
        "c": bash("true", depends_on=["a"]),
    }
    workflow = Workflow.from_dict({"name": "c", "version": "1", "tasks": tasks})

    def note(event):
        stopping(event)
        if (event.kind, event.task) == ("task_finished", "a"):
            ended.set()

    def press_twice():
        gate.reached()
        closed.reached()
        interrupt()
        stopping.wait(PATIENCE)
        gate.open()
        ended.wait(PATIENCE)
        interrupt()

    handler = signal.getsignal(signal.SIGINT)
    with beside(press_twice), pytest.raises(RunInterrupted) as caught:
        workflow.run(store=flow.store, folder=flow.folder, on_event=note)
    assert signal.getsignal(signal.SIGINT) is handler
    ended_as = {path: task.status for path, task in caught.value.result.tasks.items()}
    assert ended_as == {"a": "completed", "b": "interrupted"}
    tasks["b"] = bash("echo b")
    result = flow(tasks, resume=caught.value.result.run_id)
    assert {path: task.output.text for path, task in result.tasks.items()} == {
        "a": "done\n",
        "b": "b\n",
        "c": "",
    }
    assert flow.kinds("a") == ["task_finished"]


def test_an_observer_that_fails_ends_the_run(flow):
    workflow = Workflow.from_dict({"name": "c", "version": "1", "tasks": {"a": bash(f"sleep {FOREVER}")}})

    def fail(event):
        if event.kind == "task_started":
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        workflow.run(store=flow.store, folder=flow.folder, on_event=fail)

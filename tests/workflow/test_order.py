"""In which order tasks run, and what a failure, a condition or a retry changes about it."""

import gc
import time

import pytest

from helpers import FOREVER, PATIENCE, Gate, bash, beside, text_of, wait_until
from maxstage.workflow.workflow import Workflow


def test_order_is_priority_then_file(flow):
    tasks = {name: bash(f"echo {name} >> order") for name in "abcdef"}
    tasks["e"]["priority"] = -1
    tasks["b"]["depends_on"] = ["f"]
    tasks["f"]["priority"] = 5
    for _ in range(3):
        flow(tasks, jobs=1)
    assert (flow.folder / "order").read_text().split() == list("eacdfb") * 3


def test_independent_tasks_run_side_by_side(flow):
    # Each waits until all have begun.
    meet = "touch here-$MAX_TASK; until test $(ls | grep -c ^here) -ge 4; do sleep 0.02; done"
    flow({f"t{number}": bash(meet) for number in range(4)}, jobs=4)
    both = "touch {{ inputs.me }}; until test -e {{ inputs.other }}; do sleep 0.02; done"
    pair = {
        "x": bash(both, inputs={"me": "x", "other": "y"}, parallel_with=["y"]),
        "slow": bash("true"),
        "y": bash(both, inputs={"me": "y", "other": "x"}, depends_on=["slow"]),
    }
    flow(pair)


def test_a_failure_lets_nothing_new_start(flow):
    tasks = {"a": bash("exit 3"), "b": bash("echo b >> ran", depends_on=["a"]), "c": bash("echo c >> ran")}
    result = flow(tasks, jobs=1, check=False)
    assert (result.status, result.error) == ("failed", "a: exit status 3")
    assert list(result.tasks) == ["a"]
    assert not (flow.folder / "ran").exists()
    assert result.tasks["a"].error == "exit status 3"


def test_a_tolerated_failure_and_a_skipped_task_let_others_go_on(flow):
    result = flow(
        {
            "a": bash("echo broken >&2; exit 3", on_error={"continue": True}),
            "b": bash("echo b", depends_on=["a"]),
            "no": bash("echo no", condition={"type": "task_status", "task": "a", "status": "completed"}),
            "yes": bash("echo yes", condition={"type": "task_status", "task": "a", "status": "failed"}),
            "after": bash("echo after [{{ tasks.no.output }}]", depends_on=["no"]),
        }
    )
    statuses = {path: task.status for path, task in result.tasks.items()}
    assert statuses == {
        "a": "failed",
        "b": "completed",
        "no": "skipped",
        "yes": "completed",
        "after": "completed",
    }
    assert result.tasks["a"].tolerated
    assert result.tasks["a"].error == "exit status 3: broken"
    assert text_of(result, "after") == "after []\n"


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ({"type": "always"}, True),
        ({"type": "never"}, False),
        ({"type": "state_equals", "key": "inputs.n", "value": 3}, True),
        ({"type": "state_equals", "key": "n", "value": "3"}, True),
        ({"type": "state_equals", "key": "tasks.a.output", "value": 7}, True),
        ({"type": "state_exists", "key": "inputs.nothing"}, False),
        ({"type": "state_exists", "key": "tasks.a.token"}, False),
        ({"and": [{"type": "always"}, {"type": "never"}]}, False),
        ({"or": [{"type": "always"}, {"type": "never"}]}, True),
        ({"not": {"type": "never"}}, True),
    ],
)
def test_conditions(flow, condition, runs):
    tasks = {"a": bash("echo 7"), "b": bash("true", condition=condition, depends_on=["a"])}
    result = flow(tasks, inputs={"n": 3, "nothing": None})
    assert result.tasks["b"].status == ("completed" if runs else "skipped")


def test_retries_with_a_growing_pause(flow):
    count = "echo x >> tries; test $(wc -l < tries) -ge 4"
    started = time.monotonic()
    rule = {"retry": 3, "retry_delay_secs": 0.1, "exponential_backoff": True}
    result = flow({"a": bash(count, on_error=rule)})
    assert time.monotonic() - started >= 0.1 + 0.2 + 0.4
    assert result.tasks["a"].attempts == 4
    assert flow.kinds("a") == ["task_started", "task_retried"] * 3 + ["task_started", "task_finished"]
    (flow.folder / "tries").unlink()
    failed = flow({"a": bash(count, on_error={"retry": 1})}, check=False)
    assert (failed.status, failed.tasks["a"].attempts) == ("failed", 2)


def test_subtasks(flow):
    result = flow(
        {
            "build": {
                "subtasks": {
                    "link": bash("echo linked {{ tasks.compile.output }} {{ tasks.first.output }}"),
                    "compile": bash("echo compiled"),
                    "inner": {"subtasks": {"deep": bash("echo deep {{ tasks.build.compile.output }}")}},
                }
            },
            "first": bash("echo first"),
            "after": bash("echo {{ tasks.build.link.output }}, {{ tasks.build.output }}"),
        }
    )
    assert text_of(result, "build.link") == "linked compiled first\n"
    assert text_of(result, "build.inner.deep") == "deep compiled\n"
    assert text_of(result, "build") == "linked compiled first\ncompiled\ndeep compiled\n"
    assert text_of(
        result, "after"
    ) == "linked compiled first, linked compiled first compiled deep compiled\n".replace(
        " compiled deep", "\ncompiled\ndeep"
    )


def test_a_subtask_that_fails_fails_its_task(flow):
    tasks = {"a": {"subtasks": {"x": bash("exit 1"), "y": bash("true", depends_on=["x"])}}}
    result = flow(tasks, check=False)
    assert result.error == "a: x: exit status 1"
    tasks["a"]["on_error"] = {"continue": True}
    tasks["b"] = bash("true", depends_on=["a"])
    result = flow(tasks)
    assert {path: task.status for path, task in result.tasks.items()} == {
        "a.x": "failed",
        "a": "failed",
        "b": "completed",
    }


def test_retrying_subtasks_does_not_repeat_what_succeeded(flow):
    tasks = {
        "a": {
            "subtasks": {
                "x": bash("echo x >> ran"),
                "y": bash("echo y >> ran; test $(grep -c y ran) -ge 3", depends_on=["x"]),
            },
            "on_error": {"retry": 5},
        }
    }
    result = flow(tasks)
    assert (flow.folder / "ran").read_text().split() == ["x", "y", "y", "y"]
    assert result.tasks["a"].attempts == 3


@pytest.mark.parametrize(
    "task",
    [
        bash("exit 3"),
        bash("exit 3", loop={"repeat": {"count": 2}}),
        bash("true", loop={"for_each": {"collection": {"type": "file", "path": "gone"}}}),
        bash(f"sleep {FOREVER}", loop={"repeat": {"count": 2}}, loop_control={"timeout_secs": 0.2}),
        {"subtasks": {"x": bash("exit 3")}},
        {"command": {"executable": "/nonexistent"}},
        bash("true", output="a-folder"),
    ],
)
def test_a_failure_that_is_tolerated_lets_what_waits_for_it_go_on(flow, task):
    (flow.folder / "a-folder").mkdir()
    tasks = {
        "a": {**task, "on_error": {"continue": True}},
        "b": bash("echo {{ tasks.a.status }}", depends_on=["a"]),
    }
    result = flow(tasks)
    assert result.ok
    assert result.tasks["a"].tolerated or "loop" in task
    # Resumed, it is not done again.
    before = {path: one.attempts for path, one in result.tasks.items()}
    again = flow(tasks, resume=result.run_id)
    assert {path: one.attempts for path, one in again.tasks.items()} == before


def test_lots_of_tasks_and_long_chains(flow):
    tasks = {f"t{number}": {"command": {"executable": "true"}} for number in range(150)}
    tasks |= {
        f"c{number}": {"command": {"executable": "true"}, "depends_on": [f"c{number - 1}"]}
        for number in range(1, 100)
    }
    tasks["c0"] = {"command": {"executable": "true"}}
    result = flow(tasks, jobs=4)
    again = flow(tasks, resume=result.run_id)
    assert len(again.tasks) == 250
    assert not [event for event in flow.events if event.kind == "task_started"]


def test_the_order_of_thousands_costs_as_much_a_task_as_that_of_hundreds():
    def seconds(count):
        tasks = {
            f"t{number}": bash("true", depends_on=[f"t{number - 1}"] if number else [])
            for number in range(count)
        }
        workflow = Workflow.from_dict({"name": "o", "version": "1", "tasks": tasks})
        took = []
        gc.collect()
        for _ in range(5):
            started = time.process_time()
            assert workflow.order() == list(tasks)
            took.append(time.process_time() - started)
        return min(took)

    # Eight times the tasks: 8 where each costs the same, 64 where each looks at all. Large enough to be measured.
    assert seconds(4000) < 40 * seconds(500)


@pytest.mark.parametrize("loop", [False, True])
def test_what_waits_for_a_retry_does_not_hold_up_the_end_of_a_run(flow, loop):
    """It would wait for an hour; that a sibling has failed ends the run."""
    gate = Gate(flow.folder)
    again = {"on_error": {"retry": 3, "retry_delay_secs": 3600}}
    if loop:
        again = {
            "loop": {"while": {"condition": {"type": "always"}, "delay_between_secs": 3600}},
        }
    tasks = {
        "a": bash("exit 0" if loop else "exit 1", **again),
        "b": bash(f"{gate.wait}; exit 5"),
    }

    def pass_on():
        wait_until(lambda: any(event.kind in {"task_retried", "loop_progress"} for event in flow.events))
        gate.open()

    with beside(pass_on):
        result = flow(tasks, check=False)
    assert result.error == "b: exit status 5"
    assert result.seconds < PATIENCE
    assert "a" not in result.tasks

"""What tasks are given, what becomes of their output, and in which order they run."""

import json
import os
import signal
import sys
import threading
import time

import pytest

import maxstage
from helpers import FOREVER, PATIENCE, Gate, bash, beside, longer_and_longer, text_of, wait_until
from maxstage import WorkflowError
from maxstage.workflow.run.folder import find_runs, runs_folder
from maxstage.workflow.workflow import RunInterrupted, Workflow


def test_values_pass_from_task_to_task(flow):
    result = flow(
        {
            "one": {"command": {"executable": "echo", "args": ["a & b; $(touch pwned)", "{{ inputs.n }}"]}},
            "two": bash('echo got {{ tasks.one.output }} "{{ tasks.one.output }}" ${task.one.output}'),
            "three": {
                "script": {
                    "language": "python",
                    "content": "print({{ tasks.two.output }}.upper(), {{ inputs.n }} + 1)",
                }
            },
            "four": bash("echo {{ tasks.bad.exit_code }} {{ tasks.bad.status }} {{ tasks.quiet.output }}."),
            "bad": bash("exit 7", on_error={"continue": True}),
            "quiet": bash("true"),
        },
        given={"n": 4},
        inputs={"n": 3},
        outputs={"all": "{{ tasks.three.output }}|{{ tasks.four.output }}"},
    )
    got = "got " + " ".join(["a & b; $(touch pwned) 4"] * 3)
    assert text_of(result, "two") == got + "\n"
    assert result.outputs == {"all": f"{got.upper()} 5|7 failed ."}
    assert not os.path.exists(flow.folder / "pwned")


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


def test_what_failed_attempts_kept_is_deleted(flow):
    noisy = "seq 2000; echo x >> tries; test $(wc -l < tries) -ge 3"
    result = flow({"a": bash(noisy, on_error={"retry": 3}, limits={"max_stdout_bytes": 1024})})
    assert [item.token for item in flow.store.list()] == [result.tasks["a"].output.token]


def test_a_timeout(flow):
    for seconds in longer_and_longer(0.3):
        script = {"content": f"echo begun; sleep {FOREVER}", "timeout_secs": seconds}
        result = flow({"a": {"script": script}}, check=False)
        assert result.error == f"a: timed out after {seconds:g} s"
        if text_of(result, "a"):
            break
    assert text_of(result, "a") == "begun\n"


def test_limits_of_workflow_and_task(flow):
    result = flow(
        {
            "a": bash("seq 1000"),
            "b": bash("seq 1000", limits={"max_stdout_bytes": 2000}),
            "c": {"subtasks": {"d": bash("seq 1000")}, "limits": {"truncation_strategy": "head"}},
        },
        limits={"max_stdout_bytes": "1KB", "truncation_strategy": "both"},
    )
    assert len(text_of(result, "a")) <= 1000
    assert 1000 < len(text_of(result, "b")) <= 2000
    assert text_of(result, "c.d").startswith("1\n2\n")
    assert text_of(result, "c.d").endswith("] ---\n")
    for path in ("a", "b", "c.d"):
        output = result.tasks[path].output
        assert output.truncated
        assert flow.store.open(output.token).read() == b"".join(b"%d\n" % number for number in range(1, 1001))
        assert flow.store.info(output.token).pinned


@pytest.mark.parametrize("limit", ["1KiB", "1MiB"])
@pytest.mark.parametrize("extra", [{}, {"compress_external": False}, {"external_storage_threshold": None}])
def test_stdin_from_streams_the_whole(flow, limit, extra):
    result = flow(
        {
            "source": bash("seq 100000", limits={"max_stdout_bytes": limit, **extra}),
            "count": {"command": {"executable": "sha256sum"}, "stdin_from": "source"},
            "same": bash("seq 100000 | sha256sum"),
            "loop": {
                **bash("seq 1000"),
                "loop": {"repeat": {"count": 3}},
                "limits": {"max_stdout_bytes": "1KiB"},
            },
            "lines": {"command": {"executable": "wc", "args": ["-l"]}, "stdin_from": "loop"},
        }
    )
    assert text_of(result, "count") == text_of(result, "same")
    assert text_of(result, "lines").strip() == "3000"


def test_a_token_is_always_there_for_who_asks(flow):
    result = flow(
        {"a": bash("echo little"), "b": bash("max retrieve {{ tasks.a.token }}; echo $MAX_TASK $MAX_RUN")}
    )
    assert text_of(result, "b") == f"little\nb {result.run_id}\n"


def test_output_files(flow):
    (flow.folder / "old").write_text("old")
    result = flow(
        {
            "a": bash("seq 100000", output="made/{{ inputs.name }}", limits={"max_stdout_bytes": "1KiB"}),
            "b": bash("echo new", output="old"),
            "c": bash("echo partial; exit 1", output="not", on_error={"continue": True}),
        },
        inputs={"name": "x y"},
    )
    assert (flow.folder / "made" / "x y").read_text().count("\n") == 100000
    assert (flow.folder / "old").read_text() == "new\n"
    assert not (flow.folder / "not").exists()
    assert sorted(os.listdir(flow.folder / "made")) == ["x y"]
    assert result.ok


def test_environment_and_working_directory(flow):
    (flow.folder / "sub").mkdir()
    (flow.folder / "sub" / "say.sh").write_text("echo said $1 $A\n")
    result = flow(
        {
            "a": {
                "script": {"content": "pwd; echo $A $B", "working_dir": "sub", "env": {"B": "{{ inputs.n }}"}}
            },
            "b": {"script": {"file": "sub/say.sh"}},
            "c": {"command": {"executable": "printenv", "args": ["A"], "env": {"A": "inner"}}},
        },
        env={"A": "of {{ inputs.n }}"},
        inputs={"n": 5},
    )
    assert text_of(result, "a") == f"{flow.folder}/sub\nof 5 5\n"
    assert text_of(result, "b") == "said of 5\n"
    assert text_of(result, "c") == "inner\n"


def test_what_cannot_be_started_fails_with_the_reason(flow):
    gone = flow({"a": {"command": {"executable": "/no/such/program"}}}, check=False)
    assert gone.error == "a: No such file or directory: /no/such/program"
    folder = flow({"a": {"command": {"executable": "ls", "working_dir": "gone"}}}, check=False)
    assert "No such file or directory" in folder.error
    script = flow({"a": {"script": {"file": "gone.sh"}}}, check=False)
    assert script.error == f"a: the script file {flow.folder}/gone.sh does not exist"


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


def test_agents_read_a_prompt_and_answer(flow, tmp_path):
    agent = tmp_path / "agent.py"
    agent.write_text(
        "import re, subprocess, sys\n"
        "prompt = sys.stdin.read()\n"
        "token = re.search(r'max:[0-9a-f]+', prompt)[0]\n"
        "data = subprocess.run([sys.executable, '-m', 'maxstage', 'retrieve', token], stdout=-1, check=True).stdout\n"
        "print(prompt.splitlines()[0], '/', len(data.splitlines()), sys.argv[1:])\n"
    )
    (flow.folder / ".max" / "config.toml").write_text(
        f'[providers]\nmine = {{ command = {json.dumps([sys.executable, str(agent)])}, model = ["-m", "{{model}}"] }}\n'
    )
    store = maxstage.Store.open(flow.folder)
    workflow = Workflow.from_dict(
        {
            "name": "agents",
            "version": "1",
            "agents": {"counter": {"provider": "mine", "model": "big", "system_prompt": "You count."}},
            "tasks": {
                "data": bash("seq 50000", limits={"max_stdout_bytes": "1KiB"}),
                "count": {"agent": "counter", "description": "Count the lines of {{ tasks.data.token }}."},
            },
        },
        store=store,
    )
    result = workflow.run(store=store, folder=flow.folder)
    assert result.ok, result.error
    assert text_of(result, "count") == "You count. / 50000 ['-m', 'big']\n"


def test_hooks(flow):
    hooks = {
        "pre_workflow": ["echo pre {{ inputs.n }} >> log"],
        "post_workflow": ["echo post $MAX_STATUS >> log", "exit 4"],
        "post_task": ["echo task $MAX_TASK $MAX_STATUS $MAX_EXIT_CODE >> log"],
        "on_error": ["echo error $MAX_TASK: $MAX_ERROR >> log"],
    }
    tasks = {"a": bash("exit 3", on_error={"continue": True}), "b": bash("true", depends_on=["a"])}
    flow(tasks, jobs=1, hooks=hooks, inputs={"n": 1})
    assert (flow.folder / "log").read_text().splitlines() == [
        "pre 1",
        "task a failed 3",
        "error a: exit status 3",
        "task b completed 0",
        "post completed",
    ]
    warnings = [event.data["text"] for event in flow.events if event.kind == "warning"]
    assert warnings == ["post_workflow: 'exit 4' ended with 4"]
    result = flow(tasks, hooks={"pre_workflow": ["echo no >&2; exit 2"]}, check=False)
    assert (result.status, result.error) == ("failed", "pre_workflow: 'echo no >&2; exit 2' ended with 2: no")
    assert result.tasks == {}


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


def test_a_run_that_cannot_begin_leaves_nothing(flow):
    with pytest.raises(WorkflowError, match=r"the working directory .*/gone does not exist"):
        flow({"a": bash("true")}, cwd="gone")
    assert list(find_runs(runs_folder(flow.store))) == []


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


def test_inputs_and_secrets(flow, monkeypatch):
    tasks = {"a": bash("echo {{ inputs.must }} {{ env.SECRET }}")}
    inputs = {"must": {"required": True, "description": "needed"}}
    monkeypatch.setenv("SECRET", "s3cr3t")
    with pytest.raises(WorkflowError, match="needs a value for: must"):
        flow(tasks, inputs=inputs)
    with pytest.raises(WorkflowError, match="has no input 'other'; it has: must"):
        flow(tasks, inputs=inputs, given={"must": 1, "other": 2})
    assert text_of(flow(tasks, inputs=inputs, given={"must": 1}, secrets=["SECRET"]), "a") == "1 ***\n"
    monkeypatch.delenv("SECRET")
    with pytest.raises(WorkflowError, match="not in the environment: SECRET"):
        flow({"a": bash("true")}, secrets=["SECRET"])


def test_a_value_longer_than_an_argument(flow):
    result = flow({"a": bash("seq 100000"), "b": bash("printf %s {{ tasks.a.output }} | wc -l")})
    assert text_of(result, "b").strip() == "99999"


def test_cancelling(flow):
    cancel = threading.Event()
    gate = Gate(flow.folder)
    workflow = Workflow.from_dict(
        {"name": "c", "version": "1", "tasks": {"a": bash(gate.wait), "b": bash("true")}}
    )

    def cancel_there():
        gate.reached()
        cancel.set()

    with beside(cancel_there):
        result = workflow.run(store=flow.store, folder=flow.folder, jobs=1, cancel=cancel)
    assert (result.status, result.interrupted) == ("interrupted", ["a"])
    assert {path: task.status for path, task in result.tasks.items()} == {"a": "interrupted"}
    assert flow.store.list() == []


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


def test_outputs_that_cannot_be_told_fail_the_run(flow):
    tasks = {"a": bash("echo a", loop={"repeat": {"count": 2}}), "g": {"subtasks": {"x": bash("echo x")}}}
    tasks["g"]["loop"] = {"repeat": {"count": 1}}
    result = flow(tasks, outputs={"x": "{{ tasks.g.x.output }}"}, check=False)
    assert (result.status, result.tasks["a"].status) == ("failed", "completed")
    assert result.error == "outputs: task 'g.x' has not ended, so its output is not known"


def test_the_order_of_thousands_costs_as_much_a_task_as_that_of_hundreds():
    def seconds(count):
        tasks = {
            f"t{number}": bash("true", depends_on=[f"t{number - 1}"] if number else [])
            for number in range(count)
        }
        workflow = Workflow.from_dict({"name": "o", "version": "1", "tasks": tasks})
        took = []
        for _ in range(3):
            started = time.process_time()
            assert workflow.order() == list(tasks)
            took.append(time.process_time() - started)
        return min(took)

    # Eight times the tasks: 8 where each costs the same, 64 where each looks at all.
    assert seconds(1600) < 24 * seconds(200)


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

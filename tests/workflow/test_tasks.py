"""What tasks are given, and what becomes of their output."""

import json
import os
import sys

import pytest

import maxstage
from helpers import FOREVER, bash, longer_and_longer, text_of
from maxstage import WorkflowError
from maxstage.workflow.run.folder import find_runs, runs_folder
from maxstage.workflow.workflow import Workflow


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


def test_what_failed_attempts_printed_is_kept(flow):
    noisy = "seq 2000; echo x >> tries; test $(wc -l < tries) -ge 3"
    result = flow({"a": bash(noisy, on_error={"retry": 3}, limits={"max_stdout_bytes": 1024})})
    last, *earlier = (item.token for item in flow.store.list())
    assert last == result.tasks["a"].output.token
    assert len(earlier) == 2


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
    (flow.folder / "sub" / "say.sh").write_text("echo said ${1:-} $A\n")
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


def test_a_run_that_cannot_begin_leaves_nothing(flow):
    with pytest.raises(WorkflowError, match=r"the working directory .*/gone does not exist"):
        flow({"a": bash("true")}, cwd="gone")
    assert list(find_runs(runs_folder(flow.store))) == []


def test_inputs_and_secrets(flow, monkeypatch):
    if flow.on is not None:
        pytest.skip("a secret that is filled in does not travel: tests/execution/test_on_engine.py")
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


def test_outputs_that_cannot_be_told_fail_the_run(flow):
    tasks = {"a": bash("echo a", loop={"repeat": {"count": 2}}), "g": {"subtasks": {"x": bash("echo x")}}}
    tasks["g"]["loop"] = {"repeat": {"count": 1}}
    result = flow(tasks, outputs={"x": "{{ tasks.g.x.output }}"}, check=False)
    assert (result.status, result.tasks["a"].status) == ("failed", "completed")
    assert result.error == "outputs: task 'g.x' has not ended, so its output is not known"

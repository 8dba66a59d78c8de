"""What a run keeps: everything, unless a cleanup_strategy says otherwise; and that what is gone is told."""

import itertools
import json
import re
import sqlite3
from pathlib import Path

import pytest

from maxstage import Store
from maxstage.workflow.run.folder import runs_folder
from maxstage.workflow.run.leftovers import delete_run
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.task_context import RunGraph
from maxstage.workflow.workflow import Workflow

READER = {
    "reader": {"command": ["bash", "-c", 'tee "prompt-$MAX_TASK" | wc -c']},
    "other": {"command": ["bash", "-c", "cat > /dev/null; echo other"]},
}


def bash(content, **task):
    return {"script": {"content": content}, **task}


def ask(agent="reader", **task):
    return {"agent": agent, "description": "Read.", "inject_context": True, **task}


def headings(flow, task):
    return set(re.findall(r"^## (\S+) \(", (flow.folder / f"prompt-{task}").read_text(), re.MULTILINE))


def given_to(flow, result, task):
    state = RunState(runs_folder(flow.store), result.run_id)
    try:
        return {one["task"]: one for one in state.contexts()[task]["candidates"]}
    finally:
        state.close()


STRICT = {"cleanup_strategy": {"type": "direct_dependencies"}, "prune_every_tasks": 1}
"""What keeps only what is needed."""


def test_nothing_is_pruned_by_count(flow):
    tasks = {f"t{number}": bash(f"printf '%010d' {number}") for number in range(60)}
    tasks["whole"] = bash("seq 1000", limits={"max_stdout_bytes": 1024})
    tasks["last"] = bash("true", depends_on=list(tasks))
    result = flow(tasks)
    assert not any(task.pruned for task in result.tasks.values())
    assert [result.tasks[f"t{number}"].output.text for number in range(60)] == [f"{n:010}" for n in range(60)]
    assert flow.store.open(result.tasks["whole"].output.token).read().endswith(b"\n1000\n")
    assert result.metrics["pruned"] == 0


LARGE = {
    "text": bash("seq 2000"),
    "bytes": bash("head -c 9000 /dev/zero | tr '\\0' '\\377'"),
    "both": bash("seq 1 1500; seq 2000 3500 >&2"),
    "cut": bash("seq 5000", limits={"max_stdout_bytes": 8000}),
    "failed": bash("seq 1800; exit 3", on_error={"continue": True}),
}
MEMORY = {"prune_memory_bytes": "12KiB"}


def state_of(flow, result):
    return Path(runs_folder(flow.store)) / f"{result.run_id}.db"


def test_what_is_too_much_for_the_state_is_moved_into_the_store(flow):
    plain = flow(LARGE, jobs=1).tasks
    result = flow(LARGE, jobs=1, limits=MEMORY)
    assert result.metrics["moved"] >= 3
    assert result.metrics["held_bytes"] <= 12 * 1024
    assert result.metrics["pruned"] == 0
    db = sqlite3.connect(state_of(flow, result))
    held = sum(len(output) for (output,) in db.execute("SELECT output FROM tasks"))
    db.close()
    assert held < 30_000 < sum(len(task.output.content) for task in plain.values())
    for path, task in result.tasks.items():
        assert not task.pruned
        ours, theirs = task.output, plain[path].output
        assert (ours.original_size, ours.truncated) == (theirs.original_size, theirs.truncated)
        if not ours.truncated:
            assert ours.content == theirs.content
            if ours.token is not None:
                assert flow.store.open(ours.token).read() == ours.content
        assert re.sub(rb"max:[0-9a-f]+", b"", ours.content) == re.sub(rb"max:[0-9a-f]+", b"", theirs.content)
        if theirs.stderr is not None:
            assert ours.stderr.content == theirs.stderr.content


def test_what_was_moved_is_found_wherever_it_is_wanted(flow):
    tasks = {
        **LARGE,
        "loop": bash("seq 1500", loop={"repeat": {"count": 4}}),
        "used": bash("md5sum <<< {{ tasks.text.output }}", depends_on=["loop"]),
        "piped": bash("md5sum", stdin_from="text", depends_on=["loop"]),
        "ask": ask(depends_on=["text", "loop"], context={"max_bytes": "90KB"}),
        "stop": bash("test -e go", depends_on=["used", "piped", "ask"]),
        "after": bash("md5sum <<< {{ tasks.text.output }}", depends_on=["stop"]),
    }
    expected = bash_output("seq 2000 | md5sum")
    limits = {"prune_memory_bytes": "2KiB"}
    failed = flow(tasks, agents=READER, jobs=1, limits=limits, check=False)
    assert failed.metrics["moved"] >= 8
    (flow.folder / "go").touch()
    result = flow(tasks, agents=READER, jobs=1, limits=limits, resume=failed.run_id)
    for name in ("used", "piped", "after"):
        assert result.tasks[name].output.text == expected
    numbers = "".join(f"{number}\n" for number in range(1, 1501))
    assert result.tasks["loop"].output.text == numbers * 4
    assert numbers * 4 in (flow.folder / "prompt-ask").read_text()
    state = RunState(runs_folder(flow.store), result.run_id)
    exported = json.loads(json.dumps(state.export()))
    assert exported["task_outputs"]["loop"]["output"]["content"] == numbers * 4
    assert {token for token, _ in state.kept("text")} <= state.tokens()
    owned = {item.token for item in flow.store.list() if item.owner == result.run_id}
    assert owned == state.tokens()
    state.acquire()
    delete_run(flow.store, state)
    assert flow.store.list() == []


def bash_output(script):
    import subprocess

    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout


def test_what_somebody_deleted_from_the_store_is_told(flow):
    result = flow({"a": bash("seq 3000")}, limits={"prune_memory_bytes": "2KiB"})
    flow.store.unstage(result.tasks["a"].output.token)
    assert result.tasks["a"].pruned
    tasks = {"a": bash("seq 3000"), "b": bash("echo {{ tasks.a.output }}")}
    assert "was pruned" in flow(tasks, resume=result.run_id, check=False).error


def test_a_store_that_can_take_no_more(tmp_path, flow):
    (tmp_path / ".max" / "config.toml").write_text('max_store_bytes = "1KiB"\n')
    store = Store.open(tmp_path)
    workflow = Workflow.from_dict(
        {"name": "f", "version": "1", "tasks": LARGE, "limits": {**MEMORY, "max_stdout_bytes": "20KiB"}},
        store=store,
    )
    events = []
    result = workflow.run(store=store, folder=tmp_path, jobs=1, on_event=events.append)
    texts = [event.data["text"] for event in events if event.kind == "warning"]
    assert len([text for text in texts if "can't be moved into the store" in text]) == 1
    assert result.ok
    assert result.tasks["text"].output.text.endswith("\n2000\n")


# What is needed

CHAIN = [f"c{number}" for number in range(24)]


def chain():
    tasks = {name: bash(f"echo {name}") for name in CHAIN}
    for first, second in itertools.pairwise(CHAIN):
        tasks[second]["depends_on"] = [first]
    return tasks


@pytest.mark.parametrize("least", [0.4, 0.2, 0.1])
def test_a_prompt_has_what_max_context_promised(flow, least):
    tasks = chain()
    tasks["ask"] = ask(depends_on=CHAIN[-1:], context={"min_relevance": least, "max_tasks": 100})
    result = flow(tasks, agents=READER, jobs=1, limits=STRICT)
    promised = {"c23", *(f"c{24 - depth}" for depth in range(2, 9) if 0.8 / depth >= least)}
    # The ten that completed last may matter, too.
    assert promised <= headings(flow, "ask") <= promised | {f"c{number}" for number in range(14, 24)}
    assert result.metrics["pruned"] >= 24 - 10
    assert all(
        one["state"] == "kept" for name, one in given_to(flow, result, "ask").items() if name in promised
    )


def test_what_is_needed_as_context(flow):
    tasks = {
        **{f"same{number}": ask(depends_on=[], inject_context=False) for number in range(3)},
        **{f"else{number}": ask("other", depends_on=[], inject_context=False) for number in range(3)},
        "named": bash("echo named"),
        "unwanted": bash("echo unwanted"),
        "mid": bash("true", depends_on=["named", "unwanted", *(f"same{n}" for n in range(3))]),
        **{f"more{number}": bash("true", depends_on=["mid"]) for number in range(4)},
        "ask": ask(
            depends_on=[f"more{number}" for number in range(4)],
            context={"include_tasks": ["named"], "exclude_tasks": ["unwanted"], "max_tasks": 50},
        ),
    }
    result = flow(tasks, agents=READER, jobs=1, limits=STRICT)
    assert headings(flow, "ask") >= {"same0", "same1", "same2", "named", "mid"}
    assert result.tasks["unwanted"].pruned
    assert all(result.tasks[f"else{number}"].pruned for number in range(3))


def test_the_latest_are_needed_where_they_would_be_given(flow):
    tasks = {f"t{number:02}": bash(f"echo {number}") for number in range(30)}
    tasks["ask"] = ask(priority=1, context={"min_relevance": 0.3, "max_tasks": 50})
    result = flow(tasks, agents=READER, jobs=1, limits=STRICT)
    assert headings(flow, "ask") == {f"t{number}" for number in range(20, 30)}
    assert sum(task.pruned for task in result.tasks.values()) >= 20


@pytest.mark.parametrize("kind", ["none", "manual"])
def test_what_is_not_given_is_not_needed(flow, kind):
    tasks = {**chain(), "ask": ask(depends_on=CHAIN[-1:], context={"mode": kind})}
    result = flow(tasks, agents=READER, jobs=1, limits=STRICT)
    assert {path for path, task in result.tasks.items() if not task.pruned} <= {"c23", "ask"}


def test_a_condition_of_a_loop_sees_its_last_iteration(flow):
    more = {"not": {"type": "state_equals", "key": "tasks.b.x.output", "value": "stop"}}
    subtasks = {
        "x": bash("echo x >> n; test $(wc -l < n) -ge 5 && echo stop || echo go"),
        "deep": {"subtasks": {"y": bash("echo deep")}, "depends_on": ["x"]},
        "z": bash("echo {{ tasks.b.deep.y.output }}", depends_on=["deep"]),
    }
    tasks = {"b": {"subtasks": subtasks, "loop": {"while": {"condition": more}}}}
    result = flow(tasks, jobs=1, limits=STRICT, outputs={"b": "{{ tasks.b.output }}"})
    assert result.outputs["b"].split() == ["go", "deep", "deep"] * 4 + ["stop", "deep", "deep"]
    assert result.metrics["pruned"] > 0


# What is gone is told

FLOW = """\
name: gone
version: 1
limits: {cleanup_strategy: {type: direct_dependencies}, prune_every_tasks: 1}
agents: {r: {command: [tee, prompt]}}
tasks:
  a: {script: {content: "echo from a; seq 9000"}, limits: {max_stdout_bytes: 1KiB}}
  b: {script: {content: echo b}, depends_on: [a]}
  c: {script: {content: "test -e go"}, depends_on: [b]}
"""
LATER = """\
  ask: {agent: r, description: Go., depends_on: [c], inject_context: true, context: {min_relevance: 0.1}}
  read: {script: {content: cat}, stdin_from: a, depends_on: [c], on_error: {continue: true}}
  refer: {script: {content: "echo {{ tasks.a.output }}"}, depends_on: [c], on_error: {continue: true}}
"""


def test_what_was_pruned_says_so(program):
    file = program.folder / "flow.yaml"
    file.write_text(FLOW)
    program("run", "flow.yaml", check=1)
    (program.folder / "go").touch()
    file.write_text(FLOW + LATER)
    done = program("run", "flow.yaml", "--resume", "--show-task-outputs")
    out = done.stdout.decode()
    assert re.search(r"^a +completed .* output pruned$", out, re.MULTILINE)
    assert "--- a (completed, pruned: its output is no longer kept)\n---" in out
    assert "truncated, whole" not in out
    assert "refer  failed, tolerated" in re.sub(" +", "  ", out).replace(
        "failed,  tolerated", "failed, tolerated"
    )
    assert len(re.findall(r"^re(?:fer|ad) .*'a'.* was pruned: ", out, re.MULTILINE)) == 2
    # The prompt tells it, and so does what shows the prompt.
    assert "\nLeft out: a (pruned)\n" in (program.folder / "prompt").read_text()
    run_id = program.text("runs").split()[0]
    shown = program.text("context", run_id, "ask")
    assert re.search(r"^a +0\.27 +dropped +dependency at depth 3; pruned$", shown, re.MULTILINE)
    assert re.search(r"^a .* output pruned$", program.text("runs", "show", run_id), re.MULTILINE)
    assert json.loads(program.text("runs", "show", run_id, "-o", "json"))["tasks"]["a"]["pruned"] is True
    assert json.loads(program.text("runs", "export", run_id))["task_outputs"]["a"]["pruned"] is True
    assert "pruned" in program.text("runs", "report", run_id, "--html", "-")


def test_pruning_by_hand_takes_what_nobody_needs(program):
    text = re.sub(r"^limits:.*$", "limits: {prune_every_tasks: 1}", FLOW, flags=re.MULTILINE)
    (program.folder / "flow.yaml").write_text(text)
    program("run", "flow.yaml", check=1)
    run_id = program.text("runs").split()[0]
    assert program.text("runs", "prune", run_id) == "Dropped 0 outputs, 0 B\n"  # the strategy keeps 20
    assert program.text("runs", "prune", run_id, "--strategy", "direct_dependencies").startswith(
        "Dropped 2 outputs"
    )
    (program.folder / "go").touch()
    program("run", "flow.yaml", "--resume")


def test_a_graph_of_tasks_that_are_gone(flow):
    workflow = Workflow.from_dict(
        {"name": "g", "version": "1", "tasks": {"a": bash("true")}}, store=flow.store
    )
    assert RunGraph(workflow.valid.graph)["gone[3].x"] == ["gone[2]"]

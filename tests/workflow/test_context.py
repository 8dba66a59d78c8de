"""What agents are given of other outputs, and what is pruned."""

import json
import re

import pytest

from helpers import bash
from maxstage import WorkflowError
from maxstage.workflow.run.folder import runs_folder
from maxstage.workflow.run.state import RunState

READER = {
    "reader": {"command": ["bash", "-c", 'tee "prompt-$MAX_TASK" | wc -c'], "system_prompt": "You read."}
}


def ask(**task):
    return {"agent": "reader", "description": "Read.", "inject_context": True, **task}


def prompt_of(flow, task):
    return (flow.folder / f"prompt-{task}").read_text()


def headings(text):
    return re.findall(r"^## (\S+) \((.*)\)$", text, re.MULTILINE)


def given_to(flow, result, task):
    state = RunState(runs_folder(flow.store), result.run_id)
    try:
        return state.contexts()[task]
    finally:
        state.close()


def test_a_prompt_has_what_its_task_depends_on(flow):
    tasks = {
        "far": bash("echo far"),
        "mid": bash("echo mid", depends_on=["far"]),
        "near": bash("echo near", depends_on=["mid"]),
        "other": bash("echo other"),
        "first": ask(depends_on=["other"]),
        "a": ask(depends_on=["near", "first"]),
        "none": {**ask(depends_on=["near"]), "inject_context": False},
        "off": ask(depends_on=["near"], context={"mode": "none"}),
        "manual": ask(depends_on=["near"], context={"mode": "manual", "include_tasks": ["far"]}),
        "less": ask(depends_on=["near"], context={"exclude_tasks": ["near"], "min_relevance": 0.1}),
    }
    result = flow(tasks, agents=READER, jobs=1)
    assert prompt_of(flow, "a").startswith("You read.\n\n# Outputs of earlier tasks\n\n## ")
    assert prompt_of(flow, "a").endswith("\n\nRead.\n")
    assert dict(headings(prompt_of(flow, "a"))) == {
        "near": "direct dependency",
        "first": "direct dependency",
        "mid": "dependency at depth 2",
        "other": "dependency at depth 2",
    }
    assert prompt_of(flow, "none") == prompt_of(flow, "off") == "You read.\n\nRead.\n"
    assert [name for name, _ in headings(prompt_of(flow, "manual"))] == ["far"]
    assert {"mid", "far", "first"} <= {name for name, _ in headings(prompt_of(flow, "less"))}
    assert given_to(flow, result, "a")["bytes"] == len(prompt_of(flow, "a")) - len("You read.\n\n\nRead.\n")


def test_the_budget_and_what_does_not_fit(flow):
    tasks = {
        "big": bash("seq 5000", limits={"truncation_strategy": "head"}),
        "small": bash("echo small"),
        "a": ask(depends_on=["big", "small"], context={"max_bytes": 2000}),
        "fair": ask(depends_on=["big", "small"], context={"max_bytes": 2000, "packing": "fair"}),
        "tokens": ask(depends_on=["big", "small"], context={"max_tokens": 300}),
        "one": ask(depends_on=["big", "small"], context={"max_tasks": 1}),
    }
    result = flow(tasks, agents=READER, jobs=1)
    text = prompt_of(flow, "a")
    assert len(text) <= 2000 + len("You read.\n\n\nRead.\n")
    token = re.search(
        r"truncated; whole output: max retrieve (max:[0-9a-f]+)\] ---", prompt_of(flow, "fair")
    )[1]
    assert flow.store.open(token).read() == b"".join(b"%d\n" % number for number in range(1, 5001))
    assert "## small (direct dependency)\nsmall\n" in prompt_of(flow, "fair")
    assert "## big (direct dependency)\n1\n2\n3\n" in prompt_of(flow, "fair")
    assert given_to(flow, result, "tokens")["tokens"] <= 300
    assert "Left out: big" in prompt_of(flow, "one")
    states = {one["task"]: one["state"] for one in given_to(flow, result, "one")["candidates"]}
    assert (states["small"], states["big"]) == ("kept", "dropped")
    # It is kept once, whoever has no room for it.
    assert len(flow.store.list(source="context/big")) == 1


def test_settings_of_the_task_over_those_of_the_workflow(flow):
    tasks = {
        "x": bash("echo x"),
        "y": bash("echo y"),
        "a": ask(depends_on=["x", "y"]),
        "b": ask(depends_on=["x", "y"], context={"max_tasks": 2}),
    }
    flow(tasks, agents=READER, jobs=1, context={"max_tasks": 1})
    assert len(headings(prompt_of(flow, "a"))) == 1
    assert len(headings(prompt_of(flow, "b"))) == 2


def test_subtasks_and_iterations(flow):
    tasks = {
        "base": bash("echo base"),
        "group": {
            "depends_on": ["base"],
            "subtasks": {"x": bash("echo x"), "ask": ask(depends_on=["x"])},
        },
        "refine": {**ask(depends_on=["group"]), "loop": {"repeat": {"count": 3}}},
    }
    flow(tasks, agents=READER)
    assert {name for name, _ in headings(prompt_of(flow, "group.ask"))} == {"group.x", "base"}
    assert "refine[1]" in dict(headings(prompt_of(flow, "refine[2]")))


def test_the_same_run_gives_the_same_prompts(flow):
    tasks = {name: bash(f"echo {name}") for name in "abcdef"}
    tasks["ask"] = ask(depends_on=list("abcdef"), context={"max_bytes": 200})
    flow(tasks, agents=READER, jobs=1)
    first = prompt_of(flow, "ask")
    flow(tasks, agents=READER, jobs=1)
    assert prompt_of(flow, "ask") == first


def test_only_agents_take_context(flow):
    with pytest.raises(WorkflowError, match="inject_context is for tasks of agents"):
        flow({"a": bash("true", inject_context=True)})


LIMITS = {"max_stdout_bytes": 1024, "prune_every_tasks": 4}


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        ("most_recent", {"f", "g"}),
        ("highest_relevance", {"b", "a"}),
        ("direct_dependencies", set()),
    ],
)
def test_pruning_keeps_what_its_strategy_says(flow, strategy, kept):
    # "last" depends on e, e on b, b on a: what is not needed directly is ranked.
    tasks = {name: bash(f"echo {name}; seq 1000") for name in "abcdefg"}
    tasks["b"]["depends_on"] = ["a"]
    tasks["e"]["depends_on"] = ["b"]
    tasks["h"] = bash("echo h", depends_on=list("cdg"))
    tasks["last"] = bash("echo {{ tasks.e.status }}; exit 1", depends_on=["e", "h"])
    limits = {**LIMITS, "prune_every_tasks": 8, "cleanup_strategy": {"type": strategy, "keep_count": 2}}
    result = flow(tasks, jobs=1, limits=limits, check=False)
    left = {path for path, task in result.tasks.items() if not task.pruned}
    # Those of the last task are needed, and that one itself has not ended.
    assert {"e", "h", "last"} <= left
    assert left - {"e", "h", "last"} <= kept | {"h"}
    dropped = {path for path, task in result.tasks.items() if task.pruned}
    assert dropped
    tokens = {item.token for item in flow.store.list()}
    assert tokens == {task.output.token for task in result.tasks.values() if task.output.token}


def test_lru_keeps_what_context_used(flow):
    tasks = {name: bash(f"echo {name}") for name in "abcde"}
    tasks["ask"] = ask(depends_on=list("abcde"), context={"mode": "manual", "include_tasks": ["a"]})
    tasks["end"] = bash("true", depends_on=["ask"])
    limits = {"prune_every_tasks": 7, "cleanup_strategy": {"type": "lru", "keep_count": 3}}
    result = flow(tasks, agents=READER, jobs=1, limits=limits)
    assert {path for path, task in result.tasks.items() if not task.pruned} == {"a", "ask", "end"}


def test_a_pruned_output_that_is_wanted_after_all(flow):
    later = [f"n{number}" for number in range(6)]
    tasks = {"a": bash("echo a"), **{name: bash("true", depends_on=["a"]) for name in later}}
    tasks["end"] = bash("true", depends_on=later)
    limits = {"prune_every_tasks": 4, "cleanup_strategy": {"type": "direct_dependencies"}}
    result = flow(tasks, jobs=1, limits=limits)
    assert result.tasks["a"].pruned
    tasks["late"] = bash("echo {{ tasks.a.output }}", depends_on=["end"])
    again = flow(tasks, resume=result.run_id, check=False)
    assert again.error == (
        "late: the full output of task 'a' is missing (it was pruned: name it in depends_on, or raise keep_count "
        "of cleanup_strategy in the limits); do it again with --rerun a"
    )


@pytest.mark.parametrize("how", ["memory", "hook", "checkpoint"])
def test_what_makes_a_run_prune(flow, how):
    tasks = {f"t{number}": bash("head -c 5000 /dev/zero") for number in range(8)}
    limits = {"cleanup_strategy": {"type": "most_recent", "keep_count": 1}, "prune_every_tasks": 1000}
    root = {}
    if how == "memory":
        limits["prune_memory_bytes"] = 12_000
    elif how == "hook":
        root["hooks"] = {"post_task": ["checkpoint_and_prune"]}
    else:
        tasks["loop"] = {
            **bash("true"),
            "loop": {"repeat": {"count": 2}},
            "loop_control": {"checkpoint_interval": 2},
        }
        tasks["loop"]["priority"] = 1  # after the others
    result = flow(tasks, jobs=1, limits=limits, **root)
    assert sum(task.pruned for task in result.tasks.values()) >= 5
    assert result.metrics["pruned"] >= 5
    assert result.metrics["held_bytes"] <= 15_000


def test_metrics_and_warnings(flow):
    tasks = {f"t{number}": bash("seq 2000") for number in range(12)}
    tasks["ask"] = ask(depends_on=["t0", "t1"], context={"max_bytes": 1500})
    result = flow(tasks, agents=READER, limits={"max_stdout_bytes": "1KiB"})
    metrics = result.metrics
    assert (metrics["outputs"], metrics["truncated"], metrics["external"], metrics["prompts"]) == (
        13,
        12,
        12,
        1,
    )
    assert metrics["external_bytes"] == 12 * 8893
    assert 0 < metrics["external_stored_bytes"] < metrics["external_bytes"]
    assert metrics["context_bytes"] <= 1500
    assert metrics["tokens_saved"] > 0
    texts = [event.data["text"] for event in flow.events if event.kind == "warning"]
    (told,) = [text for text in texts if "outputs were truncated" in text]
    assert told.startswith(
        "12 of 13 outputs were truncated; the largest had 8.9 KB: raise max_stdout_bytes, "
    )


def test_max_context(program):
    (program.folder / "flow.yaml").write_text(
        "name: c\nversion: 1\nagents: {r: {command: [cat]}}\ntasks:\n"
        "  a: {script: {content: echo a}}\n  b: {script: {content: seq 3000}, depends_on: [a]}\n"
        "  ask: {agent: r, description: Go., depends_on: [b], inject_context: true, context: {max_bytes: 1000}}\n"
    )
    before = program.text("context", "flow.yaml", "ask").splitlines()
    assert before[0] == "ask would get"
    assert re.split(r"\s{2,}", before[2]) == ["b", "1.00", "direct dependency"]
    done = program("run", "flow.yaml", "--metrics-file", "m.prom", "--show-context-metrics")
    assert re.search(rb"^metrics    3 outputs, .* tokens in 1 prompt$", done.stderr, re.MULTILINE)
    assert b"\nprompts:   1 with " in done.stdout
    run_id = program.text("runs").split()[0]
    given = json.loads(program.text("context", run_id, "ask", "-o", "json"))
    assert [(one["task"], one["state"]) for one in given["candidates"]] == [("b", "cut"), ("a", "dropped")]
    assert given["bytes"] <= 1000
    shown = program.text("context", run_id, "ask").splitlines()
    assert re.match(r"ask got: [\d,]+ bytes, about [\d,]+ LLM tokens", shown[0])
    assert (
        b"is not an agent's task; agents' tasks are: ask" in program("context", run_id, "b", check=1).stderr
    )
    prom = (program.folder / "m.prom").read_text()
    assert re.search(r'^maxstage_run_outputs_total\{run="[^"]+",workflow="c"\} 3$', prom, re.MULTILINE)
    assert "3; 0 truncated" in program.text("runs", "show", run_id)
    assert program.text("runs", "prune", run_id, "--keep", "1").startswith("Dropped 2 outputs")


def listed(program, *args):
    """What `max context` lists, and its first line."""
    lines = program.text("context", *args).splitlines()
    return lines[0], [line.split()[0] for line in lines[2:]]


def test_max_context_of_a_file_lists_what_a_run_would_take(program):
    (program.folder / "flow.yaml").write_text(
        "name: c\nversion: 1\nagents: {r: {command: [cat]}}\ntasks:\n"
        "  a: {script: {content: echo a}}\n"
        "  first: {agent: r, description: Go., depends_on: [a]}\n"
        "  loop: {agent: r, description: 'Go {{ iteration }}.', loop: {repeat: {count: 2}}, depends_on: [first]}\n"
        "  ask: {agent: r, description: Go., depends_on: [loop], inject_context: true}\n"
        "  few: {agent: r, description: Go., depends_on: [ask], inject_context: true,"
        " context: {max_tasks: 1, exclude_tasks: [ask]}}\n"
        "  manual: {agent: r, description: Go., depends_on: [few], inject_context: true,"
        " context: {mode: manual, include_tasks: [a]}}\n"
        "  later: {agent: r, description: Go., depends_on: [manual], inject_context: true}\n"
    )
    before = {task: listed(program, "flow.yaml", task) for task in ("ask", "few", "manual", "later")}
    assert before["ask"] == ("ask would get", ["loop", "first"])
    assert before["manual"] == ("manual would get", ["a"])
    assert listed(program, "flow.yaml", "first") == (
        "first would get nothing: it does not say inject_context: true",
        [],
    )
    program("run", "flow.yaml", "-j", "1")
    run_id = program.text("runs").split()[0]
    for task, (_, names) in before.items():
        head, given = listed(program, run_id, task)
        assert head.startswith(f"{task} got: ")
        assert given == names, task
    assert listed(program, run_id, "first") == ("first got nothing: it was given no context", [])


def test_an_output_tells_who_depends_on_it_and_when_it_was_used(flow):
    tasks = {"a": bash("echo a"), "b": bash("sleep 0.1", depends_on=["a"]), "ask": ask(depends_on=["a", "b"])}
    result = flow(tasks, agents=READER, jobs=1)
    output = result.tasks["a"].output
    assert output.depended_by == ("b", "ask")
    assert (output.last_accessed - output.completed_at).total_seconds() > 0.1


def test_a_system_prompt_is_filled_in_like_a_description(flow):
    # What it refers to comes first, though no task names it.
    agents = {"r": {"command": ["cat"], "system_prompt": "You speak {{ inputs.l }}. {{ tasks.z.output }}"}}
    tasks = {"ask": {"agent": "r", "description": "Go."}, "z": bash("echo 'known {{ inputs.l }}'")}
    result = flow(tasks, agents=agents, given={"l": "Latin"}, inputs={"l": "x"})
    assert result.tasks["ask"].output.text == "You speak Latin. known {{ inputs.l }}\n\nGo.\n".replace(
        "{{ inputs.l }}", "Latin"
    )

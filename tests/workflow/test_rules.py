"""What a file may say about its tasks beyond what they do: types of inputs, defaults, conditions, limits of time."""

import json

import pytest

import maxstage
from helpers import FOREVER, bash, lines_of, text_of
from maxstage.errors import WorkflowError
from maxstage.workflow.format import loading
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.workflow import Workflow


def problems(yaml):
    loaded = loading.check(Source(f"name: x\nversion: 1\n{yaml}"), "f")
    return [] if isinstance(loaded, loading.ValidWorkflow) else [str(problem) for problem in loaded.errors]


TASKS = "tasks: {a: {script: {content: echo}}}\n"
SAY = {"a": bash("printf %s {{ inputs.x }}")}


@pytest.mark.parametrize(
    ("declared", "good", "bad", "why"),
    [
        ({"type": "string"}, "5", 5, "must be text, not 5"),
        ({"type": "integer"}, 5, 5.5, "must be a whole number, not 5.5"),
        ({"type": "integer"}, -1, True, "must be a whole number, not true"),
        ({"type": "number"}, 1.5, "1.5", 'must be a number, not "1.5"'),
        ({"type": "boolean"}, True, "yes", 'must be true or false, not "yes"'),
        ({"type": "array"}, [1], {"a": 1}, 'must be a list, not {"a": 1}'),
        ({"type": "object"}, {"a": 1}, [1], "must be a mapping, not [1]"),
        ({"enum": ["a", 2]}, 2, "b", 'must be one of "a", 2, not "b"'),
        ({"type": "integer", "minimum": 3}, 3, 2, "must be a number of at least 3, not 2"),
        ({"maximum": 3}, 3, 3.5, "must be a number of at most 3, not 3.5"),
        (
            {"pattern": "[a-z]+"},
            "abc",
            "abc\n; rm",
            'must match [a-z]+ as a whole, and "abc\\n; rm" doesn\'t',
        ),
    ],
)
def test_types_of_inputs(flow, declared, good, bad, why):
    assert flow(SAY, inputs={"x": declared}, given={"x": good}).ok
    with pytest.raises(WorkflowError) as caught:
        flow(SAY, inputs={"x": declared}, given={"x": bad})
    assert str(caught.value) == f"input x {why}"
    text = problems(f"inputs: {{x: {json.dumps({**declared, 'default': bad})}}}\n{TASKS}")
    assert [line.partition(": ")[2] for line in text] == [f"default: {why}"]
    assert text[0].startswith("f:3:")


def test_inputs_that_are_typed_are_read_as_such(program):
    (program.folder / "f.yaml").write_text(
        "name: f\nversion: 1\ninputs:\n  n: {type: integer}\n  s: {type: string}\n  l: {type: array}\ntasks:\n"
        "  a:\n    script:\n      language: python\n"
        "      content: print({{ inputs.n }} + 1, {{ inputs.s }} + '!', len({{ inputs.l }}))\n"
        "outputs: {out: '{{ tasks.a.output }}'}\n"
    )
    given = ["--input", "n=4", "--input", "s=7", "--input", "l=[1,2]"]
    assert "out: 5 7! 2\n" in program.text("run", "f.yaml", *given)
    assert (
        program.fails("run", "f.yaml", *given, "--input", "n=x") == "input n must be a whole number, not 'x'"
    )
    assert (
        program.fails("run", "f.yaml", *given, "--input", "n=1.5")
        == "input n must be a whole number, not 1.5"
    )
    assert program.fails("run", "f.yaml", *given, "--input", "l=1,2").startswith(
        "input l must be a list, as JSON"
    )


def test_inputs_that_are_declared_wrongly():
    (found,) = problems("inputs: {x: {type: text}}\n" + TASKS)
    assert "must be 'string', 'integer', 'number', 'boolean', 'array' or 'object'" in found
    (found,) = problems("inputs: {x: {pattern: '('}}\n" + TASKS)
    assert "pattern: is no regular expression" in found


def compare(left, op, right):
    return {"type": "compare", "left": left, "op": op, "right": right}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (compare("{{ inputs.n }}", ">", 9), True),
        (compare("{{ tasks.ten.output }}", ">", "9"), True),  # as numbers
        (compare("{{ tasks.ten.output }}", "==", 10.0), True),
        (compare("{{ inputs.n }}", "<=", "{{ tasks.ten.output }}"), True),
        (compare("1e3", "<", 999), False),
        (compare("2026-01-09", "<", "2026-01-10"), True),  # as texts
        (compare("b", ">=", "a"), True),
        (compare("x", "!=", 3), True),
        (compare("{{ inputs.flag }}", "==", True), True),
        (compare("{{ tasks.ten.exit_code }}", "==", 0), True),
        ({"type": "matches", "value": "{{ tasks.say.output }}", "regex": "^ERROR [0-9]+$"}, True),
        ({"type": "matches", "value": "{{ tasks.say.output }}", "regex": "^[0-9]"}, False),
        ({"type": "matches", "value": "v{{ inputs.n }}", "regex": "^v1"}, True),
        ({"not": {"type": "matches", "value": "", "regex": "."}}, True),
    ],
)
def test_comparisons_and_expressions(flow, condition, holds):
    tasks = {
        "ten": bash("echo 10"),
        "say": bash("printf 'all well\\nERROR 17\\nmore\\n'"),
        "a": bash("echo", condition=condition),
    }
    result = flow(tasks, inputs={"n": 10, "flag": True})
    assert (result.tasks["a"].status == "completed") == holds


def test_comparisons_that_make_no_sense(flow):
    result = flow(
        {"a": bash("echo", condition=compare("{{ inputs.x }}", "<", 3))}, inputs={"x": "many"}, check=False
    )
    assert result.error == "a: 3 can't be compared with 'many', which is no number"
    base = "tasks:\n  a: {script: {content: echo}, condition: {type: %s}}\n"
    (found,) = problems(base % "compare, left: 1, right: 1, op: '='")
    assert "op: must be '==', '!=', '<', '<=', '>' or '>='" in found
    (found,) = problems(base % "compare, left: 1, op: '<'")
    assert "compare needs left, op and right" in found
    (found,) = problems(base % "matches, value: x, regex: '('")
    assert "Invalid regular expression" in found
    (found,) = problems(base % "compare, left: '{{ tasks.b.output }}', op: '<', right: 1")
    assert "there is no task 'b'" in found


@pytest.mark.skipif(maxstage.backend != "rust", reason="Python's re tries all ways of matching")
def test_an_expression_takes_no_time_without_end(flow):
    condition = {"type": "matches", "value": "a" * 60 + "!", "regex": "^(a+)+$"}
    flow({"a": bash("echo", condition=condition)})


def test_a_comparison_waits_for_the_task_that_it_names(flow):
    tasks = {"a": bash("echo", condition=compare("{{ tasks.z.output }}", "==", "1")), "z": bash("echo 1")}
    assert flow(tasks).tasks["a"].status == "completed"


def test_defaults(flow):
    defaults = {"on_error": {"retry": 2, "continue": True}, "timeout_secs": 500, "strict": False}
    tasks = {
        "a": bash("echo a >> log; false; exit 1"),
        "b": {"subtasks": {"c": bash("echo c >> log; exit 1", on_error={"retry": 0})}},
        "d": bash("false; echo went on"),
    }
    result = flow(tasks, defaults=defaults)
    assert lines_of(flow.folder / "log") == ["a", "c", "a", "a"] or sorted(lines_of(flow.folder / "log")) == [
        *"aaac"
    ]
    assert result.tasks["a"].tolerated
    assert result.tasks["b.c"].tolerated
    assert text_of(result, "d") == "went on\n"
    spec = Workflow.from_dict({"name": "x", "version": "1", "tasks": tasks, "defaults": defaults}).spec
    assert (spec.tasks["a"].timeout_secs, spec.tasks["b"].timeout_secs) == (500, None)
    (found,) = problems("defaults: {retry: 3}\n" + TASKS)
    assert "unknown field 'retry'" in found


@pytest.mark.parametrize("length", [1, 150_000])
def test_bash_is_strict(flow, length):
    """Also a script of a length that goes through a file."""
    comment = "#" + "x" * length
    for script, why in (
        ("false; echo on", "exit status 1"),
        ("echo $NOT_SET; echo on", "NOT_SET: unbound variable"),
        ("false | true; echo on", "exit status 1"),
    ):
        result = flow({"a": bash(f"{comment}\n{script}")}, check=False)
        assert why in result.error
        assert "on" not in text_of(result, "a")
        task = {"script": {"content": f"{comment}\n{script}", "strict": False}}
        assert text_of(flow({"a": task}), "a").endswith("on\n")


def test_a_script_in_a_file_is_strict(flow):
    (flow.folder / "s.sh").write_text("false\necho on\n")
    assert not flow({"a": {"script": {"file": "s.sh"}}}, check=False).ok
    assert text_of(flow({"a": {"script": {"file": "s.sh", "strict": False}}}), "a") == "on\n"
    (found,) = problems("tasks: {a: {script: {language: python, content: x, strict: true}}}\n")
    assert "strict is for bash, and this is python" in found


SLEEP = f"echo begun; sleep {FOREVER}"
AGENTS = {"slow": {"command": ["bash", "-c", SLEEP]}}


@pytest.mark.parametrize(
    "task",
    [
        {"agent": "slow", "description": "x", "timeout_secs": 0.5},
        {"command": {"executable": "sleep", "args": [str(FOREVER)]}, "timeout_secs": 0.5},
        bash(SLEEP, timeout_secs="{{ inputs.n }}"),
        {"script": {"content": SLEEP, "timeout_secs": "{{ inputs.n }}"}},
        {"subtasks": {"x": bash("true"), "y": bash(SLEEP, depends_on=["x"])}, "timeout_secs": 0.5},
        bash(SLEEP, loop={"repeat": {"count": 2}}, loop_control={"timeout_secs": "{{ inputs.n }}"}),
    ],
)
def test_every_kind_of_task_has_a_time_limit(flow, task):
    result = flow({"a": task}, agents=AGENTS, inputs={"n": 0.5}, check=False)
    assert "timed out after 0." in result.error


def test_numbers_by_reference(flow):
    tasks = {
        "n": bash("echo 3"),
        "a": bash("echo {{ iteration }}", loop={"repeat": {"count": "{{ tasks.n.output }}"}}),
        "b": bash(
            "echo {{ item }}",
            loop={
                "for_each": {
                    "collection": {"type": "range", "start": 1, "end": "{{ inputs.end }}", "step": 2}
                }
            },
        ),
    }
    result = flow(tasks, inputs={"end": 6})
    assert (text_of(result, "a").split(), text_of(result, "b").split()) == (["0", "1", "2"], ["1", "3", "5"])
    result = flow(tasks, inputs={"end": "many"}, check=False)
    assert result.error == "b: {{ inputs.end }} is 'many', and must be a whole number"
    tasks["a"]["loop"]["repeat"]["count"] = "{{ inputs.end }}"
    result = flow(tasks, inputs={"end": -2}, check=False)
    assert result.error == "a: {{ inputs.end }} is '-2', and must be a whole number of at least 0"
    loop = "tasks: {a: {script: {content: echo}, loop: {repeat: {count: %s}}}}\n"
    (found,) = problems(loop % "three")
    assert found.endswith("count: must be a number, or a reference like {{ inputs.n }}")
    (found,) = problems(loop % "'{{ inputs.x }}'")
    assert "there is no input 'x'" in found
    (found,) = problems(loop % "-1")
    assert found.endswith("count: must be at least 0")


def test_what_runs_always(flow):
    tasks = {
        "a": bash("echo a >> log; test -e go"),
        "b": bash("echo b >> log", depends_on=["a"]),
        "clean": bash("echo clean {{ tasks.a.status }} >> log", depends_on=["a", "b"], always=True),
        "late": bash("echo late >> log", depends_on=["clean"]),
    }
    failed = flow(tasks, check=False)
    assert failed.error == "a: exit status 1"
    assert lines_of(flow.folder / "log") == ["a", "clean failed"]
    # It ran for what failed: after the rest is done, it runs again.
    (flow.folder / "go").touch()
    flow(tasks, resume=True)
    assert lines_of(flow.folder / "log")[2:] == ["a", "b", "clean completed", "late"]


def test_what_runs_always_within_subtasks(flow):
    inner = {"x": bash("false"), "y": bash("echo y >> log", depends_on=["x"], always=True)}
    tasks = {
        "a": {"subtasks": inner},
        "z": bash("echo z >> log", always=True, depends_on=["y2"]),
        "y2": bash("echo y2 >> log", always=True, depends_on=["a"]),
        "alert": bash(
            "echo alert >> log",
            always=True,
            condition={"type": "task_status", "task": "a", "status": "failed"},
        ),
    }
    result = flow(tasks, check=False)
    assert result.status == "failed"
    assert sorted(lines_of(flow.folder / "log")) == ["alert", "y", "y2", "z"]


def test_what_runs_always_fails_itself(flow):
    tasks = {"a": bash("false"), "clean": bash("exit 7", always=True, depends_on=["a"])}
    assert flow(tasks, check=False).error == "a: exit status 1"
    assert flow({**tasks, "a": bash("true")}, check=False).error == "clean: exit status 7"

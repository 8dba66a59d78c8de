"""What was cut is never taken for the whole, and what no program can be given is a failed task."""

import json

import pytest

from maxstage import WorkflowError
from maxstage.workflow.workflow import Workflow


def bash(content, **task):
    return {"script": {"content": content}, **task}


SMALL = {"max_stdout_bytes": "1KiB"}
NEVER = {**SMALL, "external_storage_threshold": None}
LINES = "".join(f"{number}\n" for number in range(1, 1001))


def text_of(result, path):
    return result.tasks[path].output.text


def over(key, content, **loop):
    return bash(content, loop={"for_each": {"collection": {"type": "state", "key": key}, **loop}})


@pytest.mark.parametrize("limits", [SMALL, NEVER, {"truncation_strategy": "summary", **SMALL}])
def test_a_reference_gets_the_whole(flow, limits):
    whole = LINES.rstrip("\n")
    result = flow(
        {
            "gen": bash("seq 1000", limits=limits),
            "bash": bash("printf %s {{ tasks.gen.output }} | cksum; printf %s {{ inputs.whole }} | cksum"),
            "python": {"script": {"language": "python", "content": "print(len({{ tasks.gen.output }}))"}},
            "args": {"command": {"executable": "printf", "args": ["%s", "{{ tasks.gen.output }}"]}},
            "env": {
                "command": {"executable": "printenv", "args": ["V"], "env": {"V": "{{ tasks.gen.output }}"}}
            },
            "given": bash("printf %s {{ inputs.v }} | wc -c", inputs={"v": "{{ tasks.gen.output }}"}),
            "equal": bash(
                "true", condition={"type": "state_equals", "key": "tasks.gen.output", "value": whole}
            ),
            "exists": bash("true", condition={"type": "state_exists", "key": "tasks.gen.output"}),
            "cut": bash("printf %s {{ tasks.gen.excerpt }}"),
        },
        inputs={"whole": whole},
        outputs={"all": "{{ tasks.gen.output }}"},
    )
    assert result.tasks["gen"].output.truncated
    first, second = text_of(result, "bash").splitlines()
    assert first == second
    assert text_of(result, "python") == f"{len(whole)}\n"
    assert text_of(result, "args") == whole
    assert text_of(result, "env").rstrip() == whole
    assert text_of(result, "given").strip() == str(len(whole))
    assert result.tasks["equal"].status == result.tasks["exists"].status == "completed"
    assert "truncated" in text_of(result, "cut")
    assert len(text_of(result, "cut")) <= 1024
    assert result.outputs == {"all": whole}


@pytest.mark.parametrize("limits", [SMALL, NEVER])
@pytest.mark.parametrize(
    ("made", "items"),
    [
        ("seq 600", [str(number) for number in range(1, 601)]),
        ("seq 600; echo; echo", [str(number) for number in range(1, 601)]),
        ("echo '['; seq -s, 600; echo ']'", list(range(1, 601))),
        ("echo '[warning] no array'; seq 400", ["[warning] no array", *map(str, range(1, 401))]),
        ("echo '[1] no array'; seq 400", ["[1] no array", *map(str, range(1, 401))]),
        ("seq 400; printf 'a\\n\\nb'", [*map(str, range(1, 401)), "a", "", "b"]),
        ("true", []),
    ],
)
def test_a_loop_goes_over_the_whole(flow, made, items, limits):
    tasks = {"gen": bash(made, limits=limits), "each": over("tasks.gen.output", "exit 1")}
    tasks["each"]["loop_control"] = {"continue_condition": {"type": "state_exists", "key": "item"}}
    result = flow(tasks)
    assert [event.data["total"] for event in flow.events if event.kind == "loop_started"] == [len(items)]
    assert len([path for path in result.tasks if path.startswith("each[")]) == len(items)
    if items:
        number = len(items) - 1
        end = over("tasks.gen.output", "printf %s {{ item }}")
        end["loop_control"] = {
            "continue_condition": {
                "not": {"type": "state_equals", "key": "iteration", "value": number},
            }
        }
        last = flow({"gen": bash(made, limits=limits), "each": end})
        assert text_of(last, f"each[{number}]") == str(items[-1])


def test_a_loop_goes_over_more_than_a_reference_takes(flow):
    control = {"break_condition": {"type": "state_equals", "key": "iteration", "value": 2}}
    each = {**over("tasks.gen.output", "echo {{ item }}"), "loop_control": control}
    result = flow({"gen": bash("seq 300000", limits=SMALL), "each": each})
    assert text_of(result, "each") == "1\n2\n"


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("parts", ["subtasks", "loop"])
def test_the_whole_of_tasks_with_parts(flow, parts, loop):
    gen = {"subtasks": {"a": bash("seq 300"), "b": bash("seq 301 600")}}
    if parts == "loop":
        gen = bash(
            "seq $(( {{ iteration }} * 300 + 1 )) $(( {{ iteration }} * 300 + 300 ))",
            loop={"repeat": {"count": 2}},
        )
    reader = (
        over("tasks.gen.output", "true")
        if loop
        else bash("printf %s {{ tasks.gen.output }} | cksum; seq 600 | head -c -1 | cksum")
    )
    result = flow({"gen": {**gen, "limits": NEVER}, "read": reader})
    if loop:
        assert result.tasks["read"].attempts == 600
    else:
        first, second = text_of(result, "read").splitlines()
        assert first == second


def test_more_than_a_reference_takes_is_an_error_that_says_what_to_do(flow):
    gen = bash("seq 300000")
    for reader in (
        bash("echo {{ tasks.gen.output }}"),
        {"command": {"executable": "echo", "args": ["{{ tasks.gen.output }}"]}},
        bash("true", inputs={"x": "{{ tasks.gen.output }}"}),
        bash("true", condition={"type": "state_equals", "key": "tasks.gen.output", "value": "x"}),
    ):
        result = flow({"gen": gen, "read": reader}, check=False)
        assert result.error.startswith(
            "read: the output of task 'gen' has 1,988,895 bytes; a reference takes at most"
        )
        for way in ("stdin_from", "{{ tasks.gen.token }}", "{{ tasks.gen.excerpt }}"):
            assert way in result.error
    good = {
        "a": {"command": {"executable": "wc", "args": ["-l"]}, "stdin_from": "gen"},
        "b": bash("echo {{ tasks.gen.excerpt }} | tail -n 1"),
    }
    good["c"] = bash("true", condition={"type": "state_exists", "key": "tasks.gen.output"})
    result = flow({"gen": gen, **good})
    assert text_of(result, "a").strip() == "300000"
    assert text_of(result, "b").startswith("--- [") or text_of(result, "b").strip() == "300000"


@pytest.mark.parametrize("harm", ["unstaged", "damaged"])
@pytest.mark.parametrize(
    "reader",
    [
        bash("cat {{ tasks.gen.output }}"),
        over("tasks.gen.output", "true"),
        {"command": {"executable": "cat"}, "stdin_from": "gen"},
        bash("true", condition={"type": "state_equals", "key": "tasks.gen.output", "value": "x"}),
    ],
)
def test_where_the_whole_is_gone_the_task_is_named(flow, reader, harm):
    tasks = {"gen": bash("seq 1000", limits=SMALL), "stop": bash("exit 1", depends_on=["gen"])}
    tasks["read"] = {**reader, "depends_on": ["stop"]}
    failed = flow(tasks, check=False)
    output = failed.tasks["gen"].output
    if harm == "unstaged":
        flow.store.unstage(output.token)
    else:
        with open(output.external_path, "r+b") as file:
            file.seek(40)
            file.write(b"damaged")
    tasks["stop"] = bash("true", depends_on=["gen"])
    result = flow(tasks, resume=failed.run_id, check=False)
    assert result.status == "failed"
    assert "read: the full output of task 'gen' is missing (" in result.error
    assert result.error.endswith("do it again with --rerun gen")


def test_what_is_advised_where_a_full_output_is_gone(program):
    """To resume would fail again and again, so that is not what is said; to do it again is, and it helps."""
    (program.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks:\n"
        "  gen: {script: {content: seq 5000}, limits: {max_stdout_bytes: 1024}}\n"
        "  stop: {script: {content: test -e go}, depends_on: [gen]}\n"
        "  read: {script: {content: wc -l}, stdin_from: gen, depends_on: [stop]}\n"
    )
    failed = program("run", "flow.yaml", check=1)
    assert b"To resume where it failed: max run flow.yaml --run-id " in failed.stderr
    (item,) = json.loads(program.text("stage", "list", "-o", "json"))
    program("unstage", item["ref"])
    (program.folder / "go").touch()
    failed = program("run", "flow.yaml", "--resume", check=1)
    assert b"do it again with --rerun gen" in failed.stdout
    assert b"resume" not in failed.stdout + failed.stderr
    assert b"completed" in program("run", "flow.yaml", "--rerun", "gen").stdout


def test_an_agent_is_given_the_whole_or_what_it_asks_for(flow):
    agents = {"a": {"command": ["cat"]}}
    gen = bash("seq 1000", limits=SMALL)
    result = flow(
        {
            "gen": gen,
            "whole": {"agent": "a", "description": "{{ tasks.gen.output }}"},
            "cut": {"agent": "a", "description": "{{ tasks.gen.excerpt }}"},
        },
        agents=agents,
    )
    assert text_of(result, "whole") == LINES
    assert "truncated" in text_of(result, "cut")


NUL = bash("printf 'a\\0b'")


@pytest.mark.parametrize(
    "reader",
    [
        bash("echo {{ tasks.gen.output }}"),
        {"command": {"executable": "echo", "args": ["{{ tasks.gen.output }}"]}},
        {"command": {"executable": "{{ tasks.gen.output }}"}},
        {"command": {"executable": "env", "env": {"V": "{{ tasks.gen.output }}"}}},
        {"command": {"executable": "env", "working_dir": "{{ tasks.gen.output }}"}},
        {"command": {"executable": "env", "env": {"A=B": "c"}}},
        {"command": {"executable": "env", "env": {"": "c"}}},
        {"script": {"file": "{{ tasks.gen.output }}"}},
        bash("true", output="{{ tasks.gen.output }}"),
        bash("echo 'a\0b'"),
        bash("true", loop={"for_each": {"collection": {"type": "file", "path": "{{ tasks.gen.output }}"}}}),
        bash("true", loop={"for_each": {"collection": {"type": "token", "token": "{{ tasks.gen.output }}"}}}),
        {"command": {"executable": "echo", "args": ["\ud83d"]}},
    ],
)
def test_what_no_program_can_be_given_is_a_failed_task(flow, reader):
    tasks = {"gen": NUL, "read": {**reader, "depends_on": ["gen"]}}
    tasks["read"]["on_error"] = {"continue": True}
    try:
        result = flow({**tasks, "after": bash("echo after", depends_on=["read"])})
    except WorkflowError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - it may be told before the run
        return
    assert result.tasks["read"].status == "failed"
    assert "\n" not in result.tasks["read"].error
    assert text_of(result, "after") == "after\n"
    failed = flow({"gen": NUL, "read": {**reader, "depends_on": ["gen"]}}, check=False)
    again = flow({"gen": NUL, "read": {**reader, "depends_on": ["gen"]}}, resume=failed.run_id, check=False)
    assert failed.error == again.error
    json.dumps([event.to_dict() for event in flow.events]).encode()


def test_nul_passes_where_it_can(flow):
    python = {"script": {"language": "python", "content": "print(repr({{ tasks.gen.output }}))"}}
    result = flow(
        {"gen": NUL, "read": python, "stdin": {"command": {"executable": "cat"}, "stdin_from": "gen"}}
    )
    assert text_of(result, "read") == "'a\\x00b'\n"
    assert result.tasks["stdin"].output.content == b"a\0b"


def test_what_is_too_long_for_the_system_is_named(flow):
    gen = bash("seq 40000")
    result = flow(
        {"gen": gen, "read": {"command": {"executable": "echo", "args": ["{{ tasks.gen.output }}"]}}},
        check=False,
    )
    assert result.error.startswith(
        "read: arguments and environment are too long for the system; argument 1 of echo has 228,893 bytes"
    )
    reader = {"command": {"executable": "env", "env": {"V": "{{ tasks.gen.output }}"}}}
    result = flow({"gen": gen, "read": reader}, check=False)
    assert "the environment variable V has 228,893 bytes" in result.error


def test_hooks_survive_what_errors_quote(flow):
    tasks = {"a": bash("printf 'x\\0y\\377' >&2; exit 1", on_error={"continue": True})}
    flow(tasks, hooks={"post_task": ['printf %s "$MAX_ERROR" > told']})
    assert (flow.folder / "told").read_text() == "exit status 1: x\\x00y\ufffd"
    flow(
        {"a": bash("true")},
        inputs={"x": ""},
        given={"x": "a\0b"},
        hooks={"post_task": ["echo {{ inputs.x }}"]},
    )
    assert any("NUL" in event.data["text"] for event in flow.events if event.kind == "warning")


BYTES = b"caf\xe9 \xff\xfe \xe2\x82\xac"


def test_bytes_pass_through_references(flow):
    gen = bash("printf 'caf\\351 \\377\\376 \\342\\202\\254'")
    python = "import os; os.write(1, os.fsencode({{ tasks.gen.output }}))"
    result = flow(
        {
            "gen": gen,
            "bash": bash("printf %s {{ tasks.gen.output }}"),
            "python": {"script": {"language": "python", "content": python}},
            "perl": {"script": {"language": "perl", "content": "print {{ tasks.gen.output }};"}},
            "args": {"command": {"executable": "printf", "args": ["%s", "{{ tasks.gen.output }}"]}},
            "env": bash('printf %s "$V"', depends_on=["gen"]),
            "loop": over("tasks.gen.output", "printf %s {{ item }}"),
            "prompt": {"agent": "a", "description": "{{ tasks.gen.output }}"},
            "file": bash("printf %s {{ tasks.gen.output }}", output="kept"),
        }
        | {"env": {"script": {"content": 'printf %s "$V"', "env": {"V": "{{ tasks.gen.output }}"}}}},
        agents={"a": {"command": ["head", "-c", "-1"]}},
        outputs={"x": "{{ tasks.gen.output }}"},
    )
    for path in ("bash", "python", "perl", "args", "env", "loop", "prompt"):
        assert result.tasks[path].output.content == BYTES, path
    assert (flow.folder / "kept").read_bytes() == BYTES
    assert result.outputs["x"].encode("utf-8", "surrogateescape") == BYTES


def test_an_error_that_quotes_bytes_is_kept(flow):
    gen = bash("printf '/gone\\377'")
    result = flow({"gen": gen, "read": {"command": {"executable": "{{ tasks.gen.output }}"}}}, check=False)
    assert result.error == "read: No such file or directory: /gone\\udcff"


def test_a_collection_that_does_not_exist_is_told_at_validation():
    tasks = {"gen": bash("true"), "each": over("tasks.gn.output", "true")}
    with pytest.raises(WorkflowError, match="there is no task 'gn'; did you mean 'gen'"):
        Workflow.from_dict({"name": "x", "version": "1", "tasks": tasks})

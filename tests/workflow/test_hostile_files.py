"""Workflow files that nobody means well: one clear line for each mistake, in bounded time, and never a traceback."""

import os
import random
import subprocess
import time

import pytest

from maxstage.errors import WorkflowError
from maxstage.workflow.format import hints, loading
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.workflow import Workflow

HEAD = "name: x\nversion: '1'\ntasks:\n"


def problems(text):
    return [str(one).removeprefix("f:") for one in loading.check(Source(text), "f").problems]


def task(text):
    return problems(f"{HEAD}  a: {{{text}}}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("script: {content: x}, strict: true", ["4:29: unknown field 'strict': strict belongs in defaults or script"]),
        ("script: {content: x}, max_stdout_bytes: 3",
         ["4:29: unknown field 'max_stdout_bytes': max_stdout_bytes belongs in limits"]),
        ("script: {content: x}, depend_on: [a]", ["4:29: unknown field 'depend_on'; did you mean 'depends_on'?"]),
        ("script: {content: x, retries: 2}", ["4:28: unknown field 'retries'; did you mean 'retry', in on_error?"]),
        ("lop: {}", ["4:3: a: a task has exactly one of script, command, agent, intent, subtasks, await; this has none",
                     "4:7: unknown field 'lop'; did you mean 'loop'?"]),
        ("script: {contnt: x}", ["4:7: script: a script has either content or file",
                                 "4:16: unknown field 'contnt'; did you mean 'content'?"]),
        ("script: {content: 5}", ["4:16: content: must be text"]),
        ("script: {content: '{{ inputs.b }}'}, command: {executable: ls}, priority: high",
         ["4:26: there is no input 'b'", ("4:44: command: a task has exactly one of script, command, agent, intent, "
          "subtasks, await; this has script, command"), "4:71: priority: must be a whole number"]),
        ("script: {content: x}, context: {max_bytes: [1]}", ["4:39: max_bytes: must be a whole number or text"]),
        ("script: {content: x}, limits: {max_lines: 0, max_stdot_bytes: 1}",
         ["4:38: max_lines", "4:52: unknown limit 'max_stdot_bytes'"]),
        ("script: {content: x}, condition: {and: [{type: always}, {type: task_status, task: q, status: failed}]}",
         ["4:83: there is no task 'q'"]),
        ("subtasks: [{b: {lop: 1, script: {content: '{{ inputs.q }}'}}}, {b: {script: {content: x}}}]",
         ["4:23: unknown field 'lop'", "4:50: there is no input 'q'", "4:71: 'b' is given twice"]),
        ("script: {content: x, timeout_secs: .inf}",
         ["4:28: timeout_secs: must be a number, or a reference like {{ inputs.n }}"]),
        ("script: {content: x, timeout_secs: 1e999}", ["4:28: timeout_secs: must be a finite number"]),
        ("script: {content: x}, loop: {repeat: {count: 1000000000000000000000}}", ["4:45: count: must be at most"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_each_at_its_field(text, expected):
    found = task(text)
    assert [line[: len(want)] for line, want in zip(found, expected, strict=True)] == expected


def test_an_entry_whose_name_and_value_are_both_invalid_costs_itself_alone():
    text = f"{HEAD}  a: {{script: {{content: x, env: {{a=b: 1, 'c=d': 2}}}}, dependson: [b]}}\n"
    text += "agents: {'1 a': 1, '2 b': {command: 3}, c: {provider: 4}}\n"
    expected = [
        *("4:34: a=b: a variable", "4:34: a=b: must", "4:42: c=d: a variable", "4:42: c=d: must"),
        *("4:54: unknown field", "5:10: 1 a: a name", "5:10: 1 a: must", "5:20: 2 b: a name"),
        *("5:28: command: must", "5:45: provider: must"),
    ]
    found = problems(text)
    assert [line[: len(want)] for line, want in zip(found, expected, strict=True)] == expected


def test_schema_reference_and_duplicate_errors_come_together():
    found = problems(
        f"{HEAD}  a: {{script: {{content: '{{{{ inputs.q }}}}'}}, zz: 1}}\n  a: {{output: 3}}\ntaks: 1\n"
    )
    assert [line.split(" ")[0] for line in found] == ["5:3:", "5:3:", "5:7:", "6:1:"]


def test_no_hint_repeats_the_word_itself():
    for name in hints.places():
        for found in (
            task(f"script: {{content: x}}, {name}: !!str x"),
            problems(f"{HEAD}  a: {{}}\n{name}: 1\n"),
        ):
            assert not any(f"did you mean '{name}'" in line for line in found)


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100, b"\xff\xfe", "\ufeff".encode("utf-16"), b"name: \xff", b"a: \x1b[31m", b"\ta: 1", b"*a", b"&a",
        b"%YAML 9.9\n---\n", b"[" * 100_000, b"{a: " * 100_000, b"- " * 50_000, b"? " * 50_000, b"a: &a\n b: *a",
        b"<<: *x", b"a: !!python/object:os.system x", b"a: 1\n---\nb: 2", b"tasks: {a: " * 3000, b"1: 2", b"|",
        b"? [a]\n: 1", b"a: " + b"9" * 5000, b"a: '" + b"x" * 100_000, b'"\\ud83d": 1', b"on: true", b"tasks: 010",
        b"name: 2026-01-01", b"- a\n- b", b"null", b"...", b"---",
    ],
)  # fmt: skip
def test_hostile_contents(tmp_path, content):
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    started = time.process_time()
    try:
        lines = loading.load(str(file)).told()
    except WorkflowError as error:
        lines = [str(error)]
    assert 1 <= len(lines) <= 101
    assert all(line.isprintable() and len(line) < 1000 for line in lines)
    # CPU time: it is the same on a busy machine. Most of these take milliseconds.
    assert time.process_time() - started < 20


def test_a_file_that_is_too_large(tmp_path):
    file = tmp_path / "f.yaml"
    with file.open("wb") as target:
        target.truncate(50 << 20)
    with pytest.raises(WorkflowError, match=r"larger than 16 MiB"):
        loading.load(str(file))


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero", "/dev/null", "a\0b"):
        with pytest.raises(WorkflowError, match=r"is not (a regular file|the name of a file)"):
            loading.load(str(path))
    with pytest.raises(IsADirectoryError):
        loading.load(str(tmp_path))


def test_the_pipe_of_a_shell_is_a_file(program):
    (program.folder / "flow.yaml").write_text(f"{HEAD}  a: {{script: {{content: x}}}}\n")
    line = f"{' '.join(program.command)} validate <(sleep 0.2; cat flow.yaml)"
    done = subprocess.run(["bash", "-c", line], cwd=program.folder, capture_output=True, check=True)
    assert b"is valid: 1 task" in done.stdout


def test_many_errors_are_counted(program):
    (program.folder / "f.yaml").write_text(HEAD + "".join(f"  a{n}: {{lop: 1}}\n" for n in range(3000)))
    done = program("validate", "f.yaml", check=1)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 101
    assert lines[-1] == "f.yaml: and 5,900 more"


def test_merges_are_read():
    source = Source("b: &b {x: 1, y: 2}\nc: {<<: *b, x: 3}\nd: {<<: [*b, {z: 1}]}\n'<<': 4")
    assert source.problems == []
    assert source.data["c"] == {"x": 3, "y": 2}
    assert source.data["d"] == {"x": 1, "y": 2, "z": 1}
    assert source.data["<<"] == 4


SEED = """\
name: x
version: 1
inputs: {n: 1, s: {default: a, required: true}}
limits: {max_stdout_bytes: 4KiB, cleanup_strategy: {type: most_recent, keep_count: 3}}
agents: {cat: {command: [cat]}}
env: {A: b}
outputs: {o: "{{ tasks.b.output }}"}
tasks:
  a: {script: {content: "echo {{ inputs.n }}", env: {X: y}}, on_error: {retry: 1}, output: out}
  b: {command: {executable: echo, args: [x, "{{ tasks.a.output }}"]}, depends_on: [a], priority: 2}
  c: {loop: {for_each: {collection: {type: range, end: 2}, iterator: i}}, script: {content: "echo {{ i }}"}}
  d: {agent: cat, description: Go, inject_context: true, context: {max_bytes: 1KiB, include_tasks: [b]}}
  e:
    subtasks: {x: {script: {content: "true"}}}
    condition: {or: [{type: always}, {type: task_status, task: a, status: failed}]}
"""
VALUES = [
    None, True, 0, -1, 3, 1e308, 10**30, "", "x", "\x1b[31m", "{{ tasks.a.output }}", "{{ x", "${task.q.output}",
    "../x", "a=b",
    "a\0b", "é" * 50, [], {}, [[]], {"a": {}}, ["a"], "always", "1KiB", "a.b", "[0]",
]  # fmt: skip


def mutate(value, chance):
    """Change something somewhere in plain data."""
    if chance.random() < 0.02:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        items = [(name, mutate(one, chance)) for name, one in value.items() if chance.random() > 0.004]
        if items and chance.random() < 0.01:
            items.append((chance.choice(sorted(hints.places())), chance.choice(VALUES)))
        return dict(items)
    if isinstance(value, list):
        return [mutate(one, chance) for one in value if chance.random() > 0.02]
    return value


def check_mutants(flow, seeds):
    """Read mutated documents; those that are taken run to an end that is told."""
    original, taken = Source(SEED).data, 0
    for seed in seeds:
        document = mutate(original, random.Random(seed))
        told = ""
        try:
            workflow = Workflow.from_dict(document, store=flow.store)
            taken += 1
            result = workflow.run(store=flow.store, folder=flow.folder, inputs={"s": "a"}, jobs=2)
            told = result.error or ("" if result.ok else "nothing")
        except WorkflowError as error:
            told = str(error)
        assert told != "nothing", seed
        assert all(line.isprintable() for line in told.splitlines()), (seed, told)
    assert taken > 0


def test_mutated_documents(flow):
    check_mutants(flow, range(60))


@pytest.mark.stress
@pytest.mark.timeout(1200)
def test_many_mutated_documents(flow):
    check_mutants(flow, range(1000, 4000))

"""A task for each combination of some values."""

import json

import pytest

from helpers import bash, lines_of, text_of
from maxstage.workflow.format import loading
from maxstage.workflow.format.yaml_source import Source

MATRIX = {"os": ["linux", "mac"], "version": [1, "2.0"], "exclude": [{"os": "mac", "version": 1}]}
BUILD = bash(
    "echo {{ matrix.os }} {{ matrix.version }} >> log; echo {{ matrix.os }}-{{ matrix.version }}",
    matrix=MATRIX,
)


def test_one_for_each_combination(flow):
    tasks = {
        "build": BUILD,
        "one": bash(
            "echo {{ tasks.build[os=linux,version=2.0].output }} {{ tasks.build[os = mac].exit_code }}"
        ),
        "all": {"script": {"language": "python", "content": "print({{ tasks.build.outputs }})"}},
        "text": bash("echo {{ tasks.build.output }}"),
        "each": bash(
            "echo {{ item }}",
            loop={"for_each": {"collection": {"type": "state", "key": "tasks.build.outputs"}}},
        ),
        "if": bash(
            "echo",
            condition={"type": "state_equals", "key": "tasks.build[os=mac].output", "value": "mac-2.0"},
        ),
    }
    result = flow(tasks)
    assert sorted(lines_of(flow.folder / "log")) == ["linux 1", "linux 2.0", "mac 2.0"]
    assert text_of(result, "one") == "linux-2.0 0\n"
    assert text_of(result, "all") == "['linux-1', 'linux-2.0', 'mac-2.0']\n"
    assert text_of(result, "text") == text_of(result, "each") == "linux-1\nlinux-2.0\nmac-2.0\n"
    assert result.tasks["if"].status == "completed"


def test_the_whole_of_a_combination_that_was_cut(flow):
    tasks = {
        "gen": bash("seq {{ matrix.n }}", matrix={"n": [10, 3000]}, limits={"max_stdout_bytes": "1KiB"}),
        "all": bash("echo {{ tasks.gen[n=3000].output }} | wc -l"),
        "token": bash("echo {{ tasks.gen[n=10].token }}"),
    }
    result = flow(tasks)
    assert text_of(result, "all").split() == ["3000"]
    assert flow.store.open(text_of(result, "token").strip()).read().split()[-1] == b"10"


def test_what_combinations_printed_is_not_pruned_while_it_is_wanted(flow):
    later = [f"n{number}" for number in range(6)]
    tasks = {
        "gen": bash("echo {{ matrix.n }}", matrix={"n": [1, 2]}),
        **{name: bash("true", depends_on=["gen"]) for name in later},
        "end": bash("echo {{ tasks.gen[n=2].output }}", depends_on=later),
    }
    limits = {"prune_every_tasks": 2, "cleanup_strategy": {"type": "direct_dependencies"}}
    result = flow(tasks, jobs=1, limits=limits, outputs={"end": "{{ tasks.end.output }}"})
    assert result.outputs == {"end": "2"}
    assert result.tasks["n0"].pruned


def test_subtasks_and_a_failure_that_is_resumed(flow):
    inner = {
        "x": bash("echo {{ matrix.n }} >> log"),
        "y": bash("test -e go || test {{ matrix.n }} = 1", depends_on=["x"]),
    }
    tasks = {"a": {"subtasks": inner, "matrix": {"n": [1, 2]}}}
    assert not flow(tasks, jobs=1, check=False).ok
    (flow.folder / "go").touch()
    flow(tasks, jobs=1, resume=True)
    assert lines_of(flow.folder / "log") == ["1", "2"]


@pytest.mark.parametrize(
    ("matrix", "reference", "why"),
    [
        ({"n": []}, "", "a matrix has lists of values, of which none is empty"),
        ({"exclude": []}, "", "a matrix has lists of values, of which none is empty"),
        ({"n": [1], "exclude": [{"m": 1}]}, "", "exclude lists mappings with some of: n"),
        ({"n": [*range(200)], "m": [*range(200)]}, "", "a matrix has at most 10,000 combinations"),
        ({"n": [1, 2]}, "{{ tasks.a[n=3].output }}", "[n=3] is no combination of the matrix of a"),
        (
            {"n": [1, 2], "m": [1, 2]},
            "{{ tasks.a[n=1].output }}",
            "[n=1] are 2 combinations; name one of the matrix of a",
        ),
        (None, "{{ tasks.a[n=1].output }}", "a has no matrix, of which [n=1] would be a combination"),
        ({"n": [1]}, "{{ tasks.a[0].output }}", "unknown reference"),
        ({"n": [1]}, "{{ matrix.n }}", "there is no variable 'matrix'"),
    ],
)
def test_files_that_are_wrong(matrix, reference, why):
    task = bash("echo", **({"matrix": matrix} if matrix else {}))
    data = {"name": "x", "version": "1", "tasks": {"a": task, "b": bash(f"echo {reference}")}}
    found = loading.check(Source(json.dumps(data, indent=1)), "f")
    (problem,) = found.errors
    assert why in str(problem)


def test_a_matrix_and_a_loop():
    data = {
        "name": "x",
        "version": "1",
        "tasks": {"a": bash("echo", matrix={"n": [1]}, loop={"repeat": {"count": 1}})},
    }
    (problem,) = loading.check(Source(json.dumps(data, indent=1)), "f").errors
    assert "a task has a matrix or a loop" in str(problem)

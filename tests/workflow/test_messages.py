"""What is said is said in words: no value, error or class as Python writes it."""

import os

import pytest

from helpers import bash


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b'{"task_outputs": {"a": {}}, "facts": {}}',
            "something in its tasks, contexts, items or files is missing",
        ),
        (b"\xff", "is not JSON: byte 1 is not UTF-8"),
        (b"[1,\n2", "is not JSON: expecting ',' delimiter at line 2, column 2"),
        (b"[" * 100_000, "is not JSON: it is nested too deeply"),
    ],
)
def test_what_is_no_exported_state(program, content, told):
    (program.folder / "x.json").write_bytes(content)
    assert told in program.fails("runs", "import", "x.json")
    assert program.text("runs", "clean", "--all", "--yes") == "Nothing to clean.\n"


def test_a_condition_is_shown_as_the_file_has_it(program):
    (program.folder / "f.yaml").write_text(
        "name: x\nversion: 1\ninputs: {i: {default: 1}}\ntasks:\n"
        "  a: {condition: {type: state_equals, key: inputs.i, value: [true, null, 1.10]}, script: {content: x}}\n"
    )
    assert "inputs.i == [true, null, 1.10]" in program.text("run", "f.yaml", "--dry-run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_full_output_that_may_not_be_read(flow):
    first = flow({"a": bash("seq 5000", limits={"max_stdout_bytes": 1024}), "b": bash("false")}, check=False)
    os.chmod(first.tasks["a"].output.external_path, 0)
    tasks = {"a": bash("true"), "c": bash("echo {{ tasks.a.output }}", depends_on=["a"])}
    assert "(Permission denied: " in flow(tasks, resume=first.run_id, check=False).error


def test_where_there_is_nothing_to_clean(program):
    for what in ("--all", "--completed"):
        assert program.text("runs", "clean", what, "--yes") == "Nothing to clean.\n"
        assert program.text("runs", "clean", what) == "Nothing to clean.\n"
        assert program.text("runs", "clean", what, "-o", "json") == ""


def test_a_loop_that_stops_names_the_file_alone(flow):
    """What an iteration can't start for is told in words, too."""
    (flow.folder / "data").mkdir()
    loop = {"for_each": {"collection": {"type": "file", "path": "data"}}}
    result = flow({"a": bash("true", loop=loop)}, check=False)
    assert "Is a directory: " in result.error
    assert "Errno" not in result.error

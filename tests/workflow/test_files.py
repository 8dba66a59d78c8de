"""The files that a workflow writes and reads: data adds names to a path, and never leads out of its folder."""

import json
import os
import stat

import pytest

from maxstage.workflow.format import loading
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.run.folder import import_run, runs_folder
from maxstage.workflow.run.state import RunState


def echo(text="x", **more):
    return {"script": {"content": f"echo {text}"}, **more}


def each(items):
    return {"for_each": {"collection": {"type": "inline", "items": items}}}


def writes(flow, output, value, **more):
    """Run a task whose output is named by an input."""
    tasks = {"a": echo(output=output, **more)}
    return flow(tasks, inputs={"f": "x"}, given={"f": value}, check=False)


@pytest.mark.parametrize(
    "value", ["../x", "../../x", "a/../../x", "/tmp/x", "link/x", "link", "dangling", "..", "../out2/x"]
)
def test_what_a_reference_brings_in_never_leads_out(flow, tmp_path, value):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(outside)
    (tmp_path / "out" / "dangling").symlink_to(outside / "new")
    before = sorted(os.listdir(tmp_path))
    result = writes(flow, "out/{{ inputs.f }}", value)
    assert not result.ok
    assert "is outside" in result.error
    assert "\n" not in result.error
    assert sorted(os.listdir(tmp_path)) == before
    assert os.listdir(outside) == []


@pytest.mark.parametrize("value", ["x\0y", "\ud83d", ".", "", "x" * 300])
def test_what_is_no_name_of_a_file(flow, tmp_path, value):
    result = writes(flow, "out/{{ inputs.f }}", value)
    assert not result.ok
    assert "\n" not in result.error
    assert sorted(os.listdir(tmp_path / "out") if (tmp_path / "out").exists() else []) == []


@pytest.mark.parametrize(
    ("output", "value", "there"),
    [
        ("out/{{ inputs.f }}", "a/b", "out/a/b"),
        ("out/{{ inputs.f }}", "a/../b", "out/b"),
        ("out/r-{{ inputs.f }}.txt", "1", "out/r-1.txt"),
        ("{{ inputs.f }}/x", "new", "new/x"),
        ("../{{ inputs.f }}", "beside", "../beside"),
        ("link/{{ inputs.f }}", "x", "real/x"),
        ("out/{{ inputs.f }}", "inner/x", "out/deep/x"),
    ],
)
def test_what_is_named_below_the_folder_is_written(flow, tmp_path, output, value, there):
    flow.folder = tmp_path / "here"
    (flow.folder / "real").mkdir(parents=True)
    (flow.folder / "link").symlink_to("real")
    (flow.folder / "out" / "deep").mkdir(parents=True)
    (flow.folder / "out" / "inner").symlink_to("deep")  # a link that stays within
    assert writes(flow, output, value).ok
    assert (flow.folder / there).read_text() == "x\n"


def test_a_literal_path_is_the_authors_will(flow, tmp_path):
    flow.folder = tmp_path / "here"
    flow.folder.mkdir()
    (flow.folder / "link").symlink_to("../target")
    flow({"a": echo(output="../beside"), "b": echo(output=f"{tmp_path}/abs"), "c": echo(output="link")})
    assert [(tmp_path / name).read_text() for name in ("beside", "abs", "target")] == ["x\n"] * 3
    assert (flow.folder / "link").is_symlink()


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_only_files_are_replaced(flow, tmp_path, kind):
    (os.mkdir if kind == "folder" else os.mkfifo)(tmp_path / "there")
    result = flow({"a": echo(output="there")}, check=False)
    assert "the output must name a file" in result.error
    assert not stat.S_ISREG(os.stat(tmp_path / "there").st_mode)


def test_modes(flow, tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "there").chmod(0o751)
    old = os.umask(0o027)
    try:
        flow({"a": echo(output="there"), "b": echo(output="new")})
    finally:
        os.umask(old)
    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("there", "new")] == [0o751, 0o640]
    assert (tmp_path / "there").read_text() == "x\n"


def test_what_fails_leaves_the_old_file_and_nothing_else(flow, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "there").write_text("old")
    os.mkdir(tmp_path / "out" / "x")
    result = flow({"a": echo("x; exit 3", output="out/there"), "b": echo(output="out/x")}, check=False)
    assert not result.ok
    assert (tmp_path / "out" / "there").read_text() == "old"
    assert sorted(os.listdir(tmp_path / "out")) == ["there", "x"]


@pytest.mark.parametrize(
    ("items", "output"),
    [
        (["a", "b", "a"], "out/{{ item }}"),
        (["a", "b", "c/../a"], "out/{{ item }}"),
        (["a", "b", "link/a"], "out/{{ item }}"),
    ],
)
def test_two_iterations_that_write_one_file(flow, tmp_path, items, output):
    (tmp_path / "out" / "c").mkdir(parents=True)
    (tmp_path / "out" / "link").symlink_to(".")
    result = flow({"a": echo("{{ iteration }}", loop=each(items), output=output)}, check=False)
    assert "iteration 2: " in result.error
    assert f"{tmp_path}/out/a was already written by a[0]" in result.error
    assert (tmp_path / "out" / "a").read_text() == "0\n"


def test_two_tasks_that_write_one_file(flow, tmp_path):
    tasks = {"a": echo(output="{{ inputs.f }}"), "b": echo(output="./x", depends_on=["a"])}
    result = flow(tasks, inputs={"f": "x"}, check=False)
    assert f"b: {tmp_path}/x was already written by a" in result.error


def test_a_resumed_run_knows_who_wrote_what(flow, tmp_path):
    tasks = {
        "a": echo(output="x"),
        "n": echo("n; test -e go", depends_on=["a"]),
        "b": echo(output="{{ inputs.f }}", depends_on=["n"]),
    }
    first = flow(tasks, inputs={"f": "x"}, check=False)
    assert "n: exit status 1" in first.error
    (tmp_path / "go").write_text("")
    result = flow(tasks, inputs={"f": "x"}, check=False, resume=first.run_id)
    assert f"b: {tmp_path}/x was already written by a" in result.error


def test_one_that_failed_wrote_nothing(flow, tmp_path):
    tasks = {
        "a": echo("a; exit 1", output="x", on_error={"continue": True}),
        "b": echo("b", output="x", depends_on=["a"]),
    }
    flow(tasks)
    assert (tmp_path / "x").read_text() == "b\n"


def test_a_task_that_is_tried_again_writes_its_file(flow, tmp_path):
    flow({"a": echo("x; test -e t || { touch t; exit 1; }", output="x", on_error={"retry": 1})})
    assert (tmp_path / "x").read_text() == "x\n"


def test_an_inner_loop_with_the_name_of_an_outer_one(flow, tmp_path):
    inner = echo("{{ iteration }}", loop={"repeat": {"count": 2}}, output="{{ one }}")
    loop = {"for_each": {"collection": {"type": "inline", "items": ["p", "q"]}, "iterator": "one"}}
    flow({"a": {"loop": loop, "subtasks": {"b": inner}}})
    assert (tmp_path / "p").read_text() == "0\n1\n"


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ("  a: {output: x, script: {content: x}}\n  b: {output: ./y/../x, script: {content: x}}",
         "5:7: output: a writes x already"),
        ("  a: {loop: {repeat: {count: 2}}, subtasks: {b: {output: x, script: {content: x}}}}",
         "4:50: output: each iteration writes x; name {{ iteration }} in it"),
        ("  a: {output: x, script: {content: x}, loop: {repeat: {count: 2}}}", None),
        (("  a: {output: x, script: {content: x}, condition: {type: always}}\n"
         "  b: {output: x, script: {content: x}}"), None),
    ],
)  # fmt: skip
def test_two_writers_are_told_at_validation(tasks, expected):
    found = loading.check(Source(f"name: x\nversion: 1\ntasks:\n{tasks}\n"), "f").problems
    assert [str(one) for one in found] == ([] if expected is None else [f"f:{expected}"])


@pytest.mark.parametrize("value", ["../secret", "/etc/passwd", "link"])
def test_what_is_read_does_not_lead_out_either(flow, tmp_path, value):
    flow.folder = tmp_path / "here"
    data = flow.folder / "data"
    data.mkdir(parents=True)
    (tmp_path / "here" / "secret").write_text("secret\n")
    (data / "link").symlink_to("../secret")
    loop = {"for_each": {"collection": {"type": "file", "path": "data/{{ inputs.f }}"}}}
    for task in (
        echo("{{ item }}", loop=loop),
        {"script": {"file": "data/{{ inputs.f }}"}},
        {"command": {"executable": "ls", "working_dir": "data/{{ inputs.f }}"}},
    ):
        result = flow({"a": task}, inputs={"f": "x"}, given={"f": value}, check=False)
        assert "is outside" in result.error
        assert "secret\n" not in result.error


def test_what_is_read_below_the_folder(flow, tmp_path):
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data" / "in" / "lines").write_text("p\nq\n")
    (tmp_path / "data" / "in" / "go").write_text("pwd\n")
    loop = {"for_each": {"collection": {"type": "file", "path": "data/{{ inputs.d }}/lines"}}}
    result = flow(
        {
            "a": echo("{{ item }}", loop=loop),
            "b": {"script": {"file": "data/{{ inputs.d }}/go", "working_dir": "data/{{ inputs.d }}"}},
        },
        inputs={"d": "in"},
    )
    assert result.tasks["a"].output.text == "p\nq\n"
    assert result.tasks["b"].output.text == f"{tmp_path}/data/in\n"


def readers(reference):
    """Tasks that read by a path that is all of it a reference, each with the value that it has to be given."""
    script = {"script": {"language": "bash", "file": reference}}
    folder = {"script": {"content": "pwd", "working_dir": reference}}
    loop = {"for_each": {"collection": {"type": "file", "path": reference, "format": "lines"}}}
    return {"lines": echo("{{ item }}", loop=loop), "script": script, "folder": folder}


@pytest.fixture
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "lines").write_text("one\ntwo\n")
    (folder / "script").write_text("echo from the script\n")
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize("kind", ["lines", "script", "folder"])
@pytest.mark.parametrize("where", ["absolute", "relative", "link", "env"])
def test_who_runs_a_workflow_may_name_any_file_to_read(flow, tmp_path, outside, monkeypatch, kind, where):
    value = str(outside / kind)
    if where == "relative":
        value = os.path.relpath(value, tmp_path)
    if where == "link":
        (tmp_path / "link").symlink_to(value)
        value = "link"
    monkeypatch.setenv("FILE", value)
    reference = "{{ env.FILE }}" if where == "env" else "{{ inputs.file }}"
    result = flow({"a": readers(reference)[kind]}, inputs={"file": ""}, given={"file": value})
    said = {"lines": "one\ntwo", "script": "from the script", "folder": str(outside / "folder")}[kind]
    assert result.tasks["a"].output.text.strip() == said


@pytest.mark.parametrize("kind", ["lines", "script", "folder"])
@pytest.mark.parametrize("launder", ["task", "item", "nested", "part"])
def test_data_does_not_name_any_file_to_read(flow, outside, kind, launder):
    """Neither of itself nor as an input of a task, whatever it is called."""
    value = str(outside / kind)
    task = readers("{{ inputs.file }}")[kind]
    tasks = {"first": {"command": {"executable": "echo", "args": [value]}}}
    if launder == "task":
        tasks["a"] = task | {"inputs": {"file": "{{ tasks.first.output }}"}, "depends_on": ["first"]}
    elif launder == "nested":
        inner = {"subtasks": {"b": task | {"inputs": {"file": "{{ inputs.file }}"}}}}
        tasks["a"] = inner | {"inputs": {"file": "{{ tasks.first.output }}"}, "depends_on": ["first"]}
    elif launder == "item":
        inner = {"subtasks": {"b": task | {"inputs": {"file": "{{ item }}"}}}}
        tasks["a"] = inner | {"loop": each([value])}
    else:
        tasks["a"] = readers("./{{ inputs.file }}")[kind]
    result = flow(tasks, inputs={"file": ""}, given={"file": value}, check=False)
    assert not result.ok
    assert "is outside" in result.error


def test_an_output_never_is_any_file(flow, outside):
    result = writes(flow, "{{ inputs.f }}", str(outside / "new"))
    assert "is outside" in result.error
    assert not (outside / "new").exists()


@pytest.mark.parametrize(
    ("task", "writer"),
    [
        (echo("first", output="x", loop={"repeat": {"count": 2}}), "a"),
        (echo("first", output="{{ item }}", loop=each(["w", "x"])), "a[1]"),
        ({"loop": each(["w", "x"]), "subtasks": {"i": echo(output="{{ item }}")}}, "a[1].i"),
        ({"subtasks": {"i": echo(output="x")}}, "a.i"),
        (echo("first", inputs={"f": "x"}, output="{{ inputs.f }}"), "a"),
    ],
)
def test_the_files_of_what_had_ended_are_claimed_again(flow, tmp_path, task, writer):
    tasks = {
        "a": task,
        "n": {"script": {"content": "cat go"}, "depends_on": ["a"]},
        "b": echo("b", output="{{ inputs.g }}", depends_on=["n"]),
    }

    def start(**more):
        return flow(tasks, inputs={"g": "x"}, check=False, **more)

    result = start()
    assert "n: exit status 1" in result.error
    (tmp_path / "go").touch()
    written = (tmp_path / "x").read_text()
    result = start(resume=result.run_id)
    assert f"{tmp_path}/x was already written by {writer}" in result.error
    assert (tmp_path / "x").read_text() == written
    # Who is no longer in the file has no say.
    del tasks["a"], tasks["n"]["depends_on"]
    assert start(resume=result.run_id).ok


def test_what_was_exported_knows_who_wrote_what(flow, tmp_path):
    tasks = {
        "a": echo(output="{{ item }}", loop=each(["x", "y"])),
        "n": {"script": {"content": "cat go"}, "depends_on": ["a"]},
        "b": echo("b", output="{{ inputs.f }}", depends_on=["n"]),
    }
    result = flow(tasks, inputs={"f": "x"}, check=False)
    assert "n: exit status 1" in result.error
    state = RunState(runs_folder(flow.store), result.run_id)
    exported = json.loads(json.dumps(state.export()))
    state.acquire()
    state.delete()
    import_run(runs_folder(flow.store), exported, "x").close()
    (tmp_path / "go").touch()
    result = flow(tasks, inputs={"f": "x"}, check=False, resume=result.run_id)
    assert "was already written by a[0]" in result.error

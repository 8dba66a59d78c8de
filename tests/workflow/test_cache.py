"""Tasks that are taken from an earlier run, where all that they depend on is as it was."""

import os

import pytest

from helpers import bash, lines_of, text_of

LONG = {"max_stdout_bytes": "1KiB"}


def cached(name, script="", **task):
    """A task with a cache that notes that it was done."""
    return bash(f"echo {name} >> log; {script or f'echo {name}'}", **{"cache": {}, **task})


def done(flow):
    """The names that were noted since this was asked last."""
    path = flow.folder / "log"
    names = lines_of(path)
    path.unlink(missing_ok=True)
    return sorted(names)


def why(result, task):
    return result.tasks[task].cache


def test_what_did_the_same_is_taken(flow):
    tasks = {
        "a": cached("a", "seq 5000", limits=LONG),
        "b": cached("b", "echo {{ tasks.a.token }}; wc -l", stdin_from="a"),
    }
    first = flow(tasks)
    assert (done(flow), why(first, "a"), first.tasks["a"].cached) == (
        ["a", "b"],
        "no earlier run has done it",
        False,
    )
    second = flow(tasks)
    assert (done(flow), second.tasks["a"].cached, second.tasks["b"].cached) == ([], True, True)
    assert why(second, "b") == f"from run {first.run_id}"
    # It has a token of its own, whose data is the same file.
    ours, theirs = (run.tasks["a"].output for run in (second, first))
    assert ours.token != theirs.token
    assert os.path.samefile(ours.external_path, theirs.external_path)
    assert flow.store.info(ours.token).owner == second.run_id
    flow.store.unstage(theirs.token)
    assert flow.store.open(ours.token).read() == "".join(f"{n}\n" for n in range(1, 5001)).encode()
    # The newest run that has it is taken from, even though that one had taken it, too.
    third = flow(tasks)
    assert (done(flow), why(third, "a")) == ([], f"from run {second.run_id}")


CHANGES = {
    "input": lambda flow: {"given": {"x": "2"}},
    "file": lambda flow: (flow.folder / "src" / "one").write_text("other"),
    "new file": lambda flow: (flow.folder / "src" / "deep" / "two").write_text("2"),
    "no file": lambda flow: (flow.folder / "src" / "one").unlink(),
    "env": lambda flow: os.environ.__setitem__("MY_VALUE", "other"),
    "before": lambda flow: (flow.folder / "said").write_text("other"),
}
TOLD = {
    "input": "changed: inputs.x",
    "file": "changed: file src/one",
    "new file": "changed: file src/deep/two",
    "no file": "changed: file src/one",
    "env": "changed: env MY_VALUE",
    "before": "changed: tasks.say.output",
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("inputs", [["src"], ["src/**"]])
def test_what_has_changed_is_told(flow, monkeypatch, what, inputs):
    monkeypatch.setenv("MY_VALUE", "1")
    (flow.folder / "src" / "deep").mkdir(parents=True)
    (flow.folder / "src" / "one").write_text("1")
    (flow.folder / "said").write_text("1")
    tasks = {
        "say": bash("cat said"),
        "a": cached(
            "a", "echo {{ inputs.x }} {{ tasks.say.output }}", cache={"inputs": inputs, "env": ["MY_VALUE"]}
        ),
    }
    flow(tasks, inputs={"x": "1"})
    assert flow(tasks, inputs={"x": "1"}).tasks["a"].cached
    done(flow)
    options = CHANGES[what](flow)
    result = flow(tasks, inputs={"x": "1"}, **(options if isinstance(options, dict) else {}))
    assert (done(flow), why(result, "a")) == (["a"], TOLD[what])


@pytest.mark.parametrize(
    "change",
    [
        {"script": {"content": "echo a >> log; echo A"}},
        {"script": {"content": "echo a >> log; echo a", "env": {"X": "1"}}},
        {"limits": LONG},
        {"cache": {"key": "2"}},
    ],
)
def test_the_task_itself_has_changed(flow, change):
    task = cached("a")
    flow({"a": task})
    result = flow({"a": {**task, **change}})
    assert done(flow) == ["a", "a"]
    assert why(result, "a") == ("changed: key" if "cache" in change else "changed: the task")


def test_time_limits_and_other_tasks_change_nothing(flow):
    flow({"a": cached("a")})
    result = flow({"a": cached("a", timeout_secs=500, priority=3), "b": bash("echo")})
    assert result.tasks["a"].cached


def test_iterations_are_known_by_their_items(flow):
    def tasks(items):
        loop = {"for_each": {"collection": {"type": "inline", "items": items}}}
        return {"a": cached("a", "echo {{ item }} {{ item }} >> log", loop=loop)}

    flow(tasks(["x", "y"]))
    done(flow)
    flow(tasks(["n", "y", "x"]))
    assert done(flow) == ["a", "n n"]


def test_what_failed_or_is_gone_is_not_taken(flow):
    task = cached("a", "seq 5000; test -e go", limits=LONG)
    flow({"a": task}, check=False)
    (flow.folder / "go").touch()
    first = flow({"a": task})
    assert done(flow) == ["a", "a"]
    flow.store.unstage(first.tasks["a"].output.token)
    second = flow({"a": task})
    assert done(flow) == ["a"]
    assert why(second, "a").startswith("its full output can't be linked: ")


def test_what_is_to_be_done_again_is_done(flow):
    tasks = {"a": cached("a"), "b": cached("b", "echo {{ tasks.a.output }}")}
    flow(tasks)
    flow(tasks)
    done(flow)
    result = flow(tasks, rerun=["a"])
    assert (done(flow), why(result, "a"), result.tasks["b"].cached) == (
        ["a"],
        "it was to be done again",
        True,
    )
    result = flow(tasks, use_cache=False)
    assert (done(flow), why(result, "a")) == (["a", "b"], "--no-cache")


def test_its_file_is_written_and_stderr_is_kept(flow):
    task = cached("a", "echo out; echo err >&2", output="file")
    flow({"a": task})
    (flow.folder / "file").unlink()
    result = flow({"a": task})
    assert result.tasks["a"].cached
    assert (flow.folder / "file").read_text() == "out\n"
    assert result.tasks["a"].output.stderr.text == "err\n"
    assert text_of(result, "a") == "out\n"


def test_an_agent(flow):
    agents = {"x": {"command": ["bash", "-c", "echo asked >> log; cat"]}}
    task = {"agent": "x", "description": "say {{ inputs.x }}", "cache": {}}
    flow({"a": task}, agents=agents, inputs={"x": "1"})
    flow({"a": task}, agents=agents, inputs={"x": "1"})
    assert done(flow) == ["asked"]
    flow({"a": {**task, "description": "tell {{ inputs.x }}"}}, agents=agents, inputs={"x": "1"})
    assert done(flow) == ["asked"]


def test_secrets_leave_no_digest(flow, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "correct horse")
    tasks = {"a": cached("a", "test -n {{ env.MY_SECRET }}")}
    flow(tasks, secrets=["MY_SECRET"])
    monkeypatch.setenv("MY_SECRET", "battery staple")
    assert flow(tasks, secrets=["MY_SECRET"]).tasks["a"].cached


def test_things_that_are_no_files(flow):
    os.mkfifo(flow.folder / "pipe")
    (flow.folder / "sub").mkdir()
    (flow.folder / "sub" / "loop").symlink_to(".")
    inputs = ["pipe", "sub", "gone", "no/*", "sub/**", ".max/**", ".m*"]
    tasks = {"a": cached("a", cache={"inputs": inputs})}
    flow(tasks)
    assert flow(tasks).tasks["a"].cached


def test_it_is_shown(program):
    (program.folder / "f.yaml").write_text(
        "name: f\nversion: 1\ntasks: {a: {script: {content: echo}, cache: {}}}\n"
    )
    program("run", "f.yaml")
    done = program("run", "f.yaml")
    assert b"cached     a" in done.stderr
    assert b"\na     cached" in done.stdout
    run_id, earlier = (line.split()[0] for line in program.text("runs").splitlines())
    assert f"from run {earlier}" in program.text("runs", "show", run_id)
    assert "not cached: no earlier run has done it" in program.text("runs", "show", earlier)
    program("run", "f.yaml", "--no-cache")
    assert "not cached: --no-cache" in program.text("runs", "show", program.text("runs").split()[0])
    bad = (
        "name: f\nversion: 1\nsecrets: [S]\ntasks:\n"
        "  a: {subtasks: {b: {script: {content: echo}, cache: {env: [S]}}}}\n"
        "  c: {subtasks: {d: {script: {content: echo}}}, cache: {}}\n"
    )
    (program.folder / "bad.yaml").write_text(bad)
    text = program("validate", "bad.yaml", check=1).stderr.decode()
    assert "bad.yaml:6:" in text
    assert "a cache is for what runs a program" in text
    assert "the secret S would be kept as a digest" in text

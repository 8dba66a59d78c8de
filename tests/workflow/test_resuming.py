"""Resuming a run whose world has changed: what its loops go over, its file, the version that began it."""

import json
import sqlite3
from pathlib import Path

import pytest

from maxstage.workflow.run.folder import import_run, runs_folder
from maxstage.workflow.run.state import RunState
from maxstage.workflow.run.tables import VERSION

CHANGED = "the items of the loop have changed since; restore them, or do it again with --rerun a"


def bash(content, **task):
    return {"script": {"content": content}, **task}


def each(collection, **rest):
    return {"for_each": {"collection": collection, **rest}}


class Source:
    """Something that a loop goes over, of each kind, and that can be changed between two starts."""

    def __init__(self, flow, kind):
        self.flow, self.kind = flow, kind

    def put(self, items):
        """Return the collection, and what else the workflow says."""
        path = self.flow.folder / "items"
        text = "".join(json.dumps(item) + "\n" for item in items)
        if self.kind == "inline":
            return {"type": "inline", "items": items}, {}
        if self.kind == "range":
            return {"type": "range", "start": items[0], "end": items[0] + len(items)}, {}
        if self.kind == "token":
            token = self.flow.store.stage(text.encode()).token
            return {"type": "token", "token": token, "format": "json_lines"}, {}
        if self.kind == "state":
            (self.flow.folder / "said").write_text(json.dumps(items))
            return {"type": "state", "key": "tasks.say.output"}, {"say": bash("cat said")}
        forms = {
            "json": json.dumps(items),
            "json_lines": text,
            "lines": text,
            "csv": "item\n" + "".join(f"{item}\n" for item in items),
        }
        path.write_text(forms[self.kind])
        return {"type": "file", "path": "items", "format": self.kind}, {}


KINDS = ["inline", "json", "json_lines", "lines", "csv", "token"]


def run(flow, source, items, *, stop, parallel=False, nested=False, **options):
    """Run a loop that fails at one of its items, unless that one may pass."""
    collection, more = source.put(items)
    script = f"echo {{{{ item }}}} >> log; test -e go || test {{{{ iteration }}}} -lt {stop} && echo did {{{{ item }}}}"
    body = bash(script)
    if nested:
        body = {"subtasks": {"first": bash("echo {{ item }} >> log; echo {{ item }}"), "x": bash(
            f"test -e go || test {{{{ iteration }}}} -lt {stop}", depends_on=["first"]
        )}}  # fmt: skip
    loop = each(collection, **({"parallel": True, "max_parallel": 1} if parallel else {}))
    return flow({**more, "a": {**body, "loop": loop}}, jobs=1, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ([1, 9, 3, 4, 5], "a[1] was run with another item than "),
        ([0, 1, 2, 3, 4, 5], "a[0] was run with another item than "),
        ([2, 3, 4, 5], "a[0] was run with another item than "),
        ([2, 1, 3, 4, 5], "a[0] was run with another item than "),
        ([1, 2], "a[2] was done, and there are 2 items now: "),
    ],
)
def test_a_changed_collection_is_told(flow, kind, change, told):
    source = Source(flow, kind)
    failed = run(flow, source, [1, 2, 3, 4, 5], stop=3, check=False)
    log = (flow.folder / "log").read_text()
    (flow.folder / "go").touch()
    again = run(flow, source, change, stop=3, check=False, resume=failed.run_id)
    assert again.error.startswith(f"a: {told}")
    assert again.error.endswith(CHANGED)
    assert (flow.folder / "log").read_text() == log  # nothing was done with it
    # Put back, the run goes on.
    again = run(flow, source, [1, 2, 3, 4, 5], stop=3, resume=failed.run_id)
    words = [text.strip('"') for text in again.tasks["a"].output.text.split()]
    assert [word for word in words if word.isdigit()] == ["1", "2", "3", "4", "5"] or kind == "csv"


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_done_yet_may_change(flow, kind, parallel):
    source = Source(flow, kind)
    failed = run(flow, source, [1, 2, 3], stop=2, parallel=parallel, check=False)
    (flow.folder / "go").touch()
    # The item that failed is another one, and two are new.
    again = run(flow, source, [1, 2, 7, 8, 9], stop=2, parallel=parallel, resume=failed.run_id)
    assert len(again.tasks["a"].output.text.splitlines()) == 5


def test_a_range_and_a_state(flow):
    source = Source(flow, "range")
    failed = run(flow, source, [5, 6, 7], stop=1, check=False)
    (flow.folder / "go").touch()
    again = run(flow, source, [6, 7, 8], stop=1, check=False, resume=failed.run_id)
    assert again.error.startswith("a: a[0] was run with another item than 6: ")
    (flow.folder / "go").unlink()
    # What a task said is in the state, whatever it would say now.
    source = Source(flow, "state")
    failed = run(flow, source, ["x", "y"], stop=1, check=False)
    (flow.folder / "go").touch()
    again = run(flow, source, ["z"], stop=1, resume=failed.run_id)
    assert again.tasks["a"].output.text == "did x\ndid y\n"


def test_parallel_iterations_and_positions(flow):
    items = [1, 2, 3, 4, 5, 6]
    task = bash("{ test {{ item }} -ne 2 || test -e go; } && echo {{ item }}")

    def start(items, **options):
        loop = each({"type": "inline", "items": items}, parallel=True, max_parallel=3)
        return flow({"a": {**task, "loop": loop}}, jobs=3, check=False, **options)

    failed = start(items)
    done = {path for path, result in failed.tasks.items() if result.is_final}
    (flow.folder / "go").touch()
    last = max(done, default="")
    if last > "a[1]":
        assert f"{last} was done, and there are 2 items now" in start([1, 2], resume=failed.run_id).error
    assert start(items, resume=failed.run_id).ok


def test_an_iteration_that_was_in_the_middle(flow):
    # What is within it was done with its item: it can't go on with another.
    source = Source(flow, "json")
    failed = run(flow, source, [1, 2, 3], stop=1, nested=True, check=False)
    assert failed.tasks["a[1].first"].status == "completed"
    (flow.folder / "go").touch()
    again = run(flow, source, [1, 9, 3], stop=1, nested=True, check=False, resume=failed.run_id)
    assert again.error.startswith("a: a[1] was run with another item than 9: ")
    again = run(flow, source, [1, 2, 8], stop=1, nested=True, resume=failed.run_id)
    assert (flow.folder / "log").read_text().split() == ["1", "2", "8"]


def test_loops_within_loops(flow):
    def start(inner, **options):
        loop = each({"type": "inline", "items": inner}, iterator="col")
        body = {
            "inner": bash(
                "{ test -e go || test {{ row }}{{ col }} != b2; } && echo {{ row }}{{ col }} >> log",
                loop=loop,
            )
        }
        outer = each({"type": "inline", "items": ["a", "b"]}, iterator="row")
        return flow({"t": {"subtasks": body, "loop": outer}}, jobs=1, check=False, **options)

    failed = start([1, 2])
    (flow.folder / "go").touch()
    assert start([3, 2], resume=failed.run_id).error.startswith(
        "t: iteration 1: inner: t[1].inner[0] was run with another item than 3: "
    )
    assert start([1, 2], resume=failed.run_id).ok
    assert (flow.folder / "log").read_text().split() == ["a1", "a2", "b1", "b2"]


def test_a_changed_collection_is_not_tolerated(flow):
    def start(items, **options):
        tasks = {
            "a": bash("true", loop=each({"type": "inline", "items": items}), on_error={"continue": True}),
            "b": bash("test -e go", depends_on=["a"]),
        }
        tasks["a"]["subtasks"] = {"x": bash("true"), "y": bash("test -e go || exit 1", depends_on=["x"])}
        del tasks["a"]["script"], tasks["a"]["on_error"]
        tasks["a"]["on_error"] = {"continue": "tolerated" in options}
        options.pop("tolerated", None)
        return flow(tasks, check=False, **options)

    failed = start([1, 2])
    again = start([3, 4], tolerated=True, resume=failed.run_id)
    assert not again.ok
    assert CHANGED in again.error


VERSION_1 = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, status TEXT NOT NULL, tolerated INTEGER NOT NULL,
    attempts INTEGER NOT NULL, error TEXT, output TEXT, ended REAL NOT NULL, size INTEGER NOT NULL,
    accessed REAL NOT NULL, pruned INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE contexts (path TEXT PRIMARY KEY, given TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""The tables as version 1 made them."""


def as_version_1(flow, run_id):
    """Turn the state of a run into what version 1 would have written."""
    path = Path(runs_folder(flow.store)) / f"{run_id}.db"
    new = sqlite3.connect(path)
    rows = {name: new.execute(f"SELECT * FROM {name}").fetchall() for name in ("facts", "tasks", "contexts")}
    names = [column[0] for column in new.execute("SELECT * FROM tasks").description]
    new.close()
    path.unlink()
    old = sqlite3.connect(path)
    old.execute("PRAGMA journal_mode = WAL")
    old.executescript(VERSION_1)
    kept = [names.index(column[1]) for column in old.execute("PRAGMA table_info(tasks)")]
    for row in rows["tasks"]:
        old.execute(
            "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row[index] for index in kept]
        )
    for name in ("facts", "contexts"):
        old.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows[name])
    old.commit()
    old.close()
    return path


def version_of(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute("PRAGMA user_version").fetchone()[0]
    finally:
        db.close()


def test_a_run_of_an_older_version_goes_on(flow):
    source = Source(flow, "json")
    failed = run(flow, source, [1, 2, 3], stop=2, check=False)
    path = as_version_1(flow, failed.run_id)
    # Who only looks changes nothing.
    state = RunState(runs_folder(flow.store), failed.run_id)
    exported = state.export()
    assert set(exported["task_outputs"]) == {"a[0]", "a[1]", "a[2]", "a"}
    assert exported["items"] == {}
    assert list(state.ended()) == state.paths()
    state.close()
    assert version_of(path) == 1
    (flow.folder / "go").touch()
    # Which items it was given nobody knows; that they were more is known.
    assert (
        "a[1] was done, and there are 1 items now"
        in run(flow, source, [1], stop=2, check=False, resume=failed.run_id).error
    )
    assert version_of(path) == VERSION
    again = run(flow, source, [1, 2, 3], stop=2, resume=failed.run_id)
    assert again.tasks["a"].output.text == "did 1\ndid 2\ndid 3\n"
    assert (flow.folder / "log").read_text().split() == ["1", "2", "3", "3"]


def test_an_imported_run_knows_its_items(flow, tmp_path):
    source = Source(flow, "json")
    failed = run(flow, source, [1, 2, 3], stop=2, check=False)
    state = RunState(runs_folder(flow.store), failed.run_id)
    exported = json.loads(json.dumps(state.export()))
    state.acquire()
    state.delete()
    import_run(runs_folder(flow.store), exported, "x").close()
    (flow.folder / "go").touch()
    again = run(flow, source, [5, 2, 3], stop=2, check=False, resume=failed.run_id)
    assert again.error.startswith("a: a[0] was run with another item than 5: ")


# A file that has changed

BEFORE = {
    "one": bash("echo one"),
    "gone": bash("echo gone", depends_on=["one"]),
    "loop": bash("echo {{ iteration }}", loop={"repeat": {"count": 2}}),
    "group": {"subtasks": {"x": bash("echo x"), "y": bash("echo y")}},
    "stop": bash("test -e go", depends_on=["gone", "loop", "group"]),
}
READER = {"reader": {"command": ["cat"]}}
ASK = {
    "agent": "reader",
    "description": "Read.",
    "inject_context": True,
    "context": {"min_relevance": 0.1, "include_tasks": []},
}
CHANGES = {
    "a task removed": lambda tasks: tasks.pop("gone"),
    "a task renamed": lambda tasks: tasks.update(renamed=tasks.pop("gone")),
    "a loop made plain": lambda tasks: tasks.update(loop=bash("echo plain")),
    "a plain task made a loop": lambda tasks: tasks["one"].update(loop={"repeat": {"count": 2}}),
    "a loop over something else": lambda tasks: tasks["loop"].update(
        loop=each({"type": "inline", "items": ["p", "q", "r"]})
    ),
    "a group made plain": lambda tasks: tasks.update(group=bash("echo group")),
    "a plain task made a group": lambda tasks: tasks.update(one={"subtasks": {"z": bash("echo z")}}),
    "other subtasks": lambda tasks: tasks.update(
        group={"subtasks": {"w": bash("echo w"), "y": bash("echo y")}}
    ),
    "all removed": lambda tasks: [tasks.pop(name) for name in ("one", "gone", "loop", "group")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_has_changed_between_two_starts(flow, program, change):
    import copy

    failed = flow(BEFORE, check=False)
    assert failed.error == "stop: exit status 1"
    (flow.folder / "go").touch()
    tasks = copy.deepcopy(BEFORE)
    CHANGES[change](tasks)
    for task in tasks.values():
        task["depends_on"] = [name for name in task.get("depends_on", ()) if name in tasks]
    last = [name for name in tasks if name != "ask"]
    tasks["ask"] = {**ASK, "depends_on": last}
    limits = {"cleanup_strategy": {"type": "highest_relevance", "keep_count": 1}, "prune_every_tasks": 1}
    result = flow(tasks, agents=READER, limits=limits, resume=failed.run_id)
    assert result.tasks["ask"].status == "completed"
    told = [event.data["text"] for event in flow.events if event.kind == "warning"]
    assert told[0].startswith("the file has changed since the run began")
    if "removed" in change or "renamed" in change:
        assert "no longer in it: " in told[0]
        assert "gone" in told[0]


def test_looking_at_a_run_whose_file_has_changed(program):
    file = program.folder / "flow.yaml"
    file.write_text(
        "name: x\nversion: 1\nagents: {r: {command: [cat]}}\ntasks:\n"
        "  a: {script: {content: echo a}}\n  b: {script: {content: echo b}, loop: {repeat: {count: 2}}}\n"
        "  stop: {script: {content: exit 1}, depends_on: [a, b]}\n"
        "  ask: {agent: r, description: Go., depends_on: [stop], inject_context: true}\n"
    )
    program("run", "flow.yaml", check=1)
    run_id = program.text("runs").split()[0]
    file.write_text(
        "name: x\nversion: 1\nagents: {r: {command: [cat]}}\ntasks:\n"
        "  c: {script: {content: echo c}}\n  b: {subtasks: {x: {script: {content: echo x}}}}\n"
        "  ask: {agent: r, description: Go., depends_on: [c, b], inject_context: true}\n"
    )
    assert "would get" in program.text("context", run_id, "ask")
    assert "b[1]" in program.text("runs", "show", run_id, "--iterations")
    assert "echo" not in program.text("runs", "report", run_id, "--html", "-").partition("<h2>Graph")[0]
    assert json.loads(program.text("runs", "export", run_id))["task_outputs"].keys() >= {"a", "b", "b[0]"}
    program("runs", "prune", run_id, "--keep", "1")
    done = program("run", "flow.yaml", "--run-id", run_id)
    assert b"no longer in it: a, stop" in done.stderr
    assert b"Traceback" not in done.stderr
    file.unlink()
    assert b"No such file" in program("context", run_id, "nobody", check=1).stderr
    program("runs", "show", run_id)
    program("runs", "export", run_id)


def test_looking_at_a_run_that_has_no_file(program):
    old = json.dumps({"task_results": {"a": "what a said\n"}})
    run_id = program.text("runs", "import", "-", stdin=old.encode()).strip()
    for args in (["context", run_id, "a"], ["runs", "prune", run_id]):
        done = program(*args, check=1)
        assert done.stderr.count(b"\n") == 1
        assert b"Traceback" not in done.stderr
        assert run_id.encode() in done.stderr
    program("runs", "show", run_id)
    program("runs", "report", run_id, "--html", "-")
    program("runs", "export", run_id)
    assert run_id in program.text("runs")


def test_a_loop_that_failed_keeps_what_its_iterations_printed(flow):
    # It is done again when the run is resumed, with what they printed: pruning must not take it.
    def start(**options):
        tasks = {
            "a": bash(
                "{ test -e go || test {{ iteration }} -lt 3; } && echo {{ iteration }}",
                loop={"repeat": {"count": 5}},
            ),
            "z": bash("test -e go", priority=9),
        }
        limits = {"cleanup_strategy": {"type": "direct_dependencies"}, "prune_every_tasks": 1}
        return flow(tasks, jobs=1, limits=limits, outputs={"a": "{{ tasks.a.output }}"}, **options)

    failed = start(check=False)
    (flow.folder / "go").touch()
    assert start(resume=failed.run_id).tasks["a"].output.text == "0\n1\n2\n3\n4\n"

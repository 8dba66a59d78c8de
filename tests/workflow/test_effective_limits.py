"""Which limits hold for a task: one function says so, for the run and for `max context`."""

import copy
import json
import sqlite3

import pytest

from maxstage.output.limits import Limits
from maxstage.workflow import execution
from maxstage.workflow.execution.local import LocalExecutor
from maxstage.workflow.run.limits import effective_limits, workflow_limits
from maxstage.workflow.run.paths import spec_path
from maxstage.workflow.workflow import Workflow

NESTED = {
    "name": "nested",
    "version": "1",
    "limits": {"max_context_bytes": "9KiB", "max_lines": 7},
    "agents": {"reader": {"command": ["wc", "-c"]}},
    "tasks": {
        "plain": {"command": {"executable": "seq", "args": ["3000"]}},
        "outer": {
            "depends_on": ["plain"],
            "limits": {
                "max_context_bytes": "1800",
                "truncation_strategy": "head",
                "max_stdout_bytes": "4KiB",
            },
            "subtasks": {
                "seen": {"command": {"executable": "seq", "args": ["2000"]}},
                "inner": {
                    "depends_on": ["seen"],
                    "limits": {"max_context_tasks": 2, "external_storage_dir": "elsewhere"},
                    "subtasks": {
                        "least": {
                            "limits": {"truncation_strategy": "both", "max_stdout_bytes": "2KiB"},
                            "command": {"executable": "seq", "args": ["1000"]},
                        },
                        "rounds": {
                            "limits": {"max_lines": 3},
                            "loop": {"repeat": {"count": 2}},
                            "subtasks": {"deep": {"command": {"executable": "seq", "args": ["900"]}}},
                        },
                    },
                },
            },
        },
    },
}
"""Tasks in tasks, with limits on every level."""

PLACES = ["", "outer", "outer.inner"]


def with_agent(place):
    """Put a task of an agent into the level at `place`, after all others there."""
    document = copy.deepcopy(NESTED)
    tasks = document["tasks"]
    for name in filter(None, place.split(".")):
        tasks = tasks[name]["subtasks"]
    tasks["asked"] = {
        "agent": "reader",
        "description": "Read",
        "inject_context": True,
        "depends_on": list(tasks),
        "context": {"min_relevance": 0},
    }
    if not place:
        tasks["asked"]["limits"] = {"max_context_bytes": 1500}
    return document, f"{place}.asked".lstrip(".")


def forget(path, task):
    """Let a run be as it was before a task, and those around it, ended."""
    names = task.split(".")
    paths = [".".join(names[:count]) for count in range(1, len(names) + 1)]
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM contexts")
        db.executemany("DELETE FROM tasks WHERE path = ?", [(one,) for one in paths])
    db.close()


@pytest.mark.parametrize("place", PLACES)
def test_max_context_says_what_the_run_gives(store, tmp_path, program, place):
    document, task = with_agent(place)
    file = tmp_path / "flow.yaml"
    file.write_text(json.dumps(document))
    result = Workflow.load(file, store=store).run(store=store, folder=tmp_path)
    assert result.ok, result.error
    got = json.loads(program("context", result.run_id, task, "-o", "json").stdout)
    assert got.pop("ended")
    del got["whole_bytes"]
    forget(tmp_path / ".max" / "runs" / f"{result.run_id}.db", task)
    would_get = json.loads(program("context", result.run_id, task, "-o", "json").stdout)
    assert not would_get.pop("ended")
    for given in (got, would_get):
        for one in given["candidates"]:
            # The run keeps what it cuts, so that the agent can fetch it.
            one.pop("token")
    assert got == would_get
    # The limits of the tasks around hold: without them it would be up to 9 KiB.
    assert 1000 < got["bytes"] <= (1500 if not place else 1800)


def test_a_run_gives_each_program_the_limits_that_hold(monkeypatch, store, tmp_path):
    seen = {}

    class Watching(LocalExecutor):
        def run(self, job, cancel):
            seen[job.task] = job.limits
            return super().run(job, cancel)

    monkeypatch.setitem(execution.EXECUTORS, execution.LOCAL, lambda store, _: Watching(store))
    workflow = Workflow.from_dict(NESTED)
    assert workflow.run(store=store, folder=tmp_path).ok
    top = workflow_limits(store, workflow.valid, str(tmp_path))
    assert {spec_path(path) for path in seen} == {
        path for path, task in workflow.valid.tasks.items() if task.subtasks is None
    }
    for path, limits in seen.items():
        assert limits == effective_limits(workflow.valid, path, top, str(tmp_path)).to_dict(), path


def test_the_limits_of_each_path(store, tmp_path):
    workflow = Workflow.from_dict(NESTED).valid
    top = workflow_limits(store, workflow, "/run")
    names = (
        "max_context_bytes",
        "max_lines",
        "truncation_strategy",
        "max_stdout_bytes",
        "external_storage_dir",
    )
    plain = Limits()
    outer = (1800, 7, "head", 4096, None)
    expected = {
        "": (9216, 7, plain.truncation_strategy, plain.max_stdout_bytes, None),
        "plain": (9216, 7, plain.truncation_strategy, plain.max_stdout_bytes, None),
        "gone.since": (9216, 7, plain.truncation_strategy, plain.max_stdout_bytes, None),
        "outer": outer,
        "outer.seen": outer,
        "outer.gone": outer,
        "outer.inner": (*outer[:4], "/run/elsewhere"),
        "outer.inner.least": (1800, 7, "both", 2048, "/run/elsewhere"),
        "outer.inner.rounds[1].deep": (1800, 3, "head", 4096, "/run/elsewhere"),
    }
    for path, values in expected.items():
        limits = effective_limits(workflow, path, top, "/run")
        assert tuple(getattr(limits, name) for name in names) == values, path

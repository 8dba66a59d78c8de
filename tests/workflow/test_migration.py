"""Runs that an older maxstage left are read and gone on with.

What lies in ``vectors/run-v1`` was made by the program when its tables were of version 1: a run of ``flow.yaml`` that
failed in a loop, as a dump of its database, as it was exported, with its staged items and what its tasks wrote. None of
it is ever made anew: it stands for what people have on their disks. @FOLDER@ stands for the project's folder.
"""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from helpers import lines_of

OLD = Path(__file__).parents[1] / "vectors" / "run-v1"
RUN = "20261121-165431-5369ad4"
STATUSES = {
    "no": "skipped",
    "hello": "completed",
    "bad": "failed",
    "big": "completed",
    "ask": "completed",
    "each[0]": "completed",
    "each[1]": "completed",
    "each[2]": "failed",
    "each": "failed",
}


def old_text(program, name):
    return (OLD / name).read_text().replace("@FOLDER@", str(program.folder))


@pytest.fixture
def project(program):
    """A project as it was left, but for the run."""
    shutil.copytree(OLD / "staging", program.staging, dirs_exist_ok=True)
    for name in ("flow.yaml", "log"):
        shutil.copy(OLD / name, program.folder)
    return program


@pytest.fixture
def old(project):
    """A project as it was left."""
    runs = project.folder / ".max" / "runs"
    runs.mkdir(mode=0o700)
    db = sqlite3.connect(runs / f"{RUN}.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(old_text(project, "run.sql"))
    db.execute("PRAGMA user_version = 1")
    db.close()
    (runs / f"{RUN}.lock").touch(mode=0o600)
    return project


def has_all_of(new, older):
    """Whether what was known is known still; more may have come."""
    if isinstance(older, dict):
        return all(key in new and has_all_of(new[key], value) for key, value in older.items())
    return new == older


def goes_on(project, run_id, *, ran):
    """Let the run go on; its tasks that have ended are not begun again."""
    (project.folder / "go").touch()
    before = len(lines_of(project.folder / "log"))
    done = project("run", "flow.yaml", "--run-id", run_id, "--show-task-outputs")
    # What it reads from the store is the whole of what was cut.
    assert b"--- last (completed)\n400\nx\ny\nz\n" in done.stdout
    assert lines_of(project.folder / "log")[before:] == ran
    assert "completed" in project.text("runs")


def test_it_is_shown(old):
    assert old.text("runs").split()[:2] == [RUN, "failed"]
    shown = json.loads(old.text("runs", "show", RUN, "--iterations", "-o", "json"))
    assert {path: task["status"] for path, task in shown["tasks"].items()} == STATUSES
    given = json.loads(old.text("context", RUN, "ask", "-o", "json"))
    assert [one["task"] for one in given["candidates"]] == ["big", "hello"]
    exported = json.loads(old.text("runs", "export", RUN))
    del exported["version"]
    expected = json.loads(old_text(old, "export.json"))
    assert expected.pop("version") == 1
    assert has_all_of(exported, expected)


def test_it_goes_on(old):
    goes_on(old, RUN, ran=["each z", "last"])
    old("runs", "clean", RUN)
    assert old.text("stage", "list") == "No staged data.\n"


def test_what_was_exported_is_imported_and_goes_on(project):
    exported = old_text(project, "export.json").encode()
    assert project.text("runs", "import", "-", stdin=exported).strip() == RUN
    goes_on(project, RUN, ran=["each z", "last"])


def test_the_oldest_form_is_imported_and_goes_on(project):
    said = {
        "hello": "héllo\n",
        "big": "".join(f"{n}\n" for n in range(400)),
        "ask": "",
        "bad": "no",
        "no": "",
    }
    (project.folder / "old.json").write_text(json.dumps({"task_results": said}))
    run_id = project.text("runs", "import", "old.json").strip()
    exported = json.loads(project.text("runs", "export", run_id))
    assert exported["task_outputs"]["hello"]["output"]["content"] == "héllo\n"
    goes_on(project, run_id, ran=["each x", "each y", "each z", "last"])

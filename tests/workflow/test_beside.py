"""Looking at runs while they begin, go on and end; and what is left of those that were killed."""

import contextlib
import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helpers import can_trace, lines_of, wait_until
from maxstage import WorkflowError
from maxstage.workflow.run.folder import find_runs, list_runs, runs_folder
from maxstage.workflow.run.results import TaskResult
from maxstage.workflow.run.state import RunState

FLOW = """\
name: small
version: 1
limits: {max_stdout_bytes: 1KiB}
tasks:
  a: {script: {content: "echo a >> log; seq 3000"}}
  b: {script: {content: "echo b >> log; wc -l"}, stdin_from: a}
"""

READ = """
import os, sys
from maxstage.workflow.run.folder import find_runs
from maxstage.workflow.run.state import RunState
seen, bad = 0, []
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    for run_id, facts in find_runs(sys.argv[1]):
        seen += 1
        if "workflow" not in facts:
            bad.append(f"{run_id}: {facts}")
        try:
            state = RunState(sys.argv[1], run_id)
            state.export()
            state.close()
        except Exception as error:
            bad.append(f"{run_id}: {error!r}")
print(seen, *bad[:5], sep="\\n")
"""


class Readers:
    """Processes that look at all runs, over and over."""

    def __init__(self, program, count):
        self.end = program.folder / "end"
        command = [sys.executable, "-c", READ, str(program.folder / ".max" / "runs"), str(self.end)]
        self.children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        for child in self.children:
            assert child.stdout.readline() == "ready\n"

    def finish(self):
        """Return what went wrong."""
        self.end.touch()
        said = [child.communicate()[0].splitlines() for child in self.children]
        assert all(child.returncode == 0 for child in self.children)
        return [line for lines in said for line in lines[1:]]


def stress(program, readers, count):
    (program.folder / "flow.yaml").write_text(FLOW)
    watchers = Readers(program, readers)
    try:
        for _ in range(count):
            started = [program.start("run", "flow.yaml") for _ in range(2)]
            listed = program("runs")
            assert b"damaged" not in listed.stdout
            for child in started:
                _, stderr = child.communicate()
                assert child.returncode == 0, stderr
    finally:
        problems = watchers.finish()
    assert problems == []
    assert program.text("runs").count(" completed ") == 2 * count


def test_readers_beside_runs_that_begin(program):
    stress(program, 3, 2)


@pytest.mark.stress
def test_eight_readers_beside_runs_that_begin(program):
    stress(program, 8, 20)


def test_a_state_that_is_read_while_it_is_made_and_written(tmp_path):
    folder, problems, over = str(tmp_path / "runs"), [], threading.Event()

    def look():
        while not over.is_set():
            for run_id, facts in find_runs(folder):
                if "workflow" not in facts:
                    problems.append((run_id, facts))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        state = RunState.create(folder, f"r{number}", {"workflow": "w", "status": "running"})
        for name in "abc":
            state.record(name, TaskResult("completed"))
        state.close()
    over.set()
    for thread in threads:
        thread.join()
    assert problems == []


def test_who_looks_holds_nobody_up(tmp_path):
    state = RunState.create(str(tmp_path), "r", {"workflow": "w"})
    reader = RunState(str(tmp_path), "r")
    assert reader.is_live()
    state.close()
    assert not reader.is_live()
    fd = os.open(tmp_path / "r.lock", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    # Somebody else looks as well: that is no run.
    assert not reader.is_live()
    threading.Timer(0.1, os.close, (fd,)).start()
    reader.acquire()
    with pytest.raises(WorkflowError, match="already running in another process"):
        RunState(str(tmp_path), "r").acquire()
    reader.close()


def test_who_looks_writes_nothing(tmp_path):
    RunState.create(str(tmp_path), "r", {}).close()
    state = RunState(str(tmp_path), "r")
    with pytest.raises(AssertionError, match="only by the process that acquired it"):
        state.set_facts(x=1)
    state.close()


AS_SOMEBODY_ELSE = """
import os, sys
import fcntl  # while it can be read: it is imported where a lock is first taken
from maxstage.errors import Error
from maxstage.workflow.run.folder import find_runs
from maxstage.workflow.run.state import RunState
folder, run_id = sys.argv[1:]
os.setegid(65534)
os.seteuid(65534)
print(*[facts["status"] for _, facts in find_runs(folder)])
try:
    state = RunState(folder, run_id)
    print(*state.export()["task_outputs"])
    state.acquire()
except (Error, OSError) as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("sides", [True, False])
def test_another_user_s_runs(program, sides):
    (program.folder / "flow.yaml").write_text(FLOW)
    program("run", "flow.yaml")
    folder = program.folder / ".max" / "runs"
    (run_id,) = list_runs(str(folder))
    for path in (*folder.parents, folder):
        if path.stat().st_uid == 0 and not path.stat().st_mode & 0o001:
            path.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
        if not sides and path.suffix in {".db-wal", ".db-shm"}:
            path.unlink()

    def look():
        command = [sys.executable, "-c", AS_SOMEBODY_ELSE, str(folder), run_id]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    status, tasks, problem = look()
    assert (status, tasks) == ("completed", "a b")
    lock = folder / f"{run_id}.lock"
    assert problem == f"Run {run_id} is read-only here: Permission denied: {lock}"
    (folder / f"{run_id}.db").chmod(0o600)
    status, problem = look()
    assert status == "unreadable"
    assert "Permission denied" in problem


# What is left of runs that were killed


def test_a_run_appears_with_its_facts_or_not_at_all(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    folder = program.folder / ".max" / "runs"
    folder.mkdir()
    for name in ("x1.lock", "x2.db.new", "x2.db.new-journal", "x2.lock", "x3.db-wal", "other.txt"):
        (folder / name).write_bytes(b"left")
    assert program.text("runs") == "No runs.\n"
    program("run", "flow.yaml")
    left = {path.name.partition(".")[0] for path in folder.iterdir()}
    assert left == set(list_runs(str(folder))) | {"other"}


def test_what_is_being_made_is_not_swept(tmp_path):
    fd = os.open(tmp_path / "x.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    (tmp_path / "x.db.new").touch()
    RunState.create(str(tmp_path), "r", {}).close()
    assert (tmp_path / "x.db.new").exists()
    os.close(fd)
    RunState.create(str(tmp_path), "s", {}).close()
    assert not (tmp_path / "x.db.new").exists()


@pytest.mark.parametrize("content", [b"", None, b"not a database" * 300])
def test_a_ghost_of_an_older_version_can_be_cleaned(program, content):
    (program.folder / "flow.yaml").write_text(FLOW)
    folder = program.folder / ".max" / "runs"
    folder.mkdir()
    path = folder / "20260101-000000-000dead.db"
    if content is None:
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
    else:
        path.write_bytes(content)
    word = "damaged" if content else "killed"
    assert re.match(rf"20260101-000000-000dead  {word} ", program.text("runs"))
    assert b"no unfinished run" in program("run", "flow.yaml", "--resume", check=1).stderr
    program("runs", "show", "20260101-000000-000dead", check=1 if content else 0)
    program("runs", "clean", "20260101-000000-000dead")
    assert program.text("runs") == "No runs.\n"
    assert list(folder.iterdir()) == []


def places(program):
    """The system calls of the main thread from where a run begins, each as a name and a number for strace."""
    trace = program.folder / "trace"
    subprocess.run(["strace", "-o", trace, *program.command, "run", "flow.yaml"], cwd=program.folder, check=True,
                   capture_output=True)  # fmt: skip
    counts, found, begun = {}, [], False
    for line in trace.read_text(errors="replace").splitlines():
        match = re.match(r"([a-z0-9_]+)\(", line)
        if match:
            counts[match[1]] = counts.get(match[1], 0) + 1
            begun = begun or ".max/runs" in line
            if begun:
                found.append((match[1], counts[match[1]]))
    return found


@pytest.mark.stress
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace")
def test_kill_9_at_each_system_call(program, store):
    (program.folder / "flow.yaml").write_text(FLOW)
    folder = Path(runs_folder(store))
    log = program.folder / "log"
    expected = {"a": "".join(f"{number}\n" for number in range(1, 3001))[-100:], "b": "3000\n"}
    every = int(os.environ.get("MAX_TEST_EVERY", "1"))
    kills = 0
    for name, number in places(program)[::every]:
        program("runs", "clean", "--all", "--yes")
        assert store.list() == []
        log.unlink(missing_ok=True)
        inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"]
        command = ["strace", "-o", os.devnull, *inject, *program.command, "run", "flow.yaml"]
        done = subprocess.run(command, cwd=program.folder, capture_output=True)
        where = f"{name} {number}: {done.stderr!r}"
        wait_for_tasks(store)
        kills += done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}
        # It is listed as it is, or it is not there.
        listed = json.loads(program.text("runs", "-o", "json"))
        assert [one["status"] in {"killed", "completed"} for one in listed] == [True] * len(listed), where
        recorded = lines_of(log)
        if listed:
            (run_id,) = (one["run"] for one in listed)
            state = RunState(str(folder), run_id)
            ended = set(state.paths())
            state.close()
            again = program("run", "flow.yaml", "--run-id", run_id)
            # Nothing that was recorded is done again.
            assert not ended & set(lines_of(log)[len(recorded) :]), where
        else:
            assert recorded == [], where
            again = program("run", "flow.yaml")
            (run_id,) = list_runs(str(folder))
        assert b"completed" in again.stdout
        state = RunState(str(folder), run_id)
        got = {path: result.output.text for path, result in state.results()}
        tokens = state.tokens()
        state.close()
        assert got["b"] == expected["b"], where
        assert got["a"].endswith(expected["a"]), where
        assert {item.token for item in store.list()} == tokens, where
        assert {path.name.partition(".")[0] for path in folder.iterdir()} == {run_id}, where
    print(f"{kills} kills")  # noqa: T201 - shown where it fails


ERRORS = {
    "openat": ["EIO", "ENOSPC", "EMFILE"],
    "write": ["EIO", "ENOSPC"],
    "pwrite64": ["EIO", "ENOSPC"],
    "ftruncate": ["ENOSPC"],
    "fdatasync": ["EIO", "ENOSPC"],
    "flock": ["EINTR", "ENOLCK"],
    "read": ["EIO", "EINTR"],
    "pread64": ["EIO"],
    "unlink": ["EIO"],
    "rename": ["EIO", "ENOSPC"],
    "mkdir": ["ENOSPC"],
    "fcntl": ["EIO"],
    "close": ["EIO"],
    "newfstatat": ["EIO"],
    "mmap": ["ENOMEM"],
    "pipe2": ["EMFILE"],
}
"""What the system calls of a run may fail with."""


@pytest.mark.stress
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace")
def test_an_error_at_each_system_call(program, store):
    (program.folder / "flow.yaml").write_text(FLOW)
    folder = runs_folder(store)
    every = int(os.environ.get("MAX_TEST_EVERY", "1"))
    cases = [(name, number, error) for name, number in places(program) for error in ERRORS.get(name, [])]
    for name, number, error in cases[::every]:
        program("runs", "clean", "--all", "--yes")
        inject = ["-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={number}"]
        command = ["strace", "-qq", "-o", os.devnull, *inject, *program.command, "run", "flow.yaml"]
        done = subprocess.run(command, cwd=program.folder, capture_output=True, text=True)
        where = f"{name} {number} {error}: {done}"
        assert done.returncode in {0, 1}, where
        assert "Traceback" not in done.stderr, where
        assert done.returncode == 0 or done.stderr, where
        found = list_runs(folder)
        if done.returncode:
            # The error was told; without it, the same run gets to its end, or there is none.
            program("run", "flow.yaml", *(["--run-id", found[0]] if found else []))
        (run_id,) = list_runs(folder)
        with contextlib.closing(RunState(folder, run_id)) as state:
            assert state.facts()["status"] == "completed", where
            assert {path: result.output.text[-5:] for path, result in state.results()} == {
                "a": "3000\n",
                "b": "3000\n",
            }, where
            assert {item.token for item in store.list()} == state.tokens(), where


def wait_for_tasks(store):
    """Wait until what a killed run left running has written what it writes."""
    left = {f"MAX_RUN={run_id}".encode() for run_id in list_runs(runs_folder(store))}
    wait_until(lambda: not left & environments())


def environments():
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.update(path.read_bytes().split(b"\0"))
        except OSError:
            continue
    return found

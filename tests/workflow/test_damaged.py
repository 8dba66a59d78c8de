"""States of runs that are damaged, or that can't be read as things are: told in one line, and never deleted for it."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from helpers import NOBODY, let_nobody_in
from maxstage.cli.app import app
from maxstage.errors import Error
from maxstage.workflow.run import tables
from maxstage.workflow.run.folder import find_runs, list_runs

FLOW = {
    "name": "f",
    "version": "1",
    "inputs": {"x": {"default": "1"}},
    "agents": {"a": {"command": ["cat"]}},
    "tasks": {
        "t": {"script": {"content": "echo hi; echo oops >&2"}},
        "w": {"agent": "a", "description": "say", "inject_context": True, "depends_on": ["t"]},
    },
}


@pytest.fixture
def runs(program):
    """Two finished runs, the folder of runs, the id of the newer one, and the bytes of its state."""
    (program.folder / "flow.yaml").write_text(json.dumps(FLOW))
    folder = program.folder / ".max" / "runs"
    for _ in range(2):
        program("run", "flow.yaml")
        time.sleep(0.002)
    good, victim = sorted(list_runs(str(folder)))
    path = folder / f"{victim}.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    drop_sides(path)
    return folder, good, victim, path.read_bytes()


def drop_sides(path):
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)


COMMANDS = (
    ("runs", "show", "RUN"),
    ("runs", "show", "RUN", "-o", "json"),
    ("runs", "export", "RUN"),
    ("runs", "report", "RUN", "--html", "-"),
    ("context", "RUN", "w"),
)


@pytest.fixture
def cli(program, monkeypatch, capfd):
    """Run commands in this process: hundreds of them take no time so. What is no error of ours is a traceback."""
    monkeypatch.chdir(program.folder)

    def run(*args):
        try:
            code = app.main(list(args), prog_name="max", standalone_mode=False)
            sys.stdout.flush()
        except (Error, OSError) as error:
            sys.stdout.flush()
            capfd.readouterr()
            return 1, str(error)
        out, errors = capfd.readouterr()
        return (code, errors) if code else (0, out)

    return run


def check(cli, good, victim):
    """Check that each command ends well, or with a line, and that both runs are listed; return what failed."""
    code, out = cli("runs")
    assert code == 0, out
    assert [line.split()[0] for line in out.splitlines()] == [victim, good]
    done = [cli(*(victim if word == "RUN" else word for word in command)) for command in COMMANDS]
    failed = [text for code, text in done if code]
    assert all(text.isprintable() for text in failed), failed
    return failed


def replace(path, content):
    drop_sides(path)
    path.write_bytes(content)


def test_a_state_that_was_cut_at_any_size(cli, runs):
    folder, good, victim, whole = runs
    for number in range(50):
        replace(folder / f"{victim}.db", whole[: len(whole) * number // 50])
        failed = check(cli, good, victim)
        # Of nothing at all there is no context. The last page may have nothing that these commands show.
        assert failed or number >= 40, number
        assert all(victim in text for text in failed), failed


@pytest.mark.parametrize("seed", range(8))
def test_a_state_with_flipped_bytes(cli, runs, seed):
    folder, good, victim, whole = runs
    chance = random.Random(seed)
    failures = 0
    used = [place for place, byte in enumerate(whole) if byte]
    for _ in range(25):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            content[chance.choice(used)] = chance.choice((chance.randrange(256), ord("9"), ord('"')))
        replace(folder / f"{victim}.db", bytes(content))
        failures += bool(check(cli, good, victim))
    assert failures


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE tasks; DROP TABLE facts; CREATE TABLE other (x)",
        "DROP TABLE facts; CREATE TABLE facts (n)",
        "UPDATE facts SET value = '{' || value",
        "UPDATE facts SET value = '[[5]]'",
        "UPDATE facts SET value = '1e999'",
        "UPDATE facts SET value = x'ff'",
        "UPDATE facts SET value = CAST(x'ff' AS TEXT)",
        "UPDATE facts SET value = '{\"outputs\": 1}' WHERE name = 'metrics'",
        "UPDATE facts SET value = '" + "[" * 200_000 + "'",
        "UPDATE facts SET value = '1e15' WHERE name = 'started'",
    ],
    ids=range(10),
)
def test_facts_that_are_not_as_we_write_them(cli, runs, change):
    folder, good, victim, _ = runs
    damage(folder / f"{victim}.db", change)
    failed = check(cli, good, victim)
    assert len(failed) >= len(COMMANDS) - 1  # what an agent was given is known without them
    assert all("is damaged" in text for text in failed), failed
    assert cli("runs", "clean", victim)[0] == 0
    assert list_runs(str(folder)) == [good]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tasks SET output = '{}'; UPDATE contexts SET given = '{}'",
        "UPDATE tasks SET output = '[]', ended = 'x', accessed = 1e300",
        "UPDATE tasks SET status = 'odd', attempts = 'many'",
        "UPDATE tasks SET path = x'00ff' WHERE path = 't'",
    ],
    ids=range(4),
)
def test_tasks_that_are_not_as_we_write_them(cli, runs, change):
    folder, good, victim, _ = runs
    damage(folder / f"{victim}.db", change)
    failed = check(cli, good, victim)
    assert len(failed) >= 4
    assert all("is damaged" in text for text in failed), failed
    assert cli("runs", "clean", victim)[0] == 0
    assert list_runs(str(folder)) == [good]


def damage(path, change):
    with sqlite3.connect(path) as db:
        db.executescript(change)
    db.close()
    drop_sides(path)


def test_what_stands_in_place_of_a_state(program, runs):
    folder, good, victim, _ = runs
    path = folder / f"{victim}.db"
    path.unlink()
    makers = (
        (path.mkdir, path.rmdir, "Is a directory"),
        (lambda: os.mkfifo(path), path.unlink, "Not a regular file"),
        (lambda: path.symlink_to(path), path.unlink, "Too many levels of symbolic links"),
        (lambda: path.symlink_to("nothing"), path.unlink, "There is no run"),
    )
    for make, unmake, words in makers:
        make()
        listed = program.text("runs", timeout=60).splitlines()
        assert [line.split()[:2] for line in listed] == [[victim, "unreadable"], [good, "completed"]]
        # Whatever is there is opened by the same function for each.
        for command in (*(COMMANDS if "directory" in words else COMMANDS[:2]), ("runs", "clean", "RUN")):
            args = [victim if word == "RUN" else word for word in command]
            assert words in program.fails(*args, timeout=60)
        assert os.path.lexists(path)
        unmake()
    path.mkdir()
    assert victim in program.fails("runs", "clean", "--all", "--yes")
    assert list_runs(str(folder)) == [victim]


def test_one_run_that_cant_be_deleted_keeps_no_other(program, runs):
    folder, good, victim, whole = runs
    # Listed before the run it points to, and gone as soon as that one is.
    link = f"{max(good, victim)}-link"
    (folder / f"{link}.db").symlink_to(f"{max(good, victim)}.db")
    (folder / f"{min(good, victim)}-older.db").write_bytes(whole)
    order = [link, max(good, victim), f"{min(good, victim)}-older", min(good, victim)]
    assert list_runs(str(folder)) == order
    done = program("runs", "clean", order[1], "gone", link, order[2], order[3], check=1)
    assert [line.split()[2] for line in done.stdout.decode().splitlines()] == order[1:]
    assert [
        f"There is no run {name}" in text
        for name, text in zip(("gone", link), done.stderr.decode().splitlines(), strict=True)
    ] == [True, True]


def test_names_that_are_no_runs(program, runs):
    folder, good, victim, whole = runs
    for name in ("a b", "x\x1b[31m", "..", "é", "x" * 101, "a\nb", "x\udcff"):
        (folder / f"{name}.db").write_bytes(whole)
    assert [line.split()[0] for line in program.text("runs").splitlines()] == [victim, good]
    for name in ("a b", "x\x1b[31m", "../runs/" + good, "", "x" * 100_000):
        line = program.fails("runs", "show", name)
        assert "is not a valid run id" in line
        assert len(line) < 200
        assert line.isprintable()


def test_a_state_that_may_not_be_read(program, runs):
    folder, good, victim, _ = runs
    let_nobody_in(program.folder)
    for path in (program.folder, folder.parent, *folder.parent.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    (folder / f"{victim}.db").chmod(0)
    listed = program.text("runs", user=NOBODY)
    assert [line.split()[:2] for line in listed.splitlines()] == [[victim, "unreadable"], [good, "completed"]]
    for command in ("show", "export", "clean"):
        assert "Permission denied" in program.fails("runs", command, victim, user=NOBODY)
    assert (folder / f"{victim}.db").exists()


@pytest.fixture
def small_disk(program):
    """A project on a disk of its own, of 2 MB."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root to mount a small disk")
    disk = program.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        program.folder = disk
        program("init")
        yield program
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(disk):
    for size in (4096, 1):
        with contextlib.suppress(OSError), open(disk / f"fill{size}", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * size)


LEFT_BY_A_KILL = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA journal_mode = WAL")
db.execute("INSERT OR REPLACE INTO facts VALUES ('error', '\\"told in the log\\"')")
db.commit()
os._exit(0)
"""


@pytest.mark.parametrize("log", [False, True], ids=["whole", "with a log"])
@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing_damages_no_run(small_disk, log, read_only):
    program = small_disk
    (program.folder / "flow.yaml").write_text(json.dumps(FLOW))
    program("run", "flow.yaml")
    folder = program.folder / ".max" / "runs"
    (run_id,) = list_runs(str(folder))
    path = folder / f"{run_id}.db"
    drop_sides(path)
    if log:
        # What is in the log is not in the file yet, and the index of the log has to be made anew.
        subprocess.run([sys.executable, "-c", LEFT_BY_A_KILL, path], check=True)
        os.truncate(path.with_name(path.name + "-shm"), 0)
    if read_only:
        subprocess.run(["mount", "-o", "remount,ro", program.folder], check=True)
    else:
        fill(program.folder)
    assert program.text("runs").split()[1] == "completed"
    assert ("told in the log" in program.text("runs", "show", run_id)) == log
    for command in COMMANDS[1:]:
        program(*(run_id if word == "RUN" else word for word in command))
    if read_only:
        assert "Read-only file system" in program.fails("runs", "clean", run_id)
        assert path.exists()
    else:
        # To delete takes no room: it makes some.
        program("runs", "clean", run_id)
        assert not path.exists()


def test_a_state_that_could_not_be_read_is_not_deleted_as_damaged(cli, runs, monkeypatch):
    """Whatever SQLite says of the system, and not of the file."""
    folder, _, victim, _ = runs
    real = tables.open_to_read

    def failing(path):
        if victim not in path:
            return real(path)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    monkeypatch.setattr(tables, "open_to_read", failing)
    assert dict(find_runs(str(folder)))[victim]["status"] == "unreadable"
    for args in (("runs", "clean", victim), ("runs", "clean", "--all", "--yes")):
        code, text = cli(*args)
        assert code == 1
        assert victim in text
    assert list_runs(str(folder)) == [victim]

"""Sweeping in the face of locks that are held, names that can't be deleted, backups, and clocks that jump."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import maxstage
from maxstage.store.storage.local import index
from maxstage.store.sweep import sweep

DAY = 24 * 3600
PAST = "2024-01-01T00:00:00Z"


@pytest.fixture
def clock(monkeypatch):
    """A clock that is put forward or back by so many seconds."""
    real, real_ns, ahead = time.time, time.time_ns, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(ahead[0] * 10**9))

    def put(seconds: float) -> None:
        ahead[0] = seconds

    return put


def end(store, *items, expires: str = PAST) -> None:
    """Let items have expired."""
    for item in items:
        path = Path(store.storage.layout.meta(item.id))
        path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": expires}))


def names(store) -> list[str]:
    return sorted(name for name in os.listdir(store.storage.layout.root) if name not in {".lock", ".sweep"})


@contextmanager
def held(store, name: str):
    """Hold a lock as another process would."""
    with open(store.storage.layout.path(name), "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def due(store) -> None:
    """Let a sweep be due."""
    if os.path.exists(store.storage.layout.path(".sweep")):
        os.utime(store.storage.layout.path(".sweep"), (0, 0))


# What is in the way


@pytest.mark.parametrize("lock", [".lock", ".sweep"])
def test_a_held_lock_is_skipped(store, lock):
    items = [store.stage(b"x") for _ in range(3)]
    end(store, *items)
    Path(store.storage.layout.path(f".{items[0].id}.leaving")).write_bytes(b"old")
    with held(store, lock):
        started = time.monotonic()
        store.sweep_if_due()
        assert time.monotonic() - started < 30  # it returns at all
        assert len(store.ids()) == 3
    due(store)
    store.sweep_if_due()
    assert store.ids() == []


def test_a_held_index_is_not_waited_for(store, monkeypatch):
    import sqlite3

    monkeypatch.setattr(index, "WORTH_AN_INDEX", 2)
    monkeypatch.setattr(index, "_PATIENCE", 10**6)
    items = store.stage_many([b"x"] * 5)
    store.list()
    end(store, *items)
    with sqlite3.connect(store.storage.layout.index) as database:
        database.execute("BEGIN EXCLUSIVE")
        store.sweep_if_due()
    assert store.ids() == []


def test_a_sweep_ends_in_time_and_the_next_goes_on(store, monkeypatch):
    """Every look at the clock takes a hundredth of a second: one sweep ends few items, and in the end all are gone."""
    ticks = [0.0]

    def tick() -> float:
        ticks[0] += 0.01
        return ticks[0]

    items = store.stage_many([b"x"] * 60)
    end(store, *items)
    kept = store.stage(b"kept")
    monkeypatch.setattr(time, "monotonic", tick)
    left = [len(store.ids())]
    while len(store.ids()) > 1:
        due(store)
        before = ticks[0]
        store.sweep_if_due()
        assert ticks[0] - before < 1
        left.append(len(store.ids()))
        assert len(left) < 200
    assert len(left) > 4
    assert store.ids() == [kept.id]


def test_who_is_in_a_hurry_does_without_an_index_that_is_far_behind(store, monkeypatch):
    monkeypatch.setattr(index, "WORTH_AN_INDEX", 2)
    monkeypatch.setattr(index, "_FEW", 10)

    def hurried() -> int | None:
        return index.ask(store.storage.layout, lambda asked: len(list(asked.newest(0))), hurried=True)

    items = store.stage_many([b"x"] * 40)
    assert hurried() is None
    store.list()
    assert hurried() == 40
    store.stage_many([b"x"] * 10)
    assert hurried() == 50
    more = store.stage_many([b"x"] * 11)
    assert hurried() is None
    end(store, *items, *more)
    store.sweep_if_due()
    assert len(store.ids()) == 10


@pytest.mark.parametrize("kind", ["data", "metadata", "part", "tombstone", "leaving"])
def test_one_undeletable_name_costs_itself_alone(store, kind):
    bad, *others = [store.stage(b"x") for _ in range(6)]
    end(store, bad, *others)
    name = {
        "data": bad.file_name,
        "metadata": f"{bad.id}.meta.json",
        "part": ".0badcafe.part",
        "tombstone": ".0badcafe.expired.json",
        "leaving": ".0badcafe.leaving",
    }[kind]
    path = Path(store.storage.layout.path(name))
    path.unlink(missing_ok=True)
    path.mkdir()  # neither unlinked nor read, whoever we are
    os.utime(path, (0, 0))
    swept = sweep(store.storage, orphan_seconds=-1)
    assert {item.id for item in swept.expired} >= {item.id for item in others}
    assert all(not os.path.exists(store.storage.layout.path(item.file_name)) for item in others)
    assert list(swept.failed) == ([] if kind == "metadata" else [name])
    assert path.is_dir()
    # It is told each time, and by the command.
    assert list(sweep(store.storage, orphan_seconds=-1).failed) == ([] if kind == "metadata" else [name])


def test_a_sweep_whose_code_cant_be_loaded_fails_no_command(program):
    token = program.stage(b"x\n")
    (program.staging / ".sweep").unlink(missing_ok=True)  # it is time
    code = (
        "import sys; sys.modules['maxstage.store.sweep'] = None; sys.argv[0] = 'max'; "
        "from maxstage.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "stage", "verify", token],
        cwd=program.folder, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "Verified: 1 good, 0 damaged\n", "")


def test_gc_says_what_it_can_not_delete(program):
    token = program.stage(b"x").removeprefix("max:")
    (program.staging / f"{token}.txt").unlink()
    (program.staging / f"{token}.txt").mkdir()
    meta = program.staging / f"{token}.meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"expiresAt": PAST}))
    assert program("stage", "gc", "--dry-run").stderr == b""
    done = program("stage", "gc", check=1)
    assert done.stdout.startswith(b"Swept: 0 expired")
    assert done.stderr == (
        f"Could not delete {token}.txt (Is a directory); remove them by hand from .max/staging\n".encode()
    )
    program.stage(b"y")  # is in nobody's way


# What each mark means


def backup(store) -> str:
    copy = f"{store.storage.layout.root}.backup"
    shutil.copytree(store.storage.layout.root, copy)
    return copy


def restore(store, copy: str) -> None:
    shutil.copytree(copy, store.storage.layout.root, dirs_exist_ok=True)  # with copy2: the old times, too


@pytest.mark.parametrize("mark", ["expired.json", "leaving", "claim", "part", "update"])
@pytest.mark.parametrize("compress", [False, True])
def test_a_stale_mark_beside_an_item_goes_and_the_item_stays(store, mark, compress, clock):
    item = store.stage(b"data", pin=True, compress=compress)
    stale = Path(store.storage.layout.path(f".{item.id}.{mark}"))
    stale.write_bytes(Path(store.storage.layout.meta(item.id)).read_bytes())
    os.utime(stale, (0, 0))
    store.cleanup()
    clock(2 * DAY)
    store.cleanup()
    assert not stale.exists()
    with store.open(item.token) as file:
        assert file.read() == b"data"


@pytest.mark.parametrize("later", [0, 2 * 3600, 2 * DAY])
def test_a_restored_backup_is_kept(store, later, clock):
    item = store.stage(b"data")
    copy = backup(store)
    end(store, item)
    assert [gone.id for gone in store.cleanup().expired] == [item.id]
    with pytest.raises(maxstage.Expired):
        store.info(item.token)
    restore(store, copy)
    end(store, item, expires="2999-01-01T00:00:00Z")
    clock(later)
    store.cleanup()
    clock(later + 2 * DAY)
    store.cleanup()
    with store.open(item.token) as file:
        assert file.read() == b"data"
    assert not list(Path(store.storage.layout.root).glob("*.expired.json"))
    assert store.unstage(item.token)
    with pytest.raises(maxstage.NotFound) as error:
        store.info(item.token)
    assert not isinstance(error.value, maxstage.Expired)


def test_a_backup_that_is_being_restored_is_not_swept(store):
    """Its data comes before its metadata, and both are old by their own account."""
    item = store.stage(b"data", pin=True)
    os.utime(store.storage.layout.path(item.file_name), (0, 0))
    copy = backup(store)
    store.unstage(item.token)
    shutil.copy2(f"{copy}/{item.file_name}", store.storage.layout.root)
    tombstone = Path(store.storage.layout.path(f".{item.id}.expired.json"))
    tombstone.write_bytes(Path(f"{copy}/{item.id}.meta.json").read_bytes())
    os.utime(tombstone, (0, 0))
    store.cleanup()
    restore(store, copy)
    store.cleanup()
    with store.open(item.token) as file:
        assert file.read() == b"data"


def test_data_of_an_item_whose_sweep_was_killed_is_swept(store, clock):
    item = store.stage(b"data")
    os.rename(store.storage.layout.meta(item.id), store.storage.layout.path(f".{item.id}.expired.json"))
    clock(2 * 3600)
    assert store.cleanup().orphans == [item.file_name]
    assert names(store) == [f".{item.id}.expired.json"]


def test_a_live_writer_is_left_alone_whatever_the_clock_says(store, clock):
    with store.draft() as draft:
        draft.write(b"slow")
        for ahead in (100 * DAY, -100 * DAY, 0):
            clock(ahead)
            store.cleanup()
            sweep(store.storage, orphan_seconds=-1)
        item = draft.publish(ttl_minutes=None)
    with store.open(item.token) as file:
        assert file.read() == b"slow"


# Clocks


def test_a_clock_that_was_wrong_does_not_keep_sweeps_away(store, clock):
    item = store.stage(b"x")
    again = store.stage(b"z", pin=True)
    clock(30 * DAY)
    store.stage(b"y")
    store.sweep_if_due()
    assert not os.path.exists(store.storage.layout.meta(item.id))  # expired, by that clock
    clock(0)
    end(store, again)
    store.sweep_if_due()
    assert not os.path.exists(store.storage.layout.meta(again.id))


def test_a_clock_that_is_put_back_deletes_nothing(store, clock):
    clock(5 * 3600)
    item = store.stage(b"x", ttl=10)
    for ahead in (0, -5 * 3600, 4 * 3600, 5 * 3600):
        clock(ahead)
        store.cleanup()
        store.sweep_if_due()
        with store.open(item.token) as file:
            assert file.read() == b"x"
    clock(5 * 3600 + 601)
    store.cleanup()
    with pytest.raises(maxstage.Expired):
        store.open(item.token)


def test_once_a_minute(store, clock):
    store.sweep_if_due()
    late = store.stage(b"x", ttl=1)
    assert not store.sweep_is_due()
    clock(59)
    assert not store.sweep_is_due()
    clock(62)
    assert store.sweep_is_due()
    store.sweep_if_due()
    assert not os.path.exists(store.storage.layout.meta(late.id))
    assert not store.sweep_is_due()

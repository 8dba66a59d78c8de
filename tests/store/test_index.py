"""The index of a large store never says anything that the items themselves don't."""

import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import PATIENCE
from maxstage.store.storage.local import index as indexing
from maxstage.store.storage.local.layout import META, names_with
from maxstage.store.storage.local.listing import read_all


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(indexing, "WORTH_AN_INDEX", 3)


def told(items):
    return [item.to_dict() for item in items]


def truth(store):
    """What the items themselves say, newest first."""
    items, _ = read_all(store.storage.layout, names_with(store.storage.layout, META))
    return told(sorted(items, key=lambda item: (-item.created_ns, item.id)))


def age(store, seconds):
    """Let the directory have changed at a time that proves something."""
    os.utime(store.storage.layout.root, (seconds, seconds))


def is_used(store):
    """Whether the next list takes the index as it is."""
    layout = store.storage.layout
    with contextlib.closing(indexing._connect(layout)) as database:
        return indexing.Index(layout, database)._is_current()


def edit(store, one, number):
    """Change metadata as an editor saves it."""
    meta = json.loads(Path(store.storage.layout.meta(one)).read_bytes()) | {"source": f"edited {number}"}
    Path(store.storage.layout.path("new")).write_text(json.dumps(meta))
    os.rename(store.storage.layout.path("new"), store.storage.layout.meta(one))


CHANGES = [
    *[lambda s, _, n: s.stage(b"x" * n, source=f"s/{n % 3}", labels={"n": str(n % 2)})] * 4,
    lambda s, one, n: one and s.renew(one, n + 1),
    lambda s, one, _: one and s.pin(one),
    lambda s, one, _: one and s.unstage(one),
    lambda s, one, _: one and os.unlink(s.storage.layout.meta(one)),
    lambda s, one, n: one and edit(s, one, n),
    lambda s, _, n: Path(s.storage.layout.meta(f"{n:08x}")).write_bytes(b"damaged"),
    lambda s, _, n: n % 3 == 0 and Path(s.storage.layout.index).unlink(missing_ok=True),
    lambda s, *_: s.stage_many([b"a", b"b"]),
]


def test_says_what_the_items_say(store):
    rng = random.Random(7)
    for number in range(200):
        ids = [item["token"] for item in truth(store)]
        rng.choice(CHANGES)(store, rng.choice(ids) if ids else None, number)
        # Each change leaves another time, and all of them are long past.
        age(store, 1_000_000 + number)
        expected = truth(store)
        assert told(store.list()) == expected
        assert told(store.list()) == expected
        assert told(store.list(limit=2)) == expected[:2]
        assert told(store.list(limit=0)) == []
        wanted = [item for item in expected if item["source"] == "s/1"]
        assert told(store.list(source="s/1")) == wanted
        assert told(store.list(source="s/1", limit=1)) == wanted[:1]
        assert set(store.scan()[1]) == set(store.ids()) - {item["token"] for item in expected}
    assert is_used(store)


def test_a_store_that_has_just_changed_is_looked_through(store):
    store.stage_many([b"x"] * 5)
    store.list()
    assert not is_used(store)  # more may happen within the same tick
    age(store, 1_000_000)
    store.list()
    assert is_used(store)
    store.stage(b"y")
    assert not is_used(store)


def test_a_small_store_has_none(store):
    store.stage_many([b"x"] * 2)
    assert len(store.list()) == 2
    assert not os.path.exists(store.storage.layout.index)


def test_an_inode_that_is_used_again(store):
    """Whoever changes metadata takes it out of the index first."""
    items = store.stage_many([b"x"] * 4)
    store.list()
    inode = os.stat(store.storage.layout.meta(items[0].id)).st_ino
    for minutes in range(100, 200):
        renewed = store.renew(items[0].token, minutes)
        if os.stat(store.storage.layout.meta(items[0].id)).st_ino == inode:
            break
    assert next(item.expires for item in store.list() if item.id == items[0].id) == renewed.expires


def test_what_sqlite_cannot_hold(store):
    """Numbers beyond 63 bits, halves of surrogate pairs, names that are not UTF-8: all of it is damaged, and named."""
    store.stage_many([b"x"] * 3)
    item = store.stage(b"y")
    Path(os.fsdecode(os.fsencode(store.storage.layout.root) + b"/\xff.meta.json")).write_bytes(b"{}")
    for change in (
        {"createdNs": 2**63},
        {"recordCount": 2**64},
        {"source": "\ud800"},
        {"labels": {"a": "\ud800"}},
        {"new": "\ud800"},
    ):
        changed = Path(store.storage.layout.path("new"))
        changed.write_text(json.dumps(item.to_dict() | change))
        changed.rename(store.storage.layout.meta(item.id))
        for _ in range(2):
            found, damaged = store.scan()
            assert len(found) == 3
            assert sorted(damaged) == sorted([item.id, "\udcff.meta.json"])
            assert told(found) == truth(store)


def test_a_damaged_index_is_made_anew(store):
    items = store.stage_many([b"x"] * 4)
    store.list()
    with open(store.storage.layout.index, "r+b") as file:
        file.write(b"no database at all" * 300)
    for _ in range(3):
        assert len(store.list()) == 4
    age(store, 1_000_000)
    store.list()
    with open(store.storage.layout.index, "r+b") as file:
        file.write(b"no database at all" * 300)
    store.renew(items[0].token, 500)
    assert told(store.list()) == truth(store)
    assert is_used(store) is False


def test_damaged_in_the_middle(store):
    """What SQLite notices only once it is asked."""
    store.stage_many([b"x" * number for number in range(300)], labels={"label": "x" * 200})
    age(store, 1_000_000)
    store.list()
    assert is_used(store)
    size = os.path.getsize(store.storage.layout.index)
    with open(store.storage.layout.index, "r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
    assert told(store.list()) == truth(store)
    assert told(store.list(limit=300)) == truth(store)
    store.cleanup()
    assert told(store.list()) == truth(store)


def test_forgets_the_damaged_that_are_gone(store):
    store.stage_many([b"x"] * 4)
    Path(store.storage.layout.meta("0000000a")).write_bytes(b"damaged")
    assert store.scan()[1] == ["0000000a"]
    store.unstage("0000000a")
    store.list()
    with contextlib.closing(indexing._connect(store.storage.layout)) as database:
        assert indexing.Index(store.storage.layout, database).to_be_read() == []


def test_what_was_damaged_since_is_told(store):
    items = store.stage_many([b"x"] * 4)
    age(store, 1_000_000)
    store.list()
    Path(store.storage.layout.meta(items[0].id)).write_bytes(b"damaged in place")
    assert is_used(store)
    found, damaged = store.scan(limit=4)
    assert (len(found), damaged) == (3, [items[0].id])
    with pytest.raises(ValueError, match="at least 0"):
        store.list(limit=-1)


def test_of_another_version(store):
    store.stage_many([b"x"] * 4)
    with sqlite3.connect(store.storage.layout.index) as database:
        database.execute("CREATE TABLE items (other)")
        database.execute("PRAGMA user_version = 99")
    assert told(store.list()) == truth(store)


def test_held_by_somebody_else(store, monkeypatch):
    monkeypatch.setattr(indexing, "_PATIENCE", 0.05)
    items = store.stage_many([b"x"] * 4)
    store.list()
    holder = sqlite3.connect(store.storage.layout.index, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    store.renew(items[0].token, 500)
    assert told(store.list()) == truth(store)
    holder.close()
    assert told(store.list()) == truth(store)


def test_is_private_and_no_link(store, tmp_path):
    store.stage_many([b"x"] * 4)
    store.list()
    assert os.stat(store.storage.layout.index).st_mode & 0o777 == 0o600
    os.unlink(store.storage.layout.index)
    os.symlink(tmp_path / "elsewhere", store.storage.layout.index)
    assert len(store.list()) == 4
    assert not os.path.exists(tmp_path / "elsewhere")


def test_a_python_without_sqlite(store, monkeypatch):
    items = store.stage_many([b"x"] * 4)
    store.list()
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    store.renew(items[0].token, 500)
    assert told(store.list()) == truth(store)


def test_sweeps_by_it(store, monkeypatch):
    items = store.stage_many([b"x"] * 5, ttl=1)
    kept = store.stage(b"y", pin=True)
    with open(store.storage.layout.meta("0000000a"), "wb") as file:
        file.write(b"damaged")
    age(store, 1_000_000)
    store.list()
    assert is_used(store)
    now = items[0].expires + 1
    monkeypatch.setattr("maxstage.store.sweep.time.time", lambda: now)
    swept = store.cleanup()
    assert {item.id for item in swept.expired} == {item.id for item in items}
    assert store.ids() == sorted(["0000000a", kept.id])


def test_many_at_once_agree(store):
    """Processes that list, stage and renew side by side neither fail nor disagree."""
    store.stage_many([b"x"] * 20)
    code = (
        "import sys, maxstage\n"
        "from maxstage.store.storage.local import index\n"
        "index.WORTH_AN_INDEX = 3\n"
        "store = maxstage.Store.open(sys.argv[1])\n"
        "mine = [store.stage(b'y').id for _ in range(5)]\n"
        "for number in range(40):\n"
        "    store.renew(mine[number % 5], 100 + number)\n"
        "    found = {item.id: item.expires for item in store.list()}\n"
        "    assert set(mine) <= set(found), (mine, found)\n"
        "    for item in mine: assert found[item] == store.info(item).expires\n"
    )
    folder = os.path.dirname(os.path.dirname(store.storage.layout.root))
    running = [
        subprocess.Popen([sys.executable, "-c", code, folder], stderr=subprocess.PIPE) for _ in range(4)
    ]
    for child in running:
        _, err = child.communicate(timeout=PATIENCE)
        assert (child.returncode, err) == (0, b"")
    assert told(store.list()) == truth(store)


def test_a_copy_of_the_project_is_looked_through(store, tmp_path):
    import maxstage

    store.stage_many([b"x"] * 5)
    age(store, 1_000_000)
    store.list()
    shutil.copytree(
        os.path.dirname(store.storage.layout.root), tmp_path / "copy" / ".max", copy_function=shutil.copy2
    )
    copied = maxstage.Store.open(tmp_path / "copy")
    os.unlink(copied.storage.layout.meta(copied.ids()[0]))
    age(copied, 1_000_000)
    assert told(copied.list()) == truth(copied)


def test_a_limit_beyond_all_counts(store):
    for number in range(5):
        store.stage(str(number).encode())
    assert len(store.list(limit=10**30)) == 5

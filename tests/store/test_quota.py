"""The quota: what counts, how room is made, and who gets it."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import maxstage

PAST = "2024-01-01T00:00:00Z"
RANDOM = os.urandom(60_000)


def end(store, item) -> None:
    path = Path(store.storage.layout.meta(item.id))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": PAST}))


def usage(store) -> int:
    root = Path(store.storage.layout.root)
    return sum(path.stat().st_size for path in root.iterdir() if path.suffix in {".txt", ".part", ".gz"})


@pytest.mark.parametrize("way", ["bytes", "file", "pipe", "chunks", "many", "split"])
@pytest.mark.parametrize("compress", [False, True])
def test_what_has_expired_makes_room(store, way, compress, tmp_path):
    store.settings.max_store_bytes = 150_000
    pinned = store.stage(RANDOM, pin=True, compress=compress)
    end(store, store.stage(RANDOM, compress=compress))
    source = tmp_path / "source"
    source.write_bytes(RANDOM)
    if way == "bytes":
        store.stage(RANDOM, compress=compress)
    elif way == "file":
        store.stage(source, compress=compress)
    elif way == "pipe":
        with subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as cat:
            store.stage(cat.stdout.fileno(), compress=compress)
    elif way == "chunks":
        store.stage(iter([RANDOM[:30_000], RANDOM[30_000:]]), compress=compress)
    elif way == "many":
        store.stage_many([RANDOM[:30_000], RANDOM[30_000:]], compress=compress)
    else:
        store.split(iter([RANDOM]), parts=3, compress=compress)
    assert usage(store) <= 150_000
    with store.open(pinned.token) as file:
        assert file.read() == RANDOM
    with pytest.raises(maxstage.QuotaExceeded, match="Free space"):
        store.stage(RANDOM, compress=compress)
    with store.open(pinned.token) as file:
        assert file.read() == RANDOM


def test_what_says_that_an_item_expired_is_no_data(store):
    store.settings.max_store_bytes = len(RANDOM)
    for _ in range(3):
        end(store, store.stage(RANDOM))
    assert len(list(Path(store.storage.layout.root).glob("*.expired.json"))) == 2


def test_what_lives_is_never_removed(store):
    store.settings.max_store_bytes = 100_000
    items = [store.stage(RANDOM, pin=True), store.stage(RANDOM[:30_000])]
    for _ in range(3):
        with pytest.raises(maxstage.QuotaExceeded):
            store.stage(RANDOM)
    assert sorted(item.id for item in items) == store.ids()


def test_what_a_dead_writer_left_makes_room(store, monkeypatch):
    store.settings.max_store_bytes = 100_000
    folder = os.path.dirname(os.path.dirname(store.storage.layout.root))
    code = (
        "import maxstage, os, sys; draft = maxstage.Store.open(sys.argv[1]).draft(); "
        "draft.write(bytes(90000)); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, folder], check=True)
    with pytest.raises(maxstage.QuotaExceeded):
        store.stage(RANDOM)  # so young that it may be a writer between two of its steps
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 90)
    assert store.stage(RANDOM)
    assert usage(store) == len(RANDOM)


def test_a_living_writer_makes_no_room(store, monkeypatch):
    store.settings.max_store_bytes = 100_000
    real = time.time
    with store.draft() as draft:
        draft.write(RANDOM)
        monkeypatch.setattr(time, "time", lambda: real() + 10**6)
        with pytest.raises(maxstage.QuotaExceeded):
            store.stage(RANDOM)
        draft.publish(ttl_minutes=None)
    assert usage(store) == len(RANDOM)


def test_of_two_for_whom_there_is_room_alone_one_gets_it(store):
    """Both have written all when the first is published."""
    store.settings.max_store_bytes = 200_000
    drafts = [store.draft(), store.draft()]
    for draft in drafts:
        draft.write(RANDOM)
    barrier = threading.Barrier(2)
    done = []

    def publish(draft) -> None:
        with draft:
            draft.finalize(None)
            barrier.wait()
            draft._quota._settings.max_store_bytes = 100_000  # as if each had looked before the other wrote
            try:
                draft.commit()
                done.append("published")
            except maxstage.QuotaExceeded:
                done.append("refused")

    threads = [threading.Thread(target=publish, args=(draft,)) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["published", "refused"]
    assert usage(store) == len(RANDOM)


def test_many_processes_that_make_room_at_once(store):
    store.settings.max_store_bytes = 10**6
    for item in store.stage_many([bytes(10_000)] * 90):
        end(store, item)
    folder = os.path.dirname(os.path.dirname(store.storage.layout.root))
    Path(folder, ".max", "config.toml").write_text("max_store_bytes = 1000000\n")
    code = "import maxstage, sys; s = maxstage.Store.open(sys.argv[1]); [s.stage(bytes(20000)) for _ in range(5)]"
    running = [
        subprocess.Popen([sys.executable, "-c", code, folder], stderr=subprocess.PIPE) for _ in range(6)
    ]
    for child in running:
        assert (child.communicate(timeout=90)[1], child.returncode) == (b"", 0)
    assert usage(store) <= 10**6
    assert len(store.list()) == 30


@pytest.mark.parametrize("how", [{"parts": 4}, {"lines": 250}])
@pytest.mark.parametrize("limit", ["item", "store"])
def test_of_data_that_is_split_each_part_counts_and_once(store, how, limit):
    data = b"0123456789\n" * 1000
    if limit == "item":
        store.settings.max_item_bytes = 3000
    else:
        store.settings.max_store_bytes = len(data)
    items = store.split(iter([data]), **how)
    assert [item.byte_size for item in items] == [2750] * 4
    with pytest.raises(maxstage.QuotaExceeded):
        store.split(iter([b"x" * 12_001]), **how)
    assert len(store.ids()) == 4
    assert usage(store) == len(data)


def test_an_endless_producer_of_parts_is_stopped(store):
    store.settings.max_item_bytes = 1000
    given = []

    def endless():
        while True:
            given.append(b"x" * 99 + b"\n")
            yield given[-1]

    with pytest.raises(maxstage.QuotaExceeded, match="for 3 items"):
        store.split(endless(), parts=3)
    assert len(given) < 40
    assert store.ids() == []


def test_parts_of_lines_are_found_in_one_go(store, tmp_path, monkeypatch):
    from maxstage.store import split

    source = tmp_path / "source"
    lines = [b"%d\n" % number * (number % 7) for number in range(30_000)]
    source.write_bytes(b"".join(lines))
    read = [0]
    reader = split.core.Reader

    class Counting:
        def __init__(self, *args, **options) -> None:
            self._reader = reader(*args, **options)
            self.size = self._reader.size

        def read(self, start: int, end: int) -> bytes:
            data = self._reader.read(start, end)
            read[0] += len(data)
            return data

    monkeypatch.setattr(split.core, "Reader", Counting)
    items = store.split(source, lines=1000)
    monkeypatch.undo()
    parts = []
    for item in items:
        with store.open(item.token) as file:
            parts.append(file.read())
    assert b"".join(parts) == source.read_bytes()
    assert {part.count(b"\n") for part in parts[:-1]} == {1000}
    # Not the whole from its beginning for each part.
    assert read[0] < source.stat().st_size + len(parts) * 2 * split._LOOK

"""Staging many items at once."""

import os
import sys
from pathlib import Path

import pytest

import maxstage
from maxstage.store.storage.local import batch


def test_many_at_once(store):
    data = [b"%d\n" % number * (number % 7) for number in range(250)]
    items = store.stage_many(iter(data), source="many", labels={"k": "v"})
    assert [item.byte_size for item in items] == [len(each) for each in data]
    assert {item.id for item in items} == set(store.ids())
    for item, each in zip(items, data, strict=True):
        with store.open(item.token) as file:
            assert file.read() == each
    assert items[-1].labels == {"k": "v"}
    assert store.stage_many([]) == []


def test_each_is_let_go_before_the_next_is_taken(store):
    def data():
        for number in range(1, 5):
            yield b"x" * 100
            written = [path.stat().st_size for path in Path(store.storage.layout.root).glob(".*.part")]
            assert written == [100] * number

    assert len(store.stage_many(data())) == 4


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads are counted in /proc")
def test_threads_that_compress_end_with_their_item(store):
    before = len(os.listdir("/proc/self/task"))

    def data():
        for _ in range(20):
            yield b"x" * 3_000_000
            assert len(os.listdir("/proc/self/task")) < before + 20

    assert len(store.stage_many(data(), compress=True)) == 20


@pytest.mark.parametrize("sync", [False, True])
def test_many_or_none(store, sync):
    def data():
        yield from [b"x"] * 130
        yield "/no/such/file"

    with pytest.raises(FileNotFoundError):
        store.stage_many(data(), sync=sync)
    assert store.ids() == []
    assert [name for name in os.listdir(store.storage.layout.root) if name != ".lock"] == []


def test_many_wait_for_the_disk_together(store, monkeypatch):
    """Where the file system can be synced as a whole it is, else each file."""
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    monkeypatch.setattr(batch, "_sync_file_system", lambda _: True)
    store.stage_many([b"x"] * 3, sync=True)
    assert len(synced) == 1  # the directory's names
    monkeypatch.setattr(batch, "_sync_file_system", lambda _: False)
    store.stage_many([b"x"] * 3, sync=True)
    assert len(synced) == 1 + 6 + 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux syncs one file system")
def test_the_compiled_module_syncs_a_file_system(store):
    directory = os.open(store.storage.layout.root, os.O_RDONLY)
    assert batch._sync_file_system(directory) == (maxstage.backend == "rust")
    os.close(directory)

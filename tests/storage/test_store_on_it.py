"""A store, a command's output and the program keep their promises on every storage."""

import gzip
import hashlib
import os
import subprocess
import threading
import time

import pytest

import maxstage
from helpers import bash, text_of
from maxstage.cli.app import app
from maxstage.codecs import CODECS
from maxstage.errors import Corrupt, Expired, NotFound, QuotaExceeded
from maxstage.output.bound import bound
from maxstage.output.limits import Limits
from maxstage.workflow.workflow import Workflow

LINES = [b'{"id": %d, "name": "%x"}\n' % (number, number * 7919) for number in range(120_000)]
DATA = b"".join(LINES)
"""More than three frames."""


def read(store, token):
    with store.open(token) as file:
        return file.read()


@pytest.fixture
def codec_store(make_store, codec):
    return make_store(compress=codec)


# Staging and reading


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("way", ["bytes", "path", "file", "chunks", "pipe"])
@pytest.mark.parametrize("sync", [False, True])
def test_staging(codec_store, codec, way, sync, tmp_path):
    path = tmp_path / "data.ndjson"
    path.write_bytes(DATA)
    ways = {"bytes": lambda: DATA, "path": lambda: path, "file": lambda: path.open("rb")}
    ways["chunks"] = lambda: (DATA[at : at + 70_000] for at in range(0, len(DATA), 70_000))
    if way == "pipe":
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            item = codec_store.stage(cat.stdout.fileno(), sync=sync)
    else:
        item = codec_store.stage(ways[way](), sync=sync, source="a/b", labels={"k": "v"})
    assert (item.record_count, item.byte_size, item.content_type) == (120_000, len(DATA), "ndjson")
    assert item.codec == codec
    assert read(codec_store, item.token) == DATA
    assert codec_store.verify(item.token).to_dict() == item.to_dict()
    assert codec_store.storage.usage() == item.stored_size
    with codec_store.open_item(item.token) as opened:
        assert opened.read(*opened.lines(100_000, 100_001)) == b"".join(LINES[99_999:100_001])
        assert opened.read(*opened.tail(2)) == b"".join(LINES[-2:])
        assert opened.read(*opened.head(3)) == b"".join(LINES[:3])


@pytest.mark.parametrize("codec", CODECS)
def test_many_and_parts(codec_store, codec):
    datas = [b"%d\n" % number for number in range(300)]
    items = codec_store.stage_many(iter(datas), sync=True)
    assert [read(codec_store, item.token) for item in items] == datas
    parts = codec_store.split(iter([DATA[:100], DATA[100:]]), parts=5)
    assert b"".join(read(codec_store, part.token) for part in parts) == DATA
    by_lines = codec_store.split(DATA, lines=50_000)
    assert [part.record_count for part in by_lines] == [50_000, 50_000, 20_000]
    # The spool no longer takes any space.
    assert codec_store.storage.usage() == sum(item.stored_size for item in codec_store.list())


def test_what_fails_leaves_nothing(store):
    def failing():
        yield DATA
        raise ZeroDivisionError

    for attempt in (
        lambda: store.stage(failing()),
        lambda: store.stage_many([b"1\n", b"2\n", failing()]),
        lambda: store.stage_many([*[b"1\n"] * 300, failing()]),  # more than are flushed at once
        lambda: store.split(failing(), parts=2),
        lambda: store.stage_many([b"1\n", "/no/such/file"]),
        lambda: store.stage(b"x", labels={"a": "\ud800"}),
    ):
        with pytest.raises((ZeroDivisionError, OSError, maxstage.Error)):
            attempt()
        assert (store.ids(), store.storage.usage()) == ([], 0)
        assert not any(store.storage.leftovers(time.time() + 10**6, 0, 0))


def test_many_at_once(store):
    digests = []

    def work(number):
        data = DATA[number : number + 200_000]
        token = store.stage(data, compress=("none", "gzip", "zstd")[number % 3]).token
        digests.append(hashlib.sha256(read(store, token)).digest() == hashlib.sha256(data).digest())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [True] * 16
    assert len(store.list()) == 16


# Listing and changing


def test_listing(store):
    items = [store.stage(b"x\n", source=f"s/{at % 2}", labels={"at": str(at)}) for at in range(5)]
    newest_first = [item.id for item in reversed(items)]
    assert [item.id for item in store.list()] == newest_first
    assert [item.id for item in store.list(limit=2)] == newest_first[:2]
    assert [item.id for item in store.list(source="s/1")] == newest_first[1::2]
    assert [item.id for item in store.list(labels={"at": "3"})] == [items[3].id]
    assert len(store.list(labels={"at": None})) == 5


def test_expiry(store, monkeypatch):
    item, pinned, renewed = (store.stage(b"%d\n" % at, ttl=5) for at in range(3))
    assert store.pin(pinned.token).pinned
    assert store.renew(renewed.token, 600).expires > item.expires
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3000)
    for is_swept in (False, True):
        with pytest.raises(Expired):
            store.info(item.token)
        for change in (store.renew, store.pin):
            with pytest.raises(Expired):
                change(item.token)
        assert {one.id for one in store.list()} == {pinned.id, renewed.id}
        assert store.sweep_is_due() != is_swept
        assert [one.id for one in store.cleanup().expired] == ([] if is_swept else [item.id])
        assert store.ids() == sorted([pinned.id, renewed.id])
    assert not store.unpin(pinned.token, 1).pinned
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 24 * 3600)
    store.cleanup()
    with pytest.raises(NotFound) as caught:
        store.info(item.token)
    assert not isinstance(caught.value, Expired)  # after a day it is forgotten
    assert (store.ids(), store.storage.usage()) == ([], 0)


def test_deleting(kind, store):
    # Large data that lies on a server can't be read any more: test_storage.py has what is said then.
    item = store.stage(DATA[:1000] if kind.is_remote else DATA)
    with store.open_item(item.token) as opened:
        assert store.unstage(item.token)
        assert not store.unstage(item.token)
        assert opened.read(0, 20) == DATA[:20]  # an open item stays readable
    with pytest.raises(NotFound):
        store.open_item(item.token)


@pytest.mark.parametrize("codec", CODECS)
def test_damage_is_reported(kind, codec_store, codec):
    good, bad = codec_store.stage(DATA), codec_store.stage(DATA)
    stored = bytearray(bad.stored_size)
    kind.damage_data(codec_store.storage, bad, bytes(stored))
    for ask in (codec_store.verify, lambda token: read(codec_store, token)):
        with pytest.raises(Corrupt, match=bad.token):
            ask(bad.token)
    kind.damage_data(codec_store.storage, bad, bytes(stored[:-1]))
    with pytest.raises(Corrupt, match=bad.token), codec_store.open_item(bad.token) as opened:
        opened.read(0, 1)
    assert codec_store.verify(good.token).id == good.id
    assert codec_store.unstage(bad.token)


# Quota


@pytest.mark.parametrize("data", [DATA, "chunks", "pipe"])
def test_the_quota(make_store, data, tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    store = make_store(max_store_bytes=len(DATA) + 1000)
    first = store.stage(b"x" * 1001, ttl=1)

    def attempt():
        if data == "pipe":
            with subprocess.Popen(["cat", tmp_path / "data"], stdout=subprocess.PIPE) as cat:
                return store.stage(cat.stdout.fileno())
        return store.stage(iter([DATA[:1000], DATA[1000:]]) if data == "chunks" else data)

    with pytest.raises(QuotaExceeded, match="max_store_bytes"):
        attempt()
    assert store.ids() == [first.id]
    assert store.storage.usage() == 1001
    # Expired items make room.
    store.storage.replace(first.id, lambda item: setattr(item, "expires", 1), sync=False)
    assert read(store, attempt().token) == DATA


def test_the_quota_holds_among_many(make_store):
    """Each item fits on its own, but not all of them together."""
    store = make_store(max_store_bytes=35_000)
    results = []

    def work():
        try:
            results.append(store.stage(os.urandom(10_000)))
        except QuotaExceeded:
            results.append(None)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    staged = [item for item in results if item is not None]
    assert len(results) == 16
    assert len(staged) <= 3
    assert store.storage.usage() == 10_000 * len(staged)
    store = make_store(max_item_bytes=100)
    with pytest.raises(QuotaExceeded, match="max_item_bytes"):
        store.stage(b"x" * 101)


# Nothing above the store knows which storage it uses


@pytest.mark.parametrize("codec", CODECS)
def test_a_command_keeps_its_output(store, codec):
    limits = Limits(max_stdout_bytes=2048, compress_external=codec)
    done = maxstage.run(["seq", "400000"], limits=limits, store=store)
    whole = subprocess.run(["seq", "400000"], capture_output=True, check=True).stdout
    assert done.truncated
    assert done.token in done.text
    assert done.warnings == ()
    assert read(store, done.token) == whole
    assert store.info(done.token).codec == codec


def test_a_stream_is_cut_and_kept(store):
    with subprocess.Popen(["seq", "400000"], stdout=subprocess.PIPE) as seq:
        limits = Limits(max_stdout_bytes=2048, truncation_strategy="both")
        done = bound(seq.stdout.fileno(), limits, store, task_id="seq")
    assert done.truncated
    assert read(store, done.token).endswith(b"\n400000\n")


def test_a_workflow_runs(store):
    tasks = {
        "first": bash("seq 100000", limits={"max_stdout_bytes": "2KiB"}),
        "second": bash("echo there", depends_on=["first"]),
    }
    values = {"name": "flow", "version": 1, "tasks": tasks}
    result = Workflow.from_dict(values, store=store).run(store=store)
    assert result.ok, result
    assert text_of(result, "second") == "there\n"
    token = result.tasks["first"].output.token
    assert read(store, token).endswith(b"\n100000\n")
    assert store.info(token).owner is not None


def test_the_program(storage, layout, monkeypatch, capfdbinary, tmp_path):
    """The commands get their storage from the same place as every store."""
    monkeypatch.setattr("maxstage.store.store.open_storage", lambda *_: storage)
    monkeypatch.setenv("MAX_DIR", layout.project)
    (tmp_path / "data.txt").write_bytes(DATA)

    def run(*args):
        app.main(args, prog_name="max", standalone_mode=False)
        return capfdbinary.readouterr().out

    token = run("stage", "--compress=zstd", str(tmp_path / "data.txt")).decode().strip()
    assert run("retrieve", token) == DATA
    assert run("retrieve", token, "--lines", "70000:70001") == b"".join(LINES[69_999:70_001])
    assert token in run("stage", "list").decode()
    assert b", zstd\n" in run("stage", "info", token)
    assert b"1 good, 0 damaged" in run("stage", "verify")
    run("stage", "pin", token)
    assert run("truncate", "--max-bytes", "1KiB", str(tmp_path / "data.txt")).endswith(LINES[-1])
    kept = next(item for item in storage.newest(time.time(), None, None)[0] if item.codec == "gzip")
    assert run("retrieve", kept.token) == DATA
    assert run("retrieve", kept.token, "--max-bytes", "1KiB", "--strategy", "head").startswith(LINES[0])
    run("stage", "gc")
    run("unstage", token)
    assert storage.ids() == [kept.id]
    path = storage.path(kept)
    if path is not None:
        with open(path, "rb") as file:
            assert gzip.decompress(file.read()) == DATA

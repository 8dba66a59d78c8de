"""The store from Python: inputs, reading, changing, splitting, sweeping, threads."""

import concurrent.futures
import io
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import helpers
import maxstage
from maxstage import Error, Store
from maxstage.store.storage.local.locking import Locked

DATA = b"".join(b"%d\n" % number for number in range(50_000))


def read(store: Store, token: str) -> bytes:
    with store.open(token) as file:
        return file.read()


def names(store: Store) -> list[str]:
    """Names of the files that hold items or parts of them."""
    return sorted(name for name in os.listdir(store.storage.layout.root) if name not in {".lock", ".sweep"})


def edit(store: Store, item: maxstage.Item, **changes: object) -> None:
    helpers.edit(Path(store.storage.layout.meta(item.id)), **changes)


def generator():
    yield b"one\n"
    yield bytearray(b"two\n")
    yield memoryview(b"three\n")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"view"), b"view"),
        (io.BytesIO(b"file"), b"file"),
        ([b"a", b"b"], b"ab"),
        ([], b""),
        (generator(), b"one\ntwo\nthree\n"),
    ],
)
def test_inputs(store, data, expected):
    assert read(store, store.stage(data).token) == expected


def test_files_as_input(store, tmp_path):
    path = tmp_path / "data"
    path.write_bytes(DATA)
    assert read(store, store.stage(path).token) == DATA
    assert read(store, store.stage(str(path)).token) == DATA
    with path.open("rb") as file:
        file.readline()
        # From where the file stands, read-ahead buffer or not.
        assert read(store, store.stage(file).token) == DATA[2:]
    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as child:
        assert read(store, store.stage(child.stdout).token) == DATA


@pytest.mark.parametrize("data", [io.StringIO("text"), ["text"], [1], "/no/such/file", 3.5])
def test_bad_input_leaves_nothing(store, data):
    with pytest.raises((TypeError, FileNotFoundError)):
        store.stage(data)
    assert names(store) == []


def test_a_producer_that_fails_leaves_nothing(store):
    def failing():
        yield b"x" * 3_000_000
        raise RuntimeError("producer")

    for compress in (False, True):
        with pytest.raises(RuntimeError, match="producer"):
            store.stage(failing(), compress=compress)
    assert names(store) == []


def test_what_an_item_says(store):
    item = store.stage(DATA, source="here", ttl=timedelta(hours=2), labels={"a": "b"}, content_type="text")
    assert (item.record_count, item.byte_size, item.source, item.labels) == (
        50_000,
        len(DATA),
        "here",
        {"a": "b"},
    )
    assert item.expires_at - datetime.now(UTC) > timedelta(minutes=119)
    assert abs(datetime.now(UTC) - item.created_at) < timedelta(seconds=10)
    assert item.token in repr(item)
    assert store.info(item.token).to_dict() == item.to_dict()
    assert store.stage(b"", pin=True).pinned


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 0},
        {"ttl": 0.5},
        {"ttl": timedelta(seconds=59)},
        {"ttl": 1e12},
        {"ttl": float("nan")},
        {"content_type": "xml"},
        {"labels": {"a": 1}},
        {"labels": {"": "x"}},
    ],
)
def test_bad_options(store, options):
    with pytest.raises(ValueError, match=r"ttl|content_type|label"):
        store.stage(b"x", **options)
    assert names(store) == []


@pytest.mark.parametrize(
    ("data", "source"),
    [
        (b'{"source": "hubspot", "type": "contact"}\n{}\n', "hubspot/contact"),
        (b'{"source": "hubspot"}', "hubspot"),
        (b'{"source": "hubspot", "type": 5}', "hubspot"),
        (b'{"s\\u006furce": "escaped"}', "escaped"),
        (b'{"source": 5}', None),
        (b'{"source": "\\ud800"}', None),
        (b'{"source": "new\\nline"}', None),
        (b'{"source": "\xff"}', None),
        (b'[{"source": "x"}]', None),
        (b"source: x\n", None),
        (b'\n{"source": "second line"}\n', "second line"),
    ],
)
def test_the_source_is_told_from_the_first_record(store, data, source):
    assert store.stage(data).source == source


def test_reading(store):
    for compress in (False, True):
        item = store.stage(DATA, compress=compress)
        with store.open(item.token) as file:
            assert file.readline() == b"0\n"
            assert file.read(4) == b"1\n2\n"
            assert file.seek(-6, io.SEEK_END) == len(DATA) - 6
            assert file.read() == b"49999\n"
            file.seek(0)
            assert sum(1 for _ in file) == 50_000
            with pytest.raises(ValueError, match="negative"):
                file.seek(-1)
        assert file.closed


def test_altered_data_is_an_error_at_the_end(store):
    data = DATA * 8  # more than is read ahead
    item = store.stage(data)
    path = Path(store.storage.layout.path(item.file_name))
    path.write_bytes(data[:-2] + b"x\n")
    with store.open(item.token) as file:
        assert file.readline() == b"0\n"
        with pytest.raises(maxstage.Corrupt, match=item.token):
            file.read()
    with pytest.raises(maxstage.Corrupt, match="checksum"):
        store.verify(item.token)


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("data", [b"", b"\n", b"x", b"1\n2\n3", b"0123456\n" * 200_000])
def test_what_is_said_of_an_item_is_verified(store, data, compress):
    item = store.stage(data, compress=compress)
    assert store.verify(item.token).record_count == item.record_count
    meta = Path(store.layout.root, f"{item.id}.meta.json")
    for wrong in (0, 1, item.record_count + 1, item.record_count - 1):
        if wrong >= 0 and wrong != item.record_count:
            helpers.edit(meta, recordCount=wrong)
            with pytest.raises(maxstage.Corrupt, match=f"line.*, and recordCount says {wrong:,}"):
                store.verify(item.token)
    helpers.edit(meta, recordCount=item.record_count, byteSize=item.byte_size + 1)
    with pytest.raises(maxstage.Corrupt, match="byte"):
        store.verify(item.token)


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_a_line_index_that_is_wrong_is_damage(store, compress):
    item = store.stage(b"0123456\n" * 400_000, compress=compress)
    meta = Path(store.layout.root, f"{item.id}.meta.json")
    index = json.loads(meta.read_text())["lineIndex"]
    counts = index["newlines"]
    # As many lines in all: only the blocks' own numbers are wrong.
    index["newlines"] = [counts[0] - 1, counts[1] + 1, *counts[2:]]
    helpers.edit(meta, lineIndex=index)
    with pytest.raises(maxstage.Corrupt, match="lineIndex in its metadata does not match its lines"):
        store.verify(item.token)
    # Blocks of another size than ours are as good.
    size = item.byte_size // 3 + 8
    data = b"0123456\n" * 400_000
    ends = [data[at : at + size].count(b"\n") for at in range(0, len(data), size)]
    helpers.edit(meta, lineIndex={"block": size, "newlines": ends})
    store.verify(item.token)


def test_exceptions():
    for name in ("InvalidToken", "NotFound", "Expired", "Corrupt", "QuotaExceeded", "WorkflowError"):
        assert issubclass(getattr(maxstage, name), maxstage.Error)
    assert issubclass(maxstage.InvalidToken, ValueError)
    with pytest.raises(AttributeError, match="nonsense"):
        maxstage.nonsense  # noqa: B018
    assert set(maxstage.__all__) == set(dir(maxstage))
    for name in maxstage.__all__:
        assert getattr(maxstage, name)


def test_finding(store, tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert Store.find(tmp_path / "a" / "b").storage.layout.root == store.storage.layout.root
    monkeypatch.chdir(tmp_path / "a")
    assert Store.find().storage.layout.root == store.storage.layout.root
    monkeypatch.setenv("MAX_DIR", str(tmp_path / "a"))
    with pytest.raises(maxstage.NoProject):
        Store.find()
    with pytest.raises(maxstage.NoProject):
        Store.open(tmp_path / "a")


def test_open_opens_a_store_and_an_item(store, tmp_path):
    item = store.stage(b"one\n")
    same = Store.open(tmp_path)
    with same.open(item.token) as file, Store.open(folder=str(tmp_path)).open(token=item.id) as again:
        assert file.read() == again.read() == b"one\n"
    with pytest.raises(maxstage.NoProject):
        Store.open(tmp_path / "nowhere")
    with pytest.raises(maxstage.InvalidToken):
        store.open(str(tmp_path))


def test_the_list_is_newest_first(store):
    items = [store.stage(b"%d" % number) for number in range(5)]
    assert [item.id for item in store.list()] == [item.id for item in reversed(items)]


def test_metadata_of_others_is_read_and_unknown_keys_are_kept(store):
    root = Path(store.storage.layout.root)
    (root / "0badcafe.ndjson").write_bytes(b"{}\n{}\n")
    meta = {
        "token": "0badcafe",
        "createdAt": "2024-01-28T12:00:00.123Z",
        "expiresAt": "2124-01-28T13:00:00.000Z",
        "recordCount": 2,
        "byteSize": 6,
        "source": None,
        "contentType": "ndjson",
        "colour": "blue",
    }
    (root / "0badcafe.meta.json").write_text(json.dumps(meta))
    assert read(store, "0badcafe") == b"{}\n{}\n"
    store.verify("0badcafe")
    store.renew("0badcafe", 5)
    assert json.loads((root / "0badcafe.meta.json").read_text())["colour"] == "blue"


def test_renewing(store):
    item = store.stage(b"x", ttl=1)
    assert store.renew(item.token, timedelta(hours=1)).expires > item.expires
    assert store.unpin(item.token).expires == store.info(item.token).expires
    assert store.pin(item.token).pinned
    assert store.info(item.token).pinned
    assert not store.unpin(item.token, 3).pinned
    with pytest.raises(maxstage.NotFound):
        store.renew("deadbeef")


@pytest.mark.parametrize("compress", [False, True])
def test_splitting(store, tmp_path, compress):
    (tmp_path / "data").write_bytes(DATA)
    for data in (DATA, tmp_path / "data", io.BytesIO(DATA)):
        parts = [read(store, item.token) for item in store.split(data, parts=6, compress=compress)]
        assert b"".join(parts) == DATA
        items = store.split(DATA, lines=12_345, compress=compress)
        assert [item.record_count for item in items] == [12_345] * 4 + [620]
    for options in ({}, {"parts": 1, "lines": 1}, {"parts": 0}, {"lines": -1}):
        with pytest.raises(ValueError, match=r"parts|lines"):
            store.split(DATA, **options)


def test_a_split_that_fails_leaves_nothing(store):
    store.settings.max_store_bytes = 3 * len(DATA) // 4
    with pytest.raises(maxstage.QuotaExceeded):
        store.split(DATA, parts=4)
    assert names(store) == []


@pytest.mark.parametrize("seconds", [-5, 2**63 / 1e9 + 1, 253_402_300_800, 1e12, -1e11])
def test_a_clock_that_is_wrong_by_centuries_makes_no_unreadable_item(store, monkeypatch, seconds):
    item = store.stage(b"data")
    monkeypatch.setattr(time, "time", lambda: seconds)
    monkeypatch.setattr(time, "time_ns", lambda: int(seconds * 10**9))
    for action in (
        lambda: store.stage(b"data"),
        lambda: store.split(b"a\nb\n", parts=2),
        lambda: store.stage_many([b"a"]),
        lambda: store.renew(item.token),
    ):
        with pytest.raises(Error, match="The clock of this machine is not between 1970 and 2262; set it"):
            action()
    monkeypatch.undo()
    assert [one.id for one in store.list()] == [item.id]
    assert [
        name
        for name in os.listdir(store.layout.root)
        if name.startswith(".") and name not in (".lock", ".sweep")
    ] == []


def test_an_expired_item_answers_for_a_day(store):
    item = store.stage(b"x")
    edit(store, item, expiresAt="2024-01-01T00:00:00Z")
    with pytest.raises(maxstage.Expired):
        store.info(item.token)
    assert store.list() == []
    assert [gone.id for gone in store.cleanup(dry_run=True).expired] == [item.id]
    assert [gone.id for gone in store.cleanup().expired] == [item.id]
    with pytest.raises(maxstage.Expired):
        store.open(item.token)
    (tombstone,) = names(store)
    assert tombstone == f".{item.id}.expired.json"
    old = time.time() - 24 * 3600 - 5
    os.utime(store.storage.layout.path(tombstone), (old, old))
    store.cleanup()
    with pytest.raises(maxstage.NotFound) as error:
        store.open(item.token)
    assert not isinstance(error.value, maxstage.Expired)
    assert names(store) == []


def test_a_renewed_item_is_not_swept(store):

    item = store.stage(b"x")
    assert not store.storage.expire(item.id, time.time())
    store.unstage(item.token)
    assert not store.storage.expire(item.id, time.time())


def test_sweeps_come_when_they_are_of_use(store):
    sweep = store.storage.layout.path(".sweep")
    store.sweep_if_due()
    quiet = os.stat(sweep).st_mtime
    assert quiet > time.time() + 3000  # nothing can expire before
    item = store.stage(b"x", ttl=2)
    assert os.stat(sweep).st_mtime == pytest.approx(item.expires)
    edit(store, item, expiresAt="2024-01-01T00:00:00Z")
    store.sweep_if_due()
    assert store.scan()[0] == []
    assert os.path.exists(store.storage.layout.meta(item.id))  # not due yet
    os.utime(sweep, (0, 0))
    store.sweep_if_due()
    assert not os.path.exists(store.storage.layout.meta(item.id))


def test_orphans_of_every_kind_are_swept_when_old(store, monkeypatch):
    kept = store.stage(b"kept", pin=True)
    orphans = ["0badcafe.txt", "0badcafe.json.gz", ".0badcafe.part", ".0badcaff.claim", ".0badcafe.leaving"]
    orphans.append(f".{kept.id}.update")
    for name in orphans:
        Path(store.storage.layout.path(name)).write_bytes(b"xx")
    assert store.cleanup().orphans == []
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3601)
    swept = store.cleanup()
    assert sorted(swept.orphans) == sorted(orphans)
    assert swept.freed == 2 * len(orphans)
    assert read(store, kept.token) == b"kept"


def test_ids_are_claimed_exclusively(store, monkeypatch):
    ids = iter(["00000001", "00000001", "00000001", "00000002"])
    monkeypatch.setattr("maxstage.store.storage.local.upload.new_id", lambda _: next(ids))
    first = store.stage(b"first")
    edit(store, first, expiresAt="2024-01-01T00:00:00Z")
    store.cleanup()
    # The tombstone still holds the id.
    assert store.stage(b"second").id == "00000002"
    monkeypatch.setattr("maxstage.store.storage.local.upload.new_id", lambda _: "00000002")
    with pytest.raises(maxstage.QuotaExceeded, match="no free token"):
        store.stage(b"third")


def test_longer_ids(store):
    store.settings.token_bytes = 16
    item = store.stage(b"x")
    assert len(item.id) == 32
    assert read(store, item.token.upper()) == b"x"


def test_many_threads(store):
    def work(number: int) -> None:
        data = b"%d\n" % number * 5000
        for compress in (False, True):
            item = store.stage(data, compress=compress)
            assert read(store, item.token) == data
            store.renew(item.token, 9)
            store.cleanup()
            store.list()
            assert store.unstage(item.token)
            assert not store.unstage(item.token)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(48)))
    assert names(store) == []


def test_imports_are_light():
    """What the commands import costs time at every start."""
    script = """
import sys, maxstage, maxstage.store.store
heavy = {"json", "typing", "dataclasses", "pathlib", "datetime", "tempfile", "subprocess", "inspect", "tomllib"}
print(sorted(heavy & set(sys.modules)))
"""
    # env: without what measures coverage in processes that tests start.
    run = [sys.executable, "-I", "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={})
    assert done.stdout.strip() == "[]"


def test_many_make_the_same_project_at_once(tmp_path):
    for attempt in range(20):
        barrier = threading.Barrier(8)

        def make(attempt=attempt, barrier=barrier):
            barrier.wait()
            return Store.init(tmp_path / str(attempt)).stage(b"x").token

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            tokens = [future.result() for future in [pool.submit(make) for _ in range(8)]]
        assert len(set(tokens)) == 8


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"max_item_bytes": 10}, "max_item_bytes (10 bytes)"),
        ({"max_item_bytes": 10, "max_store_bytes": 1000}, "max_item_bytes (10 bytes)"),
        ({"max_item_bytes": 1000, "max_store_bytes": 10}, "max_store_bytes (10 bytes)"),
        ({"max_item_bytes": 100, "max_store_bytes": 50}, "max_store_bytes (50 bytes)"),
    ],
)
@pytest.mark.parametrize("data", [b"x" * 100, [b"x" * 50] * 2, None])
@pytest.mark.parametrize("compress", [False, True])
def test_the_limit_in_the_way_is_named(store, limits, named, data, compress):
    for name, value in limits.items():
        setattr(store.settings, name, value)
    if compress and "max_store" in named:
        return  # what is compressed may fit
    with pytest.raises(maxstage.QuotaExceeded, match=named.replace("(", r"\(").replace(")", r"\)")):
        store.stage(io.BytesIO(b"x" * 100) if data is None else data, compress=compress)
    assert names(store) == []


def test_created_as_a_number_is_read_too(store):
    item = store.stage(b"x")
    assert json.loads(Path(store.storage.layout.meta(item.id)).read_bytes())["createdNs"] == str(
        item.created_ns
    )
    edit(store, item, createdNs=item.created_ns)  # as earlier versions wrote it
    assert store.info(item.token).created_ns == item.created_ns
    for bad in ("", "x", "-1", "1.5", "9" * 20, "٣"):
        edit(store, item, createdNs=bad)
        with pytest.raises(maxstage.Corrupt):
            store.info(item.token)


def test_who_holds_the_lock_for_long_is_told(store, monkeypatch):
    item = store.stage(b"x")
    monkeypatch.setattr("maxstage.store.storage.local.locking.LONG", 0.05)
    with Locked(store.storage.layout), pytest.raises(Error, match="Another process holds the lock"):
        store.renew(item.token, 5)
    assert store.renew(item.token, 5).id == item.id

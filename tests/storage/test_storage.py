"""What every storage does: see `maxstage.store.storage.protocol`."""

import itertools
import os
import random
import threading
import time

import pytest

from helpers import wait_until
from maxstage._backend import core
from maxstage.codecs import CODECS
from maxstage.errors import Corrupt, NotFound
from maxstage.store.metadata import Item
from maxstage.store.storage.protocol import Busy

NOW = time.time()
PAST = NOW - 3600
"""An expiry that was long ago: where clocks differ, a sweep waits for half an hour."""
DATA = b"".join(b"line %d\n" % number for number in range(300_000))
"""More than a pipe holds, and more than three frames."""
RANDOM = random.Random(1).randbytes(300_000)
"""No codec makes it small."""


def write(storage, data=b"data\n", *, codec="none", expires=None, created=NOW, publish=True, **about):
    """Write an item as a draft does; return its upload and its metadata."""
    upload = storage.create(4)
    writer = core.Writer(upload.fd, upload.name, codec=codec)
    writer.write(data)
    writer.finish()
    block, newlines = writer.line_index
    item = Item(
        id=upload.id,
        created_ns=int(created * 10**9),
        expires=expires,
        record_count=writer.line_count,
        byte_size=writer.byte_size,
        stored_size=writer.stored_size,
        source=about.pop("source", None),
        content_type="text",
        codec=codec,
        crc32=writer.crc32,
        line_index=(block, newlines) if len(newlines) > 1 and not CODECS[codec].tells_lines else None,
        **about,
    )
    upload.put_metadata(item)
    if publish:
        upload.publish(sync=False)
    return upload, item


def put(storage, *args, **about):
    return write(storage, *args, **about)[1]


def content(storage, item):
    opened = storage.open(item)
    try:
        return opened.read(0, opened.size)
    finally:
        opened.close()


def copied(item):
    """What makes the metadata of an item that has the same data."""
    values = {name: getattr(item, name) for name in ("record_count", "byte_size", "stored_size", "crc32")}
    about = {"codec": item.codec, "line_index": item.line_index, "content_type": item.content_type}
    return lambda new_id: Item(
        id=new_id, created_ns=item.created_ns, expires=None, source="copy", owner="me", **values, **about
    )


@pytest.mark.parametrize("codec", CODECS)
def test_an_item_is_linked_and_each_stays_without_the_other(storage, codec):
    first = put(storage, DATA, codec=codec)
    second = storage.link(first, copied(first), 4)
    assert (second.id != first.id, storage.head(second.id).owner) == (True, "me")
    assert sorted(storage.ids()) == sorted([first.id, second.id])
    third = storage.link(second, copied(second), 4)
    assert storage.delete(first.id)
    assert storage.delete(third.id)
    assert (storage.ids(), content(storage, second)) == ([second.id], DATA)


def test_what_is_gone_is_not_linked(storage):
    item = put(storage)
    storage.delete(item.id)
    with pytest.raises(KeyError):
        storage.link(item, copied(item), 4)
    assert storage.ids() == []


# Writing


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("data", [b"", b"\n", b"data", DATA])
def test_an_item_is_what_was_written(storage, codec, data):
    item = put(storage, data, codec=codec, labels={"a": "b"}, owner="x", extra={"more": [1]})
    found = storage.head(item.id)
    assert found.to_dict() == item.to_dict()
    assert content(storage, found) == data
    assert storage.ids() == [item.id]
    assert storage.usage() == storage.usage(published=True) == item.stored_size


def test_nobody_sees_it_before_it_is_published(storage):
    upload, item = write(storage, publish=False)

    def seen():
        return storage.ids(), storage.newest(NOW, None, None), storage.expired(NOW, hurried=False)[0]

    nothing = ([], ([], []), [])
    assert seen() == nothing
    for ask in (storage.head, storage.tombstone, lambda _: storage.open(item)):
        with pytest.raises(KeyError):
            ask(item.id)
    upload.flush()
    assert seen() == nothing
    assert not storage.delete(item.id)
    upload.publish(sync=True)
    assert storage.ids() == [item.id]


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_discarding_leaves_nothing_however_far_it_got(storage, steps):
    if steps < 2:
        upload = storage.create(4)
        core.Writer(upload.fd, upload.name).write(b"data" * steps)
    else:
        upload, _ = write(storage, publish=steps == 3)
    for _ in range(2):  # a second time does nothing
        upload.discard()
        assert (storage.ids(), storage.usage()) == ([], 0)
        later = time.time() + 10**6
        assert not any(storage.leftovers(later, 0, 0))
    with pytest.raises(KeyError):
        storage.head(upload.id)


def test_a_check_that_raises_leaves_it_unpublished(storage):
    other = put(storage, b"other")
    upload, item = write(storage, publish=False)
    sizes = []

    def check():
        sizes.append(storage.usage(published=True))
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        upload.publish(sync=False, check=check)
    assert sizes == [other.stored_size]
    assert storage.ids() == [other.id]
    upload.publish(sync=False, check=lambda: sizes.append(0))
    assert storage.ids() == sorted([other.id, item.id])
    assert sizes[1:] == [0]


def test_ids_are_never_shared(storage, monkeypatch):
    """With few possible ids, each is drawn repeatedly; that of an expired item is not reused either."""
    ids = iter(f"{number % 64:08x}" for number in range(10**6))
    lock = threading.Lock()

    def draw(_bytes):
        with lock:
            return next(ids)

    first = storage.create(4)
    first.discard()
    module = __import__(type(first).__module__, fromlist=["new_id"])
    monkeypatch.setattr(module, "new_id", draw)
    gone = put(storage, expires=PAST)
    assert storage.expire(gone.id, NOW)
    taken: list[str] = []

    def work():
        for _ in range(3):
            upload, _ = write(storage)
            taken.append(upload.id)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 48
    assert gone.id not in taken
    assert storage.ids() == sorted(taken)


def test_a_batch(storage):
    with storage.batch() as flush:
        uploads = [write(storage, b"%d" % number, publish=False)[0] for number in range(5)]
        flush(uploads)
        assert storage.ids() == []
        for upload in uploads:
            upload.publish(sync=False)
    storage.sync()
    assert storage.ids() == sorted(upload.id for upload in uploads)


def test_a_spool_is_read_back_and_never_visible(storage):
    upload = storage.spool(4)
    core.Writer(upload.fd, upload.name).write(DATA)
    fd = upload.detach()
    try:
        assert storage.usage() == 0
        assert os.fstat(fd).st_size == len(DATA)
        assert os.lseek(fd, 0, os.SEEK_SET) == 0
        assert core.Reader(fd, "spool", file_size=len(DATA)).read(10, 100) == DATA[10:100]
        upload.discard()
        assert os.pread(fd, 10, 0) == DATA[:10]
    finally:
        os.close(fd)
    assert (storage.ids(), storage.usage()) == ([], 0)
    assert not any(storage.leftovers(time.time() + 10**6, 0, 0))


# Reading


def test_open_data_stays_what_it_was(kind, storage):
    item = put(storage, DATA, codec="zstd", expires=PAST)
    opened = [storage.open(item) for _ in range(2)]
    if not kind.is_remote:
        assert storage.expire(item.id, NOW)
        with pytest.raises(KeyError):
            storage.open(item)
    for one in opened:
        assert one.size == len(DATA)
        lines = DATA.splitlines(keepends=True)
        start = one.line_offset(200_000)
        assert start == len(b"".join(lines[:199_999]))
        assert one.tail_offset(2) == len(DATA) - len(b"".join(lines[-2:]))
        assert one.read(start, start + 5) == DATA[start : start + 5]
        assert one.measure(0, len(DATA), len(DATA)) == (item.crc32, [DATA.count(b"\n")])
        one.close()
        one.close()


@pytest.mark.parametrize("codec", CODECS)
def test_data_that_is_deleted_while_it_is_read(kind, storage, codec):
    """It stays readable, or reading fails clearly."""
    item = put(storage, RANDOM, codec=codec, expires=PAST)
    opened = storage.open(item)
    assert storage.expire(item.id, NOW)
    if kind.is_remote:
        with pytest.raises(NotFound, match=f"deleted while it was read: max:{item.id}"):
            opened.read(0, len(RANDOM))
    else:
        assert opened.read(0, len(RANDOM)) == RANDOM
    opened.close()


def test_data_goes_to_a_descriptor(storage, tmp_path):
    item = put(storage, DATA)
    opened = storage.open(item)
    with (tmp_path / "out").open("wb") as file:
        assert opened.copy_to(file.fileno(), 0, len(DATA), "out") == item.crc32
    opened.close()
    assert (tmp_path / "out").read_bytes() == DATA


def test_missing_items(storage):
    for ask in (storage.head, storage.tombstone):
        with pytest.raises(KeyError):
            ask("a1b2c3d4")
    with pytest.raises(KeyError):
        storage.replace("a1b2c3d4", lambda item: None, sync=False)
    assert not storage.delete("a1b2c3d4")
    assert not storage.expire("a1b2c3d4", NOW)


@pytest.mark.parametrize("meta", [b"", b"no JSON", b"{}", b'{"token": "00000000"}', b"x" * 300_000])
def test_damaged_metadata_costs_its_item_alone(kind, storage, meta):
    good, bad = put(storage), put(storage, expires=PAST)
    kind.damage_metadata(storage, bad.id, meta)
    for ask in (storage.head, lambda name: storage.replace(name, lambda item: None, sync=False)):
        with pytest.raises(Corrupt, match=f"max:{bad.id}"):
            ask(bad.id)
    assert not storage.expire(bad.id, NOW)
    items, damaged = storage.newest(NOW, None, None)
    assert ([item.id for item in items], damaged) == ([good.id], [bad.id])
    assert storage.ids() == sorted([good.id, bad.id])
    assert storage.delete(bad.id)
    assert storage.ids() == [good.id]
    assert storage.usage() == good.stored_size
    with pytest.raises(KeyError):
        storage.head(bad.id)


def test_damaged_data(kind, storage):
    item = put(storage, DATA)
    kind.damage_data(storage, item, DATA[:-1])
    # The message only says what is wrong; the store adds the token.
    with pytest.raises(Corrupt, match=r"^[^:]*byte") as caught:
        content(storage, item)
    assert item.id not in str(caught.value)
    zipped = put(storage, DATA, codec="zstd")
    kind.damage_data(storage, zipped, b"x" * zipped.stored_size)
    with pytest.raises(Corrupt):
        content(storage, zipped)
    assert storage.head(item.id).byte_size == len(DATA)
    assert storage.delete(item.id)


def test_strays_are_named_and_left_alone(kind, storage):
    item = put(storage)
    kind.damage_metadata(storage, "notes", b"{}")
    (stray,) = storage.strays()
    assert "notes" in stray
    assert storage.ids() == [item.id]
    assert storage.newest(NOW, None, None)[1] == [stray]
    for group in storage.leftovers(time.time() + 10**6, 0, 0):
        for leftover in group:
            leftover.remove(dry_run=False, patience=None)
    assert storage.strays() == [stray]


# Changing


def test_replacing(storage):
    item = put(storage, DATA, labels={"a": "b"})

    def change(found):
        found.expires = int(NOW) + 100

    told = storage.replace(item.id, change, sync=True)
    assert told.expires == storage.head(item.id).expires == int(NOW) + 100
    assert storage.head(item.id).labels == {"a": "b"}
    assert content(storage, told) == DATA


def test_a_change_that_raises_changes_nothing(storage):
    item = put(storage)

    def change(found):
        found.expires = 1
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        storage.replace(item.id, change, sync=False)
    assert storage.head(item.id).to_dict() == item.to_dict()


def test_changes_come_one_after_the_other(storage):
    item = put(storage, labels={"count": "0"})

    def add(found):
        found.labels["count"] = str(int(found.labels["count"]) + 1)

    threads = [
        threading.Thread(target=storage.replace, args=(item.id, add), kwargs={"sync": False})
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.head(item.id).labels == {"count": "16"}


def test_deleting(storage):
    items = [put(storage, b"%d" % number) for number in range(4)]
    assert storage.delete(items[0].id)
    assert not storage.delete(items[0].id)
    storage.take_back(items[:3])
    assert storage.ids() == [items[3].id]
    assert storage.usage() == 1
    for item in items[:3]:
        for ask in (storage.head, storage.tombstone):
            with pytest.raises(KeyError):
                ask(item.id)


def test_expiry_leaves_a_tombstone(storage):
    item, later, pinned = (put(storage, expires=expires) for expires in (PAST, NOW + 10**6, None))
    assert set(storage.expired(NOW, hurried=False)[0]) >= {item.id}
    assert storage.expired(NOW, hurried=True)[1] >= min(later.expires, float("inf"))
    assert storage.expire(item.id, NOW)
    for one in (later, pinned):
        assert not storage.expire(one.id, NOW)
    with pytest.raises(KeyError):
        storage.head(item.id)
    assert storage.tombstone(item.id).to_dict() == item.to_dict()
    assert storage.usage() == later.stored_size + pinned.stored_size
    assert not storage.expire(item.id, NOW)
    assert not storage.delete(item.id)
    # Tombstones are kept for their time, don't count as orphans, and are then removed.
    for seconds, left in ((10**6, True), (0, False)):
        for leftover in itertools.chain(*storage.leftovers(time.time() + 100, 0, seconds)):
            assert not leftover.is_orphan
            assert leftover.remove(dry_run=True, patience=None) is None
            leftover.remove(dry_run=False, patience=None)
        if left:
            assert storage.tombstone(item.id).id == item.id
    with pytest.raises(KeyError):
        storage.tombstone(item.id)


def test_expiry_does_not_wait_forever(kind, storage):
    """Another thread is changing an item, and takes long."""
    item = put(storage, expires=PAST)
    inside, go_on = threading.Event(), threading.Event()
    gone = []

    def change(_found):
        inside.set()
        go_on.wait()

    def work():
        try:
            storage.replace(item.id, change, sync=False)
        except KeyError:
            gone.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    try:
        if kind.is_remote:
            # Nobody holds a lock: the item expires at once, and the change then finds it gone.
            assert storage.expire(item.id, NOW, patience=0.01)
        else:
            with pytest.raises(Busy):
                storage.expire(item.id, NOW, patience=0.01)
    finally:
        go_on.set()
        thread.join()
    assert gone == [True] * kind.is_remote
    assert storage.expire(item.id, NOW, patience=0.01) != kind.is_remote


# All items


def test_the_newest(storage):
    items = [put(storage, created=NOW - age, source=f"s{age % 2}") for age in range(6)]
    old = put(storage, expires=PAST)

    def newest(is_wanted=None, limit=None):
        found, damaged = storage.newest(NOW, is_wanted, limit)
        assert damaged == []
        return [item.id for item in found]

    ids = [item.id for item in items]
    assert newest() == ids
    assert newest(limit=0) == []
    assert newest(limit=2) == ids[:2]
    assert newest(limit=100) == ids
    assert newest(lambda item: item.source == "s1") == ids[1::2]
    assert newest(lambda item: item.source == "s1", 2) == ids[1:4:2]
    assert newest(lambda item: False) == []
    assert storage.ids() == sorted([*ids, old.id])


def test_what_is_being_written_takes_room(storage):
    item = put(storage, b"12345")
    upload, _ = write(storage, b"678", publish=False)
    wait_until(lambda: storage.usage() == 8)  # it may still be in the pipe
    assert storage.usage(published=True) == item.stored_size == 5
    upload.discard()
    assert storage.usage() == 5
    assert storage.free_space() is None or storage.free_space() >= 0


def test_the_path_leads_to_the_data(storage):
    item = put(storage, b"data")
    path = storage.path(item)
    if path is not None:
        with open(path, "rb") as file:
            assert file.read() == b"data"
    assert isinstance(storage.place, str)


# Sweeping


def test_what_a_dead_writer_left_goes_in_time(kind, storage):
    item = put(storage)
    # On a server, small data leaves nothing, and other data must be older.
    left, hours = (RANDOM, 50) if kind.is_remote else (b"of the dead", 1.2)
    dead = [storage.create(4), write(storage, left, publish=False)[0]]
    alive = write(storage, b"alive", publish=False)[0]
    for upload in dead:
        kind.die(upload)

    def remove_all(now, *, dry_run=False):
        freed = []
        for leftover in itertools.chain(*storage.leftovers(now, 3600, 3600)):
            assert leftover.is_orphan
            freed.append(leftover.remove(dry_run=dry_run, patience=None))
        return sum(filter(None, freed))

    assert remove_all(time.time()) == 0  # too young
    later = time.time() + hours * 3600
    assert remove_all(later, dry_run=True) >= len(left)
    if not kind.is_remote:
        wait_until(
            lambda: storage.usage() == item.stored_size + len(left) + len(b"alive")
        )  # it may be in the pipe
    assert remove_all(later) >= len(left)
    assert remove_all(later) == 0
    assert storage.usage() == item.stored_size + len(b"alive")
    alive.publish(sync=False)
    assert storage.ids() == sorted([item.id, alive.id])
    for upload in dead:
        assert upload.id not in storage.ids()


def test_only_one_sweeps_at_a_time(storage):
    assert storage.sweep_time() is None
    with storage.sweeping() as alone:
        assert alone
        with storage.sweeping() as second:
            assert not second
        with storage.sweeping() as third:
            assert not third  # the one that was refused has not released the lock
        storage.set_sweep_time(NOW + 60)
    assert storage.sweep_time() == pytest.approx(NOW + 60, abs=0.001)
    storage.set_sweep_time(NOW + 30)
    assert storage.sweep_time() == pytest.approx(NOW + 30, abs=0.001)
    with storage.sweeping() as alone:
        assert alone

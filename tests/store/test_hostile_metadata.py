"""One bad metadata file costs itself alone, whatever is in it, and it is named.

`hostile` makes the files. Each round plants one beside good items and tries everything; a round that fails says its
number, by which it can be had again.
"""

import errno
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from hostile import mutate, plant

import maxstage
from maxstage.cli import command as cli_command
from maxstage.cli import process as running
from maxstage.humanize import name_bytes, printable
from maxstage.store import metadata
from maxstage.store.storage.local import index as indexing
from maxstage.store.storage.local.layout import META, SWEEP
from maxstage.store.tokens import is_id

ROUNDS = 120
"""A second's work, about."""

COMMAND_ROUNDS = 25
"""Of all the commands."""

SECONDS = float(os.environ.get("MAXSTAGE_FUZZ_SECONDS", "60"))
"""Of the long run."""

GOOD = [
    (b"text\n", {}),
    (b'{"source": "a", "n": 1}\n{"n": 2}\n', {"labels": {"job": "42"}}),
    (b"zipped\n" * 1000, {"compress": True}),
    (b"%d\n" * 1_300_000, {"source": "many blocks"}),
]


@pytest.fixture(params=[True, False], ids=["index", "no index"])
def _index(request, monkeypatch):
    monkeypatch.setattr(indexing, "WORTH_AN_INDEX", 1 if request.param else 10**9)


class Fuzz:
    """Good items, and what is done to a store that has a bad one beside them."""

    def __init__(self, store, good=GOOD) -> None:
        self.store = store
        self.staging = Path(store.storage.layout.root)
        self.good = {store.stage(data, pin=True, **options).id: data for data, options in good}
        self.told = {item.id: item.to_dict() for item in store.list()}

    def round(self, number: int) -> None:
        rng = random.Random(number)
        origin = rng.choice(list(self.good))
        item_id = rng.randbytes(rng.choice([4, 8, 16])).hex()
        (source,) = (name for name in self.staging.glob(f"{origin}.*") if not name.name.endswith(META))
        os.link(source, self.staging / source.name.replace(origin, item_id))
        meta = {
            **self.told[origin],
            "token": item_id,
            "expiresAt": rng.choice([None, "2999-01-01T00:00:00Z"]),
        }
        name = plant(rng, self.staging, item_id, mutate(rng, meta))
        try:
            self.is_named(name)
            self.good_ones_are_served()
            self.everything_goes_on(rng)
            if is_id(name.removesuffix(META)):
                self.methods(rng, item_id, self.good[origin])
        except Exception as error:
            error.add_note(f"in round {number}, of {name!a}")
            raise
        finally:
            self.clear(name, item_id)

    def is_named(self, name: str) -> None:
        """It is listed, or told as damaged, or has expired: never passed over in silence."""
        store = self.store
        item_id = name.removesuffix(META)
        for options in ({}, {"limit": 50}):
            items, damaged = store.scan(**options)
            listed = {item.id: item.to_dict() for item in items}
            assert {one: listed.get(one) for one in self.told} == self.told
            named = [*listed, *(one if is_id(one) else one.removesuffix(META) for one in damaged)]
            assert len(named) == len(set(named))
            assert set(named) <= {*self.told, item_id}
            assert all(map(is_id, listed))
            if item_id not in named:
                with pytest.raises(maxstage.Expired):
                    store.info(item_id)

    def good_ones_are_served(self) -> None:
        for one, data in self.good.items():
            with self.store.open(one) as file:
                assert file.read() == data

    def everything_goes_on(self, rng) -> None:
        store = self.store
        assert set(store.ids()) >= set(self.good)
        store.list(source="*", labels={"job": None})
        store.settings.max_store_bytes = 10**10
        item = store.stage(b"more", labels={"a": "b"})
        assert store.renew(item.token, 5).id in {one.id for one in store.list()}
        assert store.unstage(item.token)
        store.cleanup(dry_run=True)
        Path(store.storage.layout.path(SWEEP)).unlink(missing_ok=True)  # it is time for a sweep
        rng.choice([store.sweep_if_due, store.cleanup])()

    def methods(self, rng, item_id: str, data: bytes) -> None:
        """Each answers, or raises an error of ours."""
        store = self.store
        tries = [
            lambda: store.info(item_id),
            lambda: store.verify(item_id),
            lambda: self.read(item_id, data),
            lambda: self.slice(item_id, rng),
            lambda: self.written_again(store.renew(item_id, 10)),
            lambda: self.written_again(store.pin(item_id)),
            lambda: self.written_again(store.unpin(item_id)),
        ]
        rng.shuffle(tries)
        for attempt in tries:
            try:
                attempt()
            except maxstage.Error as error:
                assert str(error)  # noqa: PT017

    def read(self, item_id: str, data: bytes) -> None:
        item = self.store.info(item_id)
        with self.store.open(item_id) as file:
            content = file.read()
        # Without a checksum, nobody can tell.
        assert content == data or item.crc32 is None

    def slice(self, item_id: str, rng) -> None:
        with self.store.open_item(item_id) as opened:
            for first, last in [(1, 2), (5, None), (rng.randrange(1, 10**7), 10**8), (2**62, 2**63 - 2)]:
                start, end = opened.lines(first, last)
                opened.read(start, min(end, start + 1000))
            opened.read(*opened.tail(rng.randrange(1, 10**6)))

    def written_again(self, item) -> None:
        content = Path(self.store.storage.layout.meta(item.id)).read_bytes()
        assert len(content) <= metadata.MOST_BYTES
        assert self.store.info(item.id).to_dict() == item.to_dict()
        json.loads(content, parse_constant=pytest.fail)

    def clear(self, name: str, item_id: str) -> None:
        """Unstage it; what can't be so is deleted by hand."""
        if is_id(name.removesuffix(META)) and not (self.staging / name).is_dir():
            self.store.unstage(item_id)
            assert not os.path.lexists(self.staging / name)
        for path in (self.staging / name, *self.staging.glob(f"*{item_id}*")):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


@pytest.mark.usefixtures("_index")
def test_one_bad_file_costs_itself_alone(store):
    fuzz = Fuzz(store)
    for number in range(ROUNDS):
        fuzz.round(number)


@pytest.mark.stress
@pytest.mark.timeout(SECONDS * 2 + 600)
@pytest.mark.usefixtures("_index")
def test_one_bad_file_costs_itself_alone_for_long(store):
    fuzz = Fuzz(store)
    number = start = time.time_ns()  # other rounds each time
    while time.time_ns() < start + SECONDS * 10**9:
        fuzz.round(number)
        number += 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EPERM])
@pytest.mark.usefixtures("_index")
def test_what_the_system_refuses_to_read(store, monkeypatch, number):
    """Mode 000, a broken disk: root would read the first, so the system is told to refuse."""
    good, bad = store.stage(b"good"), store.stage(b"bad")
    opened = os.open

    def refuse(path, *args):
        if path == store.storage.layout.meta(bad.id):
            raise OSError(number, os.strerror(number), path)
        return opened(path, *args)

    monkeypatch.setattr("maxstage.store.storage.local.layout.os.open", refuse)
    items, damaged = store.scan()
    assert ([item.id for item in items], damaged) == ([good.id], [bad.id])
    with pytest.raises(maxstage.Corrupt, match=os.strerror(number)):
        store.info(bad.token)
    store.cleanup()
    assert store.ids() == sorted([good.id, bad.id])


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_is_not_the_files_fault_is_an_error(store, monkeypatch, number):
    """A process that has no descriptor left must not call an item damaged."""
    store.stage(b"good")

    def refuse(path, *_):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("maxstage.store.storage.local.layout.os.open", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        store.list()


@pytest.mark.parametrize("name", ["foo", "A1B2C3D4", "a1b2c3d", "f" * 33, "\udcff", "a\nb"])
@pytest.mark.usefixtures("_index")
def test_a_name_that_is_not_an_id_is_no_item(store, name):
    """Even where it says that this is its token; nobody could ask for it."""
    item = store.stage(b"good")
    text = json.dumps({**item.to_dict(), "token": name}, ensure_ascii=False)
    Path(store.storage.layout.meta(name)).write_bytes(text.encode(errors="surrogateescape"))
    for _ in range(2):
        items, damaged = store.scan()
        assert ([one.id for one in items], damaged) == ([item.id], [name + META])
    assert (store.ids(), store.strays()) == ([item.id], [name + META])


def test_hidden_files_of_others_are_no_items(store):
    """As rsync and editors leave them: neither listed twice, nor damaged."""
    item = store.stage(b"good")
    shutil.copy(store.storage.layout.meta(item.id), store.storage.layout.path(f".{item.id}{META}"))
    for worth in (10**9, 1):
        indexing.WORTH_AN_INDEX, saved = worth, indexing.WORTH_AN_INDEX
        try:
            assert [one.id for one in store.scan()[0]] == [item.id]
            assert store.scan()[1] == []
        finally:
            indexing.WORTH_AN_INDEX = saved


BAD = [
    *({"createdNs": number} for number in (10**30, 10**400, 2**63, -1, str(2**63), True, 1.0, float("nan"))),
    *({"recordCount": number} for number in (2**63, 2**64, 10**400, float("inf"), True)),
    *({key: number} for key in ("byteSize", "storedSize") for number in (2**63, 10**400, 1e30)),
    *(
        {"checksum": text}
        for text in ("crc32:-ff", "crc32:-fffffff", "crc32: 1c291ca", "1c291ca3", "crc32:0x1c29")
    ),
    *({"checksum": text} for text in ("crc32:1c_91ca3", "crc32:1c291ca", "crc32:1c291ca33", "crc32:")),
    *({"lineIndex": {"block": block, "newlines": [1]}} for block in (2**63, 2**64, 10**400, True, -1, 4.0)),
    *(
        {"lineIndex": {"block": 2**20, "newlines": counts}}
        for counts in ([True], [1.0], [-1], [2**64], [1, 1], {})
    ),
    *({key: "\ud83d"} for key in ("source", "owner")),
    *({"labels": labels} for labels in ({"a": "\ud83d"}, {"\udc00": "a"}, {"a": None}, [])),
    *(
        {"createdAt": text}
        for text in ("1969-12-31T23:59:59Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:60Z")
    ),
    *({"expiresAt": text} for text in ("10000-01-01T00:00:00Z", "2999-01-01T00:00:00." + "9" * 400, 5)),
    *({"other": value} for value in (float("nan"), float("-inf"), [[float("inf")]], {"\ud800": 1})),
    {"other": json.loads("[" * 33 + "]" * 33)},
    {"owner": "x" * 262_144},
]


@pytest.mark.parametrize("said", BAD, ids=lambda said: repr(said)[:40])
@pytest.mark.usefixtures("_index")
def test_what_is_damaged(store, said):
    good, bad = store.stage(b"good\n"), store.stage(b"bad\n")
    new = Path(store.storage.layout.path("new"))
    new.write_text(json.dumps({**bad.to_dict(), **said}))
    new.rename(store.storage.layout.meta(bad.id))
    items, damaged = store.scan()
    assert ([item.id for item in items], damaged) == ([good.id], [bad.id])
    with pytest.raises(maxstage.Corrupt, match=f"^Staged data is damaged: {bad.token}: "):
        store.open(bad.token)
    assert store.unstage(bad.token)


STRANGE = [
    {"expiresAt": "9999-12-31T23:59:60Z"},
    {"expiresAt": "9999-12-31T23:59:59.999999999999Z"},
    {"createdAt": "1970-01-01T00:00:00Z", "createdNs": 0},
    {"createdNs": 2**63 - 1},
    {"recordCount": 2**63 - 1},
    {"source": "\x1b]0;x\x07\u202e\0"},
    {"labels": {"": "", "\x1b": "\x1b"}},
    {"other": json.loads("[" * 31 + "]" * 31), "number": 10**4000},
    {"checksum": None, "lineIndex": None, "labels": None, "compression": None, "storedSize": None},
    {"owner": "x" * 250_000},
]


@pytest.mark.parametrize("said", STRANGE, ids=lambda said: repr(said)[:40])
@pytest.mark.usefixtures("_index")
def test_what_is_only_strange(store, said):
    item = store.stage(b"data\n", pin=True)
    new = Path(store.storage.layout.path("new"))
    new.write_text(json.dumps({**item.to_dict(), **said}))
    new.rename(store.storage.layout.meta(item.id))
    (one,), damaged = store.scan()
    assert damaged == []
    assert repr(one).isprintable()
    assert one.created_at.year >= 1970
    assert one.expires_at is None or one.expires_at.year == 9999
    with store.open(item.token) as file:
        assert file.read() == b"data\n"
    renewed = store.renew(item.token, 5)
    assert store.info(item.token).to_dict() == renewed.to_dict()


@pytest.fixture
def _signals():
    """Keep the handlers that a command sets out of the other tests."""
    saved = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in saved.items():
        signal.signal(number, handler)


def strict(text: str):
    """Read JSON as a reader does that takes nothing else."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    value = json.loads(text, parse_constant=pytest.fail, object_pairs_hook=unique)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


COMMANDS = [
    ["stage", "list"],
    ["stage", "list", "-q"],
    ["stage", "list", "-o", "json"],
    ["stage", "list", "--source", "*", "--limit", "3"],
    ["stage", "gc", "--dry-run", "-o", "json"],
    ["stage", "verify"],
    ["stage", "verify", "-o", "json"],
    ["stage", "info", "TOKEN"],
    ["stage", "info", "TOKEN", "-o", "json", "--all"],
    ["retrieve", "TOKEN", "--head", "1"],
    ["stage", "renew", "TOKEN", "-o", "json"],
    ["stage", "unpin", "TOKEN"],
    ["stage", "pin", "TOKEN"],
    ["stage", "gc"],
]


def run_all(fuzz: Fuzz, number: int, capfdbinary) -> None:
    """Every command goes on beside a bad file, and prints what can be printed."""
    rng = random.Random(f"commands {number}")
    origin = next(iter(fuzz.good))
    item_id = rng.randbytes(4).hex()
    (fuzz.staging / f"{item_id}.txt").write_bytes(fuzz.good[origin])
    name = plant(rng, fuzz.staging, item_id, mutate(rng, {**fuzz.told[origin], "token": item_id}))
    for command in COMMANDS:
        code = running.run(cli_command, [item_id if word == "TOKEN" else word for word in command])
        out, err = capfdbinary.readouterr()
        assert code in {0, 1}, (number, command, err)
        for text in (out, err):
            assert not CONTROL.search(text.decode()), (number, command, text)
        if "json" in command and out:
            strict(out.decode())
        if "TOKEN" in command:
            assert (code == 0) != bool(err), (number, command, err)
            assert err.count(b"\n") <= 1
        elif "gc" not in command:
            # Each good item is there, and the bad one is told of.
            for one in fuzz.good if "verify" not in command and "--limit" not in command else ():
                assert one.encode() in out
            told = (out + err).decode()
            named = item_id in told or shown(name) in told
            assert named or is_expired(fuzz.store, item_id) or command[-1] == "verify", (number, command)
            assert code == (1 if "verify" in command and err else 0)
    assert running.run(cli_command, ["unstage", "--all", "--yes"]) == (
        1 if (fuzz.staging / name).is_dir() else 0
    )
    out, err = capfdbinary.readouterr()
    left = os.listdir(fuzz.staging)
    for one in fuzz.good:
        assert f"Unstaged: max:{one}" in out.decode()
    assert [one for one in left if one.endswith(META)] == ([name] if shown(name) in err.decode() else [])


def shown(name: str) -> str:
    """Return a file's name as messages show it."""
    return printable(name_bytes(name))


def is_expired(store, item_id: str) -> bool:
    try:
        store.info(item_id)
    except maxstage.Expired:
        return True
    except maxstage.Error:
        return False
    return False


CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys."""


@pytest.mark.usefixtures("_signals", "_index")
def test_every_command_goes_on(tmp_path, monkeypatch, capfdbinary):
    for number in range(COMMAND_ROUNDS):
        folder = tmp_path / str(number)
        store = maxstage.Store.init(folder)
        monkeypatch.chdir(folder)
        run_all(Fuzz(store, GOOD[:2]), number, capfdbinary)


@pytest.mark.stress
@pytest.mark.timeout(SECONDS * 2 + 600)
@pytest.mark.usefixtures("_signals", "_index")
def test_every_command_goes_on_for_long(tmp_path, monkeypatch, capfdbinary):
    number = start = time.time_ns()
    while time.time_ns() < start + SECONDS * 10**9:
        folder = tmp_path / str(number)
        store = maxstage.Store.init(folder)
        monkeypatch.chdir(folder)
        run_all(Fuzz(store, GOOD[:2]), number, capfdbinary)
        shutil.rmtree(folder)
        number += 1

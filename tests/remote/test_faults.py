"""A network that delays, drops, cuts and loses: each item is there once and whole, or there is a clear error."""

import os
import random
import threading
import time

import pytest

from maxstage import Store
from maxstage.errors import Unreachable

SMALL = b'{"id": 1}\n{"id": 2}\n'
RANDOM = random.Random(1)
MIDDLE = RANDOM.randbytes(300_000)
LARGE = RANDOM.randbytes(20_000_000)
SIZES = {"small": SMALL, "middle": MIDDLE, "large": LARGE}


@pytest.fixture
def store(program, proxy, monkeypatch):
    """The store of the project, through the proxy, with some patience."""
    monkeypatch.setenv("MAX_STORE_TIMEOUT_SECONDS", "30")
    return Store.open(program.folder)


class Once:
    """Does something to the first request of each kind that matches; lets the rest pass.

    Args:
        action: What, as in `Proxy.decide`.
        times: To how many.
        method: The method.
        part: A part of the path.
    """

    def __init__(self, action, times=1, method="", part=""):
        self.action = action
        self.left = times
        self.method = method
        self.part = part
        self._lock = threading.Lock()

    def __call__(self, method, path):
        with self._lock:
            if self.left and method.startswith(self.method) and self.part in path:
                self.left -= 1
                return self.action
        return "pass"


def read(store, token):
    with store.open(token) as file:
        return file.read()


@pytest.mark.parametrize("action", ["lose", "drop", "503 SlowDown", "500 InternalError"])
@pytest.mark.parametrize("part", ["/items/", "/newest/"])
def test_the_answer_to_the_commit(store, proxy, keys_of, action, part):
    proxy.decide = Once(action, method="PUT", part=part)
    item = store.stage(SMALL)
    assert proxy.decide.left == 0
    assert read(store, item.token) == SMALL
    assert [one.id for one in store.list()] == store.ids() == [item.id]
    assert len(keys_of()) == 2
    assert store.storage.usage() == len(SMALL)


@pytest.mark.parametrize("action", ["lose", "drop", "503 SlowDown"])
@pytest.mark.parametrize("size", ["middle", "large"])
def test_the_upload_of_data(store, proxy, keys_of, action, size):
    proxy.decide = Once(action, times=2, method="P", part="/data/")
    item = store.stage(SIZES[size])
    assert proxy.decide.left == 0
    assert read(store, item.token) == SIZES[size]
    assert len(keys_of()) == 3


@pytest.mark.parametrize("action", ["lose", "drop", "503 SlowDown"])
def test_changes(store, proxy, keys_of, action):
    item = store.stage(SMALL)
    for change in (lambda: store.pin(item.token), lambda: store.renew(item.token, 500)):
        proxy.decide = Once(action, method="PUT", part="/items/")
        changed = change()
        assert proxy.decide.left == 0
        proxy.decide = lambda *_: "pass"
        assert store.info(item.token).expires == changed.expires
        assert len(keys_of()) == 2
    proxy.decide = Once(action, method="DELETE")
    assert store.unstage(item.token)
    assert keys_of() == []


@pytest.mark.parametrize("action", ["cut", "drop", "503 SlowDown"])
@pytest.mark.parametrize("size", SIZES)
def test_reading(store, proxy, action, size):
    item = store.stage(SIZES[size])
    proxy.decide = Once(action, times=3, method="GET")
    assert read(store, item.token) == SIZES[size]
    assert proxy.decide.left < 3


def test_bytes_that_arrive_wrong_are_told(store, url):
    """TCP's checksum misses some; ours is of what was staged."""
    from maxstage.errors import Corrupt
    from maxstage.store.storage.object.client import Client

    item = store.stage(MIDDLE)
    client = Client(url)
    (key,) = [meta["path"] for page in client.list("data") for meta in page]
    client.put(key, MIDDLE[:1000] + b"!" + MIDDLE[1001:])
    with pytest.raises(Corrupt, match=item.token):
        read(store, item.token)


@pytest.mark.parametrize("size", SIZES)
def test_a_server_that_is_gone(program, store, proxy, keys_of, monkeypatch, size):
    """A clear error in time, and nothing is left once it is back."""
    monkeypatch.setenv("MAX_STORE_TIMEOUT_SECONDS", "1")
    store = Store.open(program.folder)
    part = "/items/" if size == "small" else "/data/"
    proxy.decide = lambda method, path: "drop" if method in {"PUT", "POST"} and part in path else "pass"
    begin = time.monotonic()
    with pytest.raises(Unreachable, match="can't be reached"):
        store.stage(SIZES[size])
    assert time.monotonic() - begin < 120
    proxy.decide = lambda *_: "pass"
    assert store.ids() == []
    assert keys_of() == []
    assert read(store, store.stage(SMALL).token) == SMALL


def test_a_producer_that_never_ends_is_stopped_when_the_server_is_gone(program, proxy, monkeypatch):
    proxy.decide = lambda method, path: "drop" if "/data/" in path else "pass"
    with program.start("stage", env={**os.environ, "MAX_STORE_TIMEOUT_SECONDS": "1"}) as staging:

        def feed():
            try:
                while True:
                    staging.stdin.write(MIDDLE)
            except OSError:
                return

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        line = staging.stderr.readline()
        assert staging.wait() == 1
        feeder.join()
        assert b"can't be reached" in line
        assert staging.stdout.read() == b""
        staging.stdin = None


def test_an_output_that_cannot_be_kept_does_not_hurt_the_command(program, proxy):
    proxy.decide = lambda _method, path: "drop" if "/data/" in path else "pass"
    env = {**os.environ, "MAX_STORE_TIMEOUT_SECONDS": "1"}
    done = program("exec", "--max-stdout-bytes", "2KiB", "--", "seq", "3000000", env=env)
    assert done.stdout.endswith(b"\n3000000\n")
    assert b"could not be kept: s3://" in done.stderr
    assert b"can't be reached" in done.stderr


def test_a_server_that_is_away_for_a_while(store, proxy):
    """It was killed, say, and is started again: who is patient notices nothing."""
    back = time.monotonic() + 3
    proxy.decide = lambda *_: "drop" if time.monotonic() < back else "pass"
    item = store.stage(SMALL)
    assert time.monotonic() >= back
    assert read(store, item.token) == SMALL
    assert [one.id for one in store.list()] == [item.id]


def test_all_at_random(store, proxy, keys_of):
    """Whatever is done to the requests: each token that is returned has its data, whole."""
    chance = random.Random(7)
    lock = threading.Lock()
    acts = ["pass"] * 12 + ["drop", "lose", "503 SlowDown", "cut"]

    def decide(_method, _path):
        with lock:
            return chance.choice(acts)

    proxy.decide = decide
    staged = {}
    for number in range(12):
        data = [SMALL, MIDDLE, LARGE[:9_000_000]][number % 3]
        try:
            staged[store.stage(data, compress=("none", "gzip", "zstd")[number % 3 - 1]).token] = data
        except Unreachable:
            continue
    proxy.decide = lambda *_: "pass"
    assert len(staged) >= 6
    for token, data in staged.items():
        assert read(store, token) == data
    for item in store.list():
        assert len(read(store, item.token)) == item.byte_size
        store.unstage(item.token)
    left = [key for key in keys_of() if key.startswith("items/")]
    assert left == []

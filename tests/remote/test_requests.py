"""How many requests each verb takes, counted in the server's own log; a round trip may be several at once."""

import json
import random
import time

import pytest

from maxstage import Store

SMALL = b"line\n" * 1000
MIDDLE = random.Random(2).randbytes(3_000_000)
LARGE = random.Random(3).randbytes(20_000_000)


@pytest.fixture
def asked(requests_of):
    """Return a function that waits for the log, and returns the requests since, without ids."""

    def asked(count):
        until, found = time.monotonic() + 10, []
        while len(found) < count and time.monotonic() < until:
            found += requests_of()
            time.sleep(0.02)
        found += requests_of()
        return [
            line.partition("/")[0] + "/".join(["", *line.split("/")[1:2]]).partition("?")[0] for line in found
        ]

    return asked


@pytest.fixture
def store(store):
    """The store, whose server is known, and where no sweep is due."""
    store.storage.client.facts()
    store.cleanup()
    store.storage._schedule.set_time(time.time() + 1000)
    return store


def test_staging(store, asked):
    asked(1)
    store.stage(SMALL)
    # Both at once: one round trip.
    assert sorted(asked(2)) == ["PUT /items", "PUT /newest"]
    store.stage(MIDDLE)
    found = asked(3)
    assert (found[0], sorted(found[1:])) == ("PUT /data", ["PUT /items", "PUT /newest"])
    store.stage(LARGE)
    found = asked(7)
    # To begin, three parts at once, to complete, and the item.
    assert (found[0], found[1:4], found[4]) == ("POST /data", ["PUT /data"] * 3, "POST /data")
    assert sorted(found[5:]) == ["PUT /items", "PUT /newest"]


def test_reading(store, asked):
    small, large = (
        store.stage(SMALL),
        store.stage(b"%d\n" * 0 + b"".join(b"%d\n" % n for n in range(2_000_000))),
    )
    packed = store.stage(LARGE, compress="zstd")
    asked(8)

    def slices(token):
        with store.open_item(token) as opened:
            return opened.read(*opened.tail(2))

    with store.open(small.token) as file:
        assert file.read() == SMALL
    assert asked(1) == ["GET /items"]
    assert slices(small.token) == b"line\nline\n"
    assert asked(1) == ["GET /items"]
    assert slices(large.token) == b"1999998\n1999999\n"
    assert asked(2) == ["GET /items", "GET /data"]
    with store.open_item(large.token) as opened:
        assert opened.read(*opened.lines(1_000_000, 1_000_010)).startswith(b"999999\n")
    assert asked(2) == ["GET /items", "GET /data"]
    with store.open_item(packed.token) as opened:
        opened.read(15_000_000, 15_000_100)
    assert asked(2) == ["GET /items", "GET /data"]


def test_listing_and_changing(store, program, asked):
    items = [store.stage(b"%d" % number) for number in range(60)]
    asked(120)
    assert len(store.list(limit=50)) == 50
    found = asked(51)
    assert found.count("GET /newest") + found.count("GET /items") >= 50
    assert len(found) <= 53
    store.renew(items[0].token, 100)
    assert asked(4) == ["GET /items", "PUT /newest", "PUT /items", "DELETE /newest"]
    store.unstage(items[1].token)
    assert asked(3) == ["GET /items", "DELETE /items", "DELETE /newest"]


def test_a_command_of_its_own(program, store, asked):
    """No more than in a process that knows the server: what it must know is noted on this machine."""
    program.stage(b"first\n")
    asked(2)
    token = program.stage(SMALL)
    assert sorted(asked(2)) == ["PUT /items", "PUT /newest"]
    assert program("retrieve", token).stdout == SMALL
    assert asked(1) == ["GET /items"]


def test_round_trips_cost_what_they_should(program, proxy, store):
    """Each request takes 40 ms more: staging one round trip, reading one or two."""
    proxy.delay = 0.04
    store = Store.open(program.folder)
    times = {}
    for name, data in (("small", SMALL), ("middle", MIDDLE)):
        best = {"stage": 9.0, "read": 9.0}
        for _ in range(5):
            begin = time.monotonic()
            item = store.stage(data)
            best["stage"] = min(best["stage"], time.monotonic() - begin)
            begin = time.monotonic()
            with store.open_item(item.token) as opened:
                opened.read(0, 100)
            best["read"] = min(best["read"], time.monotonic() - begin)
        times[name] = best
    assert 0.04 <= times["small"]["read"] < 0.04 * 2 < times["middle"]["read"], json.dumps(times)
    assert 0.04 <= times["small"]["stage"] < 0.04 * 2 < times["middle"]["stage"], json.dumps(times)

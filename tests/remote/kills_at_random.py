"""A program that stages, renews, deletes and sweeps in processes that it kills at random moments, with a reader beside.

    kills_at_random.py FOLDER ROUNDS SEED

FOLDER is a project. It fails if a token that was printed is not whole, if anything half written is seen, or if
anything is left that nobody names once all has expired. It prints how many of what were killed.
"""

import collections
import hashlib
import json
import os
import random
import select
import signal
import sys
import time

import maxstage
from maxstage import Store
from maxstage.errors import NotFound

CODECS = (False, "gzip", "zstd")
ACTIONS = ("stage",) * 6 + ("renew", "renew", "unstage", "sweep")
PACE = 25_000_000
"""Bytes a second that staging takes at least: how long a process may live before it is killed."""


def data_of(seed: int, size: int) -> bytes:
    """Return data that compresses somewhat, with lines."""
    chance = random.Random(seed)
    block = b"".join(b"%d %x\n" % (seed, chance.getrandbits(200)) for _ in range(2000))
    return (block * (size // len(block) + 1))[:size]


def act(folder: str, action: str, seed: int, token: str | None, out: int) -> None:
    """Do one thing in this process, which may be killed meanwhile; print a token once it is staged."""
    store = Store.open(folder)
    store.storage.client.facts()
    os.write(out, b"ready\n")
    chance = random.Random(seed)
    if action == "stage":
        size = round(10 ** chance.uniform(2, 7.6))
        data = data_of(seed, size)
        item = store.stage(
            data, compress=CODECS[seed % 3], ttl=600, labels={"seed": str(seed), "size": str(size)}
        )
        told = {"token": item.token, "sha": hashlib.sha256(data).hexdigest()}
        os.write(out, json.dumps(told).encode() + b"\n")
    elif action == "sweep":
        # As a machine whose clock is ahead, after some items have expired for it: all but those renewed for longer.
        store.cleanup()
    elif token is not None:
        try:
            store.renew(token, chance.choice([60, 600, 900])) if action == "renew" else store.unstage(token)
        except NotFound:
            return


def run_and_kill(folder: str, action: str, seed: int, token: str | None) -> tuple[str, bool]:
    """Start one process and kill it a moment later; return what it printed, and whether it was killed."""
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            act(folder, action, seed, token, target)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the child of a fork must end here
            os.write(2, f"{action} {seed}: {error!r}\n".encode())
            os._exit(1)
    os.close(target)
    chance = random.Random(seed + 1)
    size = 10 ** random.Random(seed).uniform(2, 7.6) if action == "stage" else 0
    with open(source) as pipe:
        assert pipe.readline() == "ready\n"
        select.select([pipe], [], [], chance.uniform(0, 0.02 + 2 * size / PACE))
        os.kill(child, signal.SIGKILL)
        printed = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return printed, status != 0


def watch(folder: str) -> None:
    """List and verify what is there, until told to stop: nothing may be damaged."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    store = Store.open(folder)
    seen = 0
    while not stop:
        items, damaged = store.scan(limit=20)
        assert damaged == [], damaged
        for item in items[:5]:
            try:
                store.verify(item.token)
            except NotFound:
                continue  # deleted meanwhile, and told so
            seen += 1
    assert seen


def main() -> None:
    folder, rounds, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    assert maxstage.__version__
    chance = random.Random(seed)
    watcher = os.fork()
    if watcher == 0:
        try:
            watch(folder)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - the same
            os.write(2, f"watching: {error!r}\n".encode())
            os._exit(1)
    tokens: dict[str, str] = {}
    gone: set[str] = set()
    counts: collections.Counter = collections.Counter()
    for number in range(rounds):
        action = chance.choice(ACTIONS)
        token = chance.choice(list(tokens)) if tokens and action in {"renew", "unstage"} else None
        printed, was_killed = run_and_kill(folder, action, seed * 10_000 + number, token)
        counts[f"{action}{' killed' if was_killed else ''}"] += 1
        if action == "unstage" and token is not None:
            gone.add(token)
        for line in printed.splitlines():
            if line.endswith("}"):
                told = json.loads(line)
                tokens[told["token"]] = told["sha"]
    os.kill(watcher, signal.SIGTERM)
    assert os.waitpid(watcher, 0)[1] == 0, "the watcher saw something damaged"
    check(folder, tokens, gone)
    sys.stdout.write(json.dumps(dict(counts)) + "\n")


def check(folder: str, tokens: dict[str, str], gone: set[str]) -> None:
    """Check that each token is whole, and that nothing is left once all has expired."""
    store = Store.open(folder)
    for token, sha in tokens.items():
        try:
            with store.open(token) as file:
                assert hashlib.sha256(file.read()).hexdigest() == sha, token
        except NotFound:
            assert token in gone, f"{token} is gone"
    for item in store.list():
        store.verify(item.token)
    real = time.time
    for hours in (100, 200, 300):
        time.time = lambda hours=hours: real() + hours * 3600
        swept = store.cleanup()
        assert swept.failed == {}, swept.failed
    left = [
        meta["path"]
        for name in ("items", "data", "newest")
        for page in store.storage.client.list(name)
        for meta in page
    ]
    assert left == [], left
    assert store.storage.usage() == 0


main()

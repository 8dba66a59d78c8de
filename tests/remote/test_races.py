"""Several processes and machines at once, killed at any moment, with clocks that differ."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maxstage.errors import Expired

HERE = Path(__file__).parent

RACE = """
import sys
from maxstage import Store
from maxstage.store import tokens
import maxstage.store.storage.object.upload as upload

drawn = iter([sys.argv[2]] * 2 + [f"{number:032x}" for number in range(int(sys.argv[3]), int(sys.argv[3]) + 100)])
upload.new_id = lambda _bytes: next(drawn)
store = Store.open(sys.argv[1])
store.storage.client.facts()
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[4])):
    item = store.stage(sys.argv[3].encode() * 10)
    print(item.token, flush=True)
"""


def test_sixteen_processes_race_for_one_id(program, store):
    wanted = "a1b2c3d4" * 4
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, program.folder, wanted, str((number + 1) * 1000), "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(16)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    tokens = {}
    for number, racer in enumerate(racers):
        tokens[racer.communicate()[0].strip()] = str((number + 1) * 1000).encode() * 10
        assert racer.returncode == 0
    assert len(tokens) == 16
    assert f"max:{wanted}" in tokens
    for token, data in tokens.items():
        with store.open(token) as file:
            assert file.read() == data
    assert sorted(store.ids()) == sorted(token.removeprefix("max:") for token in tokens)
    assert len(store.list()) == 16


def test_clocks_ten_minutes_apart(program, store, keys_of, monkeypatch):
    """A client whose clock is ahead sweeps what has expired for all, and nothing that another has just renewed."""
    real = time.time
    brief = store.stage(b"brief\n", ttl=5)
    renewed = store.stage(b"renewed\n", ttl=5)
    ahead, behind = lambda: real() + 600, lambda: real() - 600
    monkeypatch.setattr(time, "time", ahead)
    for ask in (store.info, store.renew):
        with pytest.raises(Expired):
            ask(brief.token)
    assert store.cleanup().expired == []
    monkeypatch.setattr(time, "time", behind)
    assert store.info(renewed.token).id == renewed.id
    store.renew(renewed.token, 60)
    monkeypatch.setattr(time, "time", lambda: real() + 600 + 45 * 60)
    assert [item.id for item in store.cleanup().expired] == [brief.id]
    monkeypatch.setattr(time, "time", behind)
    assert store.info(renewed.token).id == renewed.id
    with store.open(renewed.token) as file:
        assert file.read() == b"renewed\n"
    mine = store.stage(b"from the past\n", ttl=60)
    monkeypatch.setattr(time, "time", ahead)
    assert {item.id for item in store.list()} == {mine.id, renewed.id}


def kill_at_random(folder, rounds, seed):
    program = [sys.executable, HERE / "kills_at_random.py", folder, str(rounds), str(seed)]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == rounds
    return counts


def test_processes_that_are_killed_at_random(program):
    counts = kill_at_random(program.folder, 30, 1)
    assert counts["stage killed"] >= 3


@pytest.mark.stress
def test_five_hundred_processes_that_are_killed_at_random(program):
    counts = kill_at_random(program.folder, 500, int(time.time()) % 1000)
    sys.stderr.write(f"{counts}\n")

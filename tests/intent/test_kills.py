"""Killed at any moment, and executed again: each operation is done exactly once, as the files say. Undo likewise."""

import os
import random
import signal
import time
import traceback

import pytest
from world import SOURCES, World, pretend_far

from maxstage import Intent, Store
from maxstage.intent import aside, execution, folder, journal
from maxstage.intent.execution import Options


def in_child(work, seconds: float | None = None, patch=None) -> bool:
    """Run `work` in a forked process; kill it after some time. Return whether it got to its end."""
    pid = os.fork()
    if pid == 0:
        try:
            if patch is not None:
                patch()
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told, and the parent sees the code
            traceback.print_exc()
            os._exit(70)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return not os.WIFSIGNALED(status)


def execute(world: World):
    def work():
        outcome = Intent(Store.open(world.folder), world.intent.token).execute()
        assert outcome.ok, outcome.statuses

    return work


def take_back(world: World):
    def work():
        outcome = Intent.undo(Store.open(world.folder), world.intent.token)
        assert outcome.ok, outcome.statuses

    return work


def kill_often(work, moments) -> int:
    """Kill `work` after each of these times, then let it get to its end; return how often it was killed."""
    kills = sum(not in_child(work, seconds) for seconds in moments)
    assert in_child(work)
    return kills


def check_done(world: World) -> None:
    assert world.files() == world.wanted()
    statuses = world.intent.facts()["statuses"]
    assert statuses == {"succeeded": len(world.kinds)}
    deleted = [str(number) for number, kind in world.kinds.items() if kind == "delete"]
    assert sorted(os.listdir(folder.trash_of(world.store, world.intent.id))) == sorted(deleted)


def duration_of(work) -> float:
    started = time.monotonic()
    assert in_child(work)
    return time.monotonic() - started


def run(tmp_path, count: int, rounds: int, kills: int, sorts: tuple[str, ...] = tuple(SOURCES)) -> int:
    """Kill executions and undos at random moments, in several rounds; return how many were killed."""
    chance = random.Random()
    done = 0
    pattern = World(tmp_path / "pattern", count, sorts)
    whole, back = duration_of(execute(pattern)), duration_of(take_back(pattern))
    assert pattern.files() == pattern.before
    for number in range(rounds):
        world = World(tmp_path / f"round{number}", count, sorts)
        done += kill_often(execute(world), [chance.uniform(0, whole) for _ in range(kills)])
        check_done(world)
        done += kill_often(take_back(world), [chance.uniform(0, back) for _ in range(kills)])
        assert world.files() == world.before
    return done


@pytest.mark.parametrize("sorts", [tuple(SOURCES), ("move",)], ids=["all sorts", "moves"])
def test_killed_now_and_then(tmp_path, monkeypatch, sorts):
    """Moves alone are done in a thread, while the next are looked at."""
    monkeypatch.setattr(execution, "_BATCH", 20)
    run(tmp_path, 300, 2, 3, sorts)


@pytest.mark.stress
def test_killed_500_times(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "_BATCH", 100)
    done, number = 0, 0
    while done < 500:
        done += run(tmp_path / str(number), 2000, 5, 4, ("move",) if number % 3 == 2 else tuple(SOURCES))
        number += 1


STEPS = [
    (execution.Journal, "note"),
    (execution.Journal, "forget"),
    (execution.transfer, "prepare"),
    (execution.transfer, "act"),
    (execution.transfer, "act_one"),
    (execution.Folders, "make"),
    (execution.transfer.core, "rename_new"),
    (execution.transfer, "put_aside"),
    (aside, "remove"),
    (execution.transfer, "_remove_crossed"),
]


def die_at(moment: int):
    """Return a function that makes this process die before or after one of the steps of an execution."""
    left = [moment]

    def tick():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(function):
        def step(*args, **options):
            tick()
            result = function(*args, **options)
            tick()
            return result

        return step

    def patch():
        for owner, name in STEPS:
            setattr(owner, name, wrapped(getattr(owner, name)))

    return patch


EVERY = pytest.mark.stress
"""Each step has its turn only there; else every so many of them."""


@pytest.mark.parametrize(
    ("far", "stride"),
    [(False, 7), (True, 13), pytest.param(False, 1, marks=EVERY), pytest.param(True, 1, marks=EVERY)],
)
def test_killed_at_each_step(tmp_path, monkeypatch, far, stride):
    """Overwriting, too; and with every target on another file system, as far as the program can tell."""
    monkeypatch.setattr(execution, "_BATCH", 3)
    # A kill loses nothing that was written, and the disk may be busy.
    monkeypatch.setattr(journal, "SYNCHRONOUS", "OFF")
    if far:
        pretend_far(monkeypatch)
    options = Options(on_conflict="overwrite")
    moment = random.randint(1 - stride, 0)
    while True:
        moment += stride
        world = World(tmp_path / str(moment), 6)
        for name in ("copied/4", "moved/1"):
            (world.folder / name).mkdir(parents=True)
        (world.folder / "copied/4/4").write_text("old copy")
        (world.folder / "moved/1/1").write_text("old move")
        before = world.files()

        def work(world=world):
            assert Intent(Store.open(world.folder), world.intent.token).execute(options).ok

        ended = in_child(work, patch=die_at(moment))
        assert in_child(work)
        found = world.files()
        assert found == world.wanted()
        undone = in_child(take_back(world), patch=die_at(moment))
        assert in_child(take_back(world))
        assert world.files() == before
        if ended and undone:
            break
    assert moment > 20


def test_a_program_that_was_running_is_unknown(tmp_path):
    store = Store.init(tmp_path)
    log = tmp_path / "log"
    # The program kills its executor, the forked process, whose id it is told by a file.
    script = 'echo "$1" >> log; [ "$1" != 3 ] || [ -e again ] || {{ kill -9 $(cat pid); sleep 60; }}'
    argv = ["sh", "-c", script, "_", "{n}"]
    intent = Intent.plan(store, "run", [{"n": n} for n in range(1, 6)], root=tmp_path, argv=argv)

    def work(options=None):
        (tmp_path / "pid").write_text(str(os.getpid()))
        Intent(Store.open(tmp_path), intent.token).execute(options)

    assert not in_child(work)
    (tmp_path / "again").write_text("")
    assert in_child(work)
    assert log.read_text().split() == ["1", "2", "3", "4", "5"]
    assert intent.facts()["statuses"] == {"succeeded": 4, "unknown": 1}
    assert in_child(lambda: work(Options(again=("unknown",))))
    assert log.read_text().split() == ["1", "2", "3", "4", "5", "3"]
    assert intent.facts()["statuses"] == {"succeeded": 5}

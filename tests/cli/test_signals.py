"""Signals at any moment of staging: the right exit code, no leftovers, and no listed item whose token nobody was told.

A signal is sent at a place in the program by a profiler that counts calls and returns: each is a place where Python may
run a handler. What a command does between two of them, in the compiled module or the kernel, is tried by `strace`; see
`test_system_calls`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maxstage import Store

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

# Sends a signal at the call or return number AT, counted from the call of the command's own function, and more a
# moment later, from a process beside: the profiler ends with the first exception.
DRIVER = """
import os, random, signal, sys, time
at, numbers, report, *args = sys.argv[1:]
BEGINS = ("stage", "retrieve", "stage_renew", "stage_pin", "unstage", "stage_gc")
at, numbers, count = int(at), [int(number) for number in numbers.split(",")], 0

def look(frame, event, argument):
    global count
    name = frame.f_code.co_filename
    if not count and (not "/cli/" in name or frame.f_code.co_name not in BEGINS):
        return
    count += 1
    if count == at:
        if numbers[1:] and not os.fork():
            for number in numbers[1:]:
                time.sleep(random.random() / 500)
                try:
                    os.kill(os.getppid(), number)
                except ProcessLookupError:
                    pass
            os._exit(0)
        os.kill(os.getpid(), numbers[0])

sys.argv[1:] = args
import maxstage.cli.process, maxstage.cli.transfer
answer = maxstage.cli.process._attempt
def watched(*given):
    sys.setprofile(look)
    try:
        return answer(*given)
    finally:
        sys.setprofile(None)
        if report:
            # Closed here: what a signal raises while a forgotten file is closed is lost.
            with open(report, "w") as file:
                file.write(str(count))
maxstage.cli.process._attempt = watched
from maxstage.cli import main
main()
"""

COMMANDS = {
    "stage": ["stage"],
    "click": ["stage", "--ttl", "5"],
    "compress": ["stage", "--compress", "./a.txt"],
    "sync": ["stage", "--sync", "./a.txt"],
    "files": ["stage", "./a.txt", "./b.txt"],
    "split": ["stage", "--split", "2"],
    "split_lines": ["stage", "--split-lines", "20", "./a.txt"],
    "quota": ["stage", "--source", "quota"],
}


KINDS = [
    (signal.SIGINT,),
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGHUP, signal.SIGINT),
    (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT),
]
"""What is sent, one turn after the other."""


def drive(program, at: int, numbers: str, args: list[str], report: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(at), numbers, report, *args],
        input=b"piped\n" * 50,
        capture_output=True,
        cwd=program.folder,
        timeout=60,
    )


def prepare(program, command: str) -> None:
    for name in "ab":
        (program.folder / f"{name}.txt").write_bytes(b"%s line\n" % name.encode() * 30)
    if command == "quota":
        (program.folder / ".max" / "config.toml").write_text("max_store_bytes = 100000\n")


def check(program, done: subprocess.CompletedProcess, what: object) -> None:
    told = {token.decode() for token in done.stdout.split()}
    listed = {f"max:{path.name.split('.')[0]}" for path in program.staging.glob("*.meta.json")}
    assert listed == told, (what, done)
    assert program.leftovers() == [], (what, done)
    assert b"Traceback" not in done.stderr, (what, done)
    for path in program.staging.glob("*.*"):
        path.unlink()


def places(program, command: str) -> int:
    report = program.folder / "count"
    prepare(program, command)
    done = drive(program, -1, "0", COMMANDS[command], str(report))
    assert done.returncode == 0, done
    check(program, done, "no signal")
    return int(report.read_text())


MOMENTS = 12
"""Of each command, spread evenly over it: each is a process of its own."""


def step_of(last: int) -> int:
    return max(last // MOMENTS, 1)


def signals_everywhere(program, command: str, step: int | None = None) -> None:
    last = places(program, command)
    assert last > 100
    step = step or step_of(last)
    for turn, at in enumerate(range(1 + step // 2, last - 8, step)):
        numbers = KINDS[turn % len(KINDS)]
        done = drive(program, at, ",".join(str(int(number)) for number in numbers), COMMANDS[command])
        # Before anything is begun, and after the answer, a signal ends the program by itself.
        codes = {code for number in numbers for code in (CODES[number], -number)}
        assert done.returncode in codes, (at, numbers, done)
        check(program, done, (at, numbers))


OTHERS = {
    "to": ["retrieve", "TOKEN", "--to", "out.txt"],
    "renew": ["stage", "renew", "TOKEN", "--ttl", "9"],
    "pin": ["stage", "pin", "TOKEN"],
    "unstage": ["unstage", "TOKEN"],
}
"""Commands that change what is there."""


def signals_in_others(program, command: str, step: int | None = None) -> None:
    data = b"staged\n" * 1000
    store = Store.open(program.folder)
    report, out = program.folder / "count", program.folder / "out.txt"
    at, turn, last = -1, 0, 100
    while at < last - 8:
        item = store.stage(data)
        args = [item.token if word == "TOKEN" else word for word in OTHERS[command]]
        numbers = KINDS[turn % len(KINDS)]
        done = drive(program, at, ",".join(str(int(number)) for number in numbers), args, str(report))
        if at < 0:
            assert done.returncode == 0, done
            last = int(report.read_text())
            assert last > 30
            step = step or step_of(last)
            at = 1 + step // 2
        else:
            codes = {code for number in numbers for code in (CODES[number], -number)}
            assert done.returncode in codes, (at, numbers, done)
            at, turn = at + step, turn + 1
        assert b"Traceback" not in done.stderr, (at, numbers, done)
        assert program.leftovers() == [], (at, numbers, done)
        assert [name for name in os.listdir(program.folder) if ".part" in name] == [], (at, numbers, done)
        if out.exists():
            assert out.read_bytes() == data
            out.unlink()
        if command != "unstage" or item.id in store.ids():
            assert store.open(item.token).read() == data


@pytest.mark.parametrize("command", OTHERS)
def test_a_signal_at_some_moments_of_others(program, command):
    signals_in_others(program, command)


@pytest.mark.stress
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("command", OTHERS)
def test_a_signal_at_every_moment_of_others(program, command):
    signals_in_others(program, command, 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_at_some_moments(program, command):
    signals_everywhere(program, command)


@pytest.mark.stress
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_at_every_moment(program, command):
    signals_everywhere(program, command, 1)


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.stress)])
def test_stage_many_from_python_is_all_or_nothing(store, monkeypatch, step):
    """A handler that raises at any call or return within: nothing is left, and the handlers are back."""

    class Stop(Exception):
        pass

    def handler(number, frame):
        raise Stop

    before = signal.signal(signal.SIGINT, handler)
    whole = {"stage": 1, "many": 3, "split": 2}
    ways = {
        "stage": lambda: [store.stage(b"x" * 50)],
        "many": lambda: store.stage_many([b"x" * 50, b"y" * 50, b"z" * 50]),
        "split": lambda: store.split(iter([b"x\n", b"y\n", b"z\n"]), parts=2),
    }
    try:
        for way, act in ways.items():
            last = _interrupt(act, -10)[0]
            for name in os.listdir(store.storage.layout.root):
                os.unlink(store.storage.layout.path(name))
            assert last > 50
            interrupted = 0
            for at in range(1, last, step):
                _, items = _interrupt(act, at, Stop)
                left = {
                    name for name in os.listdir(store.storage.layout.root) if name not in {".lock", ".sweep"}
                }
                assert signal.getsignal(signal.SIGINT) is handler, (way, at)
                if items is None:
                    interrupted += 1
                # All or nothing; a signal after the last step of publishing hits the caller.
                metas = [name for name in left if name.endswith(".meta.json")]
                assert len(metas) in {0, whole[way]}, (way, at, left)
                assert len(left) == 2 * len(metas), (way, at, left)
                for name in left:
                    os.unlink(store.storage.layout.path(name))
            assert interrupted > last // step // 2
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(act, at: int, error: type[BaseException] = Exception):
    """Do something with two signals at this call or return; return how many there are, and what it returned."""
    count, items = 0, None

    def look(frame, event, argument) -> None:
        nonlocal count
        if "maxstage" not in frame.f_code.co_filename or Path(__file__).name in frame.f_code.co_filename:
            return
        count += 1
        if count in (at, at + 3):
            os.kill(os.getpid(), signal.SIGINT)

    try:
        sys.setprofile(look)
        try:
            items = act()
        finally:
            sys.setprofile(None)
    except error:
        pass
    return count, items


@contextlib.contextmanager
def running(handler, *targets, stop: threading.Event):
    """Run threads, with a handler of Ctrl-C."""
    before = signal.signal(signal.SIGINT, handler)
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGINT, before)


def test_threads_stage_while_the_main_thread_is_interrupted(store):
    class Stop(Exception):
        pass

    armed, told, stop = False, [], threading.Event()

    def handler(number, frame):
        if armed:
            raise Stop

    def work() -> None:
        while not stop.is_set():
            told.append(store.stage(b"x").id)

    def kick() -> None:
        while not stop.wait(0.001):
            os.kill(os.getpid(), signal.SIGINT)

    interrupted = 0
    with running(handler, work, work, kick, stop=stop):
        while interrupted < 100:
            try:
                armed = True
                item = store.stage(b"y")
                armed = False
                told.append(item.id)
            except Stop:
                armed = False
                interrupted += 1
    assert set(told) <= set(store.ids())
    # What came after the last step of publishing hit the caller.
    assert len(set(store.ids()) - set(told)) < interrupted / 4
    hidden = {name for name in os.listdir(store.storage.layout.root) if name.startswith(".")}
    assert hidden <= {".lock", ".sweep"}

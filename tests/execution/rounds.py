"""Runs on an engine to which something happens in the middle: a process is killed, stopped or cut off.

Each task appends its start, its end and ticks to a log, as its side effect: `check` sees from that whether
each was done once, and none by two processes at once. As a program it does many rounds, with different moments:

    python tests/execution/rounds.py [SCENARIO ...] [--rounds 30] [--at-once 4]
"""

import argparse
import contextlib
import random
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from engines import Engine, Worker, max_program
from helpers import is_running, lines_of, wait_until

TASK = """
    log={log}
    first=$(grep -c "^start $MAX_TASK " $log || true)
    echo "start $MAX_TASK $$" >> $log
    if [ "$first" = 0 ]; then count={count}; else count=3; fi
    setsid sleep 600 &
    echo "left $MAX_TASK $!" >> $log
    for n in $(seq $count); do echo "tick $MAX_TASK $$" >> $log; sleep 0.2; done
    echo "end $MAX_TASK $$" >> $log
    echo done
"""
LEASE = 30


def flow(log: Path, middle: float) -> str:
    """Return a workflow: two tasks, one that takes `middle` seconds at its first time, and two."""
    lines = ["name: rounds", "version: 1", "tasks:"]
    before = None
    for name, seconds in (("a", 0.2), ("b", 0.2), ("middle", middle), ("y", 0.2), ("z", 0.2)):
        script = TASK.format(log=shlex.quote(str(log)), count=int(seconds * 5))
        needs = f"depends_on: [{before}], " if before else ""
        lines.append(f"  {name}: {{{needs}script: {{content: {quoted(script)}}}}}")
        before = name
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Return text as YAML has it in one line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def check(log: Path, *, once: bool) -> None:
    """Check that each task was done once, but for one that may be done twice, and none by two processes at once."""
    again = set()
    seen: dict[str, list[tuple[str, str]]] = {}
    for line in lines_of(log):
        kind, name, pid = line.split()
        if kind != "left":
            seen.setdefault(name, []).append((kind, pid))
    assert set(seen) == {"a", "b", "middle", "y", "z"}, seen
    for name, events in seen.items():
        starts = [pid for kind, pid in events if kind == "start"]
        ends = [pid for kind, pid in events if kind == "end"]
        assert len(starts) <= 2, (name, starts)
        again |= {name} if len(starts) > 1 else set()
        assert ends[-1:] == starts[-1:], (name, events[-3:])
        order = [pid for _, pid in events]
        changes = [pid for number, pid in enumerate(order) if not number or order[number - 1] != pid]
        assert len(changes) == len(set(changes)), f"two of {name} at once: {changes}"
    assert len(again) <= (0 if once else 1), again
    left = [line.split()[2] for line in lines_of(log) if line.startswith("left")]
    wait_until(lambda: not any(map(is_running, left)), "what tasks left in the background goes on")


class Round:
    """A project, and a run of it.

    Args:
        folder: A new folder.
        on: The engine.
        middle: Seconds that the task in the middle takes at its first time.
    """

    def __init__(self, folder: Path, on: str, middle: float) -> None:
        self.folder, self.on = folder, on
        self.log = folder / "log"
        self.log.touch()
        max_program(folder, "init")
        (folder / "flow.yaml").write_text(flow(self.log, middle))
        self.queue = f"q{random.randrange(10**9)}"
        text = (folder / "flow.yaml").read_text()
        (folder / "flow.yaml").write_text(text + f"\ndefaults: {{runs_on: {{queue: {self.queue}}}}}\n")
        self.workers: list[Worker] = []
        self.driver: subprocess.Popen | None = None

    def worker(self, on: str | None = None) -> Worker:
        """Start a worker."""
        self.workers.append(Worker(self.folder, on or self.on, queue=self.queue, jobs=2).ready())
        return self.workers[-1]

    def start(self) -> None:
        """Start the run."""
        command = [sys.executable, "-m", "maxstage", "run", "flow.yaml", "--on", self.on]
        with open(self.folder / "out", "wb") as out:
            self.driver = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out)

    def until(self, line: str) -> None:
        """Wait until the log has a line that begins so."""
        wait_until(lambda: any(one.startswith(line) for one in lines_of(self.log)), f"{line}: {self.said()}")

    def said(self) -> str:
        """What the driver has printed."""
        return (self.folder / "out").read_text()

    def ended(self) -> None:
        """Wait until the run has completed."""
        assert self.driver.wait(180) == 0, self.said()

    def pids(self) -> list[str]:
        """The processes of the task in the middle."""
        return [
            line.split()[2]
            for line in lines_of(self.log)
            if line.split()[:2] in (["start", "middle"], ["left", "middle"])
        ]

    def who(self) -> Worker:
        """The worker that runs the task in the middle."""
        return wait_until(
            lambda: next(
                (
                    one
                    for one in self.workers
                    if any(event.get("job", "").endswith("/middle/1") for event in list(one.events))
                ),
                None,
            )
        )

    def close(self) -> None:
        """End what is left."""
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()
        for one in self.workers:
            with contextlib.suppress(ProcessLookupError):
                one.process.send_signal(18)
            one.end()


class Proxy:
    """A way to the engine that can be cut: nothing comes through then, and nothing is refused."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.on = f"temporal://127.0.0.1:{self._server.getsockname()[1]}"
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                theirs, _ = self._server.accept()
                threading.Thread(target=self._pass, args=(theirs,), daemon=True).start()

    def _pass(self, theirs: socket.socket) -> None:
        self.open.wait()
        with (
            contextlib.suppress(OSError),
            theirs,
            socket.create_connection(("127.0.0.1", self._target)) as ours,
        ):
            to = {theirs: ours, ours: theirs}
            while True:
                for one in select.select([theirs, ours], [], [])[0]:
                    data = one.recv(65536)
                    self.open.wait()
                    if not data:
                        return
                    to[one].sendall(data)

    def close(self) -> None:
        """Close it."""
        self.open.set()
        self._server.close()


def driver_killed(one: Round, _: Engine, pause: float) -> None:
    """The driver is killed, and the run resumed from another folder."""
    one.worker()
    one.start()
    one.until("start middle")
    time.sleep(pause * 3)
    one.driver.kill()
    one.driver.wait()
    time.sleep(pause * 3)
    elsewhere = one.folder / "elsewhere"
    elsewhere.mkdir()
    max_program(elsewhere, "--dir", str(one.folder), "run", str(one.folder / "flow.yaml"), "--resume")


def worker_killed(one: Round, _: Engine, pause: float) -> None:
    """The worker that has the task in the middle is killed."""
    one.worker()
    one.worker()
    one.start()
    one.until("left middle")
    time.sleep(pause)
    one.who().kill()
    pids = one.pids()
    until = time.monotonic() + 5
    while any(map(is_running, pids)):
        assert time.monotonic() < until, "what a killed worker had started runs on"
        time.sleep(0.05)
    one.ended()


def cut_off(one: Round, engine: Engine, pause: float) -> None:
    """The worker that has the task in the middle reaches nobody for 25 s."""
    proxy = Proxy(engine.port)
    try:
        one.worker(proxy.on)
        one.start()
        one.until("left middle")
        one.worker()
        time.sleep(pause)
        proxy.open.clear()
        time.sleep(25)
        proxy.open.set()
        one.ended()
    finally:
        proxy.close()


def stopped(one: Round, _: Engine, pause: float) -> None:
    """The worker that has the task in the middle is stopped for 40 s, and goes on."""
    one.worker()
    one.worker()
    one.start()
    one.until("left middle")
    time.sleep(pause)
    worker = one.who()
    worker.process.send_signal(19)
    time.sleep(40)
    worker.process.send_signal(18)
    one.ended()


def server_killed(one: Round, engine: Engine, pause: float) -> None:
    """The engine is killed, and started again on its file."""
    one.worker()
    one.start()
    one.until("left middle")
    time.sleep(pause)
    engine.kill()
    time.sleep(pause * 3)
    engine.start()
    one.ended()


SCENARIOS = {
    "driver_killed": (driver_killed, 4),
    "worker_killed": (worker_killed, 60),
    "cut_off": (cut_off, 60),
    "stopped": (stopped, 60),
    "server_killed": (server_killed, 8),
}
"""What happens, and how many seconds the task in the middle takes at its first time."""


def play(name: str, folder: Path, engine: Engine, pause: float) -> None:
    """Do one round, and check its log."""
    happens, middle = SCENARIOS[name]
    one = Round(folder, engine.on, middle)
    try:
        happens(one, engine, pause)
        check(one.log, once=name == "driver_killed")
    finally:
        one.close()


def main() -> int:
    """Do many rounds of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="rounds-") as top:
        for name in given.scenarios:
            engine = Engine(new(top, f"{name}-engine"))
            engine.start()
            at_once = 1 if name == "server_killed" else given.at_once
            good = 0
            try:
                with ThreadPoolExecutor(at_once) as pool:
                    work = [
                        pool.submit(play, name, new(top, f"{name}-{number}"), engine, random.random())
                        for number in range(given.rounds)
                    ]
                    for number, one in enumerate(work):
                        try:
                            one.result()
                            good += 1
                        except Exception as error:  # noqa: BLE001 - told, and counted
                            failed += 1
                            print(f"{name} {number}: {error!r}"[:500], flush=True)
            finally:
                engine.stop()
            print(f"{name}: {good} of {given.rounds} rounds good", flush=True)
    return 1 if failed else 0


def new(top: str, name: str) -> Path:
    """Make a folder."""
    path = Path(top) / name
    path.mkdir()
    return path


if __name__ == "__main__":
    sys.exit(main())

"""Helpers for tests in several folders: waiting for events instead of sleeping, processes, edited metadata.

Tests must pass on a busy machine, too. So they wait for an event (a file exists, a line was printed, a script has
reached its `Gate`), never for a fixed time, and assert an order or an effect, not how long something took.
"""

import contextlib
import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

PATIENCE = 90
"""Seconds to wait for an event that must happen. Even on a busy machine, only a failure takes that long."""

FOREVER = 600
"""Seconds that a program sleeps if the test expects it to be ended."""

MORE_EXAMPLES = int(os.environ.get("MAXSTAGE_EXAMPLES", "1"))
"""How many times as many examples Hypothesis tries; `make stress` sets it."""


def examples(count: int) -> settings:
    """Return the settings of a test that Hypothesis runs with `count` examples, and with many more under stress."""
    return settings(max_examples=count * MORE_EXAMPLES)


def wait_until(condition: Callable[[], Any], what: str = "") -> Any:
    """Call `condition` repeatedly until its result is true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain: {what or condition}"
        time.sleep(0.005)
    return answer


def wait_for(path: Path) -> None:
    """Wait until a file exists."""
    wait_until(path.exists, f"{path} is not there")


def longer_and_longer(first: float = 0.4) -> Iterator[float]:
    """Yield timeouts to try, in seconds, each three times the previous one.

    A timeout that expires before the command has done anything proves nothing, so the test tries again with a longer
    one. This makes the test fast on a fast machine, and correct on a slow one.
    """
    seconds = first
    while seconds < PATIENCE:
        yield seconds
        seconds *= 3
    raise AssertionError(f"{seconds / 3} s were not enough to get anywhere")


class Gate:
    """A named pipe at which a shell script waits until the test lets it pass.

    A script that is never let through ends when the test does, so no process is left behind.
    """

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.path = folder / name
        os.mkfifo(self.path)
        self.wait = f"read -r _ < {shlex.quote(str(self.path))}"
        """The shell command that waits, without starting a process."""
        self._fd = -1

    def _is_reached(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads
                raise
            return False
        return True

    def reached(self) -> None:
        """Wait until a script has arrived, and leave it waiting."""
        if self._fd < 0:
            wait_until(self._is_reached, f"nobody waits at {self.path}")

    def open(self) -> None:
        """Wait until a script has arrived, and let it pass."""
        self.reached()
        with contextlib.suppress(BrokenPipeError):  # it has been killed
            os.write(self._fd, b"\n")
        self.close()

    def close(self) -> None:
        """Close the pipe: the script passes, or ends if it was written to end with its pipe."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def beside(action: Callable[[], Any]) -> Iterator[None]:
    """Run `action` in a thread during the block; re-raise its exception at the end."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"{action} goes on and on"
    if failed:
        raise failed[0]


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file; none if it doesn't exist."""
    return path.read_text().splitlines() if path.exists() else []


def _stat_of(pid: int | str) -> list[str]:
    """Return the state of a process, its parent and its group; nothing if it has ended, reaped or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] in "ZX" else fields[:3]


def is_running(pid: int | str) -> bool:
    """Return whether a process is running; a zombie isn't."""
    return bool(_stat_of(pid))


def members(group: int | str) -> list[str]:
    """Return the ids of the running processes of a group."""
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if _stat_of(pid)[2:] == [str(group)]]


def wait_until_gone(*pids: int | str) -> None:
    """Wait until none of these processes is running."""
    wait_until(lambda: not any(map(is_running, pids)), f"of {pids} some still run")


def wait_until_group_gone(group: int | str) -> None:
    """Wait until no process of a group is running."""
    wait_until(lambda: not members(group), f"some of the group {group} still run")


def end(*pids: int | str) -> None:
    """Kill processes that a test has started, by id."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def can_trace() -> bool:
    """Return whether strace is installed, and may trace here."""
    try:
        done = subprocess.run(
            ["strace", "-f", "-o", os.devnull, "true"], capture_output=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


NOBODY = 65534
"""The id of another user, who owns nothing."""


def let_nobody_in(folder: Path) -> None:
    """Make a project accessible to `NOBODY`, for ``program(…, user=NOBODY)``; skip the test if that is impossible."""
    if os.geteuid() != 0:
        pytest.skip("drops from root to another user")
    for path in (folder, *folder.parents):
        if path.stat().st_uid == 0 and path != path.parent and str(path).startswith("/tmp/"):
            path.chmod(0o755)
    # An interpreter in a home directory may be inaccessible to other users.
    try:
        run = [sys.executable, "-c", "import maxstage.cli.app"]
        subprocess.run(run, user=NOBODY, capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("the interpreter is not for every user here")


def edit(path: Path, /, **changes: object) -> None:
    """Change keys of an item's metadata; a value of ... removes the key."""
    meta = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in meta.items() if value is not ...}))


def bash(content: str, **task: Any) -> dict[str, Any]:
    """Return a workflow task that runs a bash script."""
    return {"script": {"content": content}, **task}


def text_of(result: Any, path: str) -> str:
    """Return the output of a task of a run."""
    return result.tasks[path].output.text

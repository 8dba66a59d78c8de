"""Fixtures for all tests: a project in its own folder, and the real program run in it.

``MAXSTAGE_BACKEND`` selects the backend; ``make test`` runs the suite once for each.
"""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from forks import Forks
from helpers import MORE_EXAMPLES
from maxstage import Store

# How long an example takes says nothing on a busy machine. `make test` tries the same examples each time, so what
# passed once passes everywhere; new ones are for `make stress`.
settings.register_profile(
    "maxstage",
    deadline=None,
    derandomize=MORE_EXAMPLES == 1,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("maxstage")

# A shell starts background jobs with SIGINT ignored, nohup with SIGHUP, and child processes inherit ignored signals.
# Signals that have a handler here are reset to their default in the programs under test.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Isolate the tests from the settings of whoever runs them."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would hide data left in buffers
    for name in list(os.environ):
        if name.startswith("MAX_"):
            monkeypatch.delenv(name)
    # Outside a project, don't use or create a store in the home directory of whoever runs the tests.
    monkeypatch.setenv("MAX_USER_STORE", "0")


@pytest.fixture
def store(tmp_path) -> Store:
    """A new store."""
    return Store.init(tmp_path)


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    """A development server that runs as long as the tests; those that end one have their own."""
    import engines

    if engines.MISSING:
        pytest.skip("temporalio is not installed: make test-remote")
    made = engines.Engine(tmp_path_factory.mktemp("engine"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def worker_forks(engine):
    """Workers that start in a moment."""
    import engines

    forks = engines.Forks()
    yield forks
    forks.close()


class Program:
    """The installed program, run in one folder."""

    def __init__(self, folder: Path, forks: Forks | None = None) -> None:
        self.folder = folder
        self.command = [sys.executable, "-m", "maxstage"]
        self.staging = folder / ".max" / "staging"
        self._forks = forks
        self._usual = self.command

    def __call__(self, *args: str, stdin: bytes | None = b"", check: int | None = 0, **options):
        """Run it to completion; `check` is the expected exit code, None for any."""
        done = None
        is_plain = stdin is not None and options.keys() <= {"env"} and self.command is self._usual
        if self._forks is not None and is_plain:
            words = [*map(os.fspath, args)]
            done = self._forks.run(words, stdin, self.folder, options.get("env") or os.environ)
        if done is None:
            command = [*self.command, *args]
            done = subprocess.run(command, input=stdin, capture_output=True, cwd=self.folder, **options)
        if check is not None:
            assert done.returncode == check, (args, done.returncode, done.stderr.decode("utf-8", "replace"))
        return done

    def python(self, code: str, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
        """Run code that starts the program in a way of its own, with these arguments."""
        done = None
        if self._forks is not None:
            done = self._forks.run(args, stdin, self.folder, os.environ, code)
        if done is None:
            command = [sys.executable, "-c", code, *args]
            done = subprocess.run(command, input=stdin, capture_output=True, cwd=self.folder)
        return done

    def fails(self, *args: str, code: int = 1, **options) -> str:
        """Run it, expecting it to fail with a one-line message, and return that line."""
        text = self(*args, check=code, **options).stderr.decode("utf-8", "replace")
        assert text.count("\n") == 1, text
        assert "Traceback" not in text
        return text.strip()

    def text(self, *args: str, **options) -> str:
        """Run it and return what it printed, as text."""
        return self(*args, **options).stdout.decode()

    def stage(self, data: bytes, *args: str) -> str:
        """Stage `data` and return the token."""
        return self.text("stage", *args, stdin=data).strip()

    def start(self, *args: str, **options) -> subprocess.Popen:
        """Start it, connected by pipes."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*self.command, *args], cwd=self.folder, **pipes | options)

    def later(self, seconds: float, *args: str) -> str:
        """Run it with a clock that is `seconds` ahead, and return what it printed."""
        code = (
            "import sys, time; real = time.time; ahead = float(sys.argv.pop(1)); "
            "time.time = lambda: real() + ahead; from maxstage.cli import main; main()"
        )
        done = self.python(code, str(seconds), *args)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode()

    def leftovers(self) -> list[str]:
        """Return the names in staging/ that belong to no published item."""
        names = sorted(os.listdir(self.staging))
        ids = {name.removesuffix(".meta.json") for name in names if name.endswith(".meta.json")}
        return [name for name in names if name.split(".")[0] not in ids and name not in {".lock", ".sweep"}]


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks | None]:
    """What runs the program without starting an interpreter each time."""
    if not hasattr(os, "memfd_create") or os.environ.get("MAXSTAGE_FORK") == "0":
        yield None
        return
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def program_in(forks, request) -> Callable[[Path], Program]:
    """Return a factory for the program in any folder."""
    is_forked = request.node.get_closest_marker("started") is None
    return functools.partial(Program, forks=forks if is_forked else None)


@pytest.fixture(scope="session")
def program_type() -> type[Program]:
    """Return the class, for fixtures that several tests share."""
    return Program


@pytest.fixture
def program(program_in, tmp_path) -> Program:
    """The program in a new project."""
    Store.init(tmp_path)
    return program_in(tmp_path)

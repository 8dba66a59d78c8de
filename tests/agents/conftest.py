"""The real program, if it is there: ``make test-agents`` downloads it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def claude():
    """The program of Claude Code; `MAXSTAGE_CLAUDE` names it, or the package that it ships in is installed."""
    named = os.environ.get("MAXSTAGE_CLAUDE")
    spec = None if named else importlib.util.find_spec("claude_agent_sdk")
    if not named and (spec is None or spec.origin is None):
        pytest.skip("no Claude Code: `make test-agents` fetches it")
    return named or str(Path(spec.origin).parent / "_bundled" / "claude")


@pytest.fixture(scope="session")
def codex():
    """The program of Codex, in the same way: `MAXSTAGE_CODEX`, or the package."""
    named = os.environ.get("MAXSTAGE_CODEX")
    spec = None if named else importlib.util.find_spec("codex_cli_bin")
    if not named and (spec is None or spec.origin is None):
        pytest.skip("no Codex: `make test-agents` fetches it")
    return named or str(Path(spec.origin).parent / "bin" / "codex")


@pytest.fixture
def home(tmp_path):
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def work(tmp_path):
    """The folder in which a session runs, with a build of 195 KB whose error is in line 1,317."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "build.py").write_text(BUILD)
    return folder


BUILD = """\
import sys
for number in range(1, 3001):
    if number == 1317:
        print("src/main.c:42:5: error: 'frobnicate' undeclared")
    else:
        print(f"[{number:5}/3000] CC src/module_{number:04}.o -O2 -Wall -o out/module_{number:04}.o")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def with_max(tmp_path_factory):
    """A PATH with the program under test, and the one without it."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("max", "python3"):
        script = folder / name
        words = f"exec {sys.executable} -P" + (" -m maxstage" if name == "max" else "")
        script.write_text(f'#!/bin/sh\n{words} "$@"\n')
        script.chmod(0o755)
    return f"{folder}:/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def agent(home, work, with_max):
    """Runs `max agent …` as the user whose home this is."""

    def run(*args, check=0):
        env = {"HOME": str(home), "PATH": with_max}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "maxstage", "agent", *args],
            cwd=work,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == check, done.stderr
        return done

    return run

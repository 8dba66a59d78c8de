"""The real Codex with our hook, driven by a scripted stand-in for its API."""

import re
import subprocess
import sys

import pytest
from codex_standin import run

from maxstage.agents.shell import BOUND

pytestmark = pytest.mark.agents

RULES = """\
prefix_rule(pattern = ["rm"], decision = "forbidden")
prefix_rule(pattern = ["touch"], decision = "prompt")
prefix_rule(pattern = ["echo"], decision = "allow")
"""

COMMANDS = [
    "echo plain",
    "echo 'quoted; rm -rf x | y'",
    "rm gone",
    "rm gone | cat",
    "touch asked",
    "touch asked && echo done",
    "echo one && echo two",
    "echo one; rm gone",
    "cat <<'END'\nhere\nEND",
    "cd . && echo moved",
    "X=1 echo prefixed",
    "echo $HOME",
    "echo *.py",
    "(echo subshell)",
    "echo $(echo inner)",
    "echo redirected > out.txt",
    "ls",
    "false",
    "no-such-program-at-all",
    "echo comment # rm",
]


@pytest.fixture
def rules(home):
    folder = home / ".codex" / "rules"
    folder.mkdir(parents=True)
    (folder / "default.rules").write_text(RULES)


@pytest.fixture
def project(work, with_max):
    """A Max project, which the sandbox of Codex lets commands write to."""
    subprocess.run(
        [sys.executable, "-P", "-m", "maxstage", "init", str(work)], check=True, capture_output=True
    )
    return work


def outcome(text, program):
    """Return what a model was told, without times, names of pieces, and what the hook has put around."""
    text = re.sub(r"Chunk ID: \w+\nWall time: [\d.]+ seconds\n", "", text)
    text = re.sub(r"Original token count: \d+\n", "", text)
    return text.replace(f" | {program}{BOUND.removeprefix('max')}", "").replace("set -o pipefail; ", "")


def test_rules_hold_as_without_us(codex, home, project, with_max, agent, rules):
    program = f"{with_max.split(':')[0]}/max"
    want = [outcome(text, program) for text in run(codex, home, project, COMMANDS, path=with_max)]
    (project / "out.txt").unlink()
    agent("install", "codex")
    have = [outcome(text, program) for text in run(codex, home, project, COMMANDS, path=with_max)]
    # An error of the shell names what it was given, and a failing command's line may end otherwise.
    assert dict(zip(COMMANDS, have, strict=True)) == dict(zip(COMMANDS, want, strict=True))
    assert "forbids" in want[COMMANDS.index("rm gone")]
    assert "approval required" in want[COMMANDS.index("touch asked")]


def test_a_long_output_shows_what_matters(codex, home, project, with_max, agent):
    command = "python3 build.py 1"
    assert "frobnicate" not in run(codex, home, project, [command], path=with_max)[0]
    agent("install", "codex")
    # Its shell reads the profile, which sets another PATH: the program is called by its path.
    text = run(codex, home, project, [command], path=with_max)[0]
    assert "exited with code 1" in text
    assert "error: 'frobnicate' undeclared" in text
    assert "1317" in text
    assert "max retrieve max:" in text
    assert len(text.encode()) < 4400


def test_outside_of_a_project_nothing_is_cut(codex, home, work, with_max, agent):
    agent("install", "codex")
    assert "max retrieve" not in run(codex, home, work, ["python3 build.py 1"], path=with_max)[0]

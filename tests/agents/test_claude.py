"""The real Claude Code with our hooks, driven by a scripted stand-in for its API."""

import json
import subprocess

import pytest
from standin import StandIn, run

from maxstage.agents.shell import BOUND

pytestmark = pytest.mark.agents

ALLOWED = ["--allowedTools", "Bash(python3:*)", "Bash(cd:*)", "Bash(exit:*)"]
COMPOUND = "cd . && python3 build.py 0"


def test_without_us_the_error_is_not_seen(claude, home, work, with_max):
    for text, _ in run(
        claude, home, work, ["python3 build.py 1", "python3 build.py 0"], *ALLOWED, path=with_max
    ):
        assert "frobnicate" not in text


def test_a_long_output_shows_what_matters_within_4_kib(claude, home, work, with_max, agent):
    agent("install", "claude")
    commands = ["python3 build.py 1", "python3 build.py 0", COMPOUND]
    told = run(claude, home, work, commands, *ALLOWED, path=with_max)
    assert [is_error for _, is_error in told] == [True, False, False]
    assert "Exit code 1" in told[0][0]
    for text, _ in told:
        assert len(text.encode()) <= 4096
        assert "error: 'frobnicate' undeclared" in text
        assert "1317" in text
        assert "max retrieve max:" in text


def test_as_a_plugin(claude, home, work, with_max, agent, tmp_path):
    agent("plugin", str(tmp_path / "plugin"))
    plugin = ["--plugin-dir", str(tmp_path / "plugin")]
    before, after = run(
        claude, home, work, ["python3 build.py 1", COMPOUND], *ALLOWED, *plugin, path=with_max
    )
    # It can allow nothing, so nothing is put around a command, which would be asked for; afterwards costs nothing.
    assert "frobnicate" not in before[0]
    assert "frobnicate" in after[0]
    rules = [f"Bash({BOUND})", "Bash(set -o pipefail)"]
    (home / ".claude" / "settings.json").write_text(json.dumps({"permissions": {"allow": rules}}))
    told = run(claude, home, work, ["python3 build.py 1"], *ALLOWED, *plugin, path=with_max)
    assert "frobnicate" in told[0][0]


RULES = {
    "allow": [
        "Bash(echo:*)",
        "Bash(python3 -c:*)",
        "Bash(git status)",
        "Bash(mkdir:*)",
        "Bash(env:*)",
        "Bash(cd:*)",
    ],
    "deny": ["Bash(rm:*)", "Bash(echo secret:*)", "Bash(bash:*)", "Bash(git push:*)", "Bash(mkdir no:*)"],
    "ask": ["Bash(touch:*)", "Bash(echo ask:*)", "Bash(git commit:*)"],
}

COMMANDS = [
    "echo plain",
    "echo 'single quoted; rm -rf x | y'",
    'echo "double quoted && more"',
    "echo secret word",
    "echo ask me",
    "echo one && echo two",
    "echo one; rm gone",
    "echo one || echo two",
    "echo piped | cat",
    "cat <<'END'\nhere\nEND",
    "cd . && echo moved",
    "cd /",
    "X=1 echo prefixed",
    "env X=1 echo wrapped",
    "sudo -n true",
    "echo comment # echo secret",
    "echo first\necho second",
    "echo *.py",
    "(echo subshell)",
    "cat <(echo substituted)",
    "echo $(echo command)",
    "echo `echo command`",
    "echo redirected > out.txt",
    "echo both 2>&1",
    "ls",
    "pwd",
    "git status",
    "git push origin main",
    "git commit -m x",
    "rm gone",
    "mkdir made",
    "mkdir no",
    "touch asked",
    "bash -c 'echo inner'",
    "python3 -c 'print(1)'",
    "python3 -c 'import sys; sys.exit(3)'",
    "false",
    "curl --version",
    "no-such-program-at-all",
]

DENIED = ("ermission", "denied", "requires approval", "require approval", "blocked")


def outcome(told):
    """Return what became of a command: whether it ran, and then what it printed."""
    text, is_error = told
    if is_error and any(word in text for word in DENIED):
        return "not allowed"
    return text.replace(f" 2>&1 | {BOUND}", "").replace("set -o pipefail; ", ""), is_error


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "bypassPermissions"])
def test_rules_hold_as_without_us(claude, home, work, with_max, agent, mode, tmp_path):
    (home / ".claude").mkdir()
    settings = home / ".claude" / "settings.json"
    before = json.dumps({"permissions": RULES}, indent=4)
    settings.write_text(before)
    other = tmp_path / "other"
    other.mkdir()
    without = run(claude, home, other, COMMANDS, "--permission-mode", mode, path=with_max)
    agent("install", "claude")
    third = tmp_path / "third"
    third.mkdir()
    told = run(claude, home, third, COMMANDS, "--permission-mode", mode, path=with_max)
    want = {command: outcome(one) for command, one in zip(COMMANDS, without, strict=True)}
    have = {command: outcome(one) for command, one in zip(COMMANDS, told, strict=True)}
    assert json.loads(json.dumps(have).replace(str(third), str(other))) == json.loads(json.dumps(want))
    ran = [command for command, what in want.items() if what != "not allowed"]
    assert "echo plain" in ran
    assert not {"rm gone", "echo secret word", "mkdir no", "git push origin main"}.intersection(ran)
    agent("uninstall", "claude")
    assert settings.read_text() == before


@pytest.mark.parametrize("broken", ["missing", "crashing", "another program", "hanging"])
def test_without_the_program_a_session_goes_on(claude, home, work, with_max, agent, tmp_path, broken):
    agent("install", "claude")
    folder = tmp_path / "bin"
    folder.mkdir()
    bodies = {"crashing": "kill -SEGV $$", "another program": "echo '{}'; exit 2", "hanging": "exec sleep 40"}
    if broken in bodies:
        (folder / "max").write_text(f"#!/bin/sh\n{bodies[broken]}\n")
        (folder / "max").chmod(0o755)
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin"
    told = run(claude, home, work, ["echo plain"], "--allowedTools", "Bash(echo:*)", path=path)
    assert told == [("plain", False)]


def test_skill_and_tools_reach_the_model(claude, home, work, with_max, agent, monkeypatch):
    agent("install", "claude")
    asked = []
    answer = StandIn.answer
    monkeypatch.setattr(
        StandIn, "answer", lambda self, body: asked.append(json.dumps(body)) or answer(self, body)
    )
    run(claude, home, work, ["echo plain"], "--allowedTools", "Bash(echo:*)", path=with_max)
    assert any("Hand large data on by a short token" in body for body in asked)
    assert any("mcp__max__" in body for body in asked)


def test_its_own_checks_pass(claude, home, work, with_max, agent, tmp_path):
    agent("install", "claude")
    agent("plugin", str(tmp_path / "plugin"))
    env = {"HOME": str(home), "PATH": with_max, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}

    def ask(*words):
        return subprocess.run([claude, *words], env=env, cwd=work, capture_output=True, text=True)

    assert "max mcp - ✔ Connected" in ask("mcp", "list").stdout
    done = ask("plugin", "validate", str(tmp_path / "plugin"))
    assert done.returncode == 0, done.stdout
    # It has written to the same file meanwhile; what is ours goes, the rest stays.
    agent("uninstall", "claude")
    left = json.loads((home / ".claude.json").read_text())
    assert left
    assert "mcpServers" not in left

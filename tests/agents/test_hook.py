"""What the hook answers, and that nothing stops it from ending well."""

import json
import os
import random
import sys
import time

import pytest

from maxstage.agents.claude import RULES
from maxstage.agents.client import codex_rule
from maxstage.agents.shell import BOUND

LINES = "".join(f"line {number} of a long output, and nothing of interest\n" for number in range(2000))
LONG = LINES[: len(LINES) // 2] + "error: here it is\n" + LINES


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / ".claude").mkdir(parents=True)
    return folder


@pytest.fixture
def hook(program, home, tmp_path):
    """Runs the hook of a client with an event, and returns its answer; None for none."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "max").write_text("#!/bin/sh\n")
    (bin_ / "max").chmod(0o755)

    def run(client, event, **env):
        given = {"HOME": str(home), "PATH": f"{bin_}:/usr/bin:/bin"} | env
        content = event if isinstance(event, bytes) else json.dumps(event).encode()
        done = program("agent", "hook", client, stdin=content, check=0, env=given)
        run.stderr = done.stderr.decode()
        assert "Traceback" not in run.stderr
        return json.loads(done.stdout) if done.stdout else None

    return run


def allow(home, name="settings.json"):
    (home / ".claude" / name).write_text(json.dumps({"permissions": {"allow": RULES}}))


def claude(event, command, **more):
    return {
        "hook_event_name": event,
        "tool_name": "Bash",
        "tool_input": {"command": command, "timeout": 7},
    } | more


def test_claude_before(hook, home):
    event = claude("PreToolUse", "make test")
    assert hook("claude", event) is None  # what is put behind it would be asked for
    allow(home)
    said = {"hookEventName": "PreToolUse"}
    said |= {"updatedInput": {"command": f"set -o pipefail; make test 2>&1 | {BOUND}", "timeout": 7}}
    assert hook("claude", event) == {"hookSpecificOutput": said}
    assert hook("claude", claude("PreToolUse", "cd x && make")) is None
    assert hook("claude", event | {"tool_name": "Edit"}) is None
    in_background = {"command": "make", "run_in_background": True}
    assert hook("claude", event | {"tool_input": in_background}) is None
    # In a shell that doesn't find the program, the pipe would take the output with it.
    assert hook("claude", event, PATH="/nowhere") is None


@pytest.mark.parametrize("where", ["project", "local", "bypass", "config"])
def test_claude_where_it_is_allowed(hook, home, program, tmp_path, where):
    event = claude("PreToolUse", "make", cwd=str(tmp_path))
    env = {}
    if where == "bypass":
        event["permission_mode"] = "bypassPermissions"
    elif where == "config":
        allow(home)
        (home / ".claude").rename(tmp_path / "config")
        env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "config")}
    else:
        (tmp_path / ".claude").mkdir()
        allow(tmp_path, "settings.json" if where == "project" else "settings.local.json")
    assert hook("claude", event, **env) is not None


def test_claude_after(hook, program, tmp_path):
    response = {"stdout": LONG, "stderr": "", "interrupted": False, "isImage": False}
    event = claude("PostToolUse", "cd x && make", tool_response=response)
    said = hook("claude", event)["hookSpecificOutput"]
    assert said["hookEventName"] == "PostToolUse"
    output = said["updatedToolOutput"]
    assert {**output, "stdout": LONG} == response
    assert len(output["stdout"].encode()) <= 4096
    assert "error: here it is" in output["stdout"]
    token = output["stdout"].partition("max retrieve ")[2].split("]")[0]
    assert program.text("retrieve", token) == LONG
    for changed in ({"isImage": True}, {"backgroundTaskId": "1"}, {"stdout": "short"}, {"stdout": None}):
        assert hook("claude", event | {"tool_response": response | changed}) is None
    assert hook("claude", claude("PostToolUse", "max retrieve max:a1b2c3d4", tool_response=response)) is None
    # What can't be kept is not cut either.
    assert hook("claude", event, MAX_DIR=str(tmp_path / "nowhere")) is None


def test_claude_after_with_the_whole_in_a_file(hook, program, tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text(LONG)
    response = {
        "stdout": LONG[:30000],
        "stderr": "",
        "persistedOutputPath": str(kept),
        "persistedOutputSize": 9,
    }
    event = claude("PostToolUse", "cd x && make", tool_response=response)
    output = hook("claude", event)["hookSpecificOutput"]["updatedToolOutput"]
    assert set(output) == {"stdout", "stderr"}
    token = output["stdout"].partition("max retrieve ")[2].split("]")[0]
    assert program.text("retrieve", token) == LONG
    # A file that holds something else, or that is none, is not it.
    other = tmp_path / "other.txt"
    other.write_text("something else" * 9000)
    os.mkfifo(tmp_path / "pipe")
    for path in (other, tmp_path / "pipe", tmp_path / "no such file", tmp_path, "/dev/zero", "relative"):
        changed = response | {"persistedOutputPath": str(path)}
        found = hook("claude", event | {"tool_response": changed})
        assert found is None or path == "relative"


def test_claude_after_a_failure(hook):
    event = claude("PostToolUseFailure", "cd x && make", error=f"Exit code 1\n{LONG}")
    context = hook("claude", event)["hookSpecificOutput"]["additionalContext"]
    assert "error: here it is" in context
    assert "max retrieve max:" in context
    assert hook("claude", event | {"error": "Exit code 1\nshort"}) is None
    assert hook("claude", event | {"is_interrupt": True}) is None
    # What the client has cut itself is not kept as if it were the whole.
    cut = f"Exit code 1\n{LONG[:5000]}\n\n... [90 characters truncated] ...\n\n{LONG[-5000:]}"
    context = hook("claude", event | {"error": cut})["hookSpecificOutput"]["additionalContext"]
    assert "max retrieve" not in context
    assert BOUND in context


def test_codex(hook, home, tmp_path):
    program = tmp_path / "bin" / "max"
    bound = BOUND.replace("max", str(program), 1)
    event = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "make test"}}
    event["cwd"] = str(tmp_path)  # a project
    assert hook("codex", event) is None  # what is put behind it would be asked for
    rules = home / ".codex" / "rules" / "maxstage.rules"
    rules.parent.mkdir(parents=True)
    rules.write_text(codex_rule(bound))
    said = {"hookEventName": "PreToolUse", "permissionDecision": "allow"}
    said["updatedInput"] = {"command": f"set -o pipefail; make test | {bound}"}
    assert hook("codex", event) == {"hookSpecificOutput": said}
    assert hook("codex", event | {"tool_input": {"command": "ls *.py"}}) is None
    assert hook("codex", event | {"hook_event_name": "PostToolUse"}) is None
    # In its sandbox, nothing could be kept elsewhere.
    assert hook("codex", event | {"cwd": str(home)}) is None


def test_gemini(hook, home):
    event = {
        "hook_event_name": "BeforeTool",
        "tool_name": "run_shell_command",
        "tool_input": {"command": "make"},
    }
    assert hook("gemini", event) is None  # what is put behind it would be asked for
    (home / ".gemini").mkdir()
    rules = [f"run_shell_command({one})" for one in ("set -o pipefail", BOUND)]
    (home / ".gemini" / "settings.json").write_text(json.dumps({"tools": {"allowed": rules}}))
    said = {"hookEventName": "BeforeTool", "tool_input": {"command": f"set -o pipefail; make | {BOUND}"}}
    assert hook("gemini", event) == {"hookSpecificOutput": said}
    assert hook("gemini", event | {"tool_input": {"command": "make", "is_background": True}}) is None
    assert hook("gemini", event | {"tool_name": "read_file"}) is None


def test_opencode(hook, home, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    event = {"command": "make test", "cwd": str(folder)}
    want = {"command": f"set -o pipefail; make test | {BOUND}"}
    assert hook("opencode", event) == want
    rules = tmp_path / "a" / "opencode.jsonc"
    rules.write_text('{"permission": {"bash": {"*": "ask"}}}')
    assert hook("opencode", event) is None
    rules.write_text(
        json.dumps({"permission": {"bash": {"*": "ask", BOUND: "allow", "set -o pipefail": "allow"}}})
    )
    assert hook("opencode", event) == want
    assert hook("opencode", event, OPENCODE_PERMISSION='{"bash": "ask"}') == want


NONSENSE = [
    b"",
    b"\n",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'"text"',
    b"NaN",
    b"1e999",
    b"{}",
    b'{"tool_name": "Bash"}',
    b'{"tool_name": "Bash", "tool_input": []}',
    b'{"tool_name": "Bash", "tool_input": {}, "hook_event_name": {}}',
    b'{"tool_name": "Bash", "tool_input": {"command": 1}, "hook_event_name": "PreToolUse"}',
    b'{"tool_name": "Bash", "tool_input": {"command": "ls \\ud800"}, "hook_event_name": "PreToolUse"}',
    b'{"tool_name": "Bash", "tool_input": {"command": "ls", "x": NaN}, "hook_event_name": "PreToolUse"}',
    b'{"tool_name": "Bash", "tool_input": {"command": "ls"}, "hook_event_name": "PreToolUse", "cwd": "/\\u0000"}',
    b'{"tool_name": "Bash", "tool_input": {"command": "ls"}, "hook_event_name": "PreToolUse", "cwd": "/\\ud800"}',
    b'{"tool_name":"Bash","tool_input":{},"hook_event_name":"PostToolUse","tool_response":{"stdout":"","persistedOutputPath":"/\\u0000"}}',
    b'{"command": "ls", "cwd": 1}',
    b'{"command": "ls", "cwd": "/\\u0000"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"tool_name": "Bash", "tool_input": {"command": "'
    + b"x" * 3_000_000
    + b'"}, "hook_event_name": "PreToolUse"}',
    b'{"a": "' + b"x" * (33 << 20) + b'"}',
]


@pytest.mark.parametrize("content", NONSENSE, ids=lambda one: repr(one[:40]))
def test_nonsense_gets_no_answer(hook, content):
    for client in ("claude", "gemini", "nobody"):
        assert hook(client, content) is None
    # It takes any folder, and asks for no rule.
    said = hook("codex", content)
    assert said is None or said["hookSpecificOutput"]["updatedInput"]["command"].startswith(
        "set -o pipefail; ls | "
    )


@pytest.mark.parametrize("content", NONSENSE[:22], ids=lambda one: repr(one[:40]))
def test_nonsense_for_opencode(hook, content):
    said = hook("opencode", content)
    assert said is None or said["command"].startswith("set -o pipefail; ls | ")


def test_mutated_events(hook, home, tmp_path):
    """In this process, for there are many: an answer or an exception, and no more than an answer is printed."""
    from maxstage.agents.hook import answer

    allow(home)
    response = {"stdout": "x" * 40, "stderr": "", "persistedOutputPath": str(tmp_path)}
    event = json.dumps(claude("PreToolUse", "make test", tool_response=response, cwd=str(tmp_path))).encode()
    chance = random.Random(7)
    for _ in range(2000):
        content = bytearray(event)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(content))
            content[at : at + chance.randrange(3)] = bytes(
                chance.choice(b'{}[]",:\\0nu \xff') for _ in range(2)
            )
        try:
            said = answer(
                chance.choice(["claude", "codex", "gemini", "opencode"]), bytes(content), lambda *_: "s"
            )
        except (ValueError, RecursionError):
            continue
        assert said == "" or isinstance(json.loads(said), dict)


def test_wrong_calls_are_harmless(program):
    for args in ([], ["nobody"], ["claude", "x"], ["--help"]):
        done = program("agent", "hook", *args, stdin=b"{}", check=0)
        assert done.stdout == b""


def test_a_session_whose_output_nobody_reads_or_whose_stdin_is_closed(program):
    for redirection in ("<&-", ">&-", "2>&-", "</"):
        command = f"{sys.executable} -P -m maxstage agent hook claude {redirection} 2>/dev/null || true"
        import subprocess

        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, cwd=program.folder, stdin=subprocess.DEVNULL
        )
        assert (done.returncode, done.stdout) == (0, b"")


def test_it_imports_little_and_ends_soon(program, home):
    allow(home)
    code = (
        "import sys; from maxstage.cli import fast_path; code = fast_path.run(['agent', 'hook', 'claude']); "
        "heavy = {'re', 'click', 'json', 'tempfile', 'subprocess', 'maxstage.store.store'} & set(sys.modules); "
        "print(heavy, file=sys.stderr); sys.exit(code)"
    )
    import subprocess

    bin_ = program.folder / "bin"
    bin_.mkdir()
    (bin_ / "max").write_text("")
    (bin_ / "max").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        input=json.dumps(claude("PreToolUse", "make test")).encode(),
        env={"HOME": str(home), "PATH": str(bin_)},
        capture_output=True,
    )
    assert done.stderr == b"set()\n"
    assert b"updatedInput" in done.stdout


def test_how_long_it_takes(hook, home, program):
    """Processor time, which others on this machine don't lengthen much."""
    allow(home)
    event = claude("PreToolUse", "make test")
    taken = []
    for _ in range(10):
        before = os.times()
        hook("claude", event)
        after = os.times()
        taken.append(
            after.children_user + after.children_system - before.children_user - before.children_system
        )
        time.sleep(0)
    assert min(taken) <= 0.05

"""``max exec`` for agents: its profile, lines of bash, what has changed, and colours that a cut leaves open."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from helpers import FOREVER, PATIENCE, Gate, longer_and_longer
from maxstage.output.view import leaves_open

LAST = re.compile(r"\[(.*) · \d+\.\d s(?: · (.*))?\]\n")
SEQ = b"".join(b"%d\n" % number for number in range(1, 100_001))


def ending(done) -> tuple[str, str | None]:
    """Return what the last line says: how it ended, and where the whole is."""
    line = done.stdout.decode().splitlines(keepends=True)[-1]
    return LAST.fullmatch(line).groups()


def test_an_agent_reads_plain_text_in_16_kib_and_how_it_ended(program):
    script = "seq 100000; printf '\\033[31merror: \\033[0mbroken\\r\\n' >&2; printf '10%%\\r100%%'; exit 3"
    done = program("exec", "--agent", "--", "sh", "-c", script, check=3)
    how, whole = ending(done)
    assert how == "exit 3"
    assert len(done.stdout) <= 16 * 1024
    assert done.stderr == b""
    assert b"error: broken\n" in done.stdout
    assert b"\x1b" not in done.stdout
    assert b"\n100%\n[exit 3" in done.stdout
    token = whole.removeprefix("whole output: max retrieve ")
    # What is kept is as it came.
    kept = program("retrieve", token).stdout
    assert kept == SEQ + b"\x1b[31merror: \x1b[0mbroken\r\n10%\r100%"


def test_the_last_line_says_how_it_ended(program):
    assert ending(program("exec", "--agent", "true")) == ("exit 0", None)
    assert program("exec", "--agent", "true").stdout.startswith(b"[exit 0")
    kill = program("exec", "--agent", "--", "sh", "-c", "kill -9 $$", check=137)
    assert ending(kill)[0] == "exit 137, SIGKILL"
    # Not every signal has a name.
    kill = program("exec", "--agent", "--", "sh", "-c", "echo x; kill -40 $$", check=168)
    assert (kill.stdout.startswith(b"x\n"), ending(kill)[0]) == (True, "exit 168, signal 40")
    script = f"echo x; touch begun; sleep {FOREVER}"
    for timeout in longer_and_longer():
        late = program("exec", "--agent", "--timeout", str(timeout), "--", "sh", "-c", script, check=124)
        if (program.folder / "begun").exists():
            break
    assert ending(late)[0] == "exit 124, timed out"
    assert late.stderr == b""
    gate = Gate(program.folder)
    child = program.start("exec", "--agent", "--", "sh", "-c", f"echo x; {gate.wait}")
    gate.reached()
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=PATIENCE)
    assert out.startswith(b"x\n[exit 143, interrupted")


def test_options_win_over_the_profile(program):
    big = ("--max-stdout-bytes", "2KiB", "--strategy", "tail")
    done = program("exec", "--agent", *big, "--", "seq", "100000")
    assert len(done.stdout) <= 2048
    assert b"\n99999\n100000\n[exit 0" in done.stdout
    done = program("exec", "--agent", "-o", "json", "--", "sh", "-c", "printf '\\033[1mx'; echo err >&2")
    assert json.loads(done.stdout)["content"] == "xerr\n"
    assert program("exec", "--agent", "--max-lines", "2", "--", "seq", "9").stdout.startswith(b"--- [")


@pytest.mark.parametrize("by", ["setting", "environment"])
def test_the_profile_by_the_settings(program, by):
    config = program.folder / ".max" / "config.toml"
    env = dict(os.environ)
    if by == "setting":
        config.write_text('[exec]\nprofile = "agent"\n[limits]\nmax_stdout_bytes = "1MiB"\n')
    else:
        env["MAX_EXEC_PROFILE"] = "agent"
    for options in ([], ["--combine"]):  # the quick way, and the long one
        done = program("exec", *options, "--", "seq", "100000", env=env)
        assert len(done.stdout) <= 16 * 1024
        assert ending(done)[0] == "exit 0"
    assert program("exec", "--no-agent", "echo", "x", env=env).stdout == b"x\n"
    if by == "setting":
        config.write_text('[exec]\nprofile = "robot"\n')
        assert "config.toml:2: exec.profile must be one of: default, agent, not 'robot'" in program.fails(
            "exec", "true"
        )
        config.write_text('[exec]\nprofil = "agent"\n')
        assert "config.toml:2: unknown setting 'exec.profil'" in program.fails("exec", "true")
        config.write_text("exec = 3\n")
        assert "exec must be a table" in program.fails("exec", "true")
    else:
        env["MAX_EXEC_PROFILE"] = "robot"
        assert "MAX_EXEC_PROFILE='robot' must be one of" in program.fails("exec", "true", env=env)


def test_the_last_line_says_that_nothing_is_kept(program, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("MAX_USER_STORE", "0")
    program.folder = tmp_path_factory.mktemp("none")
    done = program("exec", "--agent", "--", "seq", "100000")
    assert ending(done)[1].startswith("nothing is kept whole: not in a Max project")
    assert done.stderr == b""
    assert ending(program("exec", "--agent", "--", "seq", "9"))[1] is None


# A line of bash


def test_a_line_of_bash_fails_if_any_part_does(program):
    assert program("exec", "--shell", "echo x | cat").stdout == b"x\n"
    assert program("exec", "--shell", "(exit 7) | cat", check=7).stdout == b""
    assert ending(program("exec", "--agent", "--shell", "false | true", check=1))[0] == "exit 1"
    for args in (["--shell", "true", "--", "echo"], ["--shell", " "], []):
        assert program("exec", *args, check=2).stderr.count(b"\n") == 1


def test_without_bash_a_line_is_an_error(program, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which("sh"))
    done = program("exec", "--shell", "true", env=os.environ | {"PATH": str(folder)}, check=127)
    assert done.stderr == b"No such file or directory: bash; --shell needs it\n"


# What has changed


def test_what_has_changed_since_the_last_run(program):
    text = program.folder / "text"
    command = ("exec", "--diff", "--", "cat", "text")
    text.write_text("a: FAILED in 1.2s\nb: FAILED\nsame\n2 failed in 3 s\n")
    first = program(*command)
    assert first.stdout == text.read_bytes()
    assert b"this is the first run of this command here" in first.stderr
    text.write_text("same\na: FAILED in 7.5s\n\x1b[31merror: new\x1b[0m\n1 failed in 1 s\n")
    shown = program.text(*command).splitlines()
    assert re.fullmatch(r"changed since the run \d+ s ago \(max:[0-9a-f]{8}\):", shown[0])
    assert shown[1:] == [
        "gone (2):",
        "- b: FAILED",
        "- 2 failed in 3 s",
        "new (2):",
        "+ error: new",
        "+ 1 failed in 1 s",
        "last line: 1 failed in 1 s",
    ]
    done = program(*command)
    assert done.stdout.startswith(b"nothing has changed since the run ")
    assert done.stderr == b""
    # Another command, and another folder, have other last runs.
    assert b"first run" in program("exec", "--diff", "--", "cat", "./text").stderr
    (program.folder / "in").mkdir()
    (program.folder / "in" / "text").write_text("x\n")
    program.folder /= "in"
    assert b"first run" in program(*command).stderr


def test_what_prints_nothing_is_compared_as_well(program):
    text = program.folder / "text"
    command = ("exec", "--diff", "--", "cat", "text")
    text.write_text("")
    assert b"this is the first run of this command here" in program(*command).stderr
    assert program.text(*command).startswith("nothing has changed since the run ")
    text.write_text("an error\n")
    assert program.text(*command).splitlines()[1:3] == ["new (1):", "+ an error"]
    text.write_text("")
    done = program(*command)
    assert done.stdout.decode().splitlines()[1:] == ["gone (1):", "- an error"]
    assert done.stderr == b""
    assert program.text(*command).startswith("nothing has changed since the run ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_interrupted_is_not_compared_with(program, number):
    gate = Gate(program.folder)
    script = f"echo one; test -e whole || {{ {gate.wait}; }}; echo two"
    command = ("exec", "--diff", "--", "bash", "-c", script)
    (program.folder / "whole").touch()
    program(*command)
    (program.folder / "whole").unlink()
    child = program.start(*command)
    gate.reached()
    child.send_signal(number)
    child.communicate(timeout=PATIENCE)
    assert child.returncode == 128 + number
    (program.folder / "whole").touch()
    assert program.text(*command).startswith("nothing has changed since the run ")


def test_long_lines_are_compared_to_their_end(program):
    text = program.folder / "text"
    command = ("exec", "--diff", "--", "cat", "text")
    long = "é" * 3000
    text.write_text(f"{long}a\n{long}b\n")
    program(*command)
    assert program.text(*command).startswith("nothing has changed since the run ")
    # At another place, and so in other parts than before.
    text.write_text(f"0\n{long}c\n{long}a")
    shown = program.text(*command).splitlines()
    assert shown[1:4] == ["gone (1):", f"- {'é' * 250}…", "new (2):"]
    assert shown[4:6] == ["+ 0", f"+ {'é' * 250}…"]


def test_changes_need_a_folder(program):
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    command = [*program.command, "exec", "--diff", "--dir", str(program.folder), "--", "true"]
    done = subprocess.run(["sh", "-c", script, "sh", *command], cwd=program.folder, capture_output=True)
    assert done.stderr == b"The folder where you are was deleted; --diff needs one: change to another\n"
    assert done.returncode == 1


def test_a_warning_names_the_limit_that_was_given(program):
    done = program("exec", "--agent", "--max-stdout-bytes", "100", "--", "true")
    assert done.stderr.startswith(b"max_stdout_bytes is 100 bytes: ")


def test_changes_as_json_and_for_an_agent(program):
    script = 'echo "$(cat n)"; exit 3'
    (program.folder / "n").write_text("one error\n")
    command = ("exec", "--diff", "-o", "json", "--", "sh", "-c", script)
    diff = json.loads(program.text(*command, check=3))["diff"]
    assert (diff["since"], diff["added"], diff["gone"]) == (None, [], [])
    (program.folder / "n").write_text("another error\n")
    diff = json.loads(program.text(*command, check=3))["diff"]
    assert (diff["added"], diff["gone"], diff["partial"]) == (["another error"], ["one error"], False)
    assert diff["since"].startswith("20")
    done = program("exec", "--agent", "--diff", "--", "sh", "-c", script, check=3)
    assert done.stdout.startswith(b"nothing has changed since the run ")
    assert ending(done)[0] == "exit 3"


def test_what_has_expired_is_told(program):
    command = ("exec", "--diff", "--", "echo", "x")
    token = json.loads(program.text("exec", "--diff", "-o", "json", "--", "echo", "x"))["ref"]
    meta = next(program.staging.glob(f"{token[4:]}.meta.json"))
    meta.write_text(re.sub(r'"expiresAt": ?"[^"]*"', '"expiresAt": "2020-01-01T00:00:00Z"', meta.read_text()))
    done = program(*command)
    assert done.stdout == b"x\n"
    assert b"printed has expired: the next one is compared with this one" in done.stderr


def test_many_changes_are_bounded(program):
    command = ("exec", "--diff", "--max-stdout-bytes", "4KiB", "--", "cat", "text")
    (program.folder / "text").write_bytes(SEQ)
    program(*command)
    (program.folder / "text").write_bytes(SEQ.replace(b"\n", b" x\n") + b"error: it\n")
    done = program(*command)
    assert len(done.stdout) <= 4096
    assert b"+ error: it" in done.stdout or b"last line: error: it" in done.stdout
    assert b"too many different lines" in done.stdout


def test_changes_show_no_credentials(program):
    secret = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    (program.folder / "text").write_text(f"one {secret}\n")
    program("exec", "--diff", "--", "cat", "text")
    (program.folder / "text").write_text("two\n")
    done = program("exec", "--diff", "--redact", "--", "cat", "text")
    assert secret.encode() not in done.stdout
    assert b"- one ***" in done.stdout


@pytest.mark.parametrize(
    "options", [["--live"], ["--keep", "never"], ["--external-dir", "elsewhere"]], ids=lambda one: one[0]
)
def test_what_changes_do_not_go_with(program, options):
    assert program("exec", "--diff", *options, "--", "true", check=2).stderr.count(b"\n") == 1


# Colours


RED = [sys.executable, "-c", r"for i in range(2000): print(f'\x1b[{31 + i % 7};1mline {i}')"]


@pytest.mark.parametrize("strategy", ["head", "tail", "both", "head_lines", "tail_lines", "summary"])
def test_colours_that_a_cut_leaves_open_are_closed(program, strategy):
    for limit in (300, 301, 302, 303, 304, 305, 1000):
        options = ("--strategy", strategy, "--max-stdout-bytes", str(limit), "--keep", "never")
        shown = program("exec", *options, "--", *RED).stdout
        assert len(shown) <= limit
        head, marker, tail = shown.partition(b"--- [")
        assert marker
        assert not leaves_open(head)
        assert not leaves_open(tail)
    # As data nothing is added.
    told = json.loads(program.text("exec", "-o", "json", *options, "--", *RED))
    assert "\x1b[0m" not in told["content"]


def test_what_is_not_cut_is_shown_as_it_came(program):
    assert program("exec", "--", "printf", "\\033[31mred").stdout == b"\x1b[31mred"


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        (b"", False),
        (b"\x1b[m", False),
        (b"\x1b[1m\x1b[22m", False),
        (b"\x1b[1m\x1b[39m", True),
        (b"\x1b[38;5;0m", True),
        (b"\x1b[38;2;0;0;0m\x1b[39m", False),
        (b"\x1b[38:2::1:2:3m", True),
        (b"\x1b[4:3m\x1b[4:0m", False),
        (b"\x1b[48;5;1m\x1b[49m", False),
        (b"\x1b[0;7m", True),
        (b"\x1b]8;;http://x", True),
        (b"\x1b[31", True),
        (b"\x1b[31m" + b"x" * 100_000, True),
        (b"\x1b[31m\x1b[0m" + b"x" * 100, False),
        (b"\x1b[999999999999999999999m", False),
        (b"\x1b[1m" * 100_000 + b"\x1b[0m", False),
    ],
)
def test_what_leaves_a_colour_open(text, is_open):
    assert leaves_open(text) == is_open


def test_a_program_without_a_terminal_of_its_own(program):
    # It has no controlling terminal: what asks for a password there fails instead of waiting.
    script = "( : < /dev/tty ) 2> /dev/null && echo has one || echo has none"
    assert program("exec", "--", "sh", "-c", script).stdout == b"has none\n"
    done = subprocess.run([*program.command, "exec", "cat"], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stdout == b""


def test_the_last_line_is_there_for_a_program_that_is_not(program):
    done = program("exec", "--agent", "--", "no-such-program", check=127)
    assert done.stdout == b"[exit 127 \xc2\xb7 0.0 s]\n"
    assert done.stderr == b"No such file or directory: no-such-program\n"

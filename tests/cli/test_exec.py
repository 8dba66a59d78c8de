"""``max exec`` and ``max truncate`` through the real program."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from helpers import FOREVER, PATIENCE, Gate, longer_and_longer, wait_until, wait_until_group_gone

EUROS = "\u20ac" * 7
SEQ = b"".join(b"%d\n" % number for number in range(1, 100_001))


def test_output_is_bounded_and_whole_under_its_token(program):
    done = program("exec", "--max-stdout-bytes", "2KB", "--strategy", "both", "--", "seq", "100000")
    assert len(done.stdout) <= 2000
    assert done.stdout.startswith(b"1\n2\n")
    assert done.stdout.endswith(b"\n100000\n")
    token = done.stdout.split(b"max retrieve ")[1].split(b"]")[0].decode()
    assert program("retrieve", token).stdout == SEQ
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_exit_codes(program, script, code):
    program("exec", "--", "sh", "-c", script, check=code)


def test_programs_that_cannot_be_run(program):
    done = program("exec", "--", "no-such-program", check=127)
    assert done.stderr == b"No such file or directory: no-such-program\n"
    (program.folder / "plain").write_text("")
    assert program("exec", "--", "./plain", check=126).stderr == b"Permission denied: ./plain\n"
    program("exec", check=2)


def test_streams_stay_apart(program):
    done = program("exec", "--", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert program("exec", "--combine", "--", "sh", "-c", "echo out; echo err >&2").stdout == b"out\nerr\n"


def test_json(program):
    text = program.text(
        "exec", "-o", "json", "--max-stdout-bytes", "1500", "--", "sh", "-c", "seq 100000; exit 4", check=4
    )
    output = json.loads(text)
    assert (output["exit_code"], output["original_size"], output["truncated"]) == (4, len(SEQ), True)
    assert program("retrieve", output["token"]).stdout == SEQ
    assert output["stderr"]["output_type"] == "stderr"


def test_a_timeout(program):
    script = f"echo x; touch begun; sleep {FOREVER}"
    for timeout in longer_and_longer():
        done = program("exec", "--timeout", str(timeout), "--", "sh", "-c", script, check=124)
        assert b"timed out" in done.stderr
        if (program.folder / "begun").exists():
            break
    assert done.stdout == b"x\n"


def test_options_pass_to_the_command(program):
    assert program("exec", "echo", "--live", "-o", "x").stdout == b"--live -o x\n"


def test_stdin(program):
    assert program("exec", "--", "cat", stdin=b"through\n").stdout == b"through\n"
    token = program.stage(SEQ, "--compress")
    assert program("exec", "--stdin", token, "--", "wc", "-l").stdout.strip() == b"100000"


def test_live(program):
    gate = Gate(program.folder)
    script = f"echo first; {gate.wait}; seq 5000"
    child = program.start("exec", "--live", "--max-stdout-bytes", "4000", "--", "sh", "-c", script)
    # It is shown while the command still waits.
    assert child.stdout.readline() == b"first\n"
    gate.open()
    rest = child.stdout.read()
    assert len(rest) <= 4000
    assert rest.endswith(b"\n5000\n")
    assert b"truncated; whole output: max retrieve" in rest
    assert child.wait(PATIENCE) == 0


@pytest.mark.parametrize("limit", ["20", "300", "1000", "2500", "64KiB"])
@pytest.mark.parametrize("combined", ["600", "2MiB"])
@pytest.mark.parametrize("combine", [(), ("--combine",)])
def test_what_is_shown_live_is_never_shown_twice_or_torn(program, limit, combined, combine):
    # Characters of three bytes, each line numbered: a cut in the wrong place shows.
    script = "for i in range(20000): print(i, '\u20ac' * 7)"
    limits = ("--max-stdout-bytes", limit, "--max-combined-bytes", combined, "--max-stderr-bytes", "500")
    done = program("exec", "--live", *combine, *limits, "--", sys.executable, "-c", script)
    assert len(done.stdout) <= min(
        int(limit.replace("KiB", "")) * (1024 if "K" in limit else 1), 2 * 1024 * 1024
    )
    text = done.stdout.decode()  # no character is cut
    head, marker, tail = text.partition("--- [")
    if marker:
        tail = tail.partition("] ---\n")[2]
    whole = "".join(f"{number} {EUROS}\n" for number in range(20000))
    assert whole.startswith((head, head[:-1]))  # a newline before the marker is ours
    assert whole.endswith(tail)


@pytest.mark.parametrize("strategy", ["head", "tail", "both", "head_lines", "tail_lines", "summary"])
@pytest.mark.parametrize("given", ["option", "settings"])
def test_live_keeps_the_strategy_that_was_asked_for(program, strategy, given):
    options = ("--strategy", strategy)
    if given == "settings":
        config = program.folder / ".max" / "config.toml"
        config.write_text(f'[limits]\ntruncation_strategy = "{strategy}"\n')
        options = ()
    done = program("exec", "--live", *options, "--max-stdout-bytes", "3000", "--", "seq", "100000")
    assert len(done.stdout) <= 3000
    head, _, tail = done.stdout.partition(b"--- [")
    live = (3000 - 512) // 4
    assert head[:live] == SEQ[:live]  # shown live, whatever the strategy keeps
    tail = tail.partition(b"] ---\n")[2]
    if strategy in ("head", "head_lines"):
        assert tail == b""
    else:
        assert SEQ.endswith(tail)
        assert tail
    if strategy == "tail":
        assert len(tail) > 2 * len(head)
    assert program("exec", "--live", *options, "--", "seq", "9").stdout == SEQ[:18]


def test_ctrl_c_at_any_instant_keeps_what_was_printed_without_a_hole(program):
    line = b"some line of text here\n"
    for attempt in range(6):
        begun = {path.name for path in program.staging.glob("*")}
        # Compressed data arrives in steps, plain data as it comes.
        how = "--compress" if attempt % 3 == 0 else "--no-compress"
        child = program.start("exec", "--keep", "always", how, "--", "yes", line.decode().strip())
        wait_until(lambda begun=begun: size_of_new(program.staging, begun))
        # The instants are spread over some rounds of reading and writing.
        time.sleep(attempt * 0.0013)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=PATIENCE)
        assert child.returncode == 130, stderr
    program("stage", "verify")
    items = json.loads(program.text("stage", "list", "-o", "json"))
    assert len(items) == 6
    for item in items:
        data = program("retrieve", item["token"]).stdout
        assert data == (line * (len(data) // len(line) + 1))[: len(data)]


def size_of_new(folder, known):
    """Return how much was written into files that are being made and that were not there before."""
    return sum(path.stat().st_size for path in folder.glob(".*.part") if path.name not in known)


def test_damaged_stdin_ends_the_command_before_it_sees_the_end(program):
    token = program.stage(SEQ * 20)
    data = next(path for path in program.staging.glob(f"{token[4:]}*") if "meta" not in path.name)
    data.write_bytes(data.read_bytes()[:-7] + b"altered")
    done = program("exec", "--stdin", token, "--", "sh", "-c", "cat > seen; echo finished > marker", check=1)
    assert done.stderr.startswith(f"Staged data is damaged: {token}: ".encode())
    assert done.stderr.count(b"\n") == 1
    assert not (program.folder / "marker").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_too(program, number, code):
    gate = Gate(program.folder)
    script = f"echo $$ > pid; seq 2000; sleep {FOREVER} & {gate.wait}; echo never"
    child = program.start("exec", "--keep", "always", "--", "sh", "-c", script)
    gate.reached()
    child.send_signal(number)
    out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == code
    assert b"never" not in out
    assert b"\n2000\n" in out  # what was captured is printed, and kept
    (item,) = [
        item
        for item in json.loads(program.text("stage", "list", "-o", "json"))
        if item["recordCount"] == 2000
    ]
    assert program("retrieve", item["ref"]).stdout.endswith(b"\n2000\n")
    wait_until_group_gone((program.folder / "pid").read_text().strip())
    assert program.leftovers() == []


def test_limits_come_from_the_settings(program):
    config = program.folder / ".max" / "config.toml"
    config.write_text('[limits]\nmax_stdout_bytes = "1500"\ntruncation_strategy = "head"\n')
    assert program("exec", "--", "seq", "100000").stdout.startswith(b"1\n2\n")
    assert program("exec", "--strategy", "tail", "--", "seq", "100000").stdout.endswith(b"\n100000\n")
    config.write_text("[limits]\nmax_stdout_byte = 5\n")
    done = program("exec", "--", "true", check=1)
    assert b"config.toml:2: unknown limit 'max_stdout_byte'; did you mean 'max_stdout_bytes'?" in done.stderr


def test_outside_of_a_project(program, tmp_path_factory):
    program.folder = tmp_path_factory.mktemp("none")
    done = program("exec", "--max-stdout-bytes", "2KB", "--", "seq", "100000")
    assert b"bytes (" in done.stdout
    assert b"whole output" not in done.stdout
    assert b'not in a Max project; run "max init" first' in done.stderr
    assert program("exec", "--keep", "always", "--", "true", check=1).stderr.count(b"\n") == 1


@pytest.mark.parametrize("strategy", ["head", "tail", "both", "head_lines", "tail_lines", "summary"])
def test_truncate(program, strategy):
    done = program("truncate", "--max-bytes", "2KB", "--strategy", strategy, stdin=SEQ)
    assert len(done.stdout) <= 2000
    token = done.stdout.split(b"max retrieve ")[1].split(b"]")[0].decode()
    assert program("retrieve", token).stdout == SEQ
    (program.folder / "log").write_bytes(SEQ)
    again = program("truncate", "--max-bytes", "2KB", "--strategy", strategy, "--keep", "never", "log")
    assert b"whole output" not in again.stdout
    assert len(again.stdout) <= 2000


def test_truncate_of_little(program):
    assert program("truncate", stdin=b"short\n").stdout == b"short\n"
    assert program("truncate", stdin=b"").stdout == b""
    assert program.text("stage", "list") == "No staged data.\n"
    assert program("truncate", "nofile", check=1).stderr == b"No such file or directory: nofile\n"


def test_truncate_in_a_pipeline(program):
    script = f'seq 100000 | "{sys.executable}" -m maxstage truncate --max-bytes 1500 | tail -n 1'
    done = subprocess.run(["bash", "-c", script], cwd=program.folder, capture_output=True, env=os.environ)
    assert done.stdout == b"100000\n"


def test_max_lines_implies_a_line_strategy(program):
    script = ["--", "sh", "-c", "seq 100"]
    text = b"".join(b"%d\n" % number for number in range(1, 101))
    for command, stdin in ((["exec"], b""), (["truncate"], text)):
        rest = script if command == ["exec"] else []
        assert program(*command, "--max-lines", "2", *rest, stdin=stdin).stdout.endswith(b"] ---\n99\n100\n")
        config = program.folder / ".max" / "config.toml"
        config.write_text('[limits]\ntruncation_strategy = "head"\n')
        assert program(*command, "--max-lines", "2", *rest, stdin=stdin).stdout.startswith(b"1\n2\n--- [")
        config.write_text("")
        options = ["--max-lines", "2", "--strategy", "summary"]
        refused = program(*command, *options, *rest, stdin=stdin, check=2)
        assert b"--max-lines works with the strategies head_lines and tail_lines" in refused.stderr


@pytest.mark.parametrize("seconds", ["1e300", "9" * 300])
def test_a_timeout_that_never_comes(program, seconds):
    assert program("exec", "--timeout", seconds, "--", "echo", "x").stdout == b"x\n"


@pytest.mark.parametrize("seconds", ["nan", "0", "-1", "inf", "-inf", "1e400", "9" * 5000, "x", ""])
def test_a_timeout_that_is_none(program, seconds):
    line = program("exec", "--timeout", seconds, "--", "true", check=2).stderr
    assert b"is not a number of seconds above 0" in line
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("where", ["/proc/nothing", "/dev/null"])
def test_a_folder_for_full_outputs_that_is_no_good_costs_a_warning(program, where):
    limits = ("--max-stdout-bytes", "1KiB", "--external-dir", where)
    done = program("exec", *limits, "--", "seq", "10000")
    assert done.stdout.endswith(b"\n10000\n")
    assert b"the full output was not kept: " in done.stderr
    done = program("truncate", "--max-bytes", "1KiB", "--external-dir", where, stdin=SEQ * 20)
    assert len(done.stdout) <= 1024
    assert b"the full output was not kept: " in done.stderr


def test_a_cut_without_room_for_a_marker_is_told(program):
    done = program("truncate", "--max-bytes", "40", stdin=SEQ * 20)
    assert b"truncated" not in done.stdout
    assert done.stderr.count(b"\n") == 1
    assert b"were cut, and the limit has no room for a marker; full output: max retrieve max:" in done.stderr
    done = program("exec", "--max-stdout-bytes", "5", "--", "seq", "100000")
    assert b"seq (stdout): " in done.stderr

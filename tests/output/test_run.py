"""Running commands from Python: ends, signals, bounds, whole outputs."""

import concurrent.futures
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import maxstage
from helpers import (
    FOREVER,
    PATIENCE,
    Gate,
    beside,
    end,
    is_running,
    longer_and_longer,
    wait_until_gone,
    wait_until_group_gone,
)
from maxstage import TaskOutput, run

SMALL = {"max_stdout_bytes": 2000, "max_stderr_bytes": 1000}


def sh(script: str, **options) -> TaskOutput:
    return run(["sh", "-c", script], **options)


def test_short_output_is_whole(store):
    done = sh("echo out; echo err >&2; exit 3", store=store)
    assert (done.content, done.stderr.content, done.exit_code, done.signal) == (b"out\n", b"err\n", 3, None)
    assert not done.truncated
    assert not done.ok
    assert (done.token, done.external_path, done.warnings) == (None, None, ())
    assert done.task_id == "sh"
    assert done.output_type == "stdout"
    assert done.stderr.output_type == "stderr"
    assert store.list() == []


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("strategy", ["head", "tail", "both", "head_lines", "tail_lines", "summary"])
def test_long_output_is_cut_and_kept(store, strategy, compress):
    limits = SMALL | {"truncation_strategy": strategy, "compress_external": compress}
    done = sh("seq 100000; seq 50000 >&2; exit 5", store=store, limits=limits)
    whole = b"".join(b"%d\n" % number for number in range(1, 100_001))
    assert done.exit_code == 5  # a failing command's output is kept like any other's
    assert (done.original_size, done.truncated, done.truncation_strategy) == (len(whole), True, strategy)
    assert len(done.content) <= 2000
    assert len(done.stderr.content) <= 1000
    assert f"; whole output: max retrieve {done.token}] ---".encode() in done.content
    with store.open(done.token) as file:
        assert file.read() == whole
    assert store.info(done.stderr.token).byte_size == done.stderr.original_size
    raw = Path(done.external_path).read_bytes()
    assert (gzip.decompress(raw) if compress else raw) == whole
    assert store.info(done.token).source == "exec/sh"
    assert done.store == done.stderr.store == store.layout.project


@pytest.mark.parametrize("folder", ["/", "/a", "/a/.max/b"])
def test_an_output_that_was_noted_before_stores_were_named(folder):
    file = f"{folder.rstrip('/')}/.max/staging/a1b2c3d4.txt"
    noted = TaskOutput(
        "t", "stdout", b"", 1, external_path=file, token="max:a1b2c3d4", store=folder
    ).to_dict()
    assert noted["store"] == folder
    del noted["store"]
    assert TaskOutput.from_dict(noted).store == folder


def test_a_folder_that_is_named_must_be_a_project(monkeypatch, tmp_path):
    monkeypatch.setenv("MAX_DIR", "/nope")
    for keep in ("truncated", "always"):
        with pytest.raises(maxstage.NoProject, match=r"^MAX_DIR=/nope does not exist; "):
            sh("echo x", keep=keep)
    assert sh("echo x", keep="never").content == b"x\n"
    # It is not asked for where the outputs go elsewhere.
    done = sh("seq 10000", limits=SMALL | {"external_storage_dir": str(tmp_path)})
    assert done.store == str(tmp_path)


def test_when_the_whole_is_kept(store):
    assert sh("echo x", store=store, keep="always").token
    assert sh("seq 10000", store=store, limits=SMALL, keep="never").token is None
    assert sh("seq 10000", store=store, limits=SMALL | {"external_storage_threshold": None}).token is None
    over = sh("seq 2000", store=store, limits={"external_storage_threshold": 1000})
    assert over.token
    assert not over.truncated
    owned = sh("seq 10000", store=store, limits=SMALL, owner="run-1")
    assert store.info(owned.token).pinned
    assert store.info(owned.token).owner == "run-1"


def test_elsewhere(store, tmp_path):
    done = sh("seq 10000", store=store, limits=SMALL | {"external_storage_dir": str(tmp_path / "else where")})
    assert store.list() == []
    command = done.content.decode().split("whole output: ")[1].split("] ---")[0]
    assert command == f"max retrieve --dir '{tmp_path}/else where' {done.token}"
    script = command.replace("max ", f'"{sys.executable}" -m maxstage ', 1)
    assert subprocess.run(["sh", "-c", script], capture_output=True).stdout.endswith(b"\n10000\n")


def test_without_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = sh("seq 10000", limits=SMALL)
    assert done.truncated
    assert done.token is None
    assert "not in a Max project" in done.warnings[0]
    with pytest.raises(maxstage.Error, match="max init"):
        sh("echo x", keep="always")


def test_both_streams_share_a_limit(store):
    limits = {"max_stdout_bytes": 2000, "max_stderr_bytes": 1500, "max_combined_bytes": 2200}
    done = sh("seq 1 390; seq 1 360 >&2", store=store, limits=limits)
    assert not done.stderr.truncated  # stderr is cut last
    assert done.truncated
    assert len(done.content) + len(done.stderr.content) <= 2200
    assert store.info(done.token).byte_size == done.original_size


def test_combined(store):
    done = sh("echo 1; echo 2 >&2; echo 3", store=store, combine=True)
    assert (done.content, done.output_type, done.stderr) == (b"1\n2\n3\n", "combined", None)


def test_signals(store):
    done = sh("echo x; kill -TERM $$", store=store)
    assert (done.exit_code, done.signal, done.content) == (143, signal.SIGTERM, b"x\n")


def test_programs_that_cannot_be_started(store, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        run(["no-such-program"], store=store)
    assert error.value.filename == "no-such-program"
    (tmp_path / "plain").write_text("")
    with pytest.raises(PermissionError):
        run([tmp_path / "plain"], store=store)
    assert store.list() == []


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM; "])
def test_a_timeout_ends_everything(store, tmp_path, stubborn):
    pids = tmp_path / "pids"
    script = f"{stubborn}seq 5000; sleep {FOREVER} & echo $$ $! > {pids}; sleep {FOREVER}; sleep {FOREVER}"
    for timeout in longer_and_longer():
        done = sh(script, store=store, limits=SMALL, timeout=timeout)
        assert done.timed_out
        assert not done.ok
        if pids.exists():
            break
    assert done.original_size == 23893
    with store.open(done.token) as file:
        assert file.read().endswith(b"\n5000\n")
    shell, child = pids.read_text().split()
    wait_until_gone(child)
    wait_until_group_gone(shell)


def test_a_chatty_command_does_not_outlive_its_time(store):
    for timeout in longer_and_longer(0.2):
        done = run(["yes"], store=store, limits=SMALL, timeout=timeout, keep="never")
        assert done.timed_out
        if done.original_size > 1000:
            break


def test_a_grandchild_that_holds_the_pipe(store, tmp_path):
    done = sh(f"sleep {FOREVER} & echo $! > {tmp_path}/pid; echo done", store=store)
    pid = (tmp_path / "pid").read_text()
    # It was not waited for.
    assert is_running(int(pid))
    end(pid)
    assert (done.content, done.exit_code) == (b"done\n", 0)
    assert "still holds its output" in done.warnings[0]


def test_output_that_is_closed_early(store, tmp_path):
    started = time.monotonic()
    done = sh("echo x; exec >&- 2>&-; sleep 0.2; exit 4", store=store)
    assert (done.content, done.exit_code) == (b"x\n", 4)
    assert time.monotonic() - started >= 0.2
    assert sh(f"exec >&- 2>&-; sleep {FOREVER}", store=store, timeout=0.3).timed_out


def test_cancelling(store, tmp_path):
    cancel = threading.Event()
    gate = Gate(tmp_path)

    def cancel_there():
        gate.reached()
        cancel.set()

    with beside(cancel_there):
        done = sh(f"echo x; echo $$ > {tmp_path}/pid; {gate.wait}", store=store, cancel=cancel)
    assert done.content == b"x\n"
    assert "cancelled" in done.warnings
    wait_until_group_gone((tmp_path / "pid").read_text().strip())


def test_stdin(store, tmp_path):
    data = b"".join(b"%d\n" % number for number in range(200_000))
    (tmp_path / "data").write_bytes(data)
    token = store.stage(data, compress=True).token
    with (tmp_path / "data").open("rb") as file:
        for stdin in (data, tmp_path / "data", token, token.upper(), file):
            assert run(["wc", "-c"], stdin=stdin, store=store).content.split()[0] == b"%d" % len(data)
    assert run(["cat"], store=store).content == b""
    # A command that reads less than it is given, or nothing, is no error.
    assert run(["head", "-c", "5"], stdin=data, store=store).content == b"0\n1\n2"
    assert run(["true"], stdin=token, store=store).ok
    with pytest.raises(maxstage.NotFound):
        run(["cat"], stdin="max:deadbeef", store=store)


def test_no_deadlock_when_both_sides_are_long(store):
    data = b"x" * 3_000_000
    done = run(["tee", "/dev/stderr"], stdin=data, store=store, limits={"external_storage_threshold": None})
    assert (done.original_size, done.stderr.original_size) == (3_000_000, 3_000_000)


@pytest.mark.parametrize(
    "script", ["true", "seq 5000", "head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2"]
)
def test_a_machine_that_is_too_busy_to_read_in_time_loses_nothing(store, monkeypatch, script):
    expected = subprocess.run(["sh", "-c", script], capture_output=True)
    # All of the time is gone when the end of the command is seen.
    monkeypatch.setattr("maxstage.output.running.DRAIN", 0)
    done = sh(script, store=store)
    assert (done.content, done.stderr.content) == (expected.stdout, expected.stderr)
    assert done.warnings == ()
    # What never ends is not read for ever; it ends when nobody reads it any more.
    held = sh("yes & exit 0", store=store, limits=SMALL)
    assert "still holds its output" in held.warnings[0]


def test_bytes_that_are_not_text_pass_unharmed(store):
    done = sh("printf 'a\\377\\000b\\n'", store=store)
    assert done.content == b"a\xff\x00b\n"
    assert done.text == "a\N{REPLACEMENT CHARACTER}\x00b\n"
    again = TaskOutput.from_dict(json.loads(json.dumps(done.to_dict())))
    assert again == done


def test_a_copy_that_cannot_be_written_costs_a_warning(store):
    script = """
import resource, sys
from maxstage import Store, run
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = Store.open(sys.argv[1])
done = run(["head", "-c", "3000000", "/dev/urandom"], store=store, limits={"max_stdout_bytes": 2000})
print(done.original_size, done.truncated, done.token, done.warnings)
"""
    folder = Path(store.storage.layout.root).parent.parent
    out = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True)
    assert out.stdout.startswith("3000000 True None ("), out
    assert "the full output could not be kept: File too large: " in out.stdout
    assert store.ids() == []
    assert [name for name in os.listdir(store.storage.layout.root) if "part" in name or "claim" in name] == []


def test_a_quota_costs_the_copy_and_not_the_output(store):
    store.settings.max_item_bytes = 50_000
    done = sh("seq 100000", store=store, limits=SMALL)
    assert done.token is None
    assert "max_item_bytes" in done.warnings[0]
    assert done.content.endswith(b"\n100000\n")
    # One that never ends is given up while it streams.
    store.settings.max_store_bytes = 10_000_000
    for timeout in longer_and_longer():
        done = run(["yes"], store=store, limits=SMALL, timeout=timeout)
        if done.original_size > 10_000_000:
            break
        store.unstage(done.token)
    assert done.token is None
    assert store.ids() == []


def test_many_side_by_side(store):
    def one(number: int) -> bool:
        done = sh(f"seq {number} 2000; exit {number % 7}", store=store, limits=SMALL)
        with store.open(done.token) as file:
            return file.read().startswith(b"%d\n" % number) and done.exit_code == number % 7

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(one, range(1, 101)))


@pytest.mark.parametrize("size", [100_000_000, pytest.param(5_000_000_000, marks=pytest.mark.stress)])
def test_memory_does_not_grow_with_the_output(store, size):
    script = """
import resource, sys
from maxstage import Store, run
run(["true"], store=Store.open(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = run(["sh", "-c", f"head -c {sys.argv[2]} /dev/zero >&2"], store=Store.open(sys.argv[1]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(done.stderr.original_size, after - before)
"""
    folder = Path(store.storage.layout.root).parent.parent
    run_it = [sys.executable, "-c", script, folder, str(size)]
    printed, grown = subprocess.run(run_it, capture_output=True, text=True, check=True).stdout.split()
    assert int(printed) == size
    assert int(grown) < 32 * 1024


def test_live_output(store, tmp_path):
    seen = []
    gate = Gate(tmp_path)

    def show(number, data):
        seen.append((number, data))
        if len(seen) == 1:
            gate.open()

    done = sh(f"echo first; {gate.wait}; seq 2000", store=store, limits=SMALL, on_output=show)
    assert seen[0] == (0, b"first\n")
    shown = b"".join(data for _, data in seen)
    assert len(shown) == (2000 - 512) // 4
    assert done.content.startswith(shown)


def test_a_follower_is_shown_all_and_changes_nothing(store, tmp_path):
    seen = [b"", b""]
    gate = Gate(tmp_path)

    def show(number, data):
        if not seen[0]:
            gate.open()
        seen[number] += data

    text = "seq 500000; seq 9 >&2; printf end"
    done = sh(f"echo first; {gate.wait}; {text}", store=store, limits=SMALL, follow=show)
    whole = b"first\n" + b"".join(b"%d\n" % number for number in range(1, 500_001)) + b"end"
    assert seen == [whole, b"".join(b"%d\n" % number for number in range(1, 10))]
    without = sh(f"echo first; {text}", store=store, limits=SMALL)
    assert done.content.replace(done.token.encode(), without.token.encode()) == without.content
    assert done.truncation_strategy == "tail"
    with pytest.raises(ValueError, match="only one of"):
        sh("true", store=store, follow=show, on_output=show)


def test_what_is_interrupted_is_kept(tmp_path):
    gate = Gate(tmp_path)
    command = f"seq 3000; echo $$ > {tmp_path}/pid; {gate.wait}"
    script = "import sys, maxstage; maxstage.run(['sh', '-c', sys.argv[1]], keep='never')"
    run_it = [sys.executable, "-c", script, command]
    child = subprocess.Popen(run_it, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    gate.reached()
    child.send_signal(signal.SIGINT)
    _, error = child.communicate(timeout=PATIENCE)
    assert b"Interrupted" in error
    wait_until_group_gone((tmp_path / "pid").read_text().strip())


def test_combined_output_is_within_the_limit_of_stdout(store):
    done = sh("seq 1000; seq 1000 >&2", store=store, limits=SMALL, combine=True)
    assert (done.output_type, done.truncated) == ("combined", True)
    assert len(done.content) <= SMALL["max_stdout_bytes"]


def test_capturing_a_process_of_somebody_else(store):
    process = subprocess.Popen(["sh", "-c", "seq 5000; echo err >&2; exit 3"], stdout=-1, stderr=-1)
    done = maxstage.capture(process, limits=SMALL, store=store, task_id="mine", owner="me")
    assert (done.task_id, done.exit_code, done.stderr.content) == ("mine", 3, b"err\n")
    assert len(done.content) <= 2000
    assert store.open(done.token).read().count(b"\n") == 5000
    assert store.info(done.token).pinned
    with pytest.raises(ValueError, match="no pipe for its stdout"):
        maxstage.capture(subprocess.Popen(["true"]))


@pytest.mark.parametrize("session", [True, False])
def test_capturing_with_a_timeout_ends_the_process(session):
    process = subprocess.Popen(["sleep", str(FOREVER)], stdout=subprocess.PIPE, start_new_session=session)
    done = maxstage.capture(process, timeout=0.2, keep="never")
    assert done.timed_out
    assert process.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("argv", "options", "error", "words"),
    [
        ("echo hi", {}, TypeError, "argv must be a list"),
        (b"echo", {}, TypeError, "argv must be a list"),
        ([], {}, ValueError, "argv must name a program"),
        (["true"], {"timeout": float("nan")}, ValueError, "timeout must be at least 0 seconds, not nan"),
        (
            ["true"],
            {"timeout": float("inf")},
            ValueError,
            "timeout must be at least 0 seconds, not inf; None is no limit",
        ),
        (["true"], {"timeout": -1}, ValueError, "timeout must be at least 0 seconds, not -1"),
        (["true"], {"timeout": "5"}, TypeError, "timeout must be a number of seconds or None, not str"),
    ],
)
def test_arguments_that_are_no_good(argv, options, error, words):
    with pytest.raises(error, match=words):
        run(argv, keep="never", **options)


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), -1])
def test_a_time_out_of_capture_that_is_no_time(timeout):
    process = subprocess.Popen(["echo", "hi"], stdout=subprocess.PIPE, start_new_session=True)
    with process, pytest.raises(ValueError, match="timeout must be at least 0 seconds"):
        maxstage.capture(process, timeout=timeout, keep="never")

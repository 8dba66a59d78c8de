"""What every executor must do. A new one is a line in `EXECUTORS` of the package, and so is tested here."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from elsewhere import ElsewhereExecutor

from helpers import FOREVER, end, is_running, longer_and_longer, wait_for, wait_until_gone
from maxstage import Limits, Store
from maxstage.workflow import execution
from maxstage.workflow.execution.job import Job, StagedInput
from maxstage.workflow.execution.local import LocalExecutor
from maxstage.workflow.workflow import Workflow

SMALL = Limits(max_stdout_bytes=2048, max_stderr_bytes=1024).to_dict()

ATTEMPTS = itertools.count(1)
"""No two jobs have the same name, or the second would have the result of the first where it was kept."""


def outputs_in(store):
    """Return what a store has, except for what was sent to a worker, and back."""
    return [item for item in store.list() if item.source not in {"run/call", "run/answer"}]


@pytest.fixture(params=["local", "elsewhere", pytest.param("temporal", marks=pytest.mark.remote)])
def executor(request, store):
    """Each executor that there is, and one that sends jobs as JSON."""
    if request.param == "elsewhere":
        yield ElsewhereExecutor(store)
    elif request.param == "local":
        yield execution.executor_on(None, store)
    else:
        on = request.getfixturevalue("engine").on
        with request.getfixturevalue("worker_forks").worker(store.layout.project, on):
            made = execution.executor_on(on, store)
            yield made
            made.close()


@pytest.fixture
def run(executor, tmp_path):
    """Run a script of bash's with an executor."""

    def run(text, *, cancel=None, argv=None, **job):
        command = ("bash", "-c", text) if argv is None else tuple(argv)
        values = {"limits": SMALL, "attempt": next(ATTEMPTS), **job}
        made = Job("run-1", "a.task", command, str(tmp_path), **values)
        return executor.run(made, cancel or threading.Event())

    return run


def test_what_succeeds(run, tmp_path):
    done = run("echo out; echo err >&2; pwd >&2")
    assert done.error is None
    output = done.output
    assert (output.content, output.exit_code, output.task_id) == (b"out\n", 0, "a.task")
    assert output.stderr.content == f"err\n{tmp_path}\n".encode()
    assert (output.truncated, output.token, output.timed_out, output.signal) == (False, None, False, None)


@pytest.mark.parametrize("code", [1, 3, 127, 255])
def test_exit_codes(run, code):
    done = run(f"echo so far; echo why >&2; exit {code}")
    assert done.error == f"exit status {code}: why"
    assert (done.output.exit_code, done.output.content) == (code, b"so far\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_signals(run, name):
    number = signal.Signals[name]
    done = run(f"echo so far; ulimit -c 0; kill -{number} $$")
    assert done.error == f"ended by {name}"
    assert (done.output.exit_code, done.output.signal) == (128 + number, number)
    assert done.output.content == b"so far\n"


def test_a_timeout_ends_the_whole_group_and_keeps_what_there_was(run, tmp_path):
    pids = tmp_path / "pids"
    for seconds in longer_and_longer():
        done = run(f"echo so far; sleep {FOREVER} & echo $! $$ >> pids; wait", timeout_secs=seconds)
        assert done.output.timed_out
        assert done.error.startswith("timed out after ")
        if pids.exists() and done.output.content:
            break
    assert done.output.content == b"so far\n"
    wait_until_gone(*pids.read_text().split())


def test_cancelling_ends_the_whole_group(run, tmp_path):
    cancel = threading.Event()
    pids = tmp_path / "pids"

    def once_it_runs():
        wait_for(pids)
        cancel.set()

    watcher = threading.Thread(target=once_it_runs)
    watcher.start()
    done = run(f"sleep {FOREVER} & echo $! $$ > pids.new; mv pids.new pids; wait", cancel=cancel)
    watcher.join()
    assert done.error is not None
    wait_until_gone(*pids.read_text().split())


def test_what_is_cancelled_before_it_starts(run, tmp_path):
    cancel = threading.Event()
    cancel.set()
    before = time.monotonic()
    assert run(f"sleep {FOREVER}", cancel=cancel).error is not None
    assert time.monotonic() - before < FOREVER


@pytest.mark.parametrize("data", [b"", b"some\n", bytes(range(256)) * 5000])
def test_stdin_by_bytes(run, data, tmp_path):
    (tmp_path / "wanted").write_bytes(data)
    assert run("cmp - wanted", stdin=data).error is None


def test_no_stdin(run):
    assert run("wc -c").output.content.strip() == b"0"


def test_what_does_not_read_its_stdin(run):
    assert run("exit 0", stdin=b"x" * 1_000_000).error is None


@pytest.mark.parametrize("compress", [False, True])
def test_stdin_by_token(run, store, compress):
    data = b"line\n" * 300_000
    token = store.stage(data, compress=compress).token
    done = run("wc -c", stdin=StagedInput(token, "before"))
    assert (done.error, done.output.content.strip()) == (None, str(len(data)).encode())


def test_stdin_of_another_store(run, tmp_path):
    other = Store.init(tmp_path / "other")
    token = other.stage(b"there\n").token
    done = run("cat", stdin=StagedInput(token, "before", str(tmp_path / "other")))
    assert (done.error, done.output.content) == (None, b"there\n")


def test_stdin_that_is_gone(run, store, tmp_path):
    token = store.stage(b"x").token
    store.unstage(token)
    done = run("touch ran; cat", stdin=StagedInput(token, "before"))
    assert done.output is None
    assert done.error.startswith("the full output of task 'before' is missing (")
    assert not (tmp_path / "ran").exists()


def test_a_large_output_is_kept_in_full(run, store):
    done = run("seq 100000; seq 50000 >&2")
    assert done.error is None
    output = done.output
    assert output.truncated
    assert len(output.content) <= 2048
    assert output.token in output.content.decode()
    whole = subprocess.run(["seq", "100000"], capture_output=True, check=True).stdout
    assert output.original_size == len(whole)
    with store.open(output.token) as file:
        assert file.read() == whole
    assert store.info(output.token).owner == "run-1"
    with store.open(output.stderr.token) as file:
        assert file.read() == whole[: whole.index(b"\n50001\n") + 1]


@pytest.mark.parametrize(("keep", "count"), [("always", 1), ("truncated", 0), ("never", 0)])
def test_when_a_small_output_is_kept(run, store, keep, count):
    done = run("echo small", keep=keep)
    assert done.output.content == b"small\n"
    assert len(outputs_in(store)) == count == (done.output.token is not None)


def test_a_large_output_that_is_not_to_be_kept(run, store):
    done = run("seq 100000", keep="never")
    assert (done.error, done.output.truncated, done.output.token) == (None, True, None)
    assert not outputs_in(store)


def test_what_is_kept_of_one_that_failed(run, store):
    done = run("seq 100000; exit 3")
    assert done.error == "exit status 3"
    assert store.info(done.output.token).byte_size == done.output.original_size


def test_bytes_that_are_no_text(run):
    assert run(r"printf '\xff\xfe\0x'").output.content == b"\xff\xfe\0x"


def test_a_program_that_is_not_there(run):
    done = run("", argv=["no-such-program-xyz"])
    assert (done.output, done.error) == (None, "No such file or directory: no-such-program-xyz")


def test_a_folder_that_is_not_there(executor, tmp_path):
    gone = str(tmp_path / "gone")
    done = executor.run(Job("r", "t", ("true",), gone, limits=SMALL), threading.Event())
    assert done.output is None
    assert gone in done.error


@pytest.mark.parametrize(
    "job", [{"argv": ["echo", "a\0b"]}, {"argv": ["echo"], "env": {"A": "a\0b"}}, {"argv": ["a\0b"]}]
)
def test_a_nul_is_an_error_and_no_crash(run, job):
    done = run("", **job)
    assert done.output is None
    assert done.error


def test_arguments_that_are_too_long_are_told_by_name(run):
    done = run("", argv=["echo", "x" * 3_000_000])
    assert done.output is None
    assert "argument 1 of echo has 3,000,000 bytes" in done.error


def test_arguments_that_are_no_utf_8(run):
    odd = os.fsdecode(b"\xff\xfe")
    assert run("", argv=["printf", "%s", odd]).output.content == b"\xff\xfe"
    assert run('printf %s "$ODD"', env={"ODD": odd}).output.content == b"\xff\xfe"


def test_a_long_script_goes_through_a_file(run):
    script = f": {'x' * 500_000}\necho $#; test -f $0"
    done = run("", argv=["bash"], script=script)
    assert (done.error, done.output.content) == (None, b"0\n")


def test_the_environment(run, monkeypatch):
    monkeypatch.setenv("INHERITED", "yes")
    done = run('echo "$DECLARED"; command -v max > /dev/null && echo max', env={"DECLARED": "a b"})
    assert done.output.content == b"a b\nmax\n"


def test_bad_limits_are_an_error(run):
    done = run("true", limits={"max_stdout_bytes": -1})
    assert done.output is None
    assert "max_stdout_bytes" in done.error


def test_many_at_once(run):
    found = {}

    def one(number):
        found[number] = run(f"cat; echo {number}", stdin=b"x" * 1000).output.content

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: b"x" * 1000 + f"{number}\n".encode() for number in range(6)}


def test_reap_ends_what_a_killed_one_left(executor, tmp_path):
    if executor.goes_on:
        pytest.skip("it knows its programs by other means")
    # What a killed process of ours leaves: programs with MAX_RUN in their environment, of this run and another.
    left = []
    for run_id in ("run-1", "run-12"):
        env = {**os.environ, "MAX_RUN": run_id}
        script = f"trap '' TERM; sleep {FOREVER} & echo $! > {run_id}.new; mv {run_id}.new {run_id}; wait"
        left.append(subprocess.Popen(["bash", "-c", script], cwd=tmp_path, env=env, start_new_session=True))
        wait_for(tmp_path / run_id)
    try:
        executor.reap("run-1")
        child = (tmp_path / "run-1").read_text().strip()
        assert left[0].wait() == -signal.SIGKILL
        wait_until_gone(child)
        assert left[1].poll() is None
        assert is_running((tmp_path / "run-12").read_text().strip())
        executor.reap("run-1")  # nothing is left
    finally:
        for process in left:
            end(process.pid)
            process.wait()
        end((tmp_path / "run-12").read_text().strip())


DRIVER = """
import sys, threading
sys.path[:0] = sys.argv[3:]
from elsewhere import ElsewhereExecutor
from maxstage import Store
from maxstage.workflow import execution
from maxstage.workflow.execution.job import Job
store = Store.open(sys.argv[1])
executor = ElsewhereExecutor(store) if sys.argv[2] == "elsewhere" else execution.executor_on(sys.argv[2], store)
script = "echo $$ > pid.new; mv pid.new pid; exec sleep 600"
executor.run(
    Job("run-9", "t", ("setsid", "bash", "-c", script), sys.argv[1], env={"MAX_RUN": "run-9"}), threading.Event()
)
"""


def test_reap_after_a_kill(executor, tmp_path):
    command = [
        sys.executable,
        "-c",
        DRIVER,
        str(tmp_path),
        "elsewhere" if isinstance(executor, ElsewhereExecutor) else executor.on or execution.LOCAL,
        str(Path(__file__).parent),
    ]
    driver = subprocess.Popen(command)
    wait_for(tmp_path / "pid")
    driver.kill()
    driver.wait()
    executor.reap("run-9")
    wait_until_gone((tmp_path / "pid").read_text().strip())


FLOW = {
    "name": "flow",
    "version": "1",
    "limits": {"max_stdout_bytes": "2KiB"},
    "agents": {"counter": {"command": ["wc", "-c"]}},
    "tasks": {
        "many": {"command": {"executable": "seq", "args": ["100000"]}, "output": "many.txt"},
        "last": {"script": {"content": "tail -n 1"}, "stdin_from": "many"},
        "loop": {
            "loop": {"for_each": {"collection": {"type": "range", "end": 3}, "parallel": True}},
            "script": {"content": "echo {{ item }}-{{ tasks.last.output }}"},
        },
        "asked": {"agent": "counter", "description": "{{ tasks.loop.output }}"},
        "fails": {"script": {"content": "exit 4"}, "on_error": {"retry": 1, "continue": True}},
    },
}


@pytest.mark.parametrize("name", ["local", "elsewhere"])
def test_a_run_goes_through_the_executor(monkeypatch, store, tmp_path, name):
    ran = []

    inner = ElsewhereExecutor if name == "elsewhere" else LocalExecutor

    class Counting(inner):
        def run(self, job, cancel):
            ran.append(job.task)
            assert Job.from_dict(job.to_dict()) == job
            return super().run(job, cancel)

    monkeypatch.setitem(execution.EXECUTORS, execution.LOCAL, lambda store, _: Counting(store))
    result = Workflow.from_dict(FLOW).run(store=store, folder=tmp_path, jobs=2)
    assert result.ok
    assert sorted(ran) == ["asked", "fails", "fails", "last", "loop[0]", "loop[1]", "loop[2]", "many"]
    assert result.tasks["loop"].output.content == b"0-100000\n1-100000\n2-100000\n"
    assert result.tasks["asked"].output.content.strip() == b"27"
    assert (tmp_path / "many.txt").stat().st_size == 588895
    assert result.tasks["fails"].attempts == 2

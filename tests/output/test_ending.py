"""How commands end that don't end by themselves: on a timeout, a signal, or because we were killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import (
    FOREVER,
    PATIENCE,
    Gate,
    is_running,
    lines_of,
    longer_and_longer,
    members,
    wait_for,
    wait_until,
    wait_until_gone,
    wait_until_group_gone,
)
from maxstage import run
from maxstage.output import group, running
from maxstage.output.full_output import FullOutputs
from maxstage.output.guard import keeping

DRIVER = """
import sys, time, maxstage
from maxstage.output import group, guard
group.GRACE = 0.3
{setup}
busy = time.process_time()
try:
    done = maxstage.run(["sh", "-c", sys.argv[1]], keep="never"{options})
except BaseException as error:
    done = error.output
print(done.content, time.process_time() - busy < 0.5, flush=True)
"""


def driver(script: str, options: str = "", setup: str = "", **pipes) -> subprocess.Popen:
    """Start a process that runs a script, with little patience."""
    code = DRIVER.format(options=options and f", {options}", setup=setup)
    pipes = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL, **pipes}
    return subprocess.Popen([sys.executable, "-c", code, script], **pipes)


def guards() -> list[str]:
    """Return the guards that run."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"max-guard" in words and is_running(name):
            found.append(name)
    return found


def note(folder: Path, *numbers: str) -> str:
    """Return the start of a script that notes each signal it gets, goes on, and says when it is ready."""
    traps = "".join(f"trap 'echo {number} >> {folder}/got' {number}; " for number in numbers)
    return f"{traps}echo begun; echo $$ > {folder}/pid.new; mv {folder}/pid.new {folder}/pid; "


LOOP = "while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("number", "got"),
    [
        (signal.SIGINT, ["INT", "TERM"]),
        # What would come without us comes first.
        (signal.SIGTERM, ["TERM"]),
        (signal.SIGHUP, ["HUP", "TERM"]),
    ],
)
def test_a_stubborn_command_is_asked_politely_and_then_killed(tmp_path, number, got):
    setup = (
        "import signal\nfrom maxstage.interrupts import Terminated\n"
        "def end(number, frame): raise Terminated(number)\n"
        "signal.signal(signal.SIGTERM, end); signal.signal(signal.SIGHUP, end)"
    )
    child = driver(note(tmp_path, "INT", "TERM", "HUP") + LOOP, setup=setup)
    wait_for(tmp_path / "pid")
    child.send_signal(number)
    out, _ = child.communicate(timeout=PATIENCE)
    assert out == b"b'begun\\n' True\n"
    assert lines_of(tmp_path / "got") == got
    wait_until_group_gone((tmp_path / "pid").read_text().strip())


def test_a_command_that_obeys_is_asked_once(tmp_path):
    script = f"trap 'echo bye; exit' INT; {note(tmp_path, 'TERM')}{LOOP}"
    child = driver(script)
    wait_for(tmp_path / "pid")
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=PATIENCE)
    assert out == b"b'begun\\nbye\\n' True\n"
    assert lines_of(tmp_path / "got") == []


def test_ctrl_c_twice_ends_it_at_once_and_keeps_what_there_was(tmp_path):
    child = driver(note(tmp_path, "INT", "TERM") + LOOP, setup="group.GRACE = 1000")
    wait_for(tmp_path / "pid")
    child.send_signal(signal.SIGINT)
    wait_until(lambda: lines_of(tmp_path / "got"))
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=PATIENCE)
    assert out == b"b'begun\\n' True\n"
    wait_until_group_gone((tmp_path / "pid").read_text().strip())


@pytest.mark.parametrize("closed", ["", "exec >&- 2>&-; "])
def test_waiting_for_a_stubborn_command_costs_nothing(closed):
    out, _ = driver(f"trap '' TERM INT; echo x; {closed}{LOOP}", "timeout=0.7").communicate(timeout=PATIENCE)
    assert out.endswith(b" True\n"), out


def test_waiting_for_a_command_that_has_closed_its_output_costs_nothing():
    out, _ = driver("echo x; exec >&- 2>&-; sleep 2").communicate(timeout=PATIENCE)
    assert out == b"b'x\\n' True\n"


@pytest.mark.parametrize("holds", ["", " > /dev/null 2>&1"])
def test_after_a_timeout_every_member_of_the_group_is_gone(tmp_path, monkeypatch, holds):
    # The leader obeys at once, and its output is closed; the other one obeys nothing.
    monkeypatch.setattr(group, "GRACE", 0.3)
    stubborn = f"sh -c 'trap \"\" TERM INT HUP; echo $$ > {tmp_path}/pid; {LOOP}'{holds} & "
    for timeout in longer_and_longer():
        done = run(
            ["sh", "-c", f"{stubborn}echo $$ > {tmp_path}/leader; wait"], timeout=timeout, keep="never"
        )
        assert done.timed_out
        assert members((tmp_path / "leader").read_text().strip()) == []
        if (tmp_path / "pid").exists():
            break
    assert not is_running((tmp_path / "pid").read_text().strip())


def test_dead_ones_whom_nobody_waits_for_are_not_waited_for():
    dead = subprocess.Popen(["true"], start_new_session=True)
    wait_until_gone(dead.pid)
    os.killpg(dead.pid, 0)  # the system still has the group
    assert not group._has_running_member(dead.pid)
    dead.wait()


def test_what_leaves_the_group_is_not_ended_but_holds_nothing_up(tmp_path):
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep {FOREVER}' & wait"
    for timeout in longer_and_longer():
        done = run(["sh", "-c", script], timeout=timeout, keep="never")
        if (tmp_path / "pid").exists():
            break
    pid = int((tmp_path / "pid").read_text())
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)
    assert "still holds its output" in done.warnings[0]


def test_what_is_in_the_pipe_is_read_however_slowly(monkeypatch):
    # A busy machine: each look takes longer than silence would be waited for.
    real = FullOutputs.step

    def step(self, capture, wait_ms):
        time.sleep(0.05)
        return real(self, capture, 0)

    monkeypatch.setattr(FullOutputs, "step", step)
    monkeypatch.setattr(running, "DRAIN", 0.03)
    done = run(["head", "-c", "900000", "/dev/zero"], keep="never", limits={"max_stdout_bytes": 1000})
    assert (done.original_size, done.warnings) == (900_000, ())


def test_who_goes_on_printing_is_not_waited_for():
    # It ends by itself once nobody reads what it prints.
    done = run(["sh", "-c", "yes & echo"], keep="never")
    assert "still holds its output" in done.warnings[0]


# Where we are killed


def test_a_killed_program_takes_the_whole_group_with_it(program, tmp_path):
    gate = Gate(tmp_path)
    script = f"trap '' TERM INT HUP; sleep {FOREVER} & echo $$ > pid; {gate.wait}"
    child = program.start("exec", "--", "sh", "-c", script)
    gate.reached()
    leader = (tmp_path / "pid").read_text().strip()
    assert len(members(leader)) == 2
    child.kill()
    child.wait()
    wait_until_group_gone(leader)


def test_a_killed_run_takes_its_tasks_with_it(program, tmp_path):
    (tmp_path / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks:\n"
        + "".join(
            f"  {name}: {{script: {{content: 'sleep {FOREVER} & echo $$ > {name}.new; mv {name}.new {name}; wait'}}}}\n"
            for name in "ab"
        )
    )
    child = program.start("run", "flow.yaml", "--jobs", "2")
    pids = []
    for name in "ab":
        wait_for(tmp_path / name)
        pids.append((tmp_path / name).read_text().strip())
    child.kill()
    child.wait()
    for pid in pids:
        wait_until_group_gone(pid)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_death_while_the_command_is_started(tmp_path, moment):
    # The group has not been named, or its name was the last that we did.
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    watch = "real(self, group)" if moment == "after" else "None"
    setup = (
        f"real = guard.Guard.watch\ndef watch(self, group):\n"
        f"    open({str(tmp_path / 'group')!r}, 'w').write(str(group))\n"
        f"    open({str(tmp_path / 'guard')!r}, 'w').write(str(self._shell.pid))\n    {watch}; {kill}\n"
        "guard.Guard.watch = watch"
    )
    child = driver(f"sleep {FOREVER} & exec sleep {FOREVER}", setup=setup)
    assert child.wait(PATIENCE) == -signal.SIGKILL
    wait_until_group_gone((tmp_path / "group").read_text())
    wait_until(lambda: (tmp_path / "guard").read_text() not in guards())


@pytest.mark.parametrize("argv", [["true"], ["no-such-program"], ["sh", "-c", f"sleep {FOREVER}"]])
def test_a_guard_leaves_with_the_command(argv):
    descriptors = os.listdir("/proc/self/fd")
    for _ in range(3):
        try:
            run(argv, keep="never", timeout=0.2)
        except FileNotFoundError:
            assert argv == ["no-such-program"]
    assert os.listdir("/proc/self/fd") == descriptors
    assert not own_guards()


def own_guards() -> list[str]:
    """Return the guards of this process."""
    return [pid for pid in guards() if _parent(pid) == os.getpid()]


def _parent(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:  # somebody else's, and gone
        return 0


def test_a_guard_may_be_kept_for_the_next_command():
    descriptors = os.listdir("/proc/self/fd")
    with keeping():
        run(["true"], keep="never")
        (kept,) = own_guards()
        for _ in range(3):
            assert run(["echo", "x"], keep="never").content == b"x\n"
        with pytest.raises(FileNotFoundError):
            run(["no-such-program"], keep="never")
        # That one was told of a command which never was.
        assert own_guards() == []
        run(["true"], keep="never")
        (other,) = own_guards()
        assert other != kept
        os.kill(int(other), signal.SIGKILL)
        assert run(["echo", "x"], keep="never").content == b"x\n"
    assert own_guards() == []
    assert os.listdir("/proc/self/fd") == descriptors


@pytest.mark.parametrize("moment", ["running", "before"])
def test_a_guard_that_is_kept_ends_the_next_command(tmp_path, moment):
    kill = "__import__('os').kill(__import__('os').getpid(), 9)"
    watch = f"None; {kill}" if moment == "before" else "real(self, group)"
    setup = (
        "guard.keeping().__enter__()\nmaxstage.run(['true'], keep='never')\nreal = guard.Guard.watch\n"
        f"def watch(self, group):\n    open({str(tmp_path / 'group')!r}, 'w').write(str(group))\n    {watch}\n"
        "guard.Guard.watch = watch"
    )
    child = driver(f"sleep {FOREVER} & echo > {tmp_path}/runs; wait", setup=setup)
    if moment == "running":
        wait_for(tmp_path / "runs")
        child.kill()
    assert child.wait(PATIENCE) == -signal.SIGKILL
    wait_until_group_gone((tmp_path / "group").read_text())


def test_a_background_process_outlives_a_command_that_ended_by_itself(tmp_path):
    script = f"sleep {FOREVER} > /dev/null 2>&1 & echo $! > {tmp_path}/pid"
    child = driver(script)
    child.communicate(timeout=PATIENCE)
    pid = (tmp_path / "pid").read_text().strip()
    assert is_running(pid)
    os.kill(int(pid), signal.SIGKILL)
    wait_until_gone(pid)


def test_a_guard_that_somebody_has_killed_costs_nothing(tmp_path):
    gate = Gate(tmp_path)
    child = driver(f"{gate.wait}; echo done")
    gate.reached()
    for pid in guards():
        if _parent(pid) == child.pid:
            os.kill(int(pid), signal.SIGKILL)
    gate.open()
    assert child.communicate(timeout=PATIENCE)[0] == b"b'done\\n' True\n"


def test_without_a_shell_nobody_watches(monkeypatch):
    from maxstage.output import guard

    def missing(*_args, **_options):
        raise FileNotFoundError(2, "No such file or directory", "/bin/sh")

    monkeypatch.setattr(guard, "subprocess", type("no", (), {"Popen": missing}))
    started = time.monotonic()
    assert run(["echo", "x"], keep="never").content == b"x\n"
    assert time.monotonic() - started < PATIENCE

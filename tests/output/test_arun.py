"""Running commands from asyncio."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import maxstage
from helpers import FOREVER, PATIENCE, Gate, is_running, wait_for, wait_until, wait_until_group_gone
from maxstage import arun

SMALL = {"max_stdout_bytes": 2000, "max_stderr_bytes": 1000}


def sh(script, **options):
    return arun(["sh", "-c", script], **options)


def test_its_result_is_that_of_run(store):
    script = "seq 100000; echo err >&2; exit 3"
    done = asyncio.run(sh(script, store=store, limits=SMALL))
    same = maxstage.run(["sh", "-c", script], store=store, limits=SMALL)
    assert (done.exit_code, done.original_size, done.stderr.content) == (3, same.original_size, b"err\n")
    assert done.content.replace(done.token.encode(), b"") == same.content.replace(same.token.encode(), b"")
    assert store.open(done.token).read().endswith(b"\n100000\n")
    assert asyncio.run(sh("sleep 600", timeout=0.1, keep="never")).timed_out
    assert asyncio.run(arun(["cat"], stdin=b"in", keep="never")).content == b"in"


def test_its_arguments_are_those_of_run():
    import inspect

    ours, theirs = (inspect.signature(one).parameters for one in (arun, maxstage.run))
    assert list(ours.values()) == list(theirs.values())


def test_errors_are_raised_where_it_is_waited_for(store):
    for argv, error in ((["no-such-program"], FileNotFoundError), ([], ValueError), ("echo hi", TypeError)):
        with pytest.raises(error):
            asyncio.run(arun(argv, store=store))


def test_the_loop_goes_on_meanwhile(tmp_path):
    gate = Gate(tmp_path)

    async def main():
        waiting = asyncio.create_task(sh(f"{gate.wait}; echo x", keep="never"))
        await asyncio.to_thread(gate.reached)
        assert not waiting.done()
        gate.open()
        return await waiting

    assert asyncio.run(main()).content == b"x\n"


def test_cancelling_ends_the_group_and_keeps_what_there_was(store, tmp_path):
    async def main():
        script = f"trap '' INT; seq 3000; sleep {FOREVER} & echo $$ > pid.new; mv pid.new pid; wait"
        task = asyncio.create_task(sh(script, store=store, limits=SMALL, cwd=tmp_path))
        await asyncio.to_thread(wait_for, tmp_path / "pid")
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # a second time: it is still waited for
        with pytest.raises(asyncio.CancelledError) as error:
            await task
        return error.value.output

    done = asyncio.run(main())
    assert "cancelled" in done.warnings
    assert store.open(done.token).read().endswith(b"\n3000\n")
    wait_until_group_gone((tmp_path / "pid").read_text().strip())


def test_a_timeout_of_asyncio(tmp_path):
    async def main():
        async with asyncio.timeout(0.5):
            await sh(f"echo $$ > {tmp_path}/pid; sleep {FOREVER}", keep="never")

    with pytest.raises(TimeoutError) as error:
        asyncio.run(main())
    assert error.value.__cause__.output.signal == signal.SIGTERM
    if (tmp_path / "pid").exists():
        wait_until_group_gone((tmp_path / "pid").read_text().strip())


def test_an_event_of_the_caller_still_cancels(tmp_path):
    cancel = threading.Event()

    async def main():
        task = asyncio.create_task(
            sh(f"echo > {tmp_path}/begun; sleep {FOREVER}", cancel=cancel, keep="never")
        )
        await asyncio.to_thread(wait_for, tmp_path / "begun")
        cancel.set()
        return await task

    assert "cancelled" in asyncio.run(main()).warnings


@pytest.mark.parametrize("how", ["on_output", "follow"])
def test_output_is_followed_in_the_loop(how):
    seen = []

    async def main():
        home = threading.get_ident()

        def show(stream, data):
            seen.append((stream, data, threading.get_ident() == home))

        await sh("echo out; echo err >&2", **{how: show}, keep="never")

    asyncio.run(main())
    assert sorted(seen) == [(0, b"out\n", True), (1, b"err\n", True)]


def test_many_at_once(store, tmp_path):
    # All of them must be there before one may go on.
    many = 50

    async def main():
        script = "echo > $0.begun; while [ ! -e go ]; do sleep 0.05; done; seq $0 2000; exit $(($0 % 7))"
        tasks = [
            asyncio.create_task(
                arun(["sh", "-c", script, str(number)], store=store, limits=SMALL, cwd=tmp_path)
            )
            for number in range(1, many + 1)
        ]
        await asyncio.to_thread(wait_until, lambda: len(list(tmp_path.glob("*.begun"))) == many)
        (tmp_path / "go").touch()
        return await asyncio.gather(*tasks)

    for number, done in enumerate(asyncio.run(main()), 1):
        assert done.exit_code == number % 7
        assert store.open(done.token).read().startswith(b"%d\n" % number)


def test_an_interpreter_that_ends_takes_its_commands_with_it(tmp_path):
    script = (
        "import asyncio, sys, maxstage\n"
        "async def main():\n"
        "    task = asyncio.create_task(maxstage.arun(['sh', '-c', sys.argv[1]], keep='never'))\n"
        "    while not __import__('os').path.exists(sys.argv[2]): await asyncio.sleep(0.01)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())\n"
    )
    pid = tmp_path / "pid"
    command = f"trap '' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; sleep {FOREVER}"
    child = subprocess.Popen([sys.executable, "-c", script, command, str(pid)], stderr=subprocess.PIPE)
    with contextlib.closing(child.stderr):
        child.wait(PATIENCE)
    wait_until_group_gone(pid.read_text().strip())
    assert not is_running(child.pid)


def test_waiting_costs_nothing():
    async def main():
        busy = time.process_time()
        await asyncio.gather(*(sh("sleep 1", keep="never") for _ in range(5)))
        return time.process_time() - busy

    assert asyncio.run(main()) < 0.7

"""Signals, sudden death, and many processes at once."""

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import threading

import pytest

from helpers import PATIENCE, wait_until

BEGUN = b"x" * 20_000_000
"""More than is held while it is compressed."""


def begin(program, *args: str):
    """Start staging from a producer that has sent something and goes on; wait until it is being written."""
    child = program.start("stage", *args)
    child.stdin.write(BEGUN)
    child.stdin.flush()
    wait_until(
        lambda: (
            child.poll() is not None or any(path.stat().st_size for path in program.staging.glob(".*.part"))
        )
    )
    assert child.poll() is None, child.stderr.read()
    return child


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("options", [[], ["--compress"], ["--split", "3"]])
def test_a_signal_in_the_middle_leaves_nothing(program, number, code, options):
    child = begin(program, *options)
    child.send_signal(number)
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out, err) == (code, b"", b"")
    assert program.leftovers() == []
    assert program.text("stage", "list") == "No staged data.\n"


def test_a_signal_while_reading(program):
    token = program.stage(b"x" * 5_000_000)
    child = program.start("retrieve", token)
    assert child.stdout.read(1) == b"x"
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE) == 143
    to_pipe = program.folder / "pipe"
    os.mkfifo(to_pipe)
    child = program.start("retrieve", token, "--to", str(to_pipe))
    with to_pipe.open("rb") as pipe:
        assert pipe.read(1) == b"x"
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 130


def test_sudden_death_leaves_an_orphan_that_is_swept(program):
    child = begin(program)
    child.kill()
    child.wait()
    assert program.text("stage", "list") == "No staged data.\n"
    left = program.leftovers()
    assert [name.split(".")[-1] for name in left] == ["claim", "part"]
    assert program.text("stage", "gc").startswith("Swept: 0 expired, 0 left behind")  # too young
    two_hours = 7200
    assert program.later(two_hours, "stage", "gc", "--dry-run").startswith(
        "Would sweep: 0 expired, 2 left behind"
    )
    assert program.later(two_hours, "stage", "gc").startswith("Swept: 0 expired, 2 left behind, ")
    assert program.leftovers() == []


def test_a_slow_writer_is_not_swept(program):
    child = begin(program)
    assert program.later(7200, "stage", "gc").startswith("Swept: 0 expired, 0 left behind")
    out, _ = child.communicate(b"end\n")
    assert program("retrieve", out.decode().strip()).stdout == BEGUN + b"end\n"


@pytest.mark.parametrize("moment", range(1, 7))
def test_sudden_death_at_any_moment_lists_nothing_half_written(program, moment):
    """The moments are the changes of the folder: claimed, begun, renamed, published, and what comes after."""
    data = b"y" * 400_000
    child = program.start("stage")
    feeding = threading.Thread(target=feed, args=(child.stdin, data))
    feeding.start()
    changes, before = 0, set(os.listdir(program.staging))
    while changes < moment and child.poll() is None:
        names = set(os.listdir(program.staging))
        changes += names != before
        before = names
    child.kill()
    child.wait()
    feeding.join()
    for token in program.text("stage", "list", "-q").split():
        assert program("retrieve", token).stdout == data


def feed(pipe, data):
    with contextlib.suppress(BrokenPipeError):
        pipe.write(data)
        pipe.close()


@pytest.mark.parametrize("many", [40, pytest.param(200, marks=pytest.mark.stress)])
def test_many_at_once(program, many):
    def one(number: int) -> tuple[bytes, str]:
        data = b"%d\n" % number * 1000
        if number % 20 == 0:
            program("stage", "gc")
        return data, program.stage(data, *(["--compress"] if number % 2 else []))

    with concurrent.futures.ThreadPoolExecutor(many) as pool:
        done = list(pool.map(one, range(many)))
    tokens = [token for _, token in done]
    assert len(set(tokens)) == many
    assert set(program.text("stage", "list", "-q").split()) == set(tokens)
    listed = program("retrieve", *tokens).stdout
    assert listed == b"".join(data for data, _ in done)
    assert program.leftovers() == []


def test_many_change_one_item(program):
    token = program.stage(b"x")
    jobs = [
        ["stage", "renew", token, "--ttl", "9"],
        ["stage", "pin", token],
        ["stage", "gc"],
        ["retrieve", token],
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda args: program(*args), jobs * 4))
    assert program("retrieve", token).stdout == b"x"
    assert program.leftovers() == []


@pytest.mark.stress
@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_five_gigabytes(program, options):
    size = 5 * 10**9
    feed = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
    stage = [*program.command, "stage", *options]
    token = subprocess.run(
        stage, stdin=feed.stdout, cwd=program.folder, capture_output=True, check=True
    ).stdout
    reader = program.start("retrieve", token.decode().strip())
    counted = subprocess.run(["wc", "-c"], stdin=reader.stdout, capture_output=True, check=True)
    assert int(counted.stdout) == size

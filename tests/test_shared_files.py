"""What is done to files in more than one place."""

import os
import stat
import threading

import pytest

from maxstage.files import try_lock, write_all
from maxstage.replacement import Replacement, sweep_parts

DATA = os.urandom(300_000)


def test_write_all_waits_for_a_reader_of_a_pipe_that_does_not_block():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got = bytearray()

    def read():
        while part := os.read(reading, 10_000):
            got.extend(part)

    thread = threading.Thread(target=read)
    thread.start()
    write_all(writing, DATA, "<pipe>")
    os.close(writing)
    thread.join()
    os.close(reading)
    assert got == DATA


def test_write_all_names_what_it_writes():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space") as caught:
        write_all(full.fileno(), b"x", "a name")
    assert caught.value.filename == "a name"


def replaced(path, content, *, dir_fd=None):
    try:
        before = os.stat(path, dir_fd=dir_fd)
    except FileNotFoundError:
        before = None
    new = Replacement(os.fspath(path), before, dir_fd=dir_fd)
    write_all(new.fd, content, "new")
    return new


@pytest.mark.parametrize("relative", [False, True])
def test_a_replacement_keeps_the_mode_and_is_seen_whole(tmp_path, relative):
    old = tmp_path / "file"
    old.write_bytes(b"old")
    old.chmod(0o640)
    folder = os.open(tmp_path, os.O_RDONLY) if relative else None
    new = replaced("file" if relative else old, b"new", dir_fd=folder)
    assert old.read_bytes() == b"old"
    new.publish()
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"new", 0o640)
    assert os.listdir(tmp_path) == ["file"]
    if folder is not None:
        os.close(folder)


def test_a_replacement_that_is_discarded_leaves_nothing(tmp_path):
    new = replaced(tmp_path / "file", b"new")
    assert len(os.listdir(tmp_path)) == 1
    new.discard()
    new.discard()
    assert os.listdir(tmp_path) == []


def test_only_what_dead_writers_left_is_swept(tmp_path):
    living = replaced(tmp_path / "file", b"new")
    dead = tmp_path / ".max-1-00000000.part"
    dead.write_bytes(b"half")
    for entry in os.scandir(tmp_path):
        os.utime(entry.path, (0, 0))
    sweep_parts(str(tmp_path))
    assert not dead.exists()
    assert len(os.listdir(tmp_path)) == 1
    living.publish()


def test_a_lock_that_is_shared_is_not_free_for_one_alone(tmp_path):
    fds = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    try:
        assert try_lock(fds[0], shared=True)
        assert try_lock(fds[1], shared=True)
        assert not try_lock(fds[2])
    finally:
        for fd in fds:
            os.close(fd)

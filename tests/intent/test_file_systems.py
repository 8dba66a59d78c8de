"""Several file systems below one root: full ones, ones that can only be read, and a trash that is on another one.

They are mounted for a forked process alone, where the system allows that.
"""

import ctypes
import os
import random
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from test_kills import die_at, in_child
from test_operations import lines_of, names_in, plan

from maxstage import Intent, Store
from maxstage.intent import journal
from maxstage.intent.execution import Options

ALL = Options(keep_going=True)
OVERWRITE = Options(on_conflict="overwrite")

_OWN_MOUNTS, _OWN_USERS = 0x00020000, 0x10000000


def _enter() -> None:
    """Give this process mounts of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_OWN_MOUNTS | (_OWN_USERS if uid else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    _mount("--make-rprivate", "/")


def _mount(*args: object) -> None:
    subprocess.run(["mount", *map(str, args)], check=True, capture_output=True)


def mounted(folder: Path, kind: str, *, size: str = "1m") -> Path:
    """Make another file system of a folder: ``tmpfs``, or ``bind``, which has the device of the one around it."""
    folder.mkdir()
    if kind == "bind":
        _mount("--bind", folder, folder)
    else:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    return folder


def read_only(folder: Path, kind: str) -> None:
    _mount("-o", "remount,bind,ro" if kind == "bind" else "remount,ro", folder)


def _status_of(work) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            _enter()
        except (OSError, subprocess.SubprocessError, AttributeError):
            os._exit(77)
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told, and the parent sees the code
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def elsewhere():
    """Return a function that runs another in a process with mounts of its own."""

    def run(work) -> None:
        status = _status_of(work)
        if status == 77:
            pytest.skip("file systems can't be mounted here")
        assert status == 0

    return run


KINDS = pytest.mark.parametrize("kind", ["tmpfs", "bind"])


@KINDS
def test_what_was_replaced_comes_back_from_another_file_system(store, tmp_path, elsewhere, kind):
    def work():
        other = mounted(tmp_path / "other", kind)
        (other / "link").symlink_to("nowhere")
        for operation, source, target in (
            ("move", "other/new", "other/old"),
            ("move", "new", "other/old"),
            ("move", "other/new", "old"),
            ("copy", "new", "other/old"),
            ("write", None, "other/old"),
            ("move", "new", "other/link"),
        ):
            for folder in (tmp_path, other):
                (folder / "new").write_text("new")
                (folder / "old").write_text("old")
            before = names_in(tmp_path)
            texts = {"content": "new"} if source is None else {"from_": source}
            outcome = plan(store, operation, [{}], to=target, **texts).execute(OVERWRITE)
            assert outcome.ok, lines_of(store, outcome)
            assert lines_of(store, outcome)[0]["replaced"]
            assert (tmp_path / target).read_text() == "new"
            undone = Intent.undo(store, outcome.token)
            assert undone.ok, lines_of(store, undone)
            assert names_in(tmp_path) == before
            assert os.readlink(other / "link") == "nowhere"
            if not target.endswith("link"):
                assert (tmp_path / target).read_text() == "old"

    elsewhere(work)


@KINDS
def test_a_source_that_can_only_be_read_is_neither_moved_nor_copied(store, tmp_path, elsewhere, kind):
    def work():
        other = mounted(tmp_path / "other", kind)
        for name in "abc":
            (other / name).write_text(name)
        (tmp_path / "b").write_text("old b")
        read_only(other, kind)
        before = names_in(tmp_path)
        records = [{"name": name} for name in "abc"]
        for options in (Options(), OVERWRITE, ALL):
            intent = plan(store, "move", records, from_="other/{name}", to="{name}")
            outcome = intent.execute(options)
            lines = lines_of(store, outcome)
            assert "Read-only file system: other/a" in lines[0]["error"]
            assert outcome.statuses["failed"] == len(lines) == (3 if options.keep_going else 1)
            assert names_in(tmp_path) == before
            assert (tmp_path / "b").read_text() == "old b"
            assert os.listdir(f"{store.layout.base}/trash/{intent.id}") == []
        intent = plan(store, "delete", records, from_="other/{name}")
        outcome = intent.execute()
        assert (outcome.statuses["failed"], outcome.pending) == (1, 2)
        assert os.listdir(f"{store.layout.base}/trash/{intent.id}") == []
        assert names_in(tmp_path) == before

    elsewhere(work)


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("operation", ["copy", "move", "write"])
def test_a_full_file_system(store, tmp_path, elsewhere, operation, jobs):
    """It stops at the first that has no room, which leaves nothing; with room again it goes on."""

    def work():
        other = mounted(tmp_path / "other", "tmpfs", size="400k")
        names = [f"f{number}" for number in range(8)]
        for name in names:
            (tmp_path / name).write_bytes(b"x" * 100_000)
        texts = {"content": "x" * 100_000} if operation == "write" else {"from_": "{name}"}
        intent = plan(store, operation, [{"name": name} for name in names], to="other/{name}", **texts)
        assert intent.preview().problem_counts == {"space": 1}
        outcome = intent.execute(Options(jobs=jobs))
        assert outcome.statuses["failed"] == 1, lines_of(store, outcome)
        done = outcome.statuses["succeeded"]
        assert outcome.pending == 7 - done
        assert "No space left" in lines_of(store, outcome)[-1]["error"]
        assert names_in(other) == names[:done]
        assert len(names_in(tmp_path)) == 9 + (0 if operation == "move" else done)
        _mount("-o", "remount,size=2m", other)
        assert intent.execute(Options(jobs=jobs)).ok
        assert names_in(other) == names
        assert Intent.undo(store, intent.token).ok
        assert names_in(other) == []

    elsewhere(work)


def test_a_failure_that_is_tried_again_holds_nothing_up(store, tmp_path, monkeypatch):
    """What was left because of it is done all the same."""
    from maxstage.intent import execution, transfer

    monkeypatch.setattr(execution, "_FIRST_PAUSE", 0)
    names = "abcde"
    for name in names:
        (tmp_path / name).write_text(name)
    real, failures = transfer.copy_file, iter([OSError(5, "Input/output error")])

    def flaky(source, *args, **options):
        if source[1] == b"c":
            for failure in failures:
                raise failure
        return real(source, *args, **options)

    monkeypatch.setattr(transfer, "copy_file", flaky)
    records = [{"name": name} for name in names]
    outcome = plan(store, "copy", records, from_="{name}", to="to/{name}").execute(Options(retry=1))
    assert outcome.ok, lines_of(store, outcome)
    assert names_in(tmp_path / "to") == list(names)


def test_holes_stay_holes(store, tmp_path):
    size = 64 * 1024 * 1024
    with (tmp_path / "holes").open("wb") as file:
        for at, text in ((4096 * 5, b"one"), (size // 2, b"two")):
            file.seek(at)
            file.write(text)
        file.truncate(size)
    before = (tmp_path / "holes").stat()
    if before.st_blocks * 512 >= size:
        pytest.skip("files have no holes here")
    assert plan(store, "copy", [{}], from_="holes", to="copy").execute().ok
    after = (tmp_path / "copy").stat()
    assert (after.st_size, after.st_blocks) == (size, before.st_blocks)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "holes").read_bytes()


def test_a_target_that_is_another_name_of_the_source(tmp_path, monkeypatch):
    """Killed at each step: the file is never taken for the one that it replaces."""
    monkeypatch.setattr(journal, "SYNCHRONOUS", "OFF")
    moment = random.randint(0, 1)
    while True:
        moment += 2
        folder = tmp_path / str(moment)
        folder.mkdir()
        (folder / "a").write_text("one file")
        os.link(folder / "a", folder / "b")
        store = Store.init(folder)
        intent = Intent.plan(store, "move", [{}], root=folder, from_="a", to="b")

        def work(folder=folder, intent=intent):
            assert Intent(Store.open(folder), intent.token).execute(OVERWRITE).ok

        ended = in_child(work, patch=die_at(moment))
        assert in_child(work)
        assert names_in(folder) == ["b"]
        assert Intent.undo(store, intent.token).ok
        assert names_in(folder) == ["a", "b"]
        assert (folder / "a").read_text() == (folder / "b").read_text() == "one file"
        if ended:
            break
    assert moment > 8

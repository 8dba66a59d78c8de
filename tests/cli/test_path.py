"""``max path``: an item as a file for programs that read files, and the copies of what is compressed."""

import json
import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from helpers import PATIENCE, edit, wait_until
from maxstage import Corrupt, NotFound, QuotaExceeded, Store

DATA = b'{"id": 1}\n{"id": 2}\n'


def cached(folder) -> list[str]:
    """Return the names of the copies."""
    cache = folder / ".max" / "cache"
    return sorted(name for name in os.listdir(cache) if name not in {".lock", ".making"})


def age(path, seconds: float) -> None:
    """Make a copy look as if it was asked for `seconds` ago."""
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_a_plain_item_is_its_own_file(program):
    token = program.stage(DATA)
    path = Path(program.text("path", token).strip())
    assert path == program.staging / f"{token[4:]}.ndjson"
    assert path.read_bytes() == DATA
    assert not (program.folder / ".max" / "cache").exists()


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_compressed_item_is_copied_once(program, codec):
    data = b"".join(b'{"id": %d}\n' % number for number in range(300_000))
    token = program.stage(data, f"--compress={codec}")
    path = Path(program.text("path", token).strip())
    assert path == program.folder / ".max" / "cache" / f"{token[4:]}.ndjson"
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = path.stat().st_ino
    age(path, 1000)
    assert program.text("path", token, "-o", "json") == (
        json.dumps({"token": token[4:], "ref": token, "path": str(path)}) + "\n"
    )
    assert path.stat().st_ino == before
    assert path.stat().st_mtime > time.time() - 900
    program("unstage", token)
    assert cached(program.folder) == []


def test_it_names_what_it_cannot_find(program):
    token = program.stage(DATA)
    assert "max:00000000" in program.fails("path", "00000000")
    assert "Invalid token" in program.fails("path", "../x", code=2)
    done = program("path", token, "00000000", check=1)
    assert done.stdout.count(b"\n") == 1  # what was printed stands
    edit(program.staging / f"{token[4:]}.meta.json", expiresAt="2024-01-01T00:00:00Z")
    assert "expired" in program.fails("path", token)


def test_it_finds_what_is_in_the_users_own_store(program, tmp_path, monkeypatch):
    monkeypatch.setenv("MAX_USER_STORE", "1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    token = Store.user().stage(DATA, compress=True).token
    path = program.text("path", token).strip()
    assert path.startswith(str(tmp_path / "data" / "maxstage" / ".max" / "cache"))
    assert Path(path).read_bytes() == DATA


def test_damaged_data_is_no_copy(store, tmp_path):
    item = store.stage(os.urandom(100_000), compress="gzip")
    data = Path(store.storage.path(item))
    content = bytearray(data.read_bytes())
    content[50_000] ^= 1
    data.write_bytes(content)
    with pytest.raises(Corrupt):
        store.path(item.token)
    assert cached(tmp_path) == []


def test_a_copy_that_was_altered_in_size_is_made_again(store):
    token = store.stage(DATA, compress=True).token
    path = Path(store.path(token))
    path.unlink()
    path.write_bytes(b"x")
    assert Path(store.path(token)).read_bytes() == DATA
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert Path(store.path(token)).read_bytes() == DATA
    assert not path.is_symlink()


def test_a_folder_that_was_planted_is_refused(program, tmp_path):
    token = program.stage(DATA, "--compress")
    (tmp_path / "elsewhere").mkdir()
    (program.folder / ".max" / "cache").symlink_to(tmp_path / "elsewhere")
    assert "not a directory" in program.fails("path", token)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_the_limit_holds_and_makes_room(store, tmp_path):
    store.settings.max_cache_bytes = 2500
    tokens = [store.stage(bytes([65 + number]) * 1000, compress=True).token for number in range(3)]
    first, second = (Path(store.path(token)) for token in tokens[:2])
    # Somebody may still be about to open what was just handed out.
    with pytest.raises(QuotaExceeded, match=r"max_cache_bytes \(2,500 bytes\)"):
        store.path(tokens[2])
    assert first.exists()
    age(first, 700)
    age(second, 800)
    store.path(tokens[2])
    assert first.exists()
    assert not second.exists()
    with pytest.raises(QuotaExceeded, match="3,000 bytes is larger than max_cache_bytes"):
        store.path(store.stage(b"x" * 3000, compress=True).token)
    assert sum((tmp_path / ".max" / "cache" / name).stat().st_size for name in cached(tmp_path)) == 2000


def test_copies_are_swept(program):
    store = Store.open(program.folder)
    items = [store.stage(DATA, compress=True, pin=True) for _ in range(4)]
    unused, gone, expired, used = (Path(store.path(item.token)) for item in items)
    age(unused, 25 * 3600)
    store.storage.delete(items[1].id)
    edit(program.staging / f"{items[2].id}.meta.json", expiresAt="2024-01-01T00:00:00Z")
    (unused.parent / ".part").write_bytes(b"half")
    (unused.parent / ".lock").touch()
    swept = json.loads(program.text("stage", "gc", "--dry-run", "-o", "json"))
    names = [f"cache/{one.name}" for one in (unused, gone, expired)]
    assert sorted(swept["leftovers"]) == sorted([*names, "cache/.part"])
    assert unused.exists()
    program("stage", "gc")
    assert cached(program.folder) == [used.name]


def test_sweeping_happens_by_itself(program):
    token = program.stage(DATA, "--compress")
    path = Path(program.text("path", token).strip())
    program.later(7200, "stage", "list")
    wait_until(lambda: not path.exists())


def test_many_ask_at_once_for_one_copy(store, tmp_path):
    token = store.stage(os.urandom(1000) * 20_000, compress=True).token
    inodes = []
    threads = [
        threading.Thread(target=lambda: inodes.append(os.stat(store.path(token)).st_ino)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(inodes) == 8
    assert len(set(inodes)) == 1
    assert cached(tmp_path) == [os.path.basename(store.path(token))]


def test_an_item_deleted_while_it_is_copied(store, tmp_path):
    item = store.stage(b"x" * 3_000_000, compress=True)
    with pytest.raises(NotFound):
        store.path(item.token, progress=lambda _: store.storage.delete(item.id))
    assert cached(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_copy_that_is_interrupted_is_not_there(program, number):
    store = Store.open(program.folder)
    token = store.stage(b"x" * (64 << 20), compress=True, pin=True).token
    code = (
        "import os, signal, sys; from maxstage import Store; "
        f"Store.open('.').path('{token}', progress=lambda n: os.kill(os.getpid(), {int(number)}))"
    )
    done = subprocess.run([program.command[0], "-c", code], cwd=program.folder, capture_output=True)
    assert done.returncode != 0
    if number == signal.SIGINT:
        assert cached(program.folder) == []
    assert Path(store.path(token)).stat().st_size == 64 << 20
    assert len(cached(program.folder)) == 1


def test_a_full_disk_is_said_and_leaves_nothing(program):
    token = program.stage(b"x" * 3_000_000, "--compress")
    limited = ["bash", "-c", f"ulimit -f 1000; exec {program.command[0]} -m maxstage path {token}"]
    done = subprocess.run(limited, cwd=program.folder, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"File too large: ")
    assert cached(program.folder) == []

"""Every command of the store, killed at each of its system calls on the store, and with each of them failing.

`strace` does both. Slow, so marked stress; skipped where it is missing or may not trace.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import can_trace
from maxstage import Store
from maxstage.store.sweep import sweep

pytestmark = [pytest.mark.stress, pytest.mark.timeout(3000)]

CONTENTS = [b"line\n" * 30, b"first\n" * 200, b"second\n" * 3]
LIVE, PINNED, EXPIRED, DEAD = "aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"

COMMANDS = {
    "init": ["init"],
    "stage": ["stage"],
    "stage_files": ["stage", "./0.txt", "./1.txt"],
    "stage_sync": ["stage", "--sync", "./1.txt"],
    "stage_compress": ["stage", "--compress", "./1.txt"],
    "stage_split": ["stage", "--split", "2"],
    "stage_split_lines": ["stage", "--split-lines", "70", "./1.txt"],
    "stage_quota": ["stage", "./1.txt"],
    "retrieve": ["retrieve", LIVE],
    "retrieve_to": ["retrieve", LIVE, "--to", "out.txt"],
    "info": ["stage", "info", LIVE],
    "list": ["stage", "list"],
    "renew": ["stage", "renew", LIVE, "--ttl", "90"],
    "pin": ["stage", "pin", LIVE],
    "unpin": ["stage", "unpin", PINNED],
    "verify": ["stage", "verify"],
    "gc": ["stage", "gc"],
    "unstage": ["unstage", LIVE],
    "exec": ["exec", "--keep", "always", "--", "cat", "1.txt"],
    "truncate": ["truncate", "--keep", "always", "1.txt"],
}

ERRORS = {
    "write": ["EIO", "ENOSPC", "EINTR"],
    "openat": ["EIO", "ENOSPC", "EINTR"],
    "open": ["EIO", "ENOSPC"],
    "flock": ["EIO", "EINTR", "ENOLCK"],
    "read": ["EIO", "EINTR"],
    "fsync": ["EIO", "ENOSPC"],
    "fdatasync": ["EIO", "EINTR"],
}


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A project with an item that lives, one that is pinned, one that has expired, and what a dead writer left."""
    if not can_trace():
        pytest.skip("strace is missing, or may not trace here")
    folder = tmp_path_factory.mktemp("template")
    for number, content in enumerate(CONTENTS):
        (folder / f"{number}.txt").write_bytes(content)
    store = Store.init(folder)
    root = Path(store.storage.layout.root)
    for item_id, content in zip((LIVE, PINNED, EXPIRED), CONTENTS, strict=True):
        item = store.stage(content, pin=item_id == PINNED)
        meta = Path(store.storage.layout.meta(item.id)).read_text().replace(item.id, item_id)
        if item_id == EXPIRED:
            meta = re.sub(r'"expiresAt": ?"[^"]*"', '"expiresAt": "2024-01-01T00:00:00Z"', meta)
        (root / f"{item_id}.meta.json").write_text(meta)
        os.rename(store.storage.layout.path(item.file_name), root / f"{item_id}.txt")
        os.unlink(store.storage.layout.meta(item.id))
    (root / f".{DEAD}.part").write_bytes(b"half")
    (root / f".{DEAD}.claim").write_bytes(b"")
    return folder


def fresh(template: Path, folder: Path, command: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if command == "init":
        folder.mkdir()
        return
    shutil.copytree(template, folder)
    if command == "stage_quota":
        (folder / ".max" / "config.toml").write_text("max_store_bytes = 2570\n")  # what has expired must go


def run(folder: Path, command: str, *trace: str) -> subprocess.CompletedProcess:
    ours = ["strace", "-f", "-qq", *trace, sys.executable, "-P", "-m", "maxstage", *COMMANDS[command]]
    return subprocess.run(
        ours,
        input=CONTENTS[0],
        capture_output=True,
        cwd=folder,
        timeout=90,
        env=os.environ | {"COLUMNS": "80"},
    )


def system_calls(folder: Path, command: str) -> list[tuple[str, int]]:
    """Return each system call on the store or on stdout, and which one of its name it is."""
    log = folder.with_name("trace")
    done = run(folder, command, "-y", "-o", str(log))
    assert done.returncode == 0, done
    counts: dict[tuple[str, str], int] = {}
    found = []
    lines = log.read_text(errors="replace").splitlines()
    # Each thread counts its own: those of the main one are told apart by their number.
    main = lines[0].split()[0]
    for line in lines:
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match is None or match[1] != main:
            continue
        key = match.groups()
        counts[key] = counts.get(key, 0) + 1
        # What the interpreter asks of stdout before we run is its own.
        if re.search(r"/\.max/|[012]\.txt|out\.txt|write\(1<", line) and "execve" not in key[1]:
            found.append((key[1], counts[key]))
    return sorted(set(found), key=found.index)


def check(folder: Path, command: str, done: subprocess.CompletedProcess, what: tuple[object, ...]) -> None:
    killed = "KILL" in what
    error = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in error, (what, error)
    if not killed:
        assert done.returncode in {0, 1}, (what, done)
        assert error.count("\n") <= 2, (what, error)
        assert done.returncode == 0 or error, (what, done)
    if not (folder / ".max" / "staging").is_dir():
        assert command == "init"
        return
    store = Store.open(folder)
    items, damaged = store.scan()
    assert damaged == [], (what, damaged)
    for item in items:
        with store.open(item.token) as file:
            data = file.read()
        assert any(data in content for content in CONTENTS), (what, item)
    listed = {item.id for item in items}
    kept = set() if command == "init" else {PINNED} if command == "unstage" else {LIVE, PINNED}
    assert kept <= listed, (what, listed)
    if command.startswith("stage_") or command == "stage":
        told = set(re.findall(r"^max:([0-9a-f]{8})$", done.stdout.decode(), re.MULTILINE))
        assert told <= listed, (what, done, listed)
        if not killed:
            told |= set(re.findall(r"max:([0-9a-f]{8})", error))
            assert told == listed - kept, (what, done, listed)
    if command == "retrieve_to" and (folder / "out.txt").exists():
        assert (folder / "out.txt").read_bytes() == CONTENTS[0], what
    sweep(store.storage, orphan_seconds=-1)
    left = {path.name for path in (folder / ".max" / "staging").iterdir()}
    known = {f"{item_id}.meta.json" for item_id in listed} | {item.file_name for item in items}
    assert left - known <= {".lock", ".sweep", f".{EXPIRED}.expired.json"}, (what, left - known)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("harm", ["kill", "fail"])
def test_each_system_call(template, tmp_path, command, harm):
    folder = tmp_path / "project"
    fresh(template, folder, command)
    calls = system_calls(folder, command)
    assert len(calls) > 3
    problems = []
    for name, number in calls:
        for harmed in ["KILL"] if harm == "kill" else ERRORS.get(name, ["EIO"]):
            fresh(template, folder, command)
            inject = f"signal={harmed}" if harm == "kill" else f"error={harmed}"
            done = run(
                folder, command, "-o", "/dev/null", "-e", f"trace={name}",
                "-e", f"inject={name}:{inject}:when={number}",
            )  # fmt: skip
            try:
                check(folder, command, done, (command, name, number, harmed))
            except AssertionError as error:
                problems.append(str(error)[:600])
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)

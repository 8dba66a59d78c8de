"""Links that are swapped in, names of all sorts, no permission, no room: nothing leaves the root, nothing is lost."""

import contextlib
import ctypes
import errno
import os
import threading
import traceback

import pytest
from test_operations import by_name, lines_of, names_in, plan

from helpers import NOBODY
from maxstage import Error, Intent, Store
from maxstage.intent import copying, names, preview, transfer
from maxstage.intent.execution import Options

ALL = Options(keep_going=True)


@pytest.fixture
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text("secret")
    return folder


@pytest.mark.parametrize(
    "value", ["../secret", "/etc/passwd", "a/../../x", "link/secret", ".max/config.toml", "x\0"]
)
@pytest.mark.parametrize("position", ["from", "to", "both"])
def test_no_template_leads_out(store, tmp_path, outside, value, position):
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "a").write_text("a")
    before = names_in(tmp_path)
    templates = {
        "from": {"from_": "{v!p}", "to": "b"},
        "to": {"from_": "a", "to": "{v!p}"},
        "both": {"from_": "{v!p}", "to": "{v!p}x"},
    }[position]
    intent = plan(store, "copy", [{"v": value}], **templates)
    assert intent.preview().problem_counts in ({"refused": 1}, {"missing": 1})
    outcome = intent.execute(ALL)
    assert outcome.statuses["failed"] == 1, lines_of(store, outcome)
    assert names_in(tmp_path) == before
    assert os.listdir(outside) == ["secret"]


def test_a_link_as_source_and_target(store, tmp_path, outside):
    (tmp_path / "link").symlink_to(outside / "secret")
    (tmp_path / "a").write_text("a")
    assert not plan(store, "copy", by_name("link"), from_="{name}", to="b").execute().ok
    # What is at the target is the link, not what it leads to.
    assert (
        plan(store, "move", by_name("a"), from_="{name}", to="link")
        .execute(Options(on_conflict="overwrite"))
        .ok
    )
    assert (tmp_path / "link").read_text() == "a"
    assert not (tmp_path / "link").is_symlink()
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize("operation", ["copy", "move", "delete", "write"])
def test_folders_that_become_links_again_and_again(store, tmp_path, outside, operation):
    """A race: whatever is done is done in the folders or not at all, and nothing is lost; taking back likewise."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        pytest.skip("there is no way to swap two names at once here")
    folders = [tmp_path / "from", tmp_path / "to"]
    names = [f"f{number}" for number in range(40)]
    for folder in folders:
        folder.mkdir()
        (tmp_path / f"{folder.name}-link").symlink_to(outside)
    for name in names:
        (outside / name).write_text("theirs")
    pairs = [(-100, os.fsencode(one), -100, os.fsencode(f"{one}-link"), 2) for one in folders]
    over = threading.Event()

    def swap():
        while not over.is_set():
            for pair in pairs:
                exchange(*pair)

    texts = {"from_": "from/{name}", "to": "to/{name}", "content": "new"}
    taken = {
        "copy": ["from_", "to"],
        "move": ["from_", "to"],
        "delete": ["from_"],
        "write": ["to", "content"],
    }
    templates = {name: texts[name] for name in taken[operation]}
    for name in names:
        (folders[0] / name).write_text("new")
        (folders[1] / name).write_text("old")
    intents = [plan(store, operation, by_name(*names[at : at + 10]), **templates) for at in range(0, 40, 10)]
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for intent in intents:
            for _ in range(3):
                intent.execute(Options(keep_going=True, on_conflict="overwrite"))
            with contextlib.suppress(Error):
                Intent.undo(store, intent.token)
    finally:
        over.set()
        thread.join()
    assert sorted(os.listdir(outside)) == sorted([*names, "secret"])
    assert {(outside / name).read_text() for name in names} == {"theirs"}
    held = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in {"", ".old"}]
    held = [path.read_text() for path in held if "staging" not in path.parts and not path.is_symlink()]
    assert held.count("old") >= len(names)
    assert held.count("new") >= (len(names) if operation != "write" else 0)
    assert not list(tmp_path.rglob(".max-intent-*"))


def test_a_source_that_changes_and_a_target_that_appears(store, tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    intent = plan(store, "move", by_name("a", "b", "c"), from_="{name}", to="new/{name}")
    assert not intent.preview().has_problems
    (tmp_path / "a").write_text("changed")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "b").write_text("appeared")
    (tmp_path / "c").unlink()
    assert intent.preview().problem_counts == {"changed": 1, "exists": 1, "missing": 1}
    errors = [line["error"] for line in lines_of(store, intent.execute(ALL))]
    assert errors == ["a has changed since the intent was made", "new/b exists already", "c is missing"]
    assert (tmp_path / "new" / "b").read_text() == "appeared"
    assert (tmp_path / "a").read_text() == "changed"


@pytest.mark.parametrize("operation", ["move", "copy"])
def test_a_target_that_appears_at_the_last_moment(store, tmp_path, monkeypatch, operation):
    (tmp_path / "a").write_text("a")
    real = transfer.core.rename_new

    class Core:
        @staticmethod
        def rename_new(moves, **options):
            (tmp_path / "b").write_text("appeared")
            return real(moves, **options)

    monkeypatch.setattr(transfer, "core", Core)
    for policy in ("fail", "overwrite"):
        intent = plan(store, operation, by_name("a"), from_="{name}", to="b")
        outcome = intent.execute(Options(on_conflict=policy))
        assert (
            lines_of(store, outcome)[0]["error"]
            == "b has appeared since it was looked at, and was left alone"
        )
        assert names_in(tmp_path) == ["a", "b"]
        assert (tmp_path / "b").read_text() == "appeared"
        (tmp_path / "b").unlink()


@pytest.mark.parametrize("operation", ["move", "copy"])
def test_a_name_that_is_taken_at_the_last_moment_is_looked_for_again(store, tmp_path, monkeypatch, operation):
    """As it is with two names that the file system takes for one."""
    for name in "abc":
        (tmp_path / name).write_text(name)
    real = transfer.core.rename_new

    class Core:
        Writer, Reader = copying.core.Writer, copying.core.Reader

        @staticmethod
        def rename_new(moves, **options):
            if not (tmp_path / "to" / "b").exists():
                (tmp_path / "to" / "b").write_text("appeared")
            return real(moves, **options)

    monkeypatch.setattr(transfer, "core", Core)
    for policy in ("rename", "fail"):
        (tmp_path / "to").mkdir(exist_ok=True)
        intent = plan(store, operation, by_name("a", "b", "c"), from_="{name}", to="to/{name}")
        outcome = intent.execute(Options(on_conflict=policy))
        if policy == "rename":
            assert outcome.ok, lines_of(store, outcome)
            assert names_in(tmp_path / "to") == ["a", "b", "b (1)", "c"]
            assert (tmp_path / "to" / "b").read_text() == "appeared"
            assert (tmp_path / "to" / "b (1)").read_text() == "b"
            assert Intent.undo(store, outcome.token).ok
            (tmp_path / "to" / "b").unlink()
        else:
            assert outcome.statuses == {"succeeded": 1, "failed": 1, "skipped": 0, "unknown": 0}


def test_names_that_are_not_utf_8(store, tmp_path):
    names_of = [b"r\xff", b"new\nline", b"\xf0\x9f\x98\x80", b"-rf", b" "]
    for name in names_of:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)
    records = by_name(*map(os.fsdecode, names_of))
    intent = plan(store, "move", records, from_="{name}", to="to/{name}")
    assert not intent.preview().has_problems
    outcome = intent.execute()
    assert outcome.ok
    assert sorted(os.listdir(os.fsencode(tmp_path / "to"))) == sorted(names_of)
    assert Intent.undo(store, outcome.token).ok
    assert b"r\xff" in os.listdir(os.fsencode(tmp_path))


@pytest.mark.parametrize("how", [names.CASE, names.UNICODE])
def test_names_that_a_file_system_takes_for_one(store, tmp_path, monkeypatch, how):
    monkeypatch.setattr(preview.names, "equality", lambda _: how)
    (tmp_path / "a").write_text("a")
    values = ["Caf\u00e9", "caf\u00e9", "CAFE\u0301"]
    intent = plan(store, "copy", by_name(*values), from_="a", to="to/{name}")
    assert intent.preview().problem_counts == {"twice": {names.CASE: 1, names.UNICODE: 2}[how]}


def test_a_file_system_is_asked_which_names_it_takes_for_one(tmp_path):
    (tmp_path / "File").write_text("")
    fd = os.open(tmp_path, os.O_RDONLY)
    assert names.equality(fd) == (names.EXACT if not (tmp_path / "fILE").exists() else names.CASE)
    os.close(fd)


def test_an_empty_folder_is_judged_by_the_one_around_it(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "caf\u00e9").write_text("")
    monkeypatch.setattr(names, "_is_same", lambda _fd, name, other: other == name.swapcase())
    fd = os.open(tmp_path / "empty", os.O_RDONLY)
    assert names.equality(fd) == names.CASE
    monkeypatch.setattr(names, "_is_same", lambda *_: True)
    assert names.equality(fd) == names.UNICODE
    monkeypatch.setattr(names, "_is_same", lambda *_: False)
    assert names.equality(fd) == names.EXACT
    os.close(fd)


def test_folders_and_special_files_are_refused(store, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for operation in ("move", "copy"):
        intent = plan(store, operation, by_name("folder", "pipe"), from_="{name}", to="{name}2")
        assert intent.preview().problem_counts == {"nofile": 2}
        assert intent.execute(ALL).statuses["failed"] == 2
    assert names_in(tmp_path) == ["folder", "pipe"]


def test_a_file_in_the_place_of_a_folder(store, tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    outcome = plan(store, "move", by_name("a"), from_="{name}", to="b/c/d").execute()
    assert lines_of(store, outcome)[0]["error"] == "b is no folder"


def test_no_room_leaves_nothing_behind(store, tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / name).write_text(name * 1000)
    real = copying._copy_content

    def full(fd, copy, size, name, progress):
        if name == "b":
            os.write(copy, b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        real(fd, copy, size, name, progress)

    monkeypatch.setattr(copying, "_copy_content", full)
    intent = plan(store, "copy", by_name("a", "b"), from_="{name}", to="to/{name}")
    outcome = intent.execute()
    assert lines_of(store, outcome)[1]["error"] == "No space left on device: b → to/b"
    assert names_in(tmp_path) == ["a", "b", "to", "to/a"]
    monkeypatch.setattr(copying, "_copy_content", real)
    assert intent.execute().ok


def test_a_preview_tells_that_there_is_no_room(store, tmp_path, monkeypatch):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)

    class Full:
        f_bavail, f_frsize = 10, 4096

    monkeypatch.setattr(os, "fstatvfs", lambda _: Full)
    found = plan(store, "copy", by_name("huge"), from_="{name}", to="b").preview()
    assert found.problems[0].text == "1.1 TB would be written, and 41.0 KB are free"


def test_no_permission(store, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("drops from root to another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.parent != folder and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    # What is imported later may be closed to others.
    plan(store, "write", [{}], to="x", content="x").execute()
    (tmp_path / "locked").mkdir()
    (tmp_path / "open").mkdir(mode=0o777)
    os.chmod(tmp_path / "open", 0o777)
    for folder in ("locked", "open"):
        (tmp_path / folder / "a").write_text("a")
    os.chmod(tmp_path / "open" / "a", 0o600)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            own = Store.init(tmp_path / "open" / "project")
            root = tmp_path
            checks = [
                ("move", "locked/a", "open/b", {"permission": 1}),
                ("copy", "open/a", "open/b", {"permission": 1}),
                ("write", None, "locked/b", {"permission": 1}),
            ]
            good = True
            for operation, source, target, wanted in checks:
                more = {"from_": source} if source else {"content": "x"}
                intent = Intent.plan(own, operation, [{}], root=root, to=target, **more)
                good &= intent.preview().problem_counts == wanted
                outcome = intent.execute()
                good &= outcome.statuses["failed"] == 1
            code = 0 if good else 71
        except BaseException:  # noqa: BLE001 - told, and the parent sees the code
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) == 0
    assert names_in(tmp_path / "locked") == ["a"]


def test_the_root_is_another_folder_now(store, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("a")
    intent = Intent.plan(store, "delete", by_name("a"), root=root, from_="{name}")
    root.rename(tmp_path / "old")
    root.mkdir()
    (root / "a").write_text("other")
    with pytest.raises(Exception, match="another folder than the one that the intent was made for"):
        intent.execute()
    assert (root / "a").read_text() == "other"


def test_a_store_is_closed_whatever_it_is_called(store, tmp_path, monkeypatch):
    for root in (tmp_path / ".max", tmp_path / ".max" / "staging"):
        with pytest.raises(Error, match="is in a store"):
            Intent.plan(store, "write", [{}], root=root, to="x", content="x")
    assert plan(store, "write", [{}], to=".MAX/config.toml", content="x").preview().problem_counts == {
        "refused": 1
    }
    # As where a file system takes another name for it.
    os.rename(tmp_path / ".max", tmp_path / "store")
    os.symlink("store", tmp_path / ".max")
    intent = plan(store, "write", [{}], to="store/config.toml", content="x")
    outcome = intent.execute()
    assert lines_of(store, outcome)[0]["error"] == "store is a store, which no intent changes"

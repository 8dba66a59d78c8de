"""The user's own store: what is staged and kept outside of a project, and found from inside one."""

import json
import os
import stat
import subprocess
import sys

import pytest

import maxstage
from helpers import NOBODY
from maxstage import Store

NO_PROJECT = 'Not in a Max project. Run "max init" first.'


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a store of its own that may be used."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.delenv("MAX_USER_STORE")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def outside(home, tmp_path, program_in):
    """The program in a folder outside of any project."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return program_in(folder)


@pytest.fixture
def inside(home, tmp_path, program_in):
    """The program in a project."""
    Store.init(tmp_path / "inside")
    return program_in(tmp_path / "inside")


def place(home):
    return home / ".local" / "share" / "maxstage"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_staging_outside_of_a_project(outside, home):
    token = outside.stage(b"one\ntwo\n", "--source", "a/b")
    assert outside("retrieve", token).stdout == b"one\ntwo\n"
    assert outside("retrieve", token, "--lines", "2:", "--max-bytes", "100").stdout == b"two\n"
    assert (mode(place(home)), mode(place(home) / ".max")) == (0o700, 0o700)
    info = json.loads(outside.text("stage", "info", token, "-o", "json"))
    assert info["source"] == "a/b"
    store = Store.user()
    assert store.settings.max_store_bytes == 10 * 10**9
    item = store.info(token)
    assert item.expires - item.created == pytest.approx(24 * 3600, abs=2)
    assert outside.text("stage", "list", "-q").strip() == token
    assert outside.text("stage", "pin", token).startswith("Pinned")
    assert outside.text("stage", "unpin", token).startswith("Unpinned")
    assert outside.text("stage", "renew", token, "--ttl", "3h").startswith("Renewed")
    assert "1 good, 0 damaged" in outside.text("stage", "verify")
    assert outside.text("stage", "gc").startswith("Swept")
    assert outside.text("unstage", token) == f"Unstaged: {token}\n"
    assert "not found" in outside.fails("retrieve", token)
    # It is a project like any other.
    assert outside.text("--dir", str(place(home)), "stage", "list") == "No staged data.\n"


def test_the_place_is_named_by_the_environment(outside, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "a" / "b"))
    token = outside.stage(b"x")
    assert os.listdir(tmp_path / "a" / "b") == ["maxstage"]
    assert outside("retrieve", token).stdout == b"x"


def test_nothing_is_made_in_a_project(inside, home):
    token = inside.stage(b"x")
    inside("retrieve", token)
    inside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert "not found" in inside.fails("retrieve", "max:00000000")
    assert os.listdir(home) == []


def test_a_project_finds_what_was_staged_outside(outside, inside):
    token = outside.stage(b"one\ntwo\n")
    here = inside.stage(b"here\n")
    assert inside("retrieve", token).stdout == b"one\ntwo\n"
    assert inside("retrieve", here, token, "--head", "1").stdout == b"here\none\n"
    assert inside("retrieve", token, "--max-bytes", "4", "--strategy", "head").stdout == b"one\n"
    # What doesn't read is about the project alone.
    assert inside.text("stage", "list", "-q").strip() == here
    assert inside.text("stage", "info", token).startswith(f"Token:      {token}")
    assert inside("unstage", token, check=1).stdout == b""
    assert inside.fails("retrieve", "max:00000000").startswith("Staged data not found: max:00000000; ")
    Store.user().unstage(token)
    assert "not found" in inside.fails("retrieve", token)


def test_what_expired_outside_says_so_in_a_project(outside, inside):
    token = outside.stage(b"x", "--ttl", "1m")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import time; real = time.time; time.time = lambda: real() + 120; from maxstage.cli import main; main()",
            "retrieve",
            token,
        ],
        cwd=inside.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Staged data expired ")


def test_a_workflow_still_wants_a_project(outside, home):
    (outside.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks: {t: {command: {executable: 'true'}}}\n"
    )
    for command in (["run", "flow.yaml"], ["runs"], ["context", "x", "t"]):
        assert outside.fails(*command) == NO_PROJECT
    assert os.listdir(home) == []


@pytest.mark.parametrize("long_way", [[], ["--combine"]])
def test_exec_keeps_outside_of_a_project(outside, home, long_way):
    done = outside("exec", *long_way, "--", "true")
    assert (done.stderr, os.listdir(home)) == (b"", [])
    # For the first time, and again.
    for _ in range(2):
        done = outside("exec", *long_way, "--max-stdout-bytes", "2KB", "--", "seq", "10000")
        assert done.stderr == b""
        token = done.stdout.split(b"max retrieve ")[1].split(b"]")[0].decode()
        assert outside("retrieve", token).stdout.endswith(b"\n10000\n")
    assert outside("exec", "--stdin", token, "--", "head", "-n", "1").stdout == b"1\n"
    assert (
        outside("exec", "--keep", "always", "-o", "json", "--", "echo", "x").stdout.count(b'"ref": "max:')
        == 1
    )


def test_exec_obeys_the_limits_of_the_users_store(outside, home):
    Store.user()
    (place(home) / ".max" / "config.toml").write_text('[limits]\nmax_stdout_bytes = "1500"\n')
    assert len(outside("exec", "--", "seq", "10000").stdout) <= 1500


def test_truncate_keeps_outside_of_a_project(outside):
    text = b"line\n" * 1000
    done = outside("truncate", "--max-bytes", "1KiB", stdin=text)
    token = done.stdout.split(b"max retrieve ")[1].split(b"]")[0].decode()
    assert (done.stderr, outside("retrieve", token).stdout) == (b"", text)


def turn_off_by_variable(monkeypatch, home):
    monkeypatch.setenv("MAX_USER_STORE", "0")


def turn_off_by_settings(monkeypatch, home):
    (home / ".config" / "maxstage").mkdir(parents=True)
    (home / ".config" / "maxstage" / "config.toml").write_text("user_store = false\n")


@pytest.mark.parametrize("turn_off", [turn_off_by_variable, turn_off_by_settings])
def test_turned_off(outside, inside, home, monkeypatch, turn_off):
    token = outside.stage(b"x")
    turn_off(monkeypatch, home)
    for command in (["stage"], ["retrieve", token], ["stage", "list"], ["unstage", token]):
        assert outside.fails(*command) == NO_PROJECT
    assert "not found" in inside.fails("retrieve", token)
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert done.stderr == (b'the full output was not kept: not in a Max project; run "max init" first\n')
    with pytest.raises(maxstage.NoProject):
        Store.user()
    assert Store.user_or_none() is None


def test_settings_that_are_no_good(outside, home, monkeypatch):
    turn_off_by_settings(monkeypatch, home)
    config = home / ".config" / "maxstage" / "config.toml"
    config.write_text("# mine\nuser_store = 'perhaps'\n")
    assert outside.fails("stage") == f"{config}:2: user_store must be true or false"
    config.write_text("user_stor = true\n")
    assert "unknown setting 'user_stor'; did you mean 'user_store'?" in outside.fails("stage")
    monkeypatch.setenv("MAX_USER_STORE", "perhaps")
    assert outside.fails("stage") == "MAX_USER_STORE='perhaps' must be true or false"


def test_a_project_can_not_say_it(inside):
    (inside.folder / ".max" / "config.toml").write_text("user_store = false\n")
    assert "user_store belongs in your own settings" in inside.fails("stage")


def test_a_relative_place_is_refused(outside, inside, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    line = outside.fails("stage")
    assert line.startswith("XDG_DATA_HOME='data' is not an absolute path, so your own store has no place; ")
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert done.stderr.count(b"\n") == 1
    assert b"the full output was not kept: XDG_DATA_HOME='data' is not" in done.stderr
    assert os.listdir(outside.folder) == []
    # In a project nobody asks.
    assert inside.fails("retrieve", "max:00000000").startswith("Staged data not found")
    assert outside("exec", "--", "true").stderr == b""


def test_a_home_that_is_none(outside, monkeypatch):
    for home in ("", "home"):
        monkeypatch.setenv("HOME", home)
        line = outside.fails("stage")
        assert line.startswith("Neither XDG_DATA_HOME nor HOME is an absolute path, so your own store ")
    # Without HOME the system's list of users says where it is.
    monkeypatch.delenv("HOME")
    code = (
        "import os, pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid));"
        " import maxstage; maxstage.Store.user()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "NoProject: Neither XDG_DATA_HOME nor HOME is an absolute path" in done.stderr


def test_dev_null_is_no_home(outside, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null")
    assert outside.text("exec", "--", "echo", "x") == "x\n"
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert (
        b"the full output was not kept: Not in a Max project, and your own store can't be made" in done.stderr
    )
    assert 'run "max init" to make the folder where you are a project' in outside.fails("stage")


def test_a_home_that_can_not_be_written(outside, home, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/no/such")
    line = outside.fails("stage")
    assert line.startswith("Not in a Max project, and your own store can't be made (")
    assert line.endswith('run "max init" to make the folder where you are a project, or set XDG_DATA_HOME')
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "file"))
    assert "can't be made (Not a directory: " in outside.fails("stage")
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert b"the full output was not kept: Not in a Max project, and your own store" in done.stderr


def test_somebody_elses_place_is_refused(outside, home, monkeypatch, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("gives a folder to another user")
    data = tmp_path / "data"
    data.mkdir(mode=0o777)
    data.chmod(0o777)
    theirs = data / "maxstage"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    # We are root here: what another user's folder holds is not ours to trust.
    assert f"{theirs} belongs to " in outside.fails("stage")
    assert os.listdir(theirs) == []
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert b"not kept: " in done.stderr
    Store.init(theirs)
    assert f"{theirs} belongs to " in outside.fails("stage")
    done = outside("exec", "--max-stdout-bytes", "2KB", "--", "seq", "10000")
    assert done.stderr.startswith(b"Nothing is kept: ")
    monkeypatch.setenv("MAX_SAFE_DIRECTORY", str(theirs))
    outside.stage(b"x")


def test_a_project_says_where_a_token_of_the_users_store_is(outside, inside, home):
    token = outside.stage(b"one\n")
    assert json.loads(inside.text("stage", "info", token, "-o", "json"))["ref"] == token
    told = (
        f"Staged data not found: {token} is in your own store, not in this project; add --dir {place(home)}"
    )
    for args in (["stage", "renew"], ["stage", "pin"], ["stage", "unpin"], ["stage", "verify"], ["unstage"]):
        assert inside.fails(*args, token) == told
        assert inside.fails(*args, "max:00000000").startswith("Staged data not found: max:00000000")
    assert inside.text("stage", "pin", token, "--dir", str(place(home))).startswith("Pinned: ")
    assert inside.text("unstage", token, "--dir", str(place(home))) == f"Unstaged: {token}\n"


def test_the_quota_names_the_settings_file(outside, home, monkeypatch):
    monkeypatch.setenv("MAX_STORE_BYTES", "100")
    line = outside.fails("stage", stdin=b"x" * 1000)
    assert line.endswith(f"raise the limit in {place(home)}/.max/config.toml")


def test_a_deleted_working_directory(outside, home, tmp_path):
    (tmp_path / "gone").mkdir()
    command = f'cd {tmp_path}/gone && rmdir ../gone && echo x | "$@" stage'
    done = subprocess.run(["sh", "-c", command, "sh", *outside.command], capture_output=True)
    assert done.stdout.startswith(b"max:")


def test_many_make_it_at_once(outside):
    started = [outside.start("stage") for _ in range(8)]
    for process in started:
        process.stdin.write(b"x")
        process.stdin.close()
    for process in started:
        token, errors = process.stdout.read(), process.stderr.read()
        assert (process.wait(), errors) == (0, b"")
        assert token.startswith(b"max:")
    assert len(Store.user().list()) == 8


def test_nearest(outside, inside, home, monkeypatch):
    monkeypatch.chdir(inside.folder)
    assert Store.nearest().layout.project == str(inside.folder)
    monkeypatch.chdir(outside.folder)
    assert Store.user_or_none() is None
    assert Store.nearest().layout.project == str(place(home))
    assert Store.user_or_none().settings.ttl_minutes == 24 * 60
    with pytest.raises(maxstage.NoProject):
        Store.find()
    monkeypatch.setenv("MAX_DIR", "/nope")
    with pytest.raises(maxstage.NoProject, match="MAX_DIR=/nope"):
        Store.nearest()

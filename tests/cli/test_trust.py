"""A project that belongs to somebody else is not used, whatever it holds and however one gets there."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers import NOBODY
from maxstage import Store, Untrusted, run

OTHER = NOBODY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """A home without settings."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.fixture
def planted(program):
    """A project that another user has put where we pass by."""
    base = program.folder / ".max"
    (base / "config.toml").write_text(
        f'[providers.claude]\ncommand = ["touch", "{program.folder}/pwned"]\n[limits]\nmax_stdout_bytes = 3\n'
    )
    give(base)
    below = program.folder / "a" / "b"
    below.mkdir(parents=True)
    (below / "flow.yaml").write_text(
        "name: x\nversion: 1\nagents: {a: {provider: claude}}\ntasks: {t: {agent: a, description: x}}\n"
    )
    program.top, program.folder = program.folder, below
    return program


def give(path):
    """Give all of a directory away."""
    for folder, _, names in os.walk(path):
        for name in ("", *names):
            os.chown(os.path.join(folder, name), OTHER, OTHER, follow_symlinks=False)


COMMANDS = [
    ["stage"],
    ["stage", "./flow.yaml"],
    ["stage", "--ttl", "5"],
    ["retrieve", "a1b2c3d4"],
    ["retrieve", "a1b2c3d4", "--head=1"],
    ["stage", "list"],
    ["stage", "info", "a1b2c3d4"],
    ["stage", "renew", "a1b2c3d4"],
    ["stage", "gc"],
    ["stage", "verify"],
    ["unstage", "a1b2c3d4"],
    ["unstage", "--all", "--yes"],
    ["run", "flow.yaml"],
    ["validate", "flow.yaml"],
    ["runs"],
    ["runs", "show", "x"],
    ["context", "x", "t"],
    ["exec", "--keep", "always", "true"],
    ["exec", "--stdin", "a1b2c3d4", "true"],
    ["truncate", "--keep", "always"],
]


def snapshot(folder):
    return sorted(
        (str(path), path.lstat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
        if "runs" not in path.name
    )


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_every_command_refuses(planted, args):
    before = snapshot(planted.top / ".max")
    line = planted.fails(*args, stdin=b"secret")
    assert line.startswith(f"{planted.top}/.max belongs to ")
    config = f"{os.environ['HOME']}/.config/maxstage/config.toml"
    assert line.endswith(f"add {planted.top} to safe_directories in {config} or to MAX_SAFE_DIRECTORY")
    assert snapshot(planted.top / ".max") == before
    assert not (planted.top / "pwned").exists()


@pytest.mark.parametrize("way", ["option", "first", "environment"])
def test_a_folder_that_is_named_is_refused_as_well(planted, tmp_path_factory, way):
    top, planted.folder = str(planted.top), tmp_path_factory.mktemp("elsewhere")
    for words in (["exec"], ["truncate"], ["stage"], ["stage", "list"]):
        before = ["--dir", top] if way == "first" else []
        after = ["--dir", top] if way == "option" else []
        end = ["true"] if words == ["exec"] else []
        env = os.environ | ({"MAX_DIR": top} if way == "environment" else {})
        line = planted.fails(*before, *words, *after, *end, env=env)
        assert line.startswith(f"{top}/.max belongs to ")


def test_init_leaves_it_alone(planted):
    shutil.rmtree(planted.top / ".max" / "staging")
    before = snapshot(planted.top / ".max")
    assert "belongs to" in planted.fails("init", str(planted.top))
    assert snapshot(planted.top / ".max") == before
    planted("init")  # one of our own below it is found first
    assert planted.stage(b"x")


@pytest.mark.parametrize("options", [[], ["--combine"]], ids=["quick", "long"])
def test_exec_runs_the_command_and_keeps_nothing(planted, options):
    before = snapshot(planted.top / ".max")
    done = planted("exec", *options, "sh", "-c", "yes | head -c 3000000; exit 3", check=3)
    # Cut by the default limit, not by that of the other's settings.
    assert 900_000 < len(done.stdout) <= 1 << 20
    assert b"truncated]" in done.stdout
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(f"Nothing is kept: {planted.top}/.max belongs to ".encode())
    assert snapshot(planted.top / ".max") == before


def test_truncate_cuts_and_keeps_nothing(planted):
    done = planted("truncate", "--max-bytes", "1KiB", stdin=b"x\n" * 5000)
    assert len(done.stdout) <= 1024
    assert b"bytes" in done.stdout
    assert b"max retrieve" not in done.stdout
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"Nothing is kept: ")


def test_exec_keeps_elsewhere_what_is_asked_for(planted, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ours = elsewhere / "ours"
    done = planted("exec", "--external-dir", str(ours), "--max-stdout-bytes", "1KiB", "seq", "9999")
    assert b"max retrieve --dir" in done.stdout
    assert len(Store.open(ours).list()) == 1
    give(ours / ".max")
    planted.folder = elsewhere
    line = planted.fails("exec", "--external-dir", str(ours), "touch", "ran")
    assert line.count(" belongs to ") == 1
    assert not (planted.folder / "ran").exists()


def test_from_python(planted, monkeypatch):
    monkeypatch.chdir(planted.folder)
    with pytest.raises(Untrusted, match="belongs to"):
        Store.find()
    with pytest.raises(Untrusted, match="belongs to"):
        Store.init(planted.top)
    done = run(["seq", "99999"], limits={"max_stdout_bytes": "1KiB"})
    assert done.token is None
    assert ["belongs to" in warning for warning in done.warnings] == [True]


@pytest.mark.parametrize("part", ["config.toml", "staging", "."])
def test_every_part_counts(program, part):
    path = program.folder / ".max" / part
    path.parent.chmod(0o777)
    os.chown(path, OTHER, OTHER)
    line = program.fails("stage", stdin=b"secret")
    assert line.startswith(f"{os.path.normpath(path)} belongs to ")


def test_the_folder_of_runs_counts(program):
    path = program.folder / ".max" / "runs"
    path.mkdir()
    os.chown(path, OTHER, OTHER)
    assert program.stage(b"x")
    assert program.fails("runs").startswith(f"{path} belongs to ")


@pytest.mark.parametrize("part", [".max", ".max/config.toml"])
@pytest.mark.parametrize("whose", ["link", "target"])
def test_links_and_what_they_lead_to(program, part, whose):
    link, target = program.folder / part, program.folder / "elsewhere"
    link.rename(target)
    link.symlink_to(target)
    assert program.stage(b"x")
    os.chown(link if whose == "link" else target, OTHER, OTHER, follow_symlinks=False)
    assert program.fails("stage", stdin=b"x").startswith(f"{link} belongs to ")


def test_our_own_project_in_a_folder_of_somebody_else(program):
    program.folder.chmod(0o777)
    os.chown(program.folder, OTHER, OTHER)
    assert program.stage(b"x")


@pytest.mark.parametrize(
    ("listed", "safe"),
    [
        ("{top}", True),
        ("/nope:{top}/", True),
        ("*", True),
        ("{above}/*", True),
        ("{top}/*", False),
        ("{above}", False),
        ("{top}x", False),
        ("/nope", False),
        ("", False),
        ("::", False),
        ("{link}", True),
        ("{link}/*", False),
    ],
)
@pytest.mark.parametrize("way", ["environment", "file", "XDG_CONFIG_HOME"])
def test_what_is_listed_as_safe(planted, home, tmp_path_factory, listed, safe, way):
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(planted.top)
    words = listed.format(top=planted.top, above=planted.top.parent, link=link)
    env = dict(os.environ)
    if way == "environment":
        env["MAX_SAFE_DIRECTORY"] = words
    else:
        config = home / (".config" if way == "file" else "xdg") / "maxstage" / "config.toml"
        if way != "file":
            env["XDG_CONFIG_HOME"] = str(home / "xdg")
        config.parent.mkdir(parents=True)
        config.write_text(f"# mine\nsafe_directories = {[w for w in words.split(':') if w]!r}\n")
    if safe:
        planted("stage", stdin=b"x", env=env)
    else:
        assert " belongs to " in planted.fails("stage", stdin=b"x", env=env)


def test_a_link_to_what_is_safe_is_not_safe_itself(planted, tmp_path_factory):
    """Who owns the link could turn it to another place once it was looked at."""
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(planted.top)
    env = os.environ | {"MAX_SAFE_DIRECTORY": str(planted.top)}
    assert planted("stage", "--dir", str(planted.top), stdin=b"x", env=env).stdout
    assert " belongs to " in planted.fails("stage", "--dir", str(link), stdin=b"x", env=env)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("safe_directories = 5", ["config.toml:1", "list of directories"]),
        ("\nsafe_directory = ['*']", ["config.toml:2", "'safe_directories'"]),
        ("safe_directories = ['x']", ["'x'", "not an absolute path"]),
        ("=", ["is not TOML"]),
    ],
)
def test_own_settings_at_fault(planted, home, content, words):
    config = home / ".config" / "maxstage" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(content)
    line = planted.fails("stage", stdin=b"x")
    assert all(word in line for word in words), line


def test_own_settings_that_are_not_our_own(planted, home):
    config = home / ".config" / "maxstage" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("safe_directories = ['*']\n")
    os.chown(config, OTHER, OTHER)
    assert planted.fails("stage", stdin=b"x").startswith(f"{config} belongs to ")


@pytest.mark.parametrize("name", ["XDG_CONFIG_HOME", "HOME"])
def test_a_project_can_not_vouch_for_itself(planted, name):
    (planted.top / ".max" / "config.toml").write_text("safe_directories = ['*']\n")
    for folder in ("maxstage", ".config/maxstage"):
        (planted.folder / folder).mkdir(parents=True)
        (planted.folder / folder / "config.toml").write_text("safe_directories = ['*']\n")
    assert " belongs to " in planted.fails("stage", stdin=b"x", env=os.environ | {name: "."})
    os.chown(planted.top / ".max", 0, 0)
    os.chown(planted.top / ".max" / "staging", 0, 0)
    (planted.top / ".max" / "config.toml").unlink()
    (planted.top / ".max" / "config.toml").write_text("safe_directories = ['*']\n")
    assert "belongs in your own settings" in planted.fails("stage", stdin=b"x")


def test_root_is_trusted_and_others_are_not(program):
    """As a user that is not root; by what `os.geteuid` says, since an interpreter may be out of reach of others."""
    code = """
import os, sys
os.geteuid = lambda: 1234
from maxstage import Store, Untrusted
print(Store.open(sys.argv[1]).layout.root)
for owner in (1234, 65534):
    os.chown(sys.argv[1] + "/.max", owner, owner)
    try:
        Store.open(sys.argv[1])
        print("used")
    except Untrusted:
        print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, program.folder], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(program.staging), "used", "refused"]


def test_completion_offers_nothing_and_says_nothing(planted):
    env = os.environ | {
        "_MAX_COMPLETE": "bash_complete",
        "COMP_LINE": "max retrieve ",
        "COMP_WORD": "",
    }
    code = "import sys; from maxstage.cli import main; sys.argv[0] = 'max'; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=planted.folder, env=env, capture_output=True)
    assert (done.stdout.strip(), done.stderr) == (b"", b"")

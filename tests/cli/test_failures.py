"""What goes wrong: one clear line, the right exit code, and nothing left behind."""

import os
import resource
import shutil
import subprocess
import sys

import pytest

from helpers import NOBODY, PATIENCE, edit, let_nobody_in

DATA = b"".join(b'{"n": %d}\n' % number for number in range(5000))


def meta_path(program, token: str):
    return program.staging / f"{token.removeprefix('max:')}.meta.json"


def data_path(program, token: str):
    (path,) = [
        p
        for p in program.staging.glob(f"{token.removeprefix('max:')}.*")
        if not p.name.endswith(".meta.json")
    ]
    return path


def test_no_project(program, tmp_path_factory):
    program.folder = tmp_path_factory.mktemp("none")
    for command in (
        ["stage"],
        ["retrieve", "a1b2c3d4"],
        ["stage", "list"],
        ["unstage", "a1b2c3d4"],
        ["stage", "gc"],
    ):
        assert program.fails(*command) == 'Not in a Max project. Run "max init" first.'


@pytest.mark.parametrize(
    "token",
    [
        "../x",
        "max:",
        "",
        "a1b2c3d",
        "a" * 33,
        "/etc/passwd",
        "a1b2c3dg",
        "max:max:a1b2c3d4",
        "max:state:a1b2c3d4",
        "a1b2/c3d4",
        "٣1b2c3d4",
        "a1b2c3d4.meta",
        "....a1b2c3d4",
    ],
)
def test_bad_tokens(program, token):
    for command in (["retrieve"], ["stage", "info"], ["unstage"]):
        line = program.fails(*command, token, code=2)
        assert line.startswith("Invalid token: ")
        assert "like max:a1b2c3d4" in line


def test_no_bad_token_reaches_the_file_system(store):
    import maxstage

    for token in ("a1b2c3d4\0", "../../x", "\0"):
        with pytest.raises(maxstage.InvalidToken):
            store.open(token)


def test_missing_and_expired(program):
    assert program.fails("retrieve", "deadbeef").startswith("Staged data not found: max:deadbeef")
    token = program.stage(DATA, "--source", "crm/deal")
    edit(meta_path(program, token), expiresAt="2024-01-01T00:00:00Z")
    before = program.fails("retrieve", token)
    assert f"ago: {token} (crm/deal, 5,000 records)" in before
    assert program.text("stage", "gc").startswith("Swept: 1 expired")
    assert program.fails("retrieve", token) == before
    assert program.fails("stage", "renew", token) == before
    assert not meta_path(program, token).exists()


def test_removed_while_reading(program):
    token = program.stage(DATA * 100)
    reader = program.start("retrieve", token)
    first = reader.stdout.read(10)
    program("unstage", token)
    assert first + reader.stdout.read() == DATA * 100
    assert reader.wait() == 0


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"token": "a1b2c3d4"}', "\xff", '{"token": 5}', "[" * 100_000],
)
def test_damaged_metadata(program, content):
    token = program.stage(DATA)
    good = program.stage(b"good")
    meta_path(program, token).write_bytes(content.encode("latin-1"))
    for command in (["retrieve"], ["stage", "info"], ["stage", "pin"]):
        line = program.fails(*command, token)
        assert line.startswith(f"Staged data is damaged: {token}: ")
        assert f"max unstage {token}" in line
    listed = program("stage", "list", "-q")
    assert listed.stdout.decode().split() == [good]
    assert b"1 damaged left out" in listed.stderr
    program("unstage", token)
    assert program.leftovers() == []
    assert not list(program.staging.glob(f"*{token.removeprefix('max:')}*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "a1b2c3d4"},
        {"byteSize": -1},
        {"byteSize": "9"},
        {"byteSize": True},
        {"recordCount": None},
        {"createdAt": "yesterday"},
        {"createdAt": "2024-13-01T00:00:00Z"},
        {"expiresAt": 5},
        {"expiresAt": ...},
        {"contentType": "../../etc/passwd"},
        {"source": 5},
        {"compression": "zip"},
        {"checksum": "md5:x"},
        {"lineIndex": {"block": 0, "newlines": []}},
        {"labels": {"a": 1}},
    ],
)
def test_metadata_of_the_wrong_type(program, changes):
    token = program.stage(DATA)
    edit(meta_path(program, token), **changes)
    assert program.fails("retrieve", token).startswith(f"Staged data is damaged: {token}: ")


@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_altered_data(program, options):
    token = program.stage(DATA, *options)
    path = data_path(program, token)
    good = path.read_bytes()
    # Another length is noticed before the first byte is written.
    for content in (good[:-1], good + b"x", b""):
        path.write_bytes(content)
        done = program("retrieve", token, check=1)
        assert done.stdout == b""
        assert done.stderr.startswith(f"Staged data is damaged: {token}: its data file has".encode())
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    line = program.fails("retrieve", token)
    assert line.startswith(f"Staged data is damaged: {token}: ")
    assert "do not use what was written" in line
    program("stage", "verify", check=1)
    path.unlink()
    assert "its data file is missing" in program.fails("retrieve", token)


@pytest.mark.parametrize("target", ["data", "metadata"])
@pytest.mark.parametrize("plant", ["link", "fifo", "directory"])
def test_planted_files_are_refused(program, plant, target):
    token = program.stage(b"data\n")
    secret = program.folder / "secret"
    secret.write_bytes(b"leak\n")
    path = data_path(program, token) if target == "data" else meta_path(program, token)
    path.unlink()
    if plant == "link":
        path.symlink_to(secret)
    elif plant == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert "not a regular file" in program.fails("retrieve", token, timeout=PATIENCE)


def test_a_staging_that_is_a_link_is_refused(program):
    shutil.rmtree(program.staging)
    elsewhere = program.folder / "elsewhere"
    elsewhere.mkdir()
    program.staging.symlink_to(elsewhere)
    assert "is not a directory" in program.fails("stage", stdin=b"x")
    assert os.listdir(elsewhere) == []


def test_planted_service_files_never_fail_a_command(program):
    (program.folder / "precious").write_bytes(b"precious")
    (program.staging / ".sweep").symlink_to(program.folder / "precious")
    token = program.stage(b"x")
    assert program("retrieve", token).stdout == b"x"
    assert (program.folder / "precious").read_bytes() == b"precious"


def test_closed_streams(program):
    def run(redirect: str, *args: str):
        words = [sys.executable, "-m", "maxstage", *args]
        return subprocess.run(
            ["sh", "-c", f'"$@" {redirect}', "sh", *words], cwd=program.folder, capture_output=True
        )

    done = run("<&-", "stage")
    assert (done.returncode, done.stderr) == (1, b"Standard input is closed: there is nothing to stage\n")
    done = run(">&-", "stage", "x")
    assert (done.returncode, done.stderr) == (1, b"Standard output is closed: there is nowhere to write to\n")
    token = program.stage(b"x")
    assert run("2>&-", "retrieve", token).stdout == b"x"
    assert run("<&-", "retrieve", token).stdout == b"x"
    assert program.text("stage", "list", "-q").split() == [token]


def test_a_full_stdout(program):
    with open("/dev/full", "wb") as full:
        token = program.stage(DATA)
        run = {"cwd": program.folder, "stderr": subprocess.PIPE}
        done = subprocess.run([*program.command, "retrieve", token], stdout=full, **run)
        assert (done.returncode, done.stderr) == (1, b"No space left on device: <stdout>\n")
        done = subprocess.run([*program.command, "stage"], stdout=full, input=b"kept", **run)
        assert done.returncode == 1
        # The data is not lost: the line on stderr names the token.
        kept = done.stderr.decode().split("Staged as ")[1].split(",")[0]
        assert program("retrieve", kept).stdout == b"kept"


@pytest.mark.parametrize("command", [["retrieve", "TOKEN"], ["stage", "list"], ["stage", "info", "TOKEN"]])
def test_a_reader_that_goes_early(program, command):
    token = program.stage(DATA * 50)
    child = program.start(*[token if word == "TOKEN" else word for word in command])
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() == 0


@pytest.mark.parametrize("options", [[], ["--compress"], ["--split", "3"], ["--sync"]])
def test_a_full_disk(program, options):
    """RLIMIT_FSIZE fails writes as a full disk does, but with EFBIG."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    random = os.urandom(5_000_000)
    done = program("stage", *options, stdin=random, check=1, preexec_fn=limit)
    assert b"File too large: " in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert program.leftovers() == []
    assert program.text("stage", "list", "-q") == ""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
@pytest.mark.parametrize("options", [[], ["--compress"], ["--split", "3"]])
def test_a_small_disk(program, options):
    disk = program.folder / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        program.folder = disk
        program("init")
        program.staging = disk / ".max" / "staging"
        assert "No space left on device: " in program.fails("stage", *options, stdin=os.urandom(5_000_000))
        assert program.leftovers() == []
        token = program.stage(b"fits")
        assert program("retrieve", token).stdout == b"fits"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_no_permission(program):
    token = program.stage(b"x")
    let_nobody_in(program.folder)
    (program.folder / ".max").chmod(0o755)
    program.staging.chmod(0o755)
    assert "Permission denied: " in program.fails("stage", stdin=b"x", user=NOBODY)
    assert "Permission denied: " in program.fails("retrieve", token, user=NOBODY)


def test_quotas(program):
    config = program.folder / ".max" / "config.toml"
    config.write_text('max_item_bytes = "100KB"\n')
    assert program.stage(b"x" * 100_000)
    for options in ([], ["--compress"], ["--split", "2"]):
        line = program.fails("stage", *options, stdin=b"x" * 100_001)
        assert "max_item_bytes (100,000 bytes)" in line
    # An endless producer is stopped while it streams.
    endless = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    done = subprocess.run(
        [*program.command, "stage"], stdin=endless.stdout, cwd=program.folder, capture_output=True
    )
    endless.stdout.close()
    endless.wait()
    assert (done.returncode, program.leftovers()) == (1, [])
    config.write_text("max_store_bytes = 300000\n")
    assert program.stage(b"x" * 200_000)
    assert "max_store_bytes (300,000 bytes)" in program.fails("stage", stdin=b"x")
    program("unstage", "--all", "--yes")
    assert program.stage(os.urandom(299_000), "--compress")
    assert "max_store_bytes" in program.fails("stage", "--compress", stdin=os.urandom(2000))
    assert program.leftovers() == []
    program("unstage", "--all", "--yes")
    environment = os.environ | {"MAX_STORE_BYTES": "1KB"}
    assert "max_store_bytes (1,000 bytes)" in program.fails("stage", stdin=b"x" * 1001, env=environment)
    assert program("stage", stdin=b"x" * 1000, env=environment)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("# one\ntll = 5\n", ["config.toml:2", "unknown setting 'tll'", "ttl_minutes"]),
        ("\n\n[limit]\nx = 1\n", ["config.toml:3", "'limit'"]),
        ("ttl_minutes = 0\n", ["config.toml:1", "ttl_minutes", "from 1 minute", "not 0"]),
        ("ttl_minutes = true\n", ["from 1 minute"]),
        ("token_bytes = true\n", ["whole number from 4"]),
        ('sync = "maybe"\n', ["true or false"]),
        ("max_item_bytes = -5\n", ["config.toml:1", "max_item_bytes"]),
        ("not toml\n", ["is not TOML"]),
    ],
)
def test_settings_at_fault(program, config, words):
    (program.folder / ".max" / "config.toml").write_text(config)
    line = program.fails("stage", stdin=b"x")
    assert all(word in line for word in words), line


def test_settings_that_are_a_link_to_nothing(program):
    config = program.folder / ".max" / "config.toml"
    config.unlink()
    config.symlink_to("gone\n.toml")
    for args in (["stage"], ["stage", "list"]):
        line = program.fails(*args)
        assert (
            "config.toml is a symbolic link to 'gone\\n.toml', which does not exist; mend it or remove it"
            in line
        )
    (config.parent / "gone\n.toml").write_text("ttl_minutes = 5\n")
    program.stage(b"data")


def test_wrong_usage_is_one_line(program):
    for args in (
        ["nope"],
        ["stage", "--nope"],
        ["retrieve"],
        ["stage", "--ttl", "x"],
        ["stage", "--label", "x"],
    ):
        line = program.fails(*args, code=2)
        assert "--help" in line
    assert program.fails("stage", "nofile") == "No such file or directory: nofile"
    assert program.fails("stage", ".") == "Is a directory: ."


def test_a_terminal_with_nothing_piped_in(program):
    import pty

    ours, theirs = pty.openpty()
    done = subprocess.run([*program.command, "stage"], stdin=theirs, cwd=program.folder, capture_output=True)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert b"producer | max stage" in done.stderr
    assert done.stderr.count(b"\n") == 1
    assert program.leftovers() == []


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], ["stage", "list"], ["stage", "--help"], ["exec", "echo", "x"], ["stage"]],
)
def test_stdout_on_a_full_disk(program, args):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*program.command, *args],
            stdin=subprocess.PIPE,
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=program.folder,
        )
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_backend_that_is_none(program):
    line = program.fails("stage", env=os.environ | {"MAXSTAGE_BACKEND": "java"})
    assert line == "MAXSTAGE_BACKEND='java' is not a backend; use one of: rust, python"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["stage", "--ttl", "nan"], "must be from 1 minute to 100 years"),
        (["stage", "--ttl", "inf"], "must be from 1 minute to 100 years"),
        (["stage", "--ttl", "1e10"], "must be from 1 minute to 100 years"),
        (["stage", "--source", "bad\nline"], "can't be printed"),
        (["stage", "--label", "a=\x1b[31m"], "can't be printed"),
        (["stage", "--ttl", "59s"], "must be from 1 minute"),
        (["stage", "--ttl", "0.5"], "must be from 1 minute"),
        (["stage", "--ttl", "2x"], "must be from 1 minute"),
        (["stage", "--ttl", "h"], "must be from 1 minute"),
        (["stage", "--ttl", "9" * 5000], "must be from 1 minute"),
        (["stage", "--ttl", "5301w"], "must be from 1 minute"),
        (["stage", "--split", "10001"], "at most 10,000 items: each is two files"),
        (["stage", "--split", "9" * 5000], "at most 10,000 items"),
        (["retrieve", "a1b2c3d4", "--head", "-1"], "not in the range"),
        (["retrieve", "a1b2c3d4", "--max-bytes", "9" * 5000], "positive number of bytes"),
        (["exec", "--max-stderr-bytes", "9" * 5000, "--", "true"], "positive number of bytes"),
        (["truncate", "--threshold", "9" * 5000], "positive number of bytes"),
        (["retrieve", "a1b2c3d4", "--max-lines", "5"], "--max-lines needs --max-bytes"),
        (["retrieve", "a1b2c3d4", "--max-bytes", "9" * 20], "positive number of bytes"),
        (["exec", "--max-stdout-bytes", "9" * 20, "--", "true"], "positive number of bytes"),
    ],
)
def test_values_beyond_reason(program, args, words):
    assert words in program.fails(*args, code=2)


@pytest.mark.parametrize("huge", ["9" * 20, "9" * 5000])
def test_numbers_beyond_the_data(program, huge):
    token = program.stage(DATA)
    for options in (["--lines", f"{huge}:"], ["--lines", huge], ["--lines", f"{huge}:{huge}9"]):
        assert program("retrieve", token, *options).stdout == b""
    for options in (["--lines", f"1:{huge}"], ["--lines", f":{huge}"], ["--head", huge], ["--tail", huge]):
        assert program("retrieve", token, *options).stdout == DATA
    options = ["--max-bytes", "1MB", "--strategy", "head_lines", "--max-lines", huge]
    assert program("retrieve", token, *options).stdout == DATA
    assert program("exec", "--max-lines", huge, "--", "echo", "x").stdout == b"x\n"
    assert program("truncate", "--max-lines", huge, stdin=DATA).stdout == DATA
    assert program.text("stage", "list", "-q", "--limit", huge).split() == [token]
    assert len(program.text("stage", "--split-lines", huge, stdin=DATA).split()) == 1
    zeros = "0" * 5000
    assert program("retrieve", token, "--lines", f"{zeros}2").stdout == DATA.splitlines(keepends=True)[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [("ttl_minutes", "9" * 5000), ("token_bytes", "9" * 5000), ("max_item_bytes", "9" * 5000)],
)
def test_settings_beyond_reason(program, key, value):
    variable = f"MAX_{key.upper().removeprefix('MAX_')}"
    line = program.fails("stage", stdin=b"x", env=os.environ | {variable: value})
    assert line.startswith(f"{variable}=")
    assert "Exceeds" not in line
    (program.folder / ".max" / "config.toml").write_text(f'{key} = "{value}"\n')
    line = program.fails("stage", stdin=b"x")
    assert "config.toml:1" in line
    assert "Exceeds" not in line


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small disk")
def test_a_disk_that_is_full_to_the_last_byte(program):
    """Every command that writes names the file."""
    disk = program.folder / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        program.folder = disk
        program("init")
        program.staging = disk / ".max" / "staging"
        token = program.stage(b"fits\n")
        meta = meta_path(program, token)
        with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(b"x" * 4096)
        for verb in (["stage", "renew"], ["stage", "pin"]):
            assert program.fails(*verb, token) == f"No space left on device: {meta}"
        assert program("retrieve", token).stdout == b"fits\n"
        assert program.fails("retrieve", token, "--to", "out") == "No space left on device: out"
        assert program.fails("init", "new").endswith("new/.max/.gitignore")
        assert "No space left on device: " in program.fails("stage", stdin=b"more")
        (disk / "filler").unlink()
        # Nothing that was half made stands in the way later.
        program("init", "new")
        assert (disk / "new" / ".max" / ".gitignore").read_text().endswith("*\n")
        assert program.leftovers() == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)

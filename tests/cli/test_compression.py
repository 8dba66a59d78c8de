"""Codecs by name, through the real program: options, settings, limits, and what the files hold."""

import gzip
import json
import os
import shutil
import subprocess
import sys

import pytest

from maxstage import backend
from maxstage.codecs import CODECS, NONE

COMPRESSING = [name for name in CODECS if name != NONE]
LINES = b"".join(b'{"id": %d, "name": "%x"}\n' % (number, number * 7919) for number in range(120_000))
"""More than three frames."""

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}


def item_of(program, token):
    return json.loads(program.text("stage", "info", token, "-o", "json", "--all"))


def file_of(program, token):
    """Return the data file of an item, whose name ends as its codec says."""
    (path,) = [
        path
        for path in program.staging.glob(f"{token.removeprefix('max:')}.*")
        if not path.name.endswith(".meta.json")
    ]
    return path


def codec_of(program, token):
    """Return the codec of an item, which its metadata and its data file agree on."""
    told = item_of(program, token)["compression"]
    path = file_of(program, token)
    assert told == MAGIC.get(path.read_bytes()[:2])
    assert path.name.endswith(CODECS[told or NONE].extension)
    return told


def unpacked(path, codec):
    """Return the data by others' code."""
    if codec == "gzip":
        return gzip.decompress(path.read_bytes())
    if shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout


def other_backend(program):
    """Return what runs the program by the other backend; skip where there is none."""
    other = "python" if backend == "rust" else "rust"
    environ = os.environ | {"MAXSTAGE_BACKEND": other}
    if program("--version", check=None, env=environ).returncode:
        pytest.skip(f"there is no backend {other}")
    return lambda *args, **options: program.text(*args, env=environ, **options)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_everything_reads_it(program, codec):
    token = program.stage(LINES, f"--compress={codec}")
    assert codec_of(program, token) == codec
    lines = LINES.splitlines(keepends=True)
    assert program("retrieve", token).stdout == LINES
    assert program("retrieve", token, "--lines", "70000:70002").stdout == b"".join(lines[69_999:70_002])
    assert program("retrieve", token, "--tail", "2").stdout == b"".join(lines[-2:])
    assert program("retrieve", token, "--head", "2").stdout == b"".join(lines[:2])
    cut = program("retrieve", token, "--max-bytes", "2KiB", "--strategy", "head").stdout
    assert cut.startswith(lines[0])
    assert len(cut) <= 2048
    assert "1 good, 0 damaged" in program.text("stage", "verify", token)
    shown = program.text("stage", "info", token)
    assert f", {codec}\n" in shown
    assert program.text("exec", "--stdin", token, "--", "wc", "-l").strip() == "120000"
    assert unpacked(file_of(program, token), codec) == LINES


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("data", [b"", b"\n", b"no newline", b"x" * (1 << 20), b"y\n" * (1 << 19) + b"z"])
def test_odd_sizes(program, codec, data):
    token = program.stage(data, f"--compress={codec}")
    assert program("retrieve", token).stdout == data
    assert unpacked(file_of(program, token), codec) == data


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("how", [["--split", "3"], ["--split-lines", "50000"]])
def test_split(program, codec, how):
    tokens = program.stage(LINES, f"--compress={codec}", *how).split()
    assert len(tokens) == 3
    assert [codec_of(program, token) for token in tokens] == [codec] * 3
    assert program("retrieve", *tokens).stdout == LINES


@pytest.mark.parametrize("codec", COMPRESSING)
def test_one_backend_reads_what_the_other_wrote(program, codec):
    other = other_backend(program)
    ours = program.stage(LINES, f"--compress={codec}")
    theirs = other("stage", f"--compress={codec}", stdin=LINES).strip()
    for token in (ours, theirs):
        assert codec_of(program, token) == codec
        slices = ("retrieve", token, "--lines", "99990:100010")
        assert other("retrieve", token).encode() == program("retrieve", token).stdout == LINES
        assert other(*slices) == program.text(*slices)
        assert "1 good" in other("stage", "verify", token)


@pytest.mark.parametrize("codec", COMPRESSING)
@pytest.mark.parametrize("where", [2, 0.3, 0.9, -3])
def test_damaged_data_is_an_error(program, codec, where):
    token = program.stage(LINES, f"--compress={codec}")
    path = file_of(program, token)
    data = bytearray(path.read_bytes())
    at = int(where * len(data)) if isinstance(where, float) else where
    data[at] ^= 0x55
    path.write_bytes(data)
    assert token in program.fails("retrieve", token, "--to", "out.txt")
    assert not (program.folder / "out.txt").exists()
    assert "0 good, 1 damaged" in program("stage", "verify", token, check=1).stdout.decode()
    path.write_bytes(data[: len(data) // 2])
    assert token in program.fails("retrieve", token)


def test_verify_goes_on_where_a_codec_is_missing(program):
    packed = program.stage(LINES, "--compress=zstd")
    plain = program.stage(LINES)
    damaged = program.stage(LINES)
    file_of(program, damaged).write_bytes(LINES[::-1])
    command = [sys.executable, "-c", WITHOUT_ZSTD, "stage", "verify"]
    environ = os.environ | {"MAXSTAGE_BACKEND": "python"}
    done = subprocess.run(command, cwd=program.folder, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "Verified: 1 good, 1 damaged, 1 not checked\n")
    line, other = sorted(done.stderr.splitlines())
    assert line.startswith(f"Not checked: {packed}: zstd needs Python 3.14")
    assert "pip install 'maxstage[zstd]'" in line
    assert damaged in other
    done = subprocess.run([*command, "-o", "json"], cwd=program.folder, env=environ, capture_output=True)
    told = {item["ref"]: (item["ok"], item["problem"] is None) for item in json.loads(done.stdout)}
    assert (done.returncode, told) == (
        1,
        {packed: (None, False), plain: (True, True), damaged: (False, False)},
    )


# Options


@pytest.mark.parametrize("command", ["stage", "truncate"])
def test_a_codec_taken_for_a_file(program, command):
    for args in (["zstd"], ["zstd", "--dir", "."]):
        line = program.fails(command, "--compress", *args, code=2)
        assert (
            line
            == f'No such file: zstd. Did you mean "--compress=zstd"? See "__main__.py {command} --help".'.replace(
                "__main__.py", "python -m maxstage"
            )
        )
    (program.folder / "zstd").write_bytes(LINES)
    assert program(command, "--compress", "zstd").stdout


@pytest.mark.parametrize(
    ("options", "codec"),
    [
        ([], None),
        (["--compress"], "gzip"),
        (["--compress=gzip"], "gzip"),
        (["--compress=zstd"], "zstd"),
        (["--compress=none"], None),
        (["--no-compress"], None),
        (["--compress=zstd", "--no-compress"], None),
        (["--no-compress", "--compress=zstd"], "zstd"),
        (["--compress=zstd", "--compress"], "gzip"),
        (["--sync", "--compress=zstd", "--ttl", "5"], "zstd"),
    ],
)
def test_options(program, options, codec):
    (program.folder / "data.txt").write_bytes(b"data\n")
    # By stdin, and with a file before, behind and after the end of options.
    for words in ([*options], [*options, "data.txt"], ["data.txt", *options], [*options, "--", "data.txt"]):
        assert codec_of(program, program.stage(b"data\n", *words)) == codec


def test_a_file_behind_compress_is_staged(program):
    (program.folder / "zstd").write_bytes(b"a file of that name\n")
    token = program.stage(b"stdin\n", "--compress", "zstd")
    assert codec_of(program, token) == "gzip"
    assert program("retrieve", token).stdout == b"a file of that name\n"


def test_what_is_no_option_stays_as_it_is(program):
    (program.folder / "--compress").write_bytes(b"a file of that name\n")
    token = program.stage(b"", "--", "--compress")
    assert program("retrieve", token).stdout == b"a file of that name\n"
    token = program.stage(b"x\n", "--source", "--compress")
    assert item_of(program, token)["source"] == "--compress"
    assert program.text("exec", "--compress", "echo", "--compress") == "--compress\n"
    assert program.text("exec", "--combine", "--", "echo", "--compress") == "--compress\n"


@pytest.mark.parametrize("command", [["stage"], ["truncate"], ["exec", "true"]])
@pytest.mark.parametrize("name", ["lz4", "", "ZSTD"])
def test_an_unknown_codec_is_wrong_usage(program, command, name):
    done = program(command[0], f"--compress={name}", *command[1:], check=2)
    for codec in CODECS:
        assert codec.encode() in done.stderr
    assert done.stdout == b""
    assert program.leftovers() == []


# Settings


@pytest.mark.parametrize(
    ("value", "codec"),
    [("true", "gzip"), ("false", None), ('"gzip"', "gzip"), ('"zstd"', "zstd"), ('"none"', None)],
)
def test_the_setting(program, value, codec):
    (program.folder / ".max" / "config.toml").write_text(f"compress = {value}\n")
    assert codec_of(program, program.stage(LINES)) == codec
    assert codec_of(program, program.stage(LINES, "--compress=zstd")) == "zstd"
    assert codec_of(program, program.stage(LINES, "--no-compress")) is None
    (program.folder / ".max" / "config.toml").write_text("")
    environ = os.environ | {"MAX_COMPRESS": value.strip('"')}
    assert codec_of(program, program.text("stage", stdin=LINES, env=environ).strip()) == codec


def test_a_wrong_setting(program):
    config = program.folder / ".max" / "config.toml"
    wanted = "must be true, false or one of: none, gzip, zstd"
    config.write_text('\ncompress = "zip"\n')
    line = program.fails("stage")
    assert "config.toml:2: compress " in line
    assert f"{wanted}, not 'zip'" in line
    config.write_text("")
    line = program.fails("stage", env=os.environ | {"MAX_COMPRESS": "zip"})
    assert f"MAX_COMPRESS='zip' {wanted}" in line
    config.write_text('[limits]\ncompress_external = "zip"\n')
    assert f"compress_external {wanted}, not 'zip'" in program.fails("stage")


# Whole outputs


@pytest.mark.parametrize(
    ("setting", "options", "codec"),
    [
        ("true", [], "gzip"),
        ('"zstd"', [], "zstd"),
        ('"none"', [], None),
        ('"zstd"', ["--compress"], "gzip"),
        ("true", ["--compress=zstd"], "zstd"),
        ('"zstd"', ["--no-compress"], None),
    ],
)
def test_whole_outputs(program, setting, options, codec):
    (program.folder / ".max" / "config.toml").write_text(f"[limits]\ncompress_external = {setting}\n")
    small = ["--strategy", "head", *options]
    done = program.text("exec", "--max-stdout-bytes", "2KiB", *small, "-o", "json", "--", "cat", stdin=LINES)
    cut = program.text("truncate", "--max-bytes", "2KiB", *small, "-o", "json", stdin=LINES)
    for token in (json.loads(text)["token"] for text in (done, cut)):
        assert codec_of(program, token) == codec
        assert program("retrieve", token).stdout == LINES


# Where the twin has no zstd

WITHOUT_ZSTD = (
    "import sys; sys.modules.update({'compression.zstd': None, 'backports.zstd': None}); "
    "from maxstage.cli import main; main()"
)


def items_in(program):
    return sorted(name for name in os.listdir(program.staging) if name not in {".lock", ".sweep"})


def test_without_the_package(program):
    token = program.stage(LINES, "--compress=zstd")
    plain = program.stage(LINES)
    before = items_in(program)
    program.command = [sys.executable, "-c", WITHOUT_ZSTD]
    environ = os.environ | {"MAXSTAGE_BACKEND": "python"}
    (program.folder / "data.txt").write_bytes(LINES)
    for args in (
        ["stage", "--compress=zstd"],
        ["stage", "--compress=zstd", "--split", "2"],
        ["stage", "--compress=zstd", "--sync", "data.txt"],
        ["retrieve", token],
        ["retrieve", token, "--to", "out.txt"],
        ["retrieve", plain, token],
        ["stage", "info", token],
    ):
        done = program(*args, stdin=LINES, check=1, env=environ)
        assert done.stdout == b""
        assert done.stderr.count(b"\n") == 1
        assert b"pip install 'maxstage[zstd]'" in done.stderr
        assert items_in(program) == before
    assert not (program.folder / "out.txt").exists()
    # What needs no codec goes on: other items, the list, and the output of a command.
    assert program("retrieve", plain, env=environ).stdout == LINES
    assert token in program.text("stage", "list", env=environ)
    done = program(
        "exec", "--max-stdout-bytes", "2KiB", "--compress=zstd", "--", "cat", "data.txt", env=environ
    )
    assert 0 < len(done.stdout) <= 2048
    assert b"pip install 'maxstage[zstd]'" in done.stderr

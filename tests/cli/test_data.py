"""Awkward data comes back byte for byte, and every option of stage and retrieve does what it says."""

import json
import os
import stat
import subprocess
import sys
from datetime import datetime

import pytest

from helpers import PATIENCE

AWKWARD = {
    "empty": (b"", 0),
    "no final newline": (b"a\nb", 2),
    "one newline": (b"\n", 1),
    "binary": (bytes(range(256)) * 300, 301),
    "crlf": (b"a\r\nb\r\n", 2),
    "invalid utf-8": (b"\xff\xfe\n\x80abc\n", 2),
    "nul": (b"\0\0\n\0", 2),
}
LINES = b"".join(b"%d %s\n" % (number, b"x" * (number % 200)) for number in range(1, 40_001))


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("options", [[], ["--compress"], ["--sync"]])
def test_bytes_come_back(program, name, options):
    data, records = AWKWARD[name]
    token = program.stage(data, *options)
    assert program("retrieve", token).stdout == data
    info = json.loads(program.text("stage", "info", token, "-o", "json"))
    assert (info["byteSize"], info["recordCount"]) == (len(data), records)
    program("stage", "verify", token)


def test_one_line_of_100_mb(program):
    feed = subprocess.Popen(["head", "-c", "100000000", "/dev/zero"], stdout=subprocess.PIPE)
    done = subprocess.run(
        [*program.command, "stage"], stdin=feed.stdout, cwd=program.folder, capture_output=True
    )
    token = done.stdout.decode().strip()
    info = json.loads(program.text("stage", "info", token, "-o", "json"))
    assert (info["byteSize"], info["recordCount"], info["contentType"]) == (100_000_000, 1, "text")
    counted = subprocess.Popen(
        [*program.command, "retrieve", token], stdout=subprocess.PIPE, cwd=program.folder
    )
    assert (
        subprocess.run(["wc", "-c"], stdin=counted.stdout, capture_output=True).stdout.strip() == b"100000000"
    )
    assert program("retrieve", token, "--tail", "1", "--to", "/dev/null").stdout == b""


def test_files_and_stdin(program):
    (program.folder / "a b.txt").write_bytes(b"1\n")
    (program.folder / "list").write_bytes(b"2\n")
    tokens = program.text("stage", "a b.txt", "-", "./list", stdin=b"3\n").split()
    assert program("retrieve", *tokens).stdout == b"1\n3\n2\n"


def test_tokens_are_read_in_every_form(program):
    token = program.stage(b"data")
    for form in (token, token.removeprefix("max:"), token.upper(), f"  {token}\n"):
        assert program("retrieve", form).stdout == b"data"


def test_stage_as_json(program):
    item = json.loads(program.text("stage", "-o", "json", "--label", "job=7", "--ttl", "5", stdin=b"x"))
    assert program("retrieve", item["token"]).stdout == b"x"
    assert item["labels"] == {"job": "7"}


def test_options_of_stage(program):
    token = program.stage(
        b"[1]\n[2]\n", "--type", "text", "--source", "mine", "--label", "a=1", "--label", "b=x=y"
    )
    meta = json.loads(program.text("stage", "info", token, "-o", "json"))
    assert (meta["contentType"], meta["source"], meta["labels"]) == ("text", "mine", {"a": "1", "b": "x=y"})
    assert (program.staging / f"{meta['token']}.txt").exists()


def test_private_permissions(program):
    program.stage(b"secret", "--compress")
    os.umask(os.umask(0))
    for path in [program.staging, *program.staging.iterdir()]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_compressed_files_are_plain_gzip(program):
    token = program.stage(LINES, "--compress")
    (path,) = program.staging.glob("*.gz")
    assert path.stat().st_size < len(LINES) // 4
    assert subprocess.run(["gunzip", "-c", path], capture_output=True).stdout == LINES
    assert program("retrieve", token).stdout == LINES


@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_slices(program, options):
    token = program.stage(LINES, *options)
    lines = LINES.splitlines(keepends=True)
    wanted = {
        ("--head", "0"): [],
        ("--head", "3"): lines[:3],
        ("--head", "99999999"): lines,
        ("--tail", "0"): [],
        ("--tail", "2"): lines[-2:],
        ("--tail", "30000"): lines[-30000:],
        ("--tail", "40001"): lines,
        ("--lines", "1:1"): lines[:1],
        ("--lines", "20000"): lines[19999:20000],
        ("--lines", "20000:20010"): lines[19999:20010],
        ("--lines", ":5"): lines[:5],
        ("--lines", "39999:"): lines[39998:],
        ("--lines", "40001:"): [],
        ("--lines", "39999:50000"): lines[39998:],
    }
    for slicing, expected in wanted.items():
        assert program("retrieve", token, *slicing).stdout == b"".join(expected), slicing


@pytest.mark.parametrize("text", ["0:1", "5:4", ":", "a:b", "0", "", "x", "1:2:3", "-1:2", "1.5:2"])
def test_bad_line_ranges(program, text):
    token = program.stage(b"1\n")
    assert b"nor a range" in program("retrieve", token, "--lines", text, check=2).stderr


def test_slices_exclude_each_other(program):
    assert b"use only one of" in program("retrieve", "a1b2c3d4", "--head", "1", "--tail", "1", check=2).stderr


def test_retrieve_to_a_file(program):
    token = program.stage(LINES)
    target = program.folder / "out"
    target.write_bytes(b"old")
    assert program("retrieve", token, "--to", "out").stdout == b""
    assert target.read_bytes() == LINES
    assert program("retrieve", token, "--to", "-", "--head", "1").stdout == LINES.splitlines(keepends=True)[0]
    missing = program("retrieve", token, "--to", "no/such/out", check=1)
    assert missing.stderr.startswith(b"No such file or directory: ")


def test_a_failed_retrieve_leaves_the_file_as_it_was(program):
    token = program.stage(b"good data\n")
    (path,) = program.staging.glob("*.txt")
    path.write_bytes(b"evil data\n")
    target = program.folder / "out"
    target.write_bytes(b"old")
    program("retrieve", token, "--to", "out", check=1)
    assert target.read_bytes() == b"old"
    assert sorted(os.listdir(program.folder)) == [".max", "out"]


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_split(program, as_file, options):
    (program.folder / "data").write_bytes(LINES)
    source = ["data"] if as_file else []
    tokens = program.text("stage", "--split", "7", *options, *source, stdin=LINES).split()
    assert len(set(tokens)) == 7
    parts = [program("retrieve", token).stdout for token in tokens]
    assert b"".join(parts) == LINES
    assert all(part.endswith(b"\n") for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) < 500
    tokens = program.text("stage", "--split-lines", "15000", *options, *source, stdin=LINES).split()
    assert [program("retrieve", token).stdout.count(b"\n") for token in tokens] == [15000, 15000, 10000]
    assert program.leftovers() == []


def test_split_of_little(program):
    assert len(program.text("stage", "--split", "3", stdin=b"one\n").split()) == 3
    assert len(program.text("stage", "--split", "3", stdin=b"").split()) == 3
    assert len(program.text("stage", "--split-lines", "3", stdin=b"").split()) == 1
    assert b"use only one of" in program("stage", "--split", "2", "--split-lines", "2", check=2).stderr


@pytest.mark.parametrize("as_file", [False, True])
def test_a_split_into_too_many(program, as_file):
    (program.folder / "data").write_bytes(b"\n" * 10_001)
    source = ["./data"] if as_file else []
    line = program.fails("stage", "--split-lines", "1", *source, stdin=b"\n" * 10_001)
    assert line == (
        "Cut into items of 1 line the data would be more than 10,000 items, the most at once; take more lines for each"
    )
    assert (program.text("stage", "list", "-q"), program.leftovers()) == ("", [])


def test_renew_pin_unpin(program):
    token = program.stage(b"x", "--ttl", "1")
    assert "expires: 5 h" in program.text("stage", "renew", token, "--ttl", "300")
    assert program.text("stage", "pin", token) == f"Pinned: {token}  expires: never\n"
    assert "expires: never" in program.text("stage", "list")
    assert json.loads(program.text("stage", "list", "-o", "json"))[0]["expiresAt"] is None
    assert "expires: 10 min" in program.text("stage", "unpin", token, "--ttl", "10").replace(
        "9 min", "10 min"
    )
    assert program("retrieve", token).stdout == b"x"
    assert (
        b"must be from 1 minute to 100 years"
        in program("stage", "renew", token, "--ttl", "0.5", check=2).stderr
    )


@pytest.mark.parametrize(
    ("ttl", "minutes"),
    [("90", 90), ("90m", 90), ("2h", 120), ("1.5H", 90), ("1d", 1440), ("2w", 20160), ("90s", 1.5)],
)
def test_how_a_time_is_written(program, ttl, minutes, monkeypatch):
    def lasts(item) -> float:
        return (datetime.fromisoformat(item["expiresAt"]) - datetime.fromisoformat(item["createdAt"])).seconds

    def staged(*args) -> dict:
        return json.loads(program.text("stage", "-o", "json", *args, stdin=b"x"))

    minutes = minutes % 1440  # timedelta.seconds leaves out the days
    assert lasts(staged("--ttl", ttl)) == minutes * 60
    (program.folder / ".max" / "config.toml").write_text(f'ttl_minutes = "{ttl}"\n')
    assert lasts(staged()) == minutes * 60
    monkeypatch.setenv("MAX_TTL_MINUTES", "3h")
    assert lasts(staged()) == 180 * 60


def test_list_filters(program):
    one = program.stage(b"1", "--source", "hubspot/contact", "--label", "job=1")
    two = program.stage(b"2", "--source", "gdrive/file", "--label", "job=2")
    assert program.text("stage", "list", "-q").split() == [two, one]
    assert program.text("stage", "list", "-q", "--source", "hub*").split() == [one]
    assert program.text("stage", "list", "-q", "--label", "job=2").split() == [two]
    assert program.text("stage", "list", "-q", "--label", "job").split() == [two, one]


def test_unstage_many(program):
    one = program.stage(b"1", "--source", "a/b")
    two = program.stage(b"2")
    three = program.stage(b"3")
    assert b"--yes" in program("unstage", "--all", check=2).stderr
    assert b"Name tokens" in program("unstage", check=2).stderr
    assert program.text("unstage", "--source", "a/*", "--yes") == f"Unstaged: {one}\n"
    done = program("unstage", two, one, three, check=1)
    assert done.stdout.decode().split() == ["Unstaged:", two, "Unstaged:", three]
    assert done.stderr.decode() == f"Staged data not found: {one}\n"
    assert program.text("unstage", "--all", "--yes") == "Nothing to unstage.\n"


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1)])
def test_unstage_asks_on_a_terminal(program, answer, left):
    import pty

    program.stage(b"1")
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*program.command, "unstage", "--all"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=program.folder,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    child.communicate(timeout=PATIENCE)
    os.close(ours)
    assert child.returncode == (1 if left else 0)
    assert len(program.text("stage", "list", "-q").split()) == left


def test_gc_says_what_it_does(program):
    assert program.text("stage", "gc") == "Swept: 0 expired, 0 left behind, 0 B\n"
    assert program.text("stage", "gc", "--dry-run").startswith("Would sweep: 0 expired")
    assert json.loads(program.text("stage", "gc", "-o", "json"))["expired"] == []


def test_where_the_project_is_found(program, tmp_path_factory, monkeypatch):
    token = program.stage(b"here")
    below = program.folder / "a" / "b"
    below.mkdir(parents=True)
    other = tmp_path_factory.mktemp("other")
    run = [*program.command, "retrieve", token]
    assert subprocess.run(run, cwd=below, capture_output=True).stdout == b"here"
    assert subprocess.run([*run, "--dir", program.folder], cwd=other, capture_output=True).stdout == b"here"
    first = [*program.command, "--dir", program.folder, "retrieve", token]
    assert subprocess.run(first, cwd=other, capture_output=True).stdout == b"here"
    monkeypatch.setenv("MAX_DIR", str(program.folder))
    assert subprocess.run(run, cwd=other, capture_output=True).stdout == b"here"
    done = subprocess.run([*run, "--dir", other], cwd=program.folder, capture_output=True)
    said = f'{other} is not a Max project. Run "max init {other}" first.\n'
    assert (done.returncode, done.stderr) == (1, said.encode())


def test_init(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    assert "Initialized Max project in" in program.text("init", str(folder / "deep" / "er"))
    made = folder / "deep" / "er" / ".max"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert sorted(os.listdir(made)) == [".gitignore", "config.toml", "staging"]
    (made / "config.toml").write_text("ttl_minutes = 5\n")
    assert "Already a Max project" in program.text("init", str(folder / "deep" / "er"))
    assert (made / "config.toml").read_text() == "ttl_minutes = 5\n"
    ignored = subprocess.run(
        ["sh", "-c", "git init -q . && git status --porcelain"], cwd=made.parent, capture_output=True
    )
    assert ignored.stdout == b""


def test_all_names_start_it(program):
    bin_folder = os.path.dirname(sys.executable)
    for name in ("max", "maxstage"):
        done = subprocess.run([f"{bin_folder}/{name}", "--version"], capture_output=True, text=True)
        assert done.stdout.startswith(f"{name}, version ")
        assert "backend)" in done.stdout
    assert program.text("--version").startswith("python -m maxstage, version ")


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["init"],
        ["stage"],
        ["retrieve"],
        ["unstage"],
        *(["stage", verb] for verb in ("list", "info", "renew", "pin", "unpin", "gc", "verify")),
    ],
)
def test_help_has_an_example(program, command):
    text = program.text(*command, "--help")
    assert "Usage: python -m maxstage" in text
    assert "Example" in text


@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_retrieve_within_bounds(program, options):
    token = program.stage(LINES, *options)
    lines = LINES.splitlines(keepends=True)

    def cut(*args: str) -> bytes:
        return program("retrieve", token, "--max-bytes", *args).stdout

    tail = cut("1KiB")
    assert len(tail) <= 1024
    assert LINES.endswith(tail.split(b"] ---\n")[1])
    assert f"; whole output: max retrieve {token}] ---".encode() in tail
    assert cut("10MB") == LINES
    assert cut("1000", "--strategy", "head").startswith(lines[0])
    both = cut("1000", "--strategy", "both")
    assert both.startswith(lines[0])
    assert both.endswith(lines[-1][-50:])
    assert cut("10MB", "--strategy", "head_lines", "--max-lines", "3").startswith(
        b"".join(lines[:3]) + b"--- ["
    )
    assert cut("10MB", "--strategy", "tail_lines", "--max-lines", "3").endswith(
        b"] ---\n" + b"".join(lines[-3:])
    )
    assert len(cut("2000", "--strategy", "summary")) <= 2000
    # --max-lines alone means the last lines.
    assert cut("10MB", "--max-lines", "3") == cut("10MB", "--strategy", "tail_lines", "--max-lines", "3")
    refused = program(
        "retrieve", token, "--max-bytes", "1KB", "--max-lines", "3", "--strategy", "both", check=2
    )
    assert b"works with the strategies head_lines and tail_lines, not with both" in refused.stderr
    sliced = program(
        "retrieve", token, "--lines", "100:20000", "--max-bytes", "500", "--strategy", "head"
    ).stdout
    assert sliced.startswith(lines[99])
    assert b"--strategy needs" in program("retrieve", token, "--strategy", "head", check=2).stderr
    assert b"must be a positive number" in program("retrieve", token, "--max-bytes", "0", check=2).stderr

"""The fast path and the long way give the same answers."""

import datetime as dt
import json
import re
import subprocess
import sys

import pytest

import maxstage

SHORT = (
    "import sys; from maxstage.cli import command, process; sys.argv[0] = 'max';"
    " sys.exit(process.run(command, sys.argv[1:]))"
)
LONG = SHORT.replace(
    "sys.argv[0]", "import maxstage.cli.fast_path as fast; fast.run = lambda args: None; sys.argv[0]"
)


def both(program, *args, stdin=b""):
    answers = []
    for code in (LONG, SHORT):
        done = program.python(code, *args, stdin=stdin)
        answers.append((done.returncode, done.stdout, done.stderr))
    return answers


@pytest.mark.parametrize(
    "args",
    [
        ["T"],
        ["T", "T"],
        ["T", "--head", "2"],
        ["T", "--head", "0"],
        ["T", "--tail", "1"],
        ["T", "--tail", "99999999999999999999"],
        ["T", "--tail", "-1"],
        ["T", "--tail", "x"],
        ["T", "--tail", "\u0661"],
        ["T", "--lines", "2:3"],
        ["T", "--lines", "3:9"],
        ["T", "--lines", "3:2"],
        ["T", "--lines", "0:2"],
        ["T", "--lines", "2:"],
        ["T", "--lines", "2"],
        ["T", "--lines", "1:2:3"],
        ["T", "--head", "1:2"],
        ["T", "--head=1"],
        ["--tail", "1", "T"],
        ["T", "--tail", "1", "--head", "1"],
        ["T", "--tail", "1", "--tail", "2"],
        ["T", "--head"],
        ["T", "--dir", "."],
        ["--dir", ".", "T", "--tail", "1"],
        ["T", "--dir", "a b"],
        ["T", "--dir", "/nope"],
        ["T", "--dir", ""],
        ["T", "--dir"],
        ["--dir", "T"],
        ["--head", "1", "T"],
        ["T", "--", "T"],
        [],
        [""],
        ["max:00000000"],
        ["T", "max:00000000"],
        ["max:"],
        ["../x"],
        ["a\nb"],
        ["--help"],
        ["--no-such-option"],
    ],
)
def test_retrieve(program, args):
    token = program.stage(b"one\ntwo\nthree\n")
    long, short = both(program, "retrieve", *(token if arg == "T" else arg for arg in args))
    assert short == long


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--source", "a/b"],
        ["--source", ""],
        ["--source", "a\nb"],
        ["--source"],
        ["-"],
        ["gone"],
        ["gone.txt"],
        ["data.txt"],
        ["./data.txt", "--sync", "--compress"],
        ["--compress", "data.txt", "data.txt", "--source", "x"],
        ["--compress=zstd", "data.txt"],
        ["--compress=gzip", "--compress", "./data.txt"],
        ["--compress=none"],
        ["--compress=lz4"],
        ["--compress="],
        ["--compress=zstd=1"],
        ["--compress", "zstd"],
        ["--source", "--compress"],
        ["--no-compress", "--compress=zstd"],
        ["--", "--compress"],
        ["data.txt", "--source"],
        ["data.txt", "--sync=1"],
        ["data.txt", "gone.txt"],
        ["./"],
        ["list"],
        ["--ttl", "5"],
        ["--ttl", "2h"],
        ["--ttl", "0"],
        ["--ttl", "x"],
        ["--ttl", "9" * 5000],
        ["--ttl"],
        ["--ttl", "5", "--ttl", "6", "./data.txt"],
        ["--dir", "."],
        ["--dir", "..", "./data.txt"],
        ["--dir", "data.txt"],
        ["--dir", ""],
        ["-o", "text"],
        ["--output", "text", "data.txt"],
        ["-o", "xml"],
        ["-otext"],
        ["-o"],
        ["--dir", ".", "list"],
    ],
)
def test_stage(program, args):
    (program.folder / "data.txt").write_bytes(b"one\ntwo\n")
    (code, out, err), short = both(program, "stage", *args, stdin=b'{"source": "x", "type": "y"}\n')
    assert short[0] == code
    assert short[2] == err
    assert re.sub(rb"max:[0-9a-f]{8}", b"T", short[1]) == re.sub(rb"max:[0-9a-f]{8}", b"T", out) or args == [
        "list"
    ]


@pytest.mark.parametrize(
    "args",
    [
        ["true"],
        ["--", "sh", "-c", "echo out; echo err >&2; exit 3"],
        ["sh", "-c", "head -c 3000000 /dev/zero"],
        ["cat"],
        ["--", "--combine"],
        ["--combine", "--", "echo", "x"],
        ["echo", "--help"],
        ["no-such-program"],
        ["/"],
        ["--", ""],
        [""],
        ["--"],
        [],
        ["--", "sh", "-c", "kill -9 $$"],
        ["--dir", ".", "echo", "x"],
        ["--dir", ".", "--", "echo", "--dir", "/nope"],
        ["--dir", "/nope", "echo", "x"],
        ["--dir", "echo", "x"],
        ["--dir", ""],
        ["--dir"],
        ["-o", "text", "echo", "-o", "json"],
        ["-o", "xml", "echo"],
        ["-o", "json"],
    ],
)
def test_exec(program, args):
    (code, out, err), short = both(program, "exec", *args, stdin=b"of stdin\n")
    token = rb"max:[0-9a-f]{8}"
    assert (short[0], re.sub(token, b"T", short[1]), re.sub(token, b"T", short[2])) == (
        code,
        re.sub(token, b"T", out),
        re.sub(token, b"T", err),
    )


@pytest.mark.parametrize(
    "args",
    [
        ["stage", "-o", "json", "--ttl", "90s"],
        ["stage", "--output", "json", "--compress", "--source", "a\u00e9", "--dir", "."],
        ["exec", "-o", "json", "--dir", ".", "--", "sh", "-c", "echo x; exit 3"],
        ["exec", "-o", "json", "--combine", "echo", "x"],
    ],
)
def test_json(program, args):
    (code, out, err), short = both(program, *args, stdin=b"x\n")

    def shape(text):
        text = re.sub(rb'(?<=[":])[0-9a-f]{8}"', b'ID"', text)
        return re.sub(
            rb'"(created\w*|expires\w*|completed_at|last_accessed|duration\w*)": [^\n,}]*', rb"\1", text
        )

    assert (short[0], shape(short[1]), short[2]) == (code, shape(out), err)
    if args[0] == "stage":
        times = [
            [dt.datetime.fromisoformat(json.loads(text)[key]) for key in ("createdAt", "expiresAt")]
            for text in (out, short[1])
        ]
        lives = [expires - created for created, expires in times]
        assert abs(lives[0] - lives[1]) <= dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--ttl", "90"],
        ["--ttl", "1d", "--dir", "."],
        ["--compress"],
        ["--compress=zstd"],
        ["--compress=none"],
    ],
)
def test_staged_the_same_way(program, options):
    infos = []
    for code in (LONG, SHORT):
        done = subprocess.run(
            [sys.executable, "-c", code, "stage", "--source", "a", *options],
            input=b"1\n",
            capture_output=True,
            cwd=program.folder,
        )
        infos.append(program.text("stage", "info", done.stdout.decode().strip(), "-o", "json"))
    first, second = (re.sub(r'"(token|path|created\w*|expires\w*)": [^\n]*', "", info) for info in infos)
    assert re.sub(r"[0-9a-f]{8}", "", first) == re.sub(r"[0-9a-f]{8}", "", second)


def test_the_fast_path_does_without_the_command_line_library(program):
    token = program.stage(b"x\n")
    code = SHORT.replace("sys.exit(", "code = (") + "; assert code == 0 and 'click' not in sys.modules, code"
    for args in (
        ["retrieve", token],
        ["retrieve", "--dir", ".", token],
        ["stage"],
        ["stage", "--ttl", "2h", "--dir", ".", "-o", "json"],
        ["stage", "--compress=zstd"],
        ["exec", "true"],
        ["exec", "--dir", ".", "-o", "json", "true"],
        ["mcp"],
        ["mcp", "--dir", ".", "--allow", "exec"],
    ):
        subprocess.run(
            [sys.executable, "-c", code, *args], input=b"x", check=True, cwd=program.folder, stdout=-3
        )


HEAVY = {
    "collections", "contextlib", "dataclasses", "datetime", "enum", "functools", "inspect", "itertools", "json",
    "pathlib", "re", "shutil", "signal", "subprocess", "tempfile", "threading", "tomllib", "types", "typing",
}  # fmt: skip
"""Modules whose import takes as long as all that a small command does, or brings others that do."""


@pytest.mark.skipif(maxstage.backend != "rust", reason="the twin is made of more")
def test_small_commands_import_little(program):
    token = program.stage(b"x\n")
    code = SHORT.replace("sys.exit(", "code = (") + "; print(*sys.modules, file=sys.stderr)"
    for args in (["stage"], ["retrieve", token]):
        # env, -I: without what measures coverage, or some site adds.
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, *args],
            input=b"x", capture_output=True, check=True, cwd=program.folder, env={},
        )  # fmt: skip
        bare = subprocess.run(
            [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], capture_output=True, env={}
        )
        assert HEAVY & (set(done.stderr.decode().split()) - set(bare.stdout.decode().split())) == set()


def test_outside_of_a_project(program, tmp_path_factory):
    program.folder = tmp_path_factory.mktemp("none")
    for args in (["stage"], ["exec", "echo", "x"]):
        long, short = both(program, *args)
        assert short == long
        assert short[0] == (args == ["stage"])


@pytest.mark.parametrize("verb", ["search", "count"])
@pytest.mark.parametrize(
    "args",
    [
        ["T"],
        ["T", "two"],
        ["T", "-f", "a = 2"],
        ["T", "-f", "a > 1", "--filter", "a < 3"],
        ["T", "-f", "-x"],
        ["T", "-f", "a ="],
        ["T", "-e", "t[wh]", "-t", "x"],
        ["T", "--regex", "("],
        ["T", "--limit", "1"],
        ["T", "--limit", "0"],
        ["T", "--limit", "x"],
        ["T", "--offset", "1"],
        ["T", "--all"],
        ["T", "--all", "--limit", "1"],
        ["T", "--sort", "a:desc", "--fields", "a,b"],
        ["T", "-n"],
        ["T", "--by", "a"],
        ["T", "--by", "a", "--top", "1", "-o", "json"],
        ["T", "--top", "1"],
        ["T", "-o", "json"],
        ["T", "-o", "ndjson"],
        ["T", "-o", "csv"],
        ["T", "-o", "yaml"],
        ["T", "--strict", "--csv"],
        ["T", "--state", "max:state:0"],
        ["T", "--dir", "/nope"],
        ["-"],
        ["nope"],
        [],
        ["--help"],
    ],
)
def test_searching(program, verb, args):
    token = program.stage(b'{"a": 1, "b": "one"}\n{"a": 2, "b": "two"}\n{"a": 3, "b": "three"}\n')
    words = [token if arg == "T" else arg for arg in args]
    long, short = both(program, verb, *words, stdin=b'{"a": 1}\n{"a": 2}\n')
    # Each page has a state of its own.
    assert [re.sub(rb"state:[0-9a-f]{16}", b"", part) for part in short[1:]] == [
        re.sub(rb"state:[0-9a-f]{16}", b"", part) for part in long[1:]
    ]
    assert short[0] == long[0]


def test_mcp(program):
    ask = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}\n'
    for args in (
        [],
        ["--allow", "exec"],
        ["--dir", "."],
        ["--dir", "/nope"],
        ["--allow", "x"],
        ["--allow", "exec", "--allow", "execute", "--scope", "a=b", "--scope", "c=", "--max-bytes", "2KiB"],
        ["--scope", "a"],
        ["--scope", "=b"],
        ["--max-bytes", "1"],
        ["--max-bytes", "x"],
        ["x"],
        ["--help"],
    ):
        long, short = both(program, "mcp", *args, stdin=ask)
        assert short == long, args


def test_mcp_wrap(program):
    ask = b'{"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": "b"}}\n'
    for args in (
        ["cat"],
        ["--", "cat"],
        ["--dir", ".", "--max-bytes", "32KiB", "--cut-to", "2KiB", "--", "cat", "-u", "--dir", "x"],
        ["--dir", "/nope", "cat"],
        ["--max-bytes", "1", "cat"],
        ["--max-bytes", "x", "cat"],
        ["--max-bytes"],
        ["--max-bytes", "--", "cat"],
        ["--scope", "a=b", "cat"],
        ["--", "no-such-program"],
        ["--", "--no-such-program"],
        ["--no-such-option", "cat"],
        [],
        ["--"],
        ["--url", "http://127.0.0.1:1/"],
        ["--url", "http://127.0.0.1:1/", "--"],
        ["--url", "http://127.0.0.1:1/", "cat"],
        ["--url", "ftp://x"],
        ["--url", "http://127.0.0.1:1/", "--header", "a: 1", "--header", "b"],
        ["--header", "a: 1", "cat"],
        ["--bearer-env", "X", "cat"],
        ["--url", "http://127.0.0.1:1/", "--bearer-env", "HOME"],
        ["--url"],
        ["--help"],
    ):
        long, short = both(program, "mcp", "wrap", *args, stdin=ask)
        assert short == long, args

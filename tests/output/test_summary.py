"""The summary of real logs: the lines that matter are in it, within 4 KiB."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import maxstage

LIMIT = 4096
SHAPES = json.loads((Path(__file__).parents[1] / "vectors" / "summary_shapes.json").read_text())
"""Outputs as programs print them, with what a summary has to have: recalled, not recorded, and filled up with what such
programs say when all is well. A text is its lines; an object stands for lines that are there many times, numbered."""


def text_of(shape) -> bytes:
    lines = []
    for part in shape["text"]:
        if isinstance(part, str):
            lines.append(part)
        else:
            numbers = range(part["from"], part["from"] + part["count"])
            lines += [line.replace("{n}", str(n)) for n in numbers for line in part["lines"]]
    return "\n".join([*lines, ""]).encode()


def shown(data: bytes, limit: int) -> str:
    """Return the summary, with each run of white space one space."""
    cut = maxstage.truncate(data, limit, "summary")
    assert cut.truncated
    assert len(cut.content) <= limit
    return " ".join(cut.content.decode().split())


@pytest.mark.parametrize("limit", [2048, 8192])
@pytest.mark.parametrize("name", SHAPES)
def test_what_is_needed_of_an_output_is_kept(name, limit):
    data = text_of(SHAPES[name])
    text = shown(data, min(limit, len(data) - 1))
    assert [fact for fact in SHAPES[name]["facts"] if " ".join(fact.split()) not in text] == []


def summarize(data: bytes) -> str:
    cut = maxstage.truncate(data, LIMIT, "summary", hint="max retrieve max:a1b2c3d4")
    assert len(cut.content) <= LIMIT
    assert cut.truncated
    return cut.content.decode("utf-8", "replace")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_compiler_output(tmp_path):
    warnings = "\n".join(f"int f{n}(void) {{ int unused{n}; return 0; }}" for n in range(300))
    source = tmp_path / "main.c"
    source.write_text(
        f"{warnings}\nint main(void) {{ return undeclared_thing; }}\n{warnings.replace('f', 'g')}\n"
    )
    done = subprocess.run(["gcc", "-Wall", "-c", source, "-o", "/dev/null"], stderr=subprocess.PIPE)
    assert len(done.stderr) > 20_000
    text = summarize(done.stderr)
    assert re.search(r"error: .undeclared_thing. undeclared", text)
    assert ":301:" in text  # where it is
    assert "unused0" in text  # the first lines
    assert "whole output: max retrieve max:a1b2c3d4] ---" in text


@pytest.mark.skipif(shutil.which("rustc") is None, reason="rustc is not installed")
def test_rust_compiler_output(tmp_path):
    source = tmp_path / "main.rs"
    noise = "".join(f"pub fn f{n}() {{ let unused{n} = {n}; }}\n" for n in range(200))
    source.write_text(noise + 'fn main() { let number: i32 = "text"; }\n')
    run = ["rustc", "--crate-type", "bin", "--emit", "metadata", "-o", tmp_path / "out", source]
    done = subprocess.run(run, stderr=subprocess.PIPE)
    if b"E0308" not in done.stderr:
        pytest.skip("rustc does not run here")
    text = summarize(done.stderr + b"warning: noise\n" * 5000)
    assert "error[E0308]: mismatched types" in text
    assert "main.rs:201:" in text


def test_pytest_log(tmp_path):
    (tmp_path / "test_many.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(603))\n"
        "def test_error_handling(n):\n"
        "    assert n not in (7, 300, 602), f'bad number {n}'\n"
    )
    run = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist", tmp_path]
    log = subprocess.run(run, stdout=subprocess.PIPE, cwd=tmp_path).stdout
    assert len(log) > 30_000
    text = summarize(log)
    for number in (7, 300, 602):
        assert f"bad number {number}" in text
        assert f"test_error_handling[{number}]" in text
    assert "3 failed, 600 passed" in text
    assert "test session starts" in text


def test_a_stack_trace_in_the_middle_of_100_mb():
    line = b"2026-01-01T00:00:00Z INFO worker-%d handled request in 12 ms, 0 errors, status=200\n"
    noise = b"".join(line % (number % 10) for number in range(10_000))
    trace = subprocess.run(
        [sys.executable, "-c", "def inner():\n    {}['missing key']\ndef outer():\n    inner()\nouter()"],
        stderr=subprocess.PIPE,
    ).stderr
    log = noise * 60 + trace + noise * 60
    size = 100_000_000 if maxstage.backend == "rust" else 10_000_000  # the twin is slower, not other
    log = (noise * (size // len(noise) // 2)) + trace + noise * (size // len(noise) // 2)
    text = summarize(log)
    assert "Traceback (most recent call last):" in text
    assert "KeyError: 'missing key'" in text
    first = log[: log.index(trace)].count(b"\n") + 1
    assert f"{first}: Traceback" in text


def test_records():
    log = b"".join(
        json.dumps({"id": n, "name": f"n{n}", "tags": [n]}).encode() + b"\n" for n in range(50_000)
    )
    text = summarize(log)
    assert text.startswith("50,000 records; fields: id, name, tags\n")
    assert '{"id": 0,' in text
    assert '{"id": 49999,' in text


def test_lines_of_one_kind_are_shown_a_few_times():
    log = b"".join(b"worker %d: error: connection refused\n" % number for number in range(5000))
    text = summarize(log + b"fine\n" * 5000 + b"error: the one that matters\n" + b"fine\n" * 5000)
    assert "error: the one that matters" in text


def test_one_long_line():
    text = summarize(b"x" * 100_000)
    assert text.startswith("xxx")
    assert text.endswith("xxx")


def among(lines: list[str], count: int = 4000) -> bytes:
    """Return lines in the midst of others that tell nothing."""
    noise = [f"step {n} of the work is done" for n in range(count)]
    return "\n".join([*noise, *lines, *noise]).encode()


@pytest.mark.parametrize(
    "line",
    [
        "10 errors",
        "test result: FAILED. 3 passed; 2 failed",
        "Tests run: 4, Failures: 2, Errors: 0 <<< FAILURE!",
        "error: no value passed for x",
        "deploy.sh: line 3: rsnyc: command not found",
        "Killed",
        "Segmentation fault",
        "make: *** missing separator.  Stop.",
        "not ok 3 - it adds",
        "  ✕ it adds",
        "  ✗ it adds",
        "  × it adds",
        "● cart › it adds",
        "request to 10.0.0.1 timed out",
        '{"level":"error","msg":"gone"}',
        '{"severity": "ERROR", "message": "gone"}',
        "E   assert 1 == 2",
        "ERR! code 1",
        "[error] 12#12: connect() failed",
        "x" * 20_000 + " fatal: disk full " + "y" * 20_000,
        "\x1b[1;31mer\x1b[0mror\x1b[0m: red",
        " 10%\r 20%\rerror: written over\r 30%\r 40%",
    ],
)
def test_a_line_is_an_error(line):
    wanted = "fatal: disk full" if len(line) > 1000 else "error: red" if "red" in line else line
    wanted = " ".join(("error: written over" if "\r" in line else wanted).split())
    assert wanted in shown(among([line]), 1000)
    # So it is where words are all that is looked at.
    assert wanted in shown(among([line], 150_000), 1000)


@pytest.mark.parametrize(
    "line",
    [
        "0 errors",
        "no errors",
        "Tests run: 4, Failures: 0, Errors: 0",
        "Default value set",
        "2026-01-01 12:00:00 INFO the error page was shown",
        '{"level":"info","error":null}',
        "tests/test_x.py::test_a_failed_one PASSED",
        "test error::works ... ok",
    ],
)
def test_a_line_is_no_error(line):
    lines = [line.replace("12:00:00", f"12:{n // 60:02}:{n % 60:02}") for n in range(200)]
    text = shown(among([*lines, "error: it broke", "and this is why", *lines]), 600)
    assert "error: it broke" in text
    assert "and this is why" in text


def test_an_error_after_many_kinds_of_errors():
    words = ["alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi"]
    warnings = [
        f"warning: {a} {b} {c} {d} is odd" for a in words for b in words for c in words for d in words
    ]
    text = shown(among([*warnings, "thread main panicked at src/main.rs:7"]), 2000)
    assert "thread main panicked at src/main.rs:7" in text


def test_repeats_are_counted_and_leave_room():
    errors = [f"worker {n}: error: connection refused" for n in range(5000)]
    text = shown(among([*errors, "error: the one that matters", "  --> src/main.rs:3:9"]), 1000)
    assert "4001 ×5000: worker 0: error: connection refused" in text
    assert "error: the one that matters" in text
    assert "--> src/main.rs:3:9" in text


NAMES = [chr(97 + n % 26) + chr(97 + n // 26) for n in range(300)]


def test_each_thing_that_errors_are_about_is_shown():
    many = [f"ld: lib/{name}.o: undefined reference to `begin'" for name in NAMES]
    many[250] = "ld: lib/b.o: undefined reference to `finish'"
    assert "`finish'" in shown("\n".join(many).encode(), 1024)


def test_a_code_after_the_level_makes_an_error_certain():
    certain = "a.ts:7:1 - error TS2322: Type is not assignable"
    rows = [f"b.ts:{n}:1 - {name} perhaps an error of some sort" for n, name in enumerate(NAMES)]
    assert certain in shown("\n".join([*rows[:150], certain, *rows[150:]]).encode(), 1024)


def test_what_was_not_found_by_a_configure_script_is_a_warning():
    checks = [f"checking for {name}... yes" for name in NAMES]
    checks[100] = "checking for yacc... no"
    assert "yacc... no" in shown("\n".join([*checks, "configure: error: stop"]).encode(), 1024)


def test_the_first_error_has_more_room_than_other_lines():
    error = "error: " + "a long story of what went wrong " * 12
    text = "\n".join(["fine"] * 300 + [error] + ["fine"] * 300)
    assert shown(text.encode(), 2048).count("what went wrong") > 11


def test_the_last_line_is_rated_though_nothing_ends_it():
    text = maxstage.truncate(
        among([]) + b"\n" + b"x" * 3000 + b" fatal: out of space", 600, "summary"
    ).content
    assert b"fatal: out of space" in text


def test_frames_of_a_recursion_leave_room():
    frames = ['  File "tree.py", line 3, in depth', "    return 1 + max(depth(c) for c in tree)"] * 300
    stack = [
        "Traceback (most recent call last):",
        '  File "job.py", line 9, in job',
        *frames,
        "RecursionError: too deep",
    ]
    text = shown(among(["error: the first one", "  --> src/main.rs:3:9", "", *stack]), 1500)
    for fact in (
        "--> src/main.rs:3:9",
        '"job.py", line 9, in job',
        '"tree.py", line 3',
        "RecursionError: too deep",
    ):
        assert fact in text
    assert text.count('"tree.py", line 3') < 12


def test_tests_that_passed_and_other_entries_are_no_context():
    cases = [f"test_case_{n} ... {'FAIL' if n == 50 else 'ok'}" for n in range(100)]
    entries = [f"2026-01-01 12:00:{n:02} job.py:{n} fine" for n in range(60)]
    entries[30:30] = ["2026-01-01 12:00:30 ERROR it broke", '  File "job.py", line 7']
    text = shown(among([*cases, *entries]), 900)
    assert "test_case_50 ... FAIL" in text
    assert "test_case_51 ... ok" not in text
    assert "ERROR it broke" in text
    assert '"job.py", line 7' in text
    assert "job.py:35 fine" not in text


def test_no_colour_is_left_open():
    red = [f"\x1b[31mline {n} of the report, which goes on and on\x1b[0m" for n in range(999)]
    for limit in (100, 500, 2000):
        cut = maxstage.truncate("\n".join(red).encode(), limit, "summary").content
        assert b"\x1b" not in cut
    assert b"\x1b" not in maxstage.truncate(b"\x1b[31m" + b"x" * 9000, 500, "summary").content

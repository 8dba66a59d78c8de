"""The summary of real logs: the lines that matter are in it, within 4 KiB."""

import json
import re
import shutil
import subprocess
import sys

import pytest

import maxstage

LIMIT = 4096


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

"""``max retrieve --grep``: what ``grep`` would show."""

import shutil
import subprocess

import pytest

LINES = [
    "alpha",
    "beta",
    "error: one",
    "gamma",
    "delta",
    "error: two",
    "error: three",
    "eps",
    "zeta",
    "last error",
]
TEXT = "\n".join(LINES).encode()


OPTIONS = ["", "-n", "-A 1", "-n -B 2", "-n -C 1", "-C 20", "-A 1 -C 2"]


@pytest.mark.skipif(shutil.which("grep") is None, reason="needs grep")
@pytest.mark.parametrize("pack", [[], ["--compress"]], ids=str)
def test_it_shows_what_grep_shows(program, pack):
    token = program.stage(TEXT, *pack)
    for regex in ("error", "^error", "e$", "nothing", "[bg]", "a|z", "(?i)ALPHA"):
        for options in (
            [],
            ["-n"],
            ["-A", "1"],
            ["-B", "2", "-n"],
            ["-C", "1", "-n"],
            ["-C", "20"],
            ["-A", "1", "-C", "2"],
        ):
            if regex.startswith("(?i)"):
                words = ["grep", "-E", "-i", *options, regex[4:]]
            else:
                words = ["grep", "-E", *options, regex]
            expected = subprocess.run(words, input=TEXT + b"\n", capture_output=True).stdout
            assert program("retrieve", token, "--grep", regex, *options).stdout == expected, (regex, options)


def test_a_part_keeps_its_numbers(program):
    token = program.stage(TEXT)
    for part, numbers in {("--head", "3"): "3", ("--tail", "4"): "7 10", ("--lines", "6:9"): "6 7"}.items():
        text = program.text("retrieve", token, "--grep", "error", "-n", *part)
        assert [line.split(":")[0] for line in text.splitlines()] == numbers.split()
    assert program.text("retrieve", token, "--grep", "error", "-nC1", "--lines", "6:6") == "6:error: two\n"
    assert program.text("retrieve", token, "--grep", "error", "-nC1", "--tail", "1") == "10:last error\n"


def test_large_items(program):
    rows = b"".join(b"%d %s\n" % (number, b"x" * (number % 50)) for number in range(400_000))
    token = program.stage(rows)
    text = program.text("retrieve", token, "--grep", "^(123456|399999) ", "-n", "-C", "1")
    numbers = [line[:6] for line in text.splitlines()]
    assert numbers == ["123456", "123457", "123458", "--", "399999", "400000"]


def test_it_goes_to_a_file_and_over_several_items(program):
    one, two = program.stage(b"a1\r\nb\n"), program.stage(b"a2")
    program("retrieve", one, two, "--grep", "a", "--to", "out")
    assert (program.folder / "out").read_bytes() == b"a1\na2\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-n"], "need --grep"),
        (["-C", "1"], "need --grep"),
        (["--grep", "("], "Invalid regular expression"),
        (["--grep", "(?=a)"], "Invalid regular expression, column 1"),
        (["--grep", "a", "--max-bytes", "5"], "neither --max-bytes nor -o json"),
    ],
)
def test_mistakes(program, args, says):
    assert says in program.fails("retrieve", program.stage(b"a"), *args, code=2)

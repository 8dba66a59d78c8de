"""``--redact`` through the real program."""

import json

import pytest

TOKEN = b"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"
TEXT = b"git " + TOKEN + b'\npassword = os.environ["DB_PASSWORD"]\ntoken = get_token()\n'
MASKED = TEXT.replace(TOKEN, b"***")


@pytest.fixture
def text(program):
    """A file with a credential, and code that only looks like one."""
    (program.folder / "text").write_bytes(TEXT)
    return "text"


def test_exec_masks_what_it_shows(program, text):
    done = program("exec", "--redact", "--", "cat", text)
    assert (done.stdout, done.stderr) == (MASKED, b"Masked in the output of cat: 1 github-token\n")
    assert program("exec", "--", "cat", text).stdout == TEXT
    assert program("exec", "--redact", "--no-redact", "--", "cat", text).stdout == TEXT


@pytest.mark.parametrize(("mode", "kept"), [("shown", TEXT), ("all", MASKED)])
def test_exec_masks_what_it_keeps_if_asked(program, text, mode, kept):
    done = program("exec", f"--redact={mode}", "--keep", "always", "-o", "json", "--", "cat", text)
    told = json.loads(done.stdout)
    assert (told["content"], told["redacted"]) == (MASKED.decode(), {"github-token": 1})
    assert told["original_size"] == len(TEXT)
    assert program("retrieve", told["token"]).stdout == kept
    assert done.stderr == b""  # it is in the JSON


def test_stage_masks_and_tells_it_beside_the_token(program, text):
    for options in (("--redact", text), ("--redact", "--", text), ("--redact",)):
        done = program("stage", *options, stdin=TEXT)
        token = done.stdout.decode().strip()
        assert program("retrieve", token).stdout == MASKED
        assert done.stderr.startswith(b"Masked in ")
        assert done.stderr.endswith(b": 1 github-token\n")
        assert b"Masked:     1 github-token\n" in program("stage", "info", token).stdout
    assert json.loads(program("stage", "info", token, "-o", "json").stdout)["redacted"] == {"github-token": 1}


def test_truncate_masks(program, text):
    done = program("truncate", "--redact", text)
    assert (done.stdout, done.stderr) == (MASKED, b"Masked in the output of truncate: 1 github-token\n")


def test_the_setting(program, text):
    config = program.folder / ".max" / "config.toml"
    config.write_text("redact = true\n")
    assert program("exec", "cat", text).stdout == MASKED
    assert program("retrieve", program.stage(TEXT)).stdout == TEXT
    assert program("exec", "--no-redact", "cat", text).stdout == TEXT
    config.write_text('redact = "all"\n')
    assert program("retrieve", program.stage(TEXT)).stdout == MASKED
    assert program("retrieve", program.stage(TEXT, "--no-redact")).stdout == TEXT
    config.write_text('redact = "none"\n')
    assert 'redact must be true, false, "shown" or "all"' in program.fails("stage", text)


def test_usage(program, text):
    assert "'foo' is not one of 'shown', 'all', 'no'" in program.fails(
        "exec", "--redact=foo", "--", "cat", text, code=2
    )
    # What follows is the command, not a mode.
    assert program("exec", "--redact", "echo", "--redact").stdout == b"--redact\n"

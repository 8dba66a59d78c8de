"""Whatever the disk has no room for is named. RLIMIT_FSIZE fails writes as a full disk does, but with EFBIG."""

import resource

import pytest


def limited(size):
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}


@pytest.mark.parametrize(
    ("args", "size", "name"),
    [
        (["stage"], 0, ".part"),
        (["stage", "--compress"], 0, ".part"),
        (["stage", "--split", "2"], 0, ".part"),
        (["stage", "renew", "TOKEN"], 0, ".meta.json"),
        (["stage", "pin", "TOKEN"], 0, ".meta.json"),
        (["retrieve", "TOKEN", "--to", "target.txt"], 0, "target.txt"),
        (["init", "new"], 0, "new/.max/.gitignore"),
    ],
    ids=str,
)
def test_the_file_is_named(program, args, size, name):
    token = program.stage(b"x\n" * 5000)
    words = [token if word == "TOKEN" else word for word in args]
    line = program.fails(*words, stdin=b"x\n" * 5000, **limited(size))
    assert line.startswith("File too large: ")
    assert line.endswith(name)
    assert program("retrieve", token).stdout == b"x\n" * 5000


def test_half_a_file_of_a_new_project_does_not_stay(program):
    assert program.fails("init", "new", **limited(300)).endswith("new/.max/config.toml")
    program("init", "new")
    assert "token_bytes" in (program.folder / "new" / ".max" / "config.toml").read_text()


def test_what_could_not_be_kept(program):
    for args in (
        ["truncate", "--max-bytes", "1KiB"],
        ["exec", "--max-stdout-bytes", "1KiB", "--", "seq", "9999"],
    ):
        done = program(*args, stdin=b"x\n" * 5000, **limited(0))
        assert done.stderr.startswith(b"the full output could not be kept: File too large: /")
        assert done.stderr.endswith(b".part\n")


def test_the_output_of_a_task(program):
    (program.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks: {t: {command: {executable: seq, args: ['200000']}, output: out.txt}}\n"
    )
    done = program("run", "flow.yaml", check=1, **limited(1_000_000))
    assert b"File too large: " in done.stderr
    assert b"out.txt" in done.stderr.split(b"File too large: ")[1].split(b"\n")[0]
    assert not (program.folder / "out.txt").exists()

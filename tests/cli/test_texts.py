"""What is said where a name is empty or no text, and where the store is not as it should be: one line that helps."""

import os
import shutil

import pytest

from helpers import wait_until
from maxstage import Store


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["stage", ""], ["[FILE]", "the name is empty"]),
        (["stage", "./a", ""], ["the name is empty"]),
        (["truncate", ""], ["the name is empty"]),
        (["run", ""], ["the name is empty"]),
        (["validate", ""], ["the name is empty"]),
        (["init", ""], ["[DIR]", "the name is empty"]),
        (["retrieve", "a1b2c3d4", "--to", ""], ["--to is empty: name a file, or - for stdout"]),
        (["stage", "--source", ""], ["--source", "it is empty; name where the data came from"]),
        (["stage", "list", "--source", ""], ["--source", "it is empty; write a pattern"]),
        (["unstage", "--source", "", "--yes"], ["--source", "it is empty; write a pattern"]),
        (["stage", "--label", "=x"], ["'=x' has no key before its =; write KEY=VALUE"]),
        (["stage", "--label", "x"], ["'x' is not of the form KEY=VALUE"]),
        (["stage", "list", "--label", ""], ["'' names no label; write KEY or KEY=VALUE"]),
        (["unstage", "--label", "=x", "--yes"], ["'=x' names no label"]),
    ],
)
def test_empty_names(program, args, words):
    (program.folder / "a").write_bytes(b"data")
    line = program.fails(*args, code=2)
    for word in words:
        assert word in line
    assert program.text("stage", "list", "-q") == ""


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["stage", "./a\udcffb"], 1, r"./a\xffb"),
        (["stage", "a\udcffb"], 1, r"a\xffb"),
        (["stage", "--source", "a\udcffb"], 2, r"'a\xffb'"),
        (["stage", "--label", "a\udcffb=c"], 2, r"'a\xffb=c'"),
        (["--dir", "no\udcff", "stage"], 1, r"no\xff does not exist"),
        (["retrieve", "a\udcffb"], 2, r"Invalid token: a\xffb;"),
        (["a\udcffb"], 2, r"'a\xffb'"),
        (["stage", "--a\udcffb"], 2, r"--a\xffb"),
        (["exec", "--", "./a\udcffb"], 127, r"./a\xffb"),
        (["run", "a\udcffb"], 1, r"a\xffb"),
    ],
)
def test_names_that_are_not_utf_8_show_their_bytes(program, args, code, words):
    assert words in program.fails(*args, code=code)


@pytest.mark.parametrize("command", ["run", "validate", "truncate", "stage"])
def test_a_folder_for_a_file_is_named(program, command):
    (program.folder / "folder").mkdir()
    assert program.fails(command, "./folder").endswith("./folder")


def test_init_where_something_else_is_in_the_way(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    program.folder = folder
    (folder / ".max").write_text("")
    assert program.fails("init") == f"Not a directory: {folder}/.max"
    (folder / ".max").unlink()
    (folder / ".max").mkdir()
    says = (
        f"{folder}/.max/staging is not a directory (a symbolic link is refused); remove it and run max init"
    )
    (folder / ".max" / "staging").write_text("")
    assert program.fails("init") == program.fails("stage", "list") == says
    (folder / ".max" / "staging").unlink()
    for target in (folder, "nowhere"):
        (folder / ".max" / "staging").symlink_to(target)
        assert program.fails("init") == program.fails("stage", "list") == says
        (folder / ".max" / "staging").unlink()
    program("init")
    program.stage(b"data")


@pytest.mark.parametrize("kind", ["folder", "link", "socket"])
def test_what_is_in_the_place_of_a_file_of_ours(program, kind):
    token = program.stage(b"data")
    for name, commands in {
        ".sweep": [["stage", "gc"]],
        ".lock": [["stage", "renew", token], ["unstage", token]],
    }.items():
        path = program.staging / name
        path.unlink(missing_ok=True)
        if kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to("elsewhere")
        else:
            os.mknod(path, 0o140600)
        for command in commands:
            assert program.fails(*command).endswith(f"Not a regular file; remove it: {path}")
        # All that needs none of it works, and nothing is written through it.
        assert program.text("stage", "list", "-q").split() == [token]
        assert program("retrieve", token).stdout == b"data"
        assert not (program.staging / "elsewhere").exists()
        path.rmdir() if kind == "folder" else path.unlink()
        program(*commands[0])


@pytest.mark.parametrize("options", [[], ["--sync"], ["--compress=zstd"], ["--split", "2"]])
@pytest.mark.parametrize("limited", [False, True])
def test_a_store_that_is_deleted_while_data_streams_in(program, options, limited):
    if limited:
        (program.folder / ".max" / "config.toml").write_text("max_store_bytes = 1000000\n")
    running = program.start("stage", *options)
    wait_until(lambda: list(program.staging.glob(".*.part")), "nothing is begun")
    shutil.rmtree(program.folder / ".max")
    out, err = running.communicate(b"one\ntwo\n")
    assert (running.returncode, out) == (1, b"")
    assert err.decode() == f"The store was deleted meanwhile: {program.staging}\n"
    assert os.listdir(program.folder) == []
    Store.init(program.folder)
    program.stage(b"data")


def test_a_store_that_is_deleted_while_a_command_runs(program):
    script = f"head -c 9000 /dev/zero; rm -r {program.folder}/.max; head -c 9000 /dev/zero; exit 3"
    done = program(
        "exec", "--max-stdout-bytes", "2000", "--keep", "always", "--", "sh", "-c", script, check=3
    )
    assert len(done.stdout) <= 2000
    assert b"could not be kept: The store was deleted meanwhile" in done.stderr
    assert done.stderr.count(b"\n") == 1

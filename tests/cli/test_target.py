"""``max retrieve --to``: what a user of ``cp`` and of ``curl -o`` expects."""

import json
import os
import signal
import stat
import subprocess
import time

import pytest

from helpers import wait_until

DATA = b"".join(b"%d\n" % number for number in range(50_000))


def refused(program, target: str, code: int = 1, **options) -> str:
    """Retrieve to a target that is refused; return the line that says so."""
    token = program.stage(DATA)
    before = sorted(os.listdir(program.folder))
    line = program("retrieve", token, "--to", target, check=code, **options).stderr.decode()
    assert line.count("\n") == 1
    assert sorted(os.listdir(program.folder)) == before
    return line.strip()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_an_existing_file_keeps_its_mode(program, mode):
    token = program.stage(DATA)
    target = program.folder / "out"
    target.write_bytes(b"old")
    target.chmod(mode)
    program("retrieve", token, "--to", "out")
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert target.read_bytes() == DATA


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_an_existing_file_keeps_its_owner(program):
    token = program.stage(DATA)
    target = program.folder / "out"
    target.write_bytes(b"old")
    target.chmod(0o4755)
    os.chown(target, 1234, 4321)
    target.chmod(0o4755)
    program("retrieve", token, "--to", "out")
    status = target.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o4755)


def test_a_new_file_obeys_the_umask(program):
    token = program.stage(DATA)
    for mask in (0o022, 0o077):
        program("retrieve", token, "--to", f"new-{mask:o}", umask=mask)
        assert stat.S_IMODE((program.folder / f"new-{mask:o}").stat().st_mode) == 0o666 & ~mask


def test_names_that_can_not_be(program):
    (program.folder / "folder").mkdir()
    (program.folder / "file").write_bytes(b"x")
    (program.folder / "loop").symlink_to("loop")
    assert refused(program, "", code=2).startswith("--to is empty: name a file, or - for stdout")
    assert refused(program, "folder") == "Is a directory: folder"
    assert refused(program, "folder/") == "Is a directory: folder/"
    assert refused(program, "new/") == "Is a directory: new/"
    assert refused(program, "no/such/out") == "No such file or directory: no/such/out"
    assert refused(program, "no/../out") == "No such file or directory: no/../out"
    assert refused(program, "file/out") == "Not a directory: file/out"
    assert refused(program, "loop") == "Too many levels of symbolic links: loop"
    assert (program.folder / "loop").is_symlink()
    assert refused(program, "x" * 256) == f"File name too long: {'x' * 256}"
    assert refused(program, "/dev/full") == "No space left on device: /dev/full"


def test_the_longest_name(program):
    token = program.stage(DATA)
    for _ in range(2):
        program("retrieve", token, "--to", "ä" * 127 + "x")
        assert (program.folder / ("ä" * 127 + "x")).read_bytes() == DATA


@pytest.mark.parametrize("name", ["-x", "--help", "a b", "$(touch pwned)", "new\nline", "\udcff\udcfe"])
def test_awkward_names(program, name):
    token = program.stage(DATA)
    program("retrieve", token, "--to", name if not name.startswith("-") else f"./{name}")
    path = program.folder / name
    assert path.read_bytes() == DATA
    assert program("retrieve", program.stage(b"", "--", name) or token).stdout == DATA
    done = json.loads(program("retrieve", token, "--to", f"./{name}", "-o", "json", "--head", "2").stdout)
    shown = os.fsencode(f"./{name}").decode("utf-8", "replace")  # JSON has no other bytes
    assert (done["to"], done["bytes"], done["items"][0]["ref"]) == (shown, 4, token)
    path.unlink()
    path.mkdir()
    line = program("retrieve", token, "--to", f"./{name}", check=1).stderr
    assert line.startswith(b"Is a directory: ./")
    assert line.count(b"\n") == 1


def test_symbolic_links_stay(program):
    token = program.stage(DATA)
    (program.folder / "deep").mkdir()
    (program.folder / "deep" / "real").write_bytes(b"old")
    for name in ("real", "not-yet"):
        link = program.folder / f"link-{name}"
        link.symlink_to(f"deep/{name}")
        program("retrieve", token, "--to", link.name)
        assert link.is_symlink()
        assert (program.folder / "deep" / name).read_bytes() == DATA
    assert sorted(os.listdir(program.folder / "deep")) == ["not-yet", "real"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"])
@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_stdout_by_name(program, name, mode):
    token = program.stage(DATA)
    assert program("retrieve", token, "--to", name).stdout == DATA
    log = program.folder / "log"
    log.write_bytes(b"before\n")
    with log.open(mode) as file:
        run = [*program.command, "retrieve", token, "--to", name]
        for _ in range(2):
            subprocess.run(run, cwd=program.folder, stdout=file, check=True)
    assert log.read_bytes() == (b"before\n" if mode == "ab" else b"") + DATA * 2


def test_a_descriptor_that_is_not_open(program):
    assert refused(program, "/dev/fd/77") == "Bad file descriptor: /dev/fd/77"


def test_a_fifo(program):
    token = program.stage(DATA)
    os.mkfifo(program.folder / "pipe")
    child = program.start("retrieve", token, "--to", "pipe")
    assert (program.folder / "pipe").read_bytes() == DATA
    assert child.wait(30) == 0
    assert stat.S_ISFIFO((program.folder / "pipe").stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="drops from root to another user")
def test_a_file_that_may_not_be_written(program, tmp_path_factory):
    """cp refuses a write-protected file, and so do we, whatever its folder would allow."""
    from maxstage.cli.target import Target

    folder = tmp_path_factory.mktemp("open")
    for path in (folder, *folder.parents):
        if str(path).startswith("/tmp/"):
            path.chmod(0o755)
    folder.chmod(0o777)
    target = folder / "out"
    target.write_bytes(b"old")
    target.chmod(0o444)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            with Target(str(target)):
                pass
        except PermissionError as error:
            code = 0 if error.filename == str(target) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert target.read_bytes() == b"old"


def test_what_a_killed_writer_left_is_swept(program):
    token = program.stage(os.urandom(300_000_000))

    def parts() -> list:
        return list(program.folder.glob(".max-*.part"))

    # A living writer's file is left alone, however long it has not been written to.
    writer = program.start("retrieve", token, "--to", "big")
    wait_until(lambda: any(part.stat().st_size for part in parts()))
    writer.send_signal(signal.SIGSTOP)
    (part,) = parts()
    old = time.time() - 3600
    os.utime(part, (old, old))
    small = program.stage(b"small\n")
    program("retrieve", small, "--to", "small")
    assert parts() == [part]
    writer.kill()
    writer.wait()
    os.utime(part, (old, old))
    program("retrieve", small, "--to", "small")
    assert parts() == []
    assert (program.folder / "small").read_bytes() == b"small\n"
    assert not (program.folder / "big").exists()


def test_what_was_written_as_json(program):
    first, second = program.stage(b"1\n2\n"), program.stage(b"3\n")
    done = json.loads(program.text("retrieve", first, second, "--to", "out", "-o", "json"))
    refs = [{"token": token.removeprefix("max:"), "ref": token} for token in (first, second)]
    assert done == {"to": "out", "bytes": 6, "items": refs}
    refused = program("retrieve", first, "-o", "json", check=2)
    assert b"needs --to FILE" in refused.stderr

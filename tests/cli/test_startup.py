"""What happens before and behind a command: signals in start-up, streams that are closed or full."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Sends us a signal at the import with a given number, once `main` runs.
AT_IMPORT = """
import os, sys
from maxstage.cli import main
at, number = int(sys.argv[1]), int(sys.argv[2])
sys.argv[:] = ["max", *sys.argv[3:]]
count = 0
def hook(event, args):
    global count
    if event == "import":
        count += 1
        if count == at:
            os.kill(os.getpid(), number)
sys.addaudithook(hook)
main()
"""


@pytest.mark.parametrize("args", [["stage"], ["exec", "true"], ["stage", "list"], ["runs"]], ids=" ".join)
def test_signals_during_imports(program, args):
    token = program.stage(b"x")
    for at in (1, 2, 3, 5, 8, 12, 20, 40, 80):
        for number in (signal.SIGINT, signal.SIGTERM):
            words = [sys.executable, "-c", AT_IMPORT, str(at), str(int(number)), *args]
            done = subprocess.run(words, cwd=program.folder, input=b"x", capture_output=True)
            assert done.stderr == b"", (at, number)
            # By the signal, or with the code that a shell makes of that; or there were not so many imports.
            assert done.returncode in {-number, 128 + number, 0}, (at, number)
            assert at > 3 or done.returncode != 0
            assert program.leftovers() == []
    program("retrieve", token)


@pytest.mark.parametrize("name", ["max", "maxstage"])
def test_a_signal_while_the_program_imports_its_first_module(name):
    script = Path(__file__).parents[2] / "packaging" / "data" / "scripts" / name
    code = (
        "import os, runpy, sys; sys.addaudithook(lambda event, args: event == 'import' and args[0] == 'maxstage'"
        " and os.kill(os.getpid(), 2)); runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code, script], capture_output=True)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


NESTED = """
import os, signal, sys
from maxstage.cli import process
number = int(sys.argv[1])
def command(args):
    process.catch_signals()
    try:
        os.kill(os.getpid(), number)
    finally:
        if len(args) > 1:
            os.kill(os.getpid(), number)
forget = process._forget
def once_more(fd):
    forget(fd)
    os.kill(os.getpid(), number)
process._forget = once_more
signal.signal(signal.SIGINT, signal.SIG_DFL)
code = process.run(command, sys.argv[2:])
os._exit(code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("args", [["x"], ["x", "twice"]], ids=" ".join)
def test_a_second_signal_while_the_first_is_dealt_with(number, args):
    done = subprocess.run([sys.executable, "-c", NESTED, str(int(number)), *args], capture_output=True)
    assert (done.returncode, done.stderr) == (128 + number, b"")


COMMANDS = [
    (["stage"], 0),
    (["stage", "--label", "a=b"], 0),
    (["retrieve", "TOKEN"], 0),
    (["retrieve", "TOKEN", "--head=1"], 0),
    (["stage", "list"], 0),
    (["stage", "list", "-o", "json"], 0),
    (["stage", "info", "TOKEN"], 0),
    (["stage", "renew", "TOKEN"], 0),
    (["stage", "pin", "TOKEN"], 0),
    (["stage", "gc"], 0),
    (["stage", "verify"], 0),
    (["unstage", "TOKEN"], 0),
    (["exec", "echo", "x"], 0),
    (["exec", "--combine", "echo", "x"], 0),
    (["truncate"], 0),
    (["run", "flow.yaml"], 0),
    (["validate", "flow.yaml"], 0),
    (["template"], 0),
    (["runs"], 0),
    (["init"], 0),
    (["--help"], 0),
    (["--version"], 0),
    # These fail, and say so where they can.
    (["retrieve", "deadbeef"], 1),
    (["retrieve", "x"], 2),
    (["nope"], 2),
    (["stage", "--ttl", "x"], 2),
    (["runs", "show", "x"], 1),
    (["exec", "no-such-program"], 127),
    ([], 2),
]


@pytest.fixture
def flow(program):
    """A project with a workflow."""
    (program.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks: {t: {command: {executable: 'true'}}}\n"
    )
    return program


def redirected(program, redirection, args):
    token = program.stage(b"one\n") if "TOKEN" in args else ""
    words = [token if word == "TOKEN" else word for word in args]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *program.command, *words],
        cwd=program.folder,
        input=b"x\n",
        capture_output=True,
    )


@pytest.mark.parametrize(("args", "code"), COMMANDS, ids=str)
def test_stderr_that_takes_nothing(flow, args, code):
    for redirection in ("2>/dev/full", "2>&-"):
        done = redirected(flow, redirection, args)
        assert (done.returncode, done.stderr) == (code, b""), redirection


@pytest.mark.parametrize(("args", "code"), COMMANDS, ids=str)
def test_stdout_that_takes_nothing(flow, args, code):
    done = redirected(flow, ">&-", args)
    assert (done.returncode, done.stderr) == (1, b"Standard output is closed: there is nowhere to write to\n")
    done = redirected(flow, ">/dev/full", args)
    assert b"Traceback" not in done.stderr
    if code == 0 and args not in (["validate", "flow.yaml"], ["runs"]):
        assert done.returncode == 1
        lines = done.stderr.splitlines()
        assert b"No space left on device" in lines[-1], lines
        assert len(lines) == 1 or args[0] == "run"
    elif code:
        assert done.returncode == code


@pytest.mark.parametrize(("args", "code"), COMMANDS, ids=str)
def test_stdin_that_is_closed(flow, args, code):
    done = redirected(flow, "<&-", args)
    assert b"Traceback" not in done.stderr
    assert done.returncode == (
        1 if args[:1] in (["stage"], ["truncate"]) and b"Standard input" in done.stderr else code
    )
    reads = args in (["stage"], ["stage", "--label", "a=b"], ["truncate"])
    assert done.stderr.startswith(b"Standard input is closed: ") == reads


def test_all_streams_closed(flow):
    for args in (["stage"], ["stage", "list"], ["exec", "true"], ["run", "flow.yaml"]):
        assert redirected(flow, "<&- >&- 2>&-", args).returncode == 1


def test_a_directory_as_file(flow):
    assert flow.fails("stage", "/") == "Is a directory: /"
    assert flow.fails("truncate", "/") == "Is a directory: /"

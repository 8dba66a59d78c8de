"""``max run``, ``validate``, ``runs`` and ``template`` through the real program."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess

import pytest

from helpers import PATIENCE, Gate

FLOW = """\
name: small
version: 1
inputs: {who: you, n: 2}
tasks:
  hello: {script: {content: "echo hello {{ inputs.who }}"}}
  numbers: {script: {content: "seq 10000"}, limits: {max_stdout_bytes: 2KiB}}
  loop: {loop: {repeat: {count: 3}}, script: {content: "echo {{ iteration }}"}, depends_on: [hello]}
outputs: {greeting: "{{ tasks.hello.output }}"}
"""
FAILS = """\
name: f
version: 1
tasks:
  a: {script: {content: 'echo why >&2; exit 3'}}
  b: {script: {content: x}, depends_on: [a]}
"""


@pytest.fixture
def flow(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    return program


def test_a_run_ends_with_a_table(flow):
    done = flow("run", "flow.yaml", "--input", "who=the world")
    lines = done.stdout.decode().splitlines()
    assert re.fullmatch(r"TASK +STATE +TIME +OUTPUT", lines[0])
    assert [line.split()[0] for line in lines[1:4]] == ["hello", "numbers", "loop"]
    assert re.search(r"completed +[\d.]+ s +48.9 KB  truncated, full output: max:[0-9a-f]{8}$", lines[2])
    assert lines[4] == "greeting: hello the world"
    assert re.fullmatch(r"run \d{8}-\d{6}-[0-9a-f]{7} completed in [\d.]+ s", lines[5])
    log = done.stderr.decode().splitlines()
    assert {"started    hello", "completed  hello  16 B", "completed  loop  6 B"} <= set(log)
    assert "\x1b" not in done.stderr.decode()


def test_events_are_a_line_of_json_each(flow):
    done = flow("run", "flow.yaml", "--events")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "run_started"
    assert events[-1]["event"] == "run_finished"
    assert events[-1]["status"] == "completed"
    ended = {event["task"]: event for event in events if event["event"] == "task_finished"}
    assert set(ended) == {"hello", "numbers", "loop", "loop[0]", "loop[1]", "loop[2]"}
    assert ended["numbers"]["truncated"]
    assert flow("retrieve", ended["numbers"]["token"]).stdout.count(b"\n") == 10000
    assert done.stderr == b""


def test_json(flow):
    result = json.loads(flow.text("run", "flow.yaml", "-o", "json"))
    assert (result["status"], result["outputs"]) == ("completed", {"greeting": "hello you"})
    assert list(result["tasks"]) == ["hello", "numbers", "loop", "loop[0]", "loop[1]", "loop[2]"]
    assert result["tasks"]["hello"]["bytes"] == 10


def test_what_is_shown_on_request(flow):
    out = flow.text("run", "flow.yaml", "--show-task-outputs", "--show-external-storage")
    assert "--- hello (completed)\nhello you\n" in out
    assert re.search(r"--- numbers \(completed, truncated; full output: max:[0-9a-f]{8}\)", out)
    assert re.search(r"^max:[0-9a-f]{8}  numbers stdout  48,894 bytes  /.*\.gz$", out, re.MULTILINE)


def test_inputs_have_the_type_of_their_default(flow):
    (flow.folder / "t.yaml").write_text(
        "name: t\nversion: 1\ninputs: {n: 2, s: x}\ntasks:\n"
        "  a: {script: {language: python, content: 'print({{ inputs.n }} + 1, {{ inputs.s }} + \"y\")'}}\n"
        "outputs: {sum: '{{ tasks.a.output }}'}\n"
    )
    assert "sum: 6 7y" in flow.text("run", "t.yaml", "--input", "n=5", "--input", "s=7")
    bad = flow("run", "t.yaml", "--input", "n=many", check=1)
    assert bad.stderr == b"input n must be a whole number, not 'many'\n"
    assert b"has no input 'm'" in flow("run", "t.yaml", "--input", "m=1", check=1).stderr
    assert b"must be NAME=VALUE" in flow("run", "t.yaml", "--input", "m", check=2).stderr


def test_a_failure(program):
    (program.folder / "f.yaml").write_text(FAILS)
    done = program("run", "f.yaml", check=1)
    assert done.stdout.decode().splitlines()[-1].endswith(
        "failed in 0.00 s: a: exit status 3: why"
    ) or re.search(r"failed in [\d.]+ s: a: exit status 3: why$", done.stdout.decode().splitlines()[-1])
    assert b"Traceback" not in done.stderr


def test_metrics_that_cant_be_written_hide_no_result(program):
    (program.folder / "flow.yaml").write_text(FAILS)
    done = program("run", "flow.yaml", "--metrics-file", "none/m.prom", check=1)
    assert re.search(r"^run .* failed in .*: a: exit status 3: why$", done.stdout.decode(), re.MULTILINE)
    *_, advice, error = done.stderr.decode().splitlines()
    assert advice.startswith("To resume where it failed: ")
    assert error == "No such file or directory: none/m.prom"


def test_programs_are_found_without_a_path(program):
    """As below ``env -i``, where the system looks in places of its own."""
    (program.folder / "flow.yaml").write_text(FLOW)
    program("run", "flow.yaml", env={name: value for name, value in os.environ.items() if name != "PATH"})


def test_a_folder_that_was_deleted(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    folder = str(program.folder)
    command = [*program.command, "run", f"{folder}/flow.yaml", "--dir", folder]
    (program.folder / "gone").mkdir()
    done = subprocess.run(
        ["sh", "-c", f"rmdir ../gone; exec {shlex.join(command)}"],
        cwd=program.folder / "gone", capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "The working directory does not exist any more; change to another\n",
    )


def test_files_that_are_no_good(program):
    (program.folder / "bad.yaml").write_text(FAILS.replace("depends_on: [a]", "depends_on: [c], lop: 1"))
    for command in ("validate", "run"):
        done = program(command, "bad.yaml", check=1)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("bad.yaml:5:") or lines[1].startswith("bad.yaml:5:")
        assert any("unknown field 'lop'; did you mean 'loop'?" in line for line in lines)
    found = json.loads(program.text("validate", "bad.yaml", "-o", "json", check=1))
    assert {problem["line"] for problem in found} == {5}
    assert program("run", "gone.yaml", check=1).stderr == b"No such file or directory: gone.yaml\n"
    assert program("validate", check=2).stderr.startswith(b"Name a workflow FILE")


def test_validating(flow):
    assert flow.text("validate", "flow.yaml") == "flow.yaml is valid: 3 tasks\n"
    (flow.folder / "w.yaml").write_text(FLOW.replace("2KiB", "100"))
    done = flow("validate", "w.yaml", "--validate-limits")
    assert done.stdout == b"w.yaml is valid: 3 tasks, 1 warning\n"
    assert re.match(rb"w.yaml:6:\d+: warning: max_stdout_bytes", done.stderr)
    assert flow.text("run", "w.yaml", "--validate-limits") == "w.yaml is valid\n"
    assert json.loads(flow.text("validate", "--schema"))["title"] == "WorkflowSpec"


def test_plan_and_graph(flow):
    plan = flow.text("run", "flow.yaml", "--dry-run")
    assert "loop: script  bash: echo {{ iteration }}\n    after: hello\n    loop: 3 times\n" in plan
    assert [
        entry["task"] for entry in json.loads(flow.text("run", "flow.yaml", "--dry-run", "-o", "json"))
    ] == [
        "hello",
        "numbers",
        "loop",
    ]
    assert "  t_hello --> t_loop" in flow.text("run", "flow.yaml", "--graph", "mermaid")
    assert '  "hello" -> "loop";' in flow.text("run", "flow.yaml", "--graph", "dot")
    assert flow.text("runs") == "No runs.\n"


@pytest.mark.parametrize("name", ["starter", "agents", "fan-out"])
def test_templates_run_as_they_are(program, name):
    text = program.text("template", name)
    assert text.startswith("# ")
    (program.folder / "flow.yaml").write_text(text)
    program("run", "flow.yaml")
    assert name in program.text("template", "--list")


def test_runs(flow):
    flow("run", "flow.yaml")
    (flow.folder / "f.yaml").write_text(FAILS)
    flow("run", "f.yaml", check=1)
    newest, oldest = flow.text("runs").splitlines()
    assert re.fullmatch(r"\S+  failed       \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  f", newest)
    assert "completed" in oldest
    run_id = oldest.split()[0]
    shown = flow.text("runs", "show", run_id)
    assert f"Run:      {run_id}\nWorkflow: small (" in shown
    assert 'Input:    who = "you"' in shown
    assert "1 output kept in full" in shown
    assert "loop[1]" in flow.text("runs", "show", run_id, "--iterations")
    assert (
        json.loads(flow.text("runs", "show", run_id, "-o", "json"))["tasks"]["hello"]["status"] == "completed"
    )
    exported = flow.text("runs", "export", run_id)
    assert flow.text("runs", "clean", run_id) == f"Deleted run {run_id} and 1 output\n"
    assert flow.text("stage", "list") == "No staged data.\n"
    assert flow.text("runs", "import", "-", stdin=exported.encode()).strip() == run_id
    assert b"already exists" in flow("runs", "import", "-", stdin=exported.encode(), check=1).stderr
    assert (
        flow("runs", "show", "nope", check=1).stderr == b'There is no run nope; "max runs" lists the runs\n'
    )
    flow("runs", "clean", "--all", "--yes")
    assert flow.text("runs") == "No runs.\n"
    assert flow("runs", "clean", check=2).stderr.startswith(b"Name a RUN")


def test_ctrl_c_tells_how_to_go_on(program):
    gate = Gate(program.folder)
    (program.folder / "flow.yaml").write_text(
        f"name: s\nversion: 1\ntasks:\n  a: {{script: {{content: {gate.wait}; echo a}}}}\n"
        "  b: {script: {content: echo b}, depends_on: [a]}\n"
    )
    child = program.start("run", "flow.yaml")
    gate.reached()
    child.send_signal(signal.SIGINT)
    wait_for_line(child, b"stopping: running programs may finish; Ctrl-C again ends them now\n")
    gate.open()
    _, stderr = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    hint = stderr.decode().splitlines()[-1]
    assert hint.startswith("Stopped. To resume: max run flow.yaml --run-id ")
    done = program(*hint.partition("max ")[2].split())
    assert b"completed  a (earlier)  2 B\n" in done.stderr
    assert b"started    b\n" in done.stderr
    assert (
        b"there is no unfinished run of flow.yaml" in program("run", "flow.yaml", "--resume", check=1).stderr
    )


def wait_for_line(child, wanted):
    """Read what a process says on stderr up to a line."""
    for line in child.stderr:
        if line == wanted:
            return
    raise AssertionError(f"it never said {wanted}")


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_what_ends_a_run_now(program, numbers):
    gate = Gate(program.folder)
    (program.folder / "flow.yaml").write_text(
        f"name: s\nversion: 1\ntasks:\n  a: {{script: {{content: 'seq 5000; {gate.wait}'}}}}\n"
    )
    child = program.start("run", "flow.yaml")
    gate.reached()
    for number in numbers[:-1]:
        child.send_signal(number)
        wait_for_line(child, b"stopping: running programs may finish; Ctrl-C again ends them now\n")
    child.send_signal(numbers[-1])
    # Nobody opens the gate: the script was ended.
    _, stderr = child.communicate(timeout=PATIENCE)
    assert child.returncode == 128 + numbers[0]
    line = stderr.decode().splitlines()[-1]
    assert line.startswith("Stopped; interrupted: a. To resume: max run flow.yaml --run-id ")
    run = line.split()[-1]
    assert program.text("stage", "list") == "No staged data.\n"
    assert "interrupted" in program.text("runs")
    # What it had printed is kept, as what it is.
    (result,) = json.loads(program.text("runs", "export", run))["task_outputs"].values()
    assert result["status"] == "interrupted"
    assert result["output"]["content"].endswith("4999\n5000\n")
    assert re.search(r"^a +interrupted ", program.text("runs", "show", run), re.MULTILINE)
    # And it is done again when the run is resumed.
    (program.folder / "flow.yaml").write_text(
        "name: s\nversion: 1\ntasks:\n  a: {script: {content: echo again}}\n"
    )
    program("run", "flow.yaml", "--run-id", run)
    (result,) = json.loads(program.text("runs", "export", run))["task_outputs"].values()
    assert (result["status"], result["output"]["content"]) == ("completed", "again\n")


def test_a_full_output_of_what_was_interrupted_is_kept(program):
    gate = Gate(program.folder)
    text = "name: s\nversion: 1\ntasks:\n  a: {script: {content: '%s'}, limits: {max_stdout_bytes: 2KiB}}\n"
    (program.folder / "flow.yaml").write_text(text % f"seq 5000; {gate.wait}")
    child = program.start("run", "flow.yaml")
    gate.reached()
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=PATIENCE)
    (token,) = program.text("stage", "list", "-q").split()
    assert program.text("retrieve", token).endswith("4999\n5000\n")
    (program.folder / "flow.yaml").write_text(text % "echo a")
    program("run", "flow.yaml", "--resume")
    (run_id,) = re.findall(r"^\S+", program.text("runs"))
    assert program.text("runs", "output", run_id, "a") == "a\n"
    assert program.text("runs", "output", run_id, "a", "--attempt", "1").endswith("4999\n5000\n")
    program("runs", "clean", run_id)
    assert program.text("stage", "list") == "No staged data.\n"


def test_the_same_run_twice_at_once(program):
    gate = Gate(program.folder)
    (program.folder / "flow.yaml").write_text(
        f"name: s\nversion: 1\ntasks:\n  a: {{script: {{content: 'test -e go || {gate.wait}'}}}}\n"
    )
    child = program.start("run", "flow.yaml")
    gate.reached()
    second = program("run", "flow.yaml", "--resume", check=1)
    assert re.fullmatch(rb"Run \S+ is already running in another process\n", second.stderr)
    assert "running" in program.text("runs")
    assert b"already running" in program("runs", "clean", program.text("runs").split()[0], check=1).stderr
    child.kill()
    child.communicate()
    assert "killed" in program.text("runs")
    (program.folder / "go").touch()
    program("run", "flow.yaml", "--resume")


def test_a_terminal_sees_it_live(flow):
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(flow.folder)
        os.environ.update(TERM="xterm", COLUMNS="100", LINES="30", NO_COLOR="1")
        os.execv(flow.command[0], [*flow.command, "run", "flow.yaml"])
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    text = seen.decode()
    assert "✓" in text
    assert "greeting: hello you" in text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)  # NO_COLOR


def test_outside_of_a_project(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "flow.yaml").write_text(FLOW)
    program.folder = folder
    assert b"max init" in program("run", "flow.yaml", check=1).stderr
    assert program.text("validate", "flow.yaml") == "flow.yaml is valid: 3 tasks\n"


def test_a_damaged_run_hides_no_other(flow):
    flow("run", "flow.yaml")
    good = flow.text("runs").split()[0]
    flow("run", "flow.yaml")
    bad = flow.text("runs").split()[0]
    path = flow.folder / ".max" / "runs" / f"{bad}.db"
    whole = path.read_bytes()
    # Its first page, and one in the middle, which is seen only when it is read.
    for content in (b"no database" * 500, whole[:4200] + os.urandom(4000) + whole[8200:]):
        path.write_bytes(content)
        assert [line.split()[0] for line in flow.text("runs").splitlines()] == [bad, good]
        for command in ("show", "export"):
            done = flow("runs", command, bad, check=None)
            assert b"Traceback" not in done.stderr
    path.write_bytes(b"no database" * 500)
    assert f"{bad}  damaged" in flow.text("runs")
    flow("runs", "clean", bad)
    assert flow.text("runs").split()[0] == good
    assert len(json.loads(flow.text("stage", "list", "-o", "json"))) == 1


def test_what_somebody_else_wrote_is_only_shown(program):
    nasty = r"\x1b[31m\u202e" + "n" * 5000
    (program.folder / "f.yaml").write_text(
        f'name: "{nasty}"\nversion: 1\ninputs: {{n: "{nasty}"}}\ntasks:\n'
        "  a: {script: {content: \"printf 'why\\\\033[2J' >&2; exit 3\"}}\n"
    )
    done = program("run", "f.yaml", check=1)
    run_id = program.text("runs").split()[0]
    assert f"To resume where it failed: max run f.yaml --run-id {run_id}\n" in done.stderr.decode()
    shown = done.stdout + done.stderr
    for args in (["runs"], ["runs", "show", run_id]):
        shown += program(*args).stdout
    assert b"why" in shown
    assert all(line.isprintable() and len(line) < 2000 for line in shown.decode().splitlines())


def test_a_report_of_a_file_that_is_no_longer_one(program):
    (program.folder / "f.yaml").write_text(FAILS)
    program("run", "f.yaml", check=1)
    (program.folder / "f.yaml").write_bytes(b"\xff")
    assert ">Failed</h2>" in program.text("runs", "report", program.text("runs").split()[0], "--html", "-")


@pytest.mark.parametrize("run_id", ["../x", "a\nb", "", "x" * 5000, "\x1b[31m", "no-such-run", "-"])
@pytest.mark.parametrize("command", ["show", "export", "prune", "clean", "report"])
def test_runs_that_there_are_not(program, command, run_id):
    more = ["--html", "-"] if command == "report" else []
    done = program("runs", command, *more, "--", run_id, check=None)
    lines = done.stderr.decode().splitlines()
    assert done.returncode in {1, 2}
    assert len(lines) == 1
    assert lines[0].isprintable()


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b"{}", b'{"task_outputs": 3, "facts": 4}', b"\xff", b"\0"]
)
def test_imports_of_what_is_no_run(program, content):
    done = program("runs", "import", "-", stdin=content, check=1)
    assert len(done.stderr.decode().splitlines()) == 1
    assert b"Traceback" not in done.stderr
    assert program.text("runs") == "No runs.\n"


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "x" * 5000])
def test_numbers_of_thousands_of_digits(flow, number):
    run_id = flow("run", "flow.yaml").stderr.decode().split()[1]
    for args in (("run", "flow.yaml", "--jobs"), ("runs", "prune", run_id, "--keep")):
        if number.isdigit():
            flow(*args, number)  # as many as there can be
        else:
            assert len(flow.fails(*args, number, code=2)) < 200

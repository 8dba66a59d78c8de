"""The secrets of a workflow: nowhere below ``.max``, in nothing that is printed, in no argument, in no prompt."""

import json
import subprocess
import sys

import pytest

from maxstage.errors import WorkflowError
from maxstage.redaction import forms_of
from maxstage.workflow.run.outcome import Results
from maxstage.workflow.workflow import Workflow

SECRET = "Zq8-s3cr3t/value=+'x"

FLOW = """
name: leaky
version: "1"
secrets: [API_SECRET]
env: {ALSO: "{{ env.API_SECRET }}"}
agents: {echo: {command: [cat], system_prompt: "You are told"}}
limits: {max_stdout_bytes: 2KiB}
outputs:
  said: "{{ tasks.plain.output }}"
  asked: "{{ env.API_SECRET }}"
hooks:
  post_task: ['echo "{{ env.API_SECRET }}" >&2; exit 3']
tasks:
  plain: {script: {language: bash, content: 'echo "$API_SECRET {{ env.API_SECRET }}" $ALSO; echo "$API_SECRET" >&2'}}
  pieces: {script: {language: bash, content: 'printf %s "${API_SECRET:0:7}"; sleep 0.2; printf %s "${API_SECRET:7}"'}}
  encoded:
    script:
      language: python
      content: |
        import base64, json, os, sys, urllib.parse
        secret = os.environ["API_SECRET"]
        for before in ("", "u:", "xyz", "xy"):
            print(base64.b64encode((before + secret + before).encode()).decode())
            print(base64.urlsafe_b64encode((before + secret + before).encode()).decode())
        print(urllib.parse.quote(secret), urllib.parse.quote_plus(secret), urllib.parse.quote(secret, safe=""))
        print(json.dumps({"key": secret}))
    cache: {}
  long: {script: {language: bash, content: 'for i in {1..2000}; do echo "$i $API_SECRET"; done'}, output: long.txt}
  seen:
    script:
      language: bash
      content: 'tr "\\\\0" " " < /proc/$$/cmdline | grep -cF "$API_SECRET"; : {{ env.API_SECRET }}'
    on_error: {continue: true}
  each:
    loop: {for_each: {collection: {type: inline, items: [1, 2]}, iterator: n}}
    command:
      executable: sh
      args: ["-c", 'echo "{{ n }} $API_SECRET $IN_ENV"']
      env: {IN_ENV: "a{{ env.API_SECRET }}b"}
  agent:
    agent: echo
    description: "Use {{ env.API_SECRET }}, and {{ tasks.plain.output }}"
    depends_on: [plain, long]
    inject_context: true
  wrong:
    script: {language: bash, content: 'echo "cannot log in with $API_SECRET" >&2; exit 3'}
    on_error: {retry: 1, continue: true}
  last:
    script: {language: bash, content: 'echo "fatal: $API_SECRET" >&2; exit 4'}
    depends_on: [plain, pieces, encoded, long, seen, each, agent, wrong]
"""


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("API_SECRET", SECRET)


def leaks(data: bytes) -> list[bytes]:
    return [form for form in forms_of([SECRET]) if form in data]


@pytest.mark.usefixtures("secret")
def test_a_secret_is_in_nothing_that_is_kept_or_printed(program):
    file = program.folder / "flow.yaml"
    file.write_text(FLOW)
    done = program("run", "flow.yaml", "--show-task-outputs", "--show-context-metrics", check=None)
    printed = done.stdout + done.stderr
    assert done.returncode == 1, printed
    assert b"fatal: ***" in printed
    run = json.loads(program("runs", "-o", "json").stdout)[0]["run"]
    for args in (
        ("show", run),
        ("show", run, "-o", "json"),
        ("report", run, "--to", "report.html"),
        ("export", run),
        *(("output", run, task) for task in ("encoded", "long", "wrong", "agent", "each")),
        *(
            ("output", run, "wrong", *more)
            for more in (["--stderr"], ["--attempt", "1", "--stderr"], ["-o", "json"])
        ),
    ):
        printed += (shown := program("runs", *args, check=None)).stdout + shown.stderr
    again = program("run", "flow.yaml", check=1)
    assert b"cached     encoded" in again.stderr
    printed += again.stdout + again.stderr
    assert b"cannot log in with ***" in printed
    assert leaks(printed) == []
    files = [path for path in program.folder.rglob("*") if path.is_file() and path != file]
    assert {path.suffix for path in files} >= {".db", ".json", ".gz", ".txt"}
    for path in files:
        opened = (
            subprocess.run(["gunzip", "-c", path], capture_output=True).stdout
            if path.suffix == ".gz"
            else b""
        )
        assert leaks(path.read_bytes() + opened) == [], path
    tasks = Results(str(program.folder / ".max" / "runs"), run)
    output = [tasks[task].output.content for task in ("plain", "pieces", "seen", "each[1]")]
    assert output == [b"*** *** ***\n", b"***", b"0\n", b"2 *** a***b\n"]
    assert tasks["agent"].output.content.endswith(b"Use ***, and *** *** ***\n")
    assert (program.folder / "long.txt").read_bytes() == b"".join(b"%d ***\n" % n for n in range(1, 2001))


@pytest.mark.usefixtures("secret")
def test_events_and_results_have_no_secret(flow, tmp_path):
    if flow.on is not None:
        pytest.skip("a worker has its secrets from its own environment: tests/execution/test_on_engine.py")
    tasks = {
        "bad": {
            "script": {"language": "bash", "content": "echo $API_SECRET; echo no $API_SECRET >&2; exit 3"},
        }
    }
    result = flow(tasks, secrets=["API_SECRET"], check=False)
    assert result.tasks["bad"].output.content == b"***\n"
    assert dict(result.tasks["bad"].output.redacted) == {"secret": 1}
    assert result.tasks["bad"].error == "exit status 3: no ***"
    told = [json.dumps(event.to_dict()) for event in flow.events]
    assert leaks("".join(told).encode()) == []
    assert "no ***" in "".join(told)


@pytest.mark.usefixtures("secret")
def test_a_secret_that_would_be_seen_is_refused(flow, store):
    def problems(**task):
        spec = {"name": "x", "version": "1", "secrets": ["API_SECRET"], "tasks": {"a": task}}
        with pytest.raises(WorkflowError, match="the secret API_SECRET would be seen here"):
            Workflow.from_dict(spec, store=store)

    reference = "{{ env.API_SECRET }}"
    problems(command={"executable": "echo", "args": [reference]})
    problems(command={"executable": reference})
    problems(command={"executable": "echo", "working_dir": reference})
    problems(script={"language": "bash", "content": "true"}, output=reference)
    # By a detour it is found when the task is to start.
    tasks = {"a": {"command": {"executable": "echo", "args": ["{{ env.ALSO }}"]}}}
    result = flow(tasks, secrets=["API_SECRET"], env={"ALSO": f"x{reference}"}, check=False)
    assert "argument 1 has the secret API_SECRET in it" in result.error
    with pytest.raises(WorkflowError, match="the input key has the secret API_SECRET in it"):
        flow(
            {"a": {"command": {"executable": "true"}}},
            secrets=["API_SECRET"],
            inputs={"key": {}},
            given={"key": f"x{SECRET}"},
        )


def test_a_secret_that_is_too_short_is_refused(flow, monkeypatch):
    monkeypatch.setenv("SHORT", "abc")
    with pytest.raises(
        WorkflowError, match="the secret SHORT can't be masked: a secret must have at least 4 bytes"
    ):
        flow({"a": {"command": {"executable": sys.executable, "args": ["-V"]}}}, secrets=["SHORT"])

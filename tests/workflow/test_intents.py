"""Tasks that plan many writes: executed at once, or when a person has approved and the run is resumed."""

import json

import pytest

from maxstage import Intent, Store

FLOW = """
name: x
version: 1
tasks:
  find:
    command: {executable: printf, args: ['{"n": "a"}\\n{"n": "b"}\\n']}
  sort:
    stdin_from: find
    intent: {operation: move, from: "{n}", to: "to/{n}", execute: EXECUTE}
  after:
    command: {executable: echo, args: ["{{ tasks.sort.output }}"]}
"""


@pytest.fixture
def files(program):
    for name in "ab":
        (program.folder / name).write_text(name)
    return program.folder


def moved(folder):
    return sorted(path.name for path in folder.glob("to/*"))


def test_at_once(program, files):
    (files / "flow.yaml").write_text(FLOW.replace("EXECUTE", "at_once"))
    program("run", "flow.yaml")
    assert moved(files) == ["a", "b"]
    (row,) = json.loads(program.text("intent", "list", "-o", "json"))
    assert (row["kind"], row["state"], row["statuses"]["succeeded"]) == ("move", "executed", 2)
    program("undo", row["results"][0])
    assert moved(files) == []


def test_after_approval(program, files):
    (files / "flow.yaml").write_text(FLOW.replace("EXECUTE", "after_approval"))
    done = program("run", "flow.yaml", check=1)
    ((intent, _),) = Intent.list(Store.open(files))
    assert f"max intent approve {intent.token}" in (done.stderr + done.stdout).decode()
    assert moved(files) == []
    program("run", "flow.yaml", "--resume", check=1)
    assert len(list(Intent.list(Store.open(files)))) == 1
    intent.approve()
    program("run", "flow.yaml", "--resume")
    assert moved(files) == ["a", "b"]


def test_records_of_a_file_below_a_root(program, files):
    (files / "sub").mkdir()
    (files / "sub" / "c").write_text("c")
    (files / "list.ndjson").write_text('{"n": "c"}\n{"n": "d"}\n')
    (files / "flow.yaml").write_text(
        "name: x\nversion: 1\ninputs: {where: sub}\ntasks:\n  t:\n    intent:\n"
        "      {operation: copy, records: list.ndjson, filter: n = c, from: '{n}', to: 'copy-{n}',\n"
        "       root: '{{ inputs.where }}', execute: at_once}\n"
    )
    program("run", "flow.yaml")
    assert (files / "sub" / "copy-c").read_text() == "c"


def test_an_intent_has_a_time_limit(program, files):
    (files / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks:\n  t:\n    timeout_secs: 2\n    intent:\n"
        "      {operation: run, records: list.ndjson, argv: [bash, step, '{n}'], execute: at_once}\n"
    )
    (files / "list.ndjson").write_text('{"n": "a"}\n{"n": "b"}\n')
    (files / "step").write_text('[ "$1" = a ] || exec sleep 600; echo "$1" >> did\n')
    done = program("run", "flow.yaml", check=1)
    assert b"t: timed out after 2 s" in done.stderr + done.stdout
    assert not (files / "did").exists() or (files / "did").read_text() == "a\n"


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        ("{operation: move, from: a}", "move needs a template for to"),
        ("{operation: move, from: a, to: '{'}", "is neither a placeholder"),
        ("{operation: delete, from: '{{ inputs.x }}'}", "references go into records and root"),
        ("{operation: run, argv: [sh, -c, 'echo {x}']}", "as code"),
        ("{operation: run, argv: [x], execute: never}", "after_approval"),
        ("{operation: rename, from: a, to: b}", "move"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(program, intent, words):
    (program.folder / "flow.yaml").write_text(f"name: x\nversion: 1\ntasks: {{t: {{intent: {intent}}}}}\n")
    assert words in program("validate", "flow.yaml", check=1).stderr.decode()

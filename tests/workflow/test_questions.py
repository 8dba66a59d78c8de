"""Tasks that wait for an answer: the run ends as waiting, and goes on once somebody has answered."""

import json
import os
import pty
import signal
import threading
import time

import pytest

from helpers import PATIENCE, Gate, bash, lines_of, text_of, wait_until
from maxstage.errors import WorkflowError
from maxstage.workflow.format.answers import check_schema, problem_with_answer, read_answer
from maxstage.workflow.run.folder import runs_folder
from maxstage.workflow.run.questions import answer, answer_path, pending


def ask(**rest):
    return {"await": {"prompt": "Go on?", **rest}}


def reply(flow, result, task, value):
    answer(runs_folder(flow.store), result.run_id, task, value)


def test_a_question_ends_the_run_and_an_answer_lets_it_go_on(flow):
    tasks = {
        "other": bash("echo other >> log"),
        "ok": ask(prompt="Deploy {{ inputs.v }}?", choices=["yes", "no"]),
        "then": bash("echo then {{ tasks.ok.output }} >> log"),
    }
    first = flow(tasks, inputs={"v": "1.2"}, check=False)
    assert (first.status, first.error, first.ok, first.is_resumable) == ("waiting", None, False, False)
    (question,) = first.waiting
    assert (question.task, question.prompt, question.choices) == ("ok", "Deploy 1.2?", ["yes", "no"])
    assert list(pending(runs_folder(flow.store))) == [question]
    # Nothing has changed, so it still waits.
    assert flow(tasks, inputs={"v": "1.2"}, resume=True, check=False).status == "waiting"
    with pytest.raises(WorkflowError, match="the answer must be one of yes, no, not perhaps"):
        reply(flow, first, "ok", "perhaps")
    reply(flow, first, "ok", "yes\n")
    assert list(pending(runs_folder(flow.store))) == []
    with pytest.raises(WorkflowError, match=r"task 'ok' of run .* was answered before"):
        reply(flow, first, "ok", "no")
    result = flow(tasks, inputs={"v": "1.2"}, resume=True)
    assert (result.run_id, lines_of(flow.folder / "log")) == (first.run_id, ["other", "then yes"])
    with pytest.raises(WorkflowError, match=r"task 'ok' of run .* waits for no answer"):
        reply(flow, first, "ok", "no")
    assert not [name for name in os.listdir(runs_folder(flow.store)) if "answer" in name]
    # Done again, it is asked again.
    assert flow(tasks, inputs={"v": "1.2"}, rerun=["ok"], check=False).status == "waiting"


def test_an_answer_that_comes_while_the_run_goes_on(flow, tmp_path):
    gate = Gate(tmp_path)
    tasks = {
        "slow": bash(gate.wait),
        "ok": ask(),
        "then": bash("echo then >> log; echo {{ tasks.ok.output }}"),
    }
    results = []
    thread = threading.Thread(target=lambda: results.append(flow(tasks, check=False)))
    thread.start()
    question = wait_until(lambda: next(iter(pending(runs_folder(flow.store))), None), "nothing is asked")
    gate.reached()
    answer(runs_folder(flow.store), question.run_id, "ok", "sure")
    wait_until(lambda: lines_of(flow.folder / "log") == ["then"], "the answer is not taken")
    gate.open()
    thread.join(PATIENCE)
    assert (results[0].status, text_of(results[0], "then")) == ("completed", "sure\n")


SCHEMA = {"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}}


@pytest.mark.parametrize(
    ("rule", "given", "output"),
    [
        ({}, "any text", "any text\n"),
        ({}, '{"a": 1.10}', '{"a": 1.10}\n'),
        ({"choices": [1, 2.5, True, "x y"]}, "2.5", "2.5\n"),
        ({"schema": {"type": "integer", "maximum": 9}}, "7", "7\n"),
        ({"schema": {"type": "string"}}, "7", "7\n"),
        ({"schema": SCHEMA}, '{"version": "1"}', '{"version": "1"}\n'),
    ],
)
def test_what_an_answer_may_be(flow, rule, given, output):
    first = flow({"a": ask(**rule)}, check=False)
    reply(flow, first, "a", given)
    assert text_of(flow({"a": ask(**rule)}, resume=True), "a") == output


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        ({"type": "integer"}, "x", 'must be of type integer, not "x"'),
        ({"type": ["string", "null"]}, 3, "must be of type string or null, not 3"),
        ({"type": "integer"}, True, "must be of type integer, not true"),
        ({"enum": [1, 2]}, 3, "must be one of 1, 2, not 3"),
        ({"const": 1}, 2, "must be one of 1, not 2"),
        ({"minimum": 3}, 2, "must be at least 3, and 2 doesn't"),
        ({"maxLength": 2}, "abc", 'must have a length of at most 2, and "abc" doesn\'t'),
        ({"pattern": "^v"}, "x", 'must match ^v, and "x" doesn\'t'),
        (SCHEMA, {}, "version is missing"),
        (SCHEMA, {"version": 1}, "version: must be of type string, not 1"),
        ({"items": {"type": "integer"}}, [1, "x"], '[1]: must be of type integer, not "x"'),
        ({"properties": {}, "additionalProperties": False}, {"x": 1}, "'x' is not known"),
        ({"minItems": 2}, [1], "must have a length of at least 2, and [1] doesn't"),
    ],
)
def test_schemas(schema, value, why):
    check_schema(schema)
    assert problem_with_answer(value, schema, None) == why


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"oneOf": []}, "schema: the keyword 'oneOf' is not known"),
        ({"type": "text"}, "schema: type can't be"),
        ({"minimum": "3"}, "schema: minimum can't be"),
        ({"properties": {"a": {"type": []}}}, "schema.properties.a: type can't be"),
        ({"items": 3}, "schema.items must be a mapping"),
        ({"pattern": "("}, "schema: pattern is no regular expression"),
    ],
)
def test_schemas_that_are_not_understood(schema, why):
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        check_schema(schema)


def test_no_json_is_text():
    assert read_answer("{", {"type": "object"}, None) == "{"
    assert read_answer("NaN", {"type": "number"}, None) == "NaN"


class Later:
    """A clock that is an hour ahead."""

    @staticmethod
    def time():
        return time.time() + 3600


@pytest.mark.parametrize("default", [None, "{{ inputs.x }}"])
def test_nobody_answers(flow, monkeypatch, default):
    rule = {} if default is None else {"default": default, "choices": ["d", "e"]}
    tasks = {"a": ask(timeout_secs=1800, **rule)}
    assert flow(tasks, inputs={"x": "d"}, check=False).status == "waiting"
    monkeypatch.setattr("maxstage.workflow.run.asking.time", Later)
    result = flow(tasks, inputs={"x": "d"}, resume=True, check=False)
    if default is None:
        assert result.error == "a: nobody answered within 1800 s"
    else:
        assert text_of(result, "a") == "d\n"


def test_a_failure_beside_a_question(flow):
    tasks = {"a": ask(), "b": bash("sleep 0.1; false"), "c": bash("echo c >> log", depends_on=["a"])}
    result = flow(tasks, check=False)
    assert (result.status, result.error) == ("failed", "b: exit status 1")


def test_questions_in_loops_and_subtasks(flow):
    loop = {"for_each": {"collection": {"type": "inline", "items": ["x", "y"]}, "parallel": True}}
    tasks = {"each": {"subtasks": {"q": ask(prompt="And {{ item }}?")}, "loop": loop}}
    first = flow(tasks, check=False)
    assert [one.prompt for one in first.waiting] == ["And x?", "And y?"]
    for one in first.waiting:
        reply(flow, first, one.task, one.prompt[::-1])
    assert text_of(flow(tasks, resume=True), "each") == "?x dnA\n?y dnA\n"


def test_an_answer_is_written_to_a_file_and_masked(flow, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "correct horse")
    tasks = {"a": {**ask(prompt="Is it correct horse?"), "output": "out"}}
    first = flow(tasks, secrets=["MY_SECRET"], check=False)
    assert first.waiting[0].prompt == "Is it ***?"
    reply(flow, first, "a", "it is correct horse, yes")
    flow(tasks, secrets=["MY_SECRET"], resume=True)
    assert (flow.folder / "out").read_text() == "it is ***, yes\n"
    for path in (flow.folder / ".max").rglob("*"):
        assert not path.is_file() or b"correct horse" not in path.read_bytes()


def answers_of(flow):
    return [name for name in os.listdir(runs_folder(flow.store)) if ".answer." in name]


def test_no_answer_is_left_that_was_taken(flow, monkeypatch):
    tasks = {"a": ask(), "b": ask(), "c": bash("echo {{ tasks.a.output }}")}
    first = flow(tasks, check=False)
    reply(flow, first, "a", "correct horse")
    with monkeypatch.context() as patched:

        def die(*_):
            raise RuntimeError("in between")

        patched.setattr("maxstage.workflow.run.asking.forget_answer", die)
        with pytest.raises(RuntimeError, match="in between"):
            flow(tasks, resume=True, check=False)
    assert answers_of(flow) == []
    # As a process leaves it that was killed once the result was recorded.
    left = answer_path(runs_folder(flow.store), first.run_id, "a")
    with open(left, "w") as file:
        file.write("correct horse")
    reply(flow, first, "b", "battery")
    asked = os.path.basename(answer_path(runs_folder(flow.store), first.run_id, "b"))
    assert sorted(answers_of(flow)) == sorted([os.path.basename(left), asked])
    result = flow(tasks, resume=True)
    assert text_of(result, "c") == "correct horse\n"
    assert text_of(result, "b") == "battery\n"
    assert answers_of(flow) == []


def test_whoever_starts_it_may_be_asked(flow):
    asked = []

    def by_hand(question, is_over):
        asked.append((question.prompt, is_over()))
        return "yes" if question.task == "a" else None

    tasks = {"a": ask(prompt="A?"), "b": ask(prompt="B?", default=3)}
    result = flow(tasks, ask=by_hand, check=False)
    assert (result.status, asked) == ("waiting", [("A?", False), ("B?", False)])
    assert text_of(result, "a") == "yes\n"


FLOW = """\
name: f
version: 1
tasks:
  ok: {await: {prompt: "Go on?", choices: ["yes", "no"]}}
  then: {script: {content: "echo {{ tasks.ok.output }}"}}
outputs: {said: "{{ tasks.then.output }}"}
"""


@pytest.fixture
def waiting(program):
    """The id of a run that waits."""
    (program.folder / "f.yaml").write_text(FLOW)
    done = program("run", "f.yaml", check=75)
    told = done.stderr.decode().splitlines()
    assert told[-3] == "waiting    ok  Go on?"
    run_id = told[-1].split()[-1]
    assert told[-2:] == [
        f"To answer ok: max answer {run_id} ok yes",
        f"And then: max run f.yaml --run-id {run_id}",
    ]
    assert f"run {run_id} waiting in " in done.stdout.decode()
    return run_id


def test_by_the_program(program, waiting):
    assert program.text("runs").split()[1] == "waiting"
    assert f"Waiting:  ok: Go on?\n          max answer {waiting} ok yes" in program.text(
        "runs", "show", waiting
    )
    assert f"{waiting}  ok  " in program.text("answer")
    (found,) = json.loads(program.text("answer", "-o", "json"))
    assert (found["run"], found["task"], found["choices"]) == (waiting, "ok", ["yes", "no"])
    assert (
        program.fails("answer", waiting, "ko", "yes")
        == f"task 'ko' of run {waiting} waits for no answer; ok does"
    )
    assert program.fails("answer", waiting, "ok", "maybe") == "the answer must be one of yes, no, not maybe"
    assert program.fails("answer", "nope", "ok", "yes") == 'There is no run nope; "max runs" lists the runs'
    assert b"Name a TASK" in program("answer", waiting, check=2).stderr
    assert b"is not UTF-8" in program("answer", waiting, "ok", "-", stdin=b"\xff", check=1).stderr
    assert program.text("answer", waiting, "ok", stdin=b"yes\n") == f"Answered ok of run {waiting}\n"
    assert program.text("answer") == "Nothing is asked.\n"
    assert "said: yes" in program.text("run", "f.yaml", "--resume")
    assert json.loads(program.text("run", "f.yaml", "-o", "json", check=75))["status"] == "waiting"


def test_a_run_that_is_deleted_leaves_no_answer(program, waiting):
    program("answer", waiting, "ok", "yes")
    program("runs", "clean", waiting)
    assert os.listdir(program.folder / ".max" / "runs") == []


def on_a_terminal(program, typed):
    """Run with a terminal as stdin and stderr; type what is given after the prompt."""
    ours, theirs = pty.openpty()
    child = program.start("run", "f.yaml", stdin=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 1 << 16):
            shown += data
            if b"> " in shown and typed is not None:
                if isinstance(typed, int):
                    child.send_signal(typed)
                else:
                    os.write(ours, typed)
                typed = None
    except OSError:  # what Linux says at the end
        pass
    out, _ = child.communicate(timeout=PATIENCE)
    os.close(ours)
    return child.returncode, out.decode(), shown.decode()


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (b"yes\n", 0, "said: yes"),
        (b"maybe\nno\n", 0, "said: no"),
        (b"\x04", 75, "waiting"),
        (signal.SIGINT, 130, "interrupted"),
    ],
)
def test_at_the_terminal(program, typed, code, said):
    (program.folder / "f.yaml").write_text(FLOW)
    number, out, shown = on_a_terminal(program, typed)
    assert (number, said in out) == (code, True), shown
    assert "ok: Go on? [yes/no]" in shown


def test_files_that_ask_wrongly(program):
    (program.folder / "bad.yaml").write_text(
        "name: f\nversion: 1\ntasks:\n"
        "  a: {await: {prompt: x, schema: {type: text}}}\n"
        "  b: {await: {prompt: x, choices: [yes, no], default: maybe}}\n"
        "  c: {await: {prompt: '{{ inputs.x }}'}}\n"
        "  d: {await: {prompt: x}, cache: {}}\n"
    )
    lines = program("validate", "bad.yaml", check=1).stderr.decode().splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "5", "6", "7"]

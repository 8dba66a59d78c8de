"""Numbers in data are passed on as they are written, and compared as numbers."""

import io
import json
import shutil

import pytest

from maxstage import WorkflowError, exact
from maxstage.store.records import open_text, read_records
from maxstage.workflow.format import loading
from maxstage.workflow.format.scripts.filling import fill
from maxstage.workflow.format.yaml_source import Source
from maxstage.workflow.workflow import Workflow

TEXTS = [
    "1.10",
    "1e2",
    "-0",
    "0",
    "-0.0",
    "12345678901234567890123",
    "0.12345678901234567890",
    "1E400",
    "1.5",
    "1e-7",
]
ARRAY = f"[{', '.join(TEXTS)}]"


def run(flow, yaml, **more):
    loaded = loading.check(Source(f"name: x\nversion: 1\n{yaml}"), "f")
    return Workflow(loaded).run(store=flow.store, folder=flow.folder, **more)


def collections(flow):
    (flow.folder / "array").write_text(ARRAY)
    (flow.folder / "lines").write_text("\n".join(TEXTS))
    token = flow.store.stage(ARRAY.encode()).token
    return {
        "inline": f"{{type: inline, items: {ARRAY}}}",
        "json": "{type: file, path: array, format: json}",
        "json_lines": "{type: file, path: lines, format: json_lines}",
        "token": f"{{type: token, token: '{token}', format: json}}",
        "text": "{type: state, key: inputs.text}",
        "list": "{type: state, key: inputs.list}",
        "output": "{type: state, key: tasks.before.output}",
    }


@pytest.mark.parametrize("kind", ["inline", "json", "json_lines", "token", "text", "list", "output"])
def test_they_arrive_as_they_are_written(flow, kind):
    yaml = f"""
inputs: {{text: {{default: '{ARRAY}'}}, list: {{default: {ARRAY}}}}}
tasks:
  before: {{script: {{content: 'echo "{ARRAY}"'}}}}
  a:
    depends_on: [before]
    command: {{executable: echo, args: ["{{{{ item }}}}"]}}
    loop: {{for_each: {{collection: {collections(flow)[kind]}}}}}
  b:
    depends_on: [before]
    script: {{content: "echo {{{{ item }}}}"}}
    loop: {{for_each: {{collection: {collections(flow)[kind]}}}}}
"""
    result = run(flow, yaml)
    assert result.ok, result.error
    assert result.tasks["a"].output.text.split("\n")[:-1] == TEXTS
    assert result.tasks["b"].output.text.split("\n")[:-1] == TEXTS


def test_within_others_too(flow):
    item = '{"price": 1.10, "all": [1e2, {"n": -0}, [], {}], "name": "é"}'
    (flow.folder / "data").write_text(item)
    yaml = """
tasks:
  a:
    script: {content: "printf '%s\\n' {{ item }} {{ item.price }} {{ item.all }}"}
    loop: {for_each: {collection: {type: file, path: data, format: json_lines}}}
"""
    output = run(flow, yaml).tasks["a"].output.text
    assert output == f'{item}\n1.10\n[1e2, {{"n": -0}}, [], {{}}]\n'


def test_inputs_keep_theirs_when_a_run_is_resumed(flow):
    yaml = """
inputs: {price: {default: 1.10}, list: {default: [2.50, {a: 1e2}]}}
tasks:
  go: {script: {content: "cat go"}}
  a: {depends_on: [go], script: {content: "echo {{ inputs.price }} {{ inputs.list }}"}}
"""
    first = run(flow, yaml)
    assert not first.ok
    (flow.folder / "go").touch()
    assert run(flow, yaml, resume=first.run_id).tasks["a"].output.text == '1.10 [2.50, {"a": 1e2}]\n'


def test_what_yaml_alone_has(flow):
    yaml = """
tasks:
  a:
    script: {content: "echo {{ item }}"}
    loop: {for_each: {collection: {type: inline, items: [+5, 010, .5, 5., [+5, 010, .5, 5., +.5e1]]}}}
"""
    assert run(flow, yaml).tasks["a"].output.text == "+5\n010\n.5\n5.\n[5, 10, 0.5, 5.0, 0.5e1]\n"


@pytest.mark.parametrize(
    ("said", "value", "expected"),
    [
        ("1.1", "1.10", True),
        ("100", "1e2", True),
        ("1e2", "100", True),
        ("12345678901234567890123", "12345678901234567890124", False),
        ("0.12345678901234567890", "0.12345678901234568", False),
        ("1e400", "1e401", False),
        ("1e400", "10e399", True),
        ("1", "true", False),
        ("true", "true", True),
        ("1.10", "'1.1'", False),
        ("x", "1", False),
    ],
)
def test_they_are_compared_as_numbers(flow, said, value, expected):
    yaml = f"""
tasks:
  a: {{script: {{content: "echo {said}"}}}}
  b:
    depends_on: [a]
    condition: {{type: state_equals, key: tasks.a.output, value: {value}}}
    script: {{content: "true"}}
"""
    assert (run(flow, yaml).tasks["b"].status == "completed") is expected


def test_a_version_is_what_is_written(flow):
    assert (
        loading.check(
            Source("name: x\nversion: 1.10\ntasks: {a: {script: {content: x}}}\n"), "f"
        ).spec.version
        == "1.10"
    )
    (problem,) = loading.check(
        Source("name: x\nversion: 1\nenv: {A: 1.10}\ntasks: {a: {script: {content: x}}}\n"), "f"
    ).problems
    assert 'put quotes around it: "1.10"' in str(problem)


@pytest.mark.parametrize(
    ("language", "value", "good"),
    [
        ("python", "12345678901234567890123", True),
        ("python", "1.10", True),
        ("python", "1e400", False),
        ("python", "[0.12345678901234567890]", False),
        ("javascript", "9007199254740992", True),
        ("javascript", "9007199254740993", False),
        ("javascript", '{"a": [9007199254740993]}', False),
        ("javascript", f"1{400 * '0'}", False),
        ("perl", "18446744073709551615", True),
        ("perl", "18446744073709551616", False),
        ("perl", "[18446744073709551616]", True),
        ("ruby", "12345678901234567890123", True),
        ("ruby", "1e400", False),
    ],
)
def test_what_a_language_would_read_as_another_number(language, value, good):
    found = exact.loads(value)
    # In quotes it is text everywhere.
    assert fill(language, 'f("{{ item }}")', lambda _: found)
    if good:
        assert fill(language, "f({{ item }})", lambda _: found)
        return
    with pytest.raises(
        WorkflowError,
        match="which would be another one in this language; write the reference in quotes",
    ):
        fill(language, "f({{ item }})", lambda _: found)


@pytest.mark.parametrize(
    ("language", "program"),
    [("python", "python3"), ("javascript", "node"), ("ruby", "ruby"), ("perl", "perl")],
)
def test_a_literal_is_good_in_every_language(flow, language, program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    shown = "console.log" if language == "javascript" else "print"
    items = "[010, +5, .5, 5., -0, 1.10, 1E2]"
    yaml = f"""
tasks:
  a:
    script: {{language: {language}, content: "{shown}({{{{ item }}}} + 1)"}}
    loop: {{for_each: {{collection: {{type: inline, items: {items}}}}}}}
"""
    result = run(flow, yaml)
    assert result.ok, result.error
    got = [float(result.tasks[f"a[{number}]"].output.text) for number in range(7)]
    assert got == [11, 6, 1.5, 6, 1, 2.1, 101]


@pytest.mark.parametrize("number", ["1.5", "1e5", "-1.25E-3", "true", '"a.e"'])
def test_a_number_at_the_edge_of_what_is_read_at_once(number):
    """However it is cut: the end of a piece falls on each character of a number, and on the comma."""
    count = 70_000 // len(f"{number},")  # one piece and a little
    for before in range(len(f"{number},")):
        text = "[" + before * " " + ",".join([number] * count) + "]"
        found = list(read_records(open_text(io.BytesIO(text.encode()), "json"), "json", "x"))
        assert found == [json.loads(number)] * count


def test_what_is_written_is_what_is_read():
    deep = 5000 * "[" + "1.10" + 5000 * "]"
    value = "1.10"
    for _ in range(5000):
        value = [value] if value != "1.10" else [exact.loads(value)]
    assert exact.dumps(value) == deep

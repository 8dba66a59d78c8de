"""What is wrong with a workflow file: all of it at once, each with its place."""

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from maxstage.workflow.format import loading
from maxstage.workflow.format.problems import Problems
from maxstage.workflow.format.valid import ValidWorkflow
from maxstage.workflow.format.yaml_source import Source

GOOD = """\
name: good
version: 1.0
tasks:
  a: {script: {content: echo a}}
"""


def problems(text):
    return [
        str(problem).removeprefix("flow.yaml:")
        for problem in loading.check(Source(text), "flow.yaml").problems
    ]


def with_tasks(*lines):
    return "name: x\nversion: '1'\ninputs: {n: 1}\ntasks:\n" + "".join(f"  {line}\n" for line in lines)


def test_a_good_file():
    assert problems(GOOD) == []


def test_all_errors_at_once():
    text = """\
name: bad
taks: {}
inputs: {a: 1}
limits: {max_stdot_bytes: 3}
agents:
  x: {provider: claud}
  y: {command: [no-such-program]}
tasks:
  one: {script: {content: "echo {{ inputs.b }} {{ tasks.tow.output }} {{ foo.bar }} {{ item }} {{ in puts }}"}}
  two: {depends_on: [one, on], command: {executable: ls}, on_error: {retry: x}}
  three: {script: {languge: bash, content: x}}
  three: {script: {content: x}}
  four: {agent: q, description: hi, stdin_from: one}
  five: {script: {content: "cat <<'E'\\n{{ inputs.a }}\\nE"}, loop: {}}
  six: {}
  seven: {script: {content: "echo {{ tasks.six.output }}"}, condition: {type: task_status, task: nine, status: failed}}
  eight: 5
  ni ne: {script: {content: "x"}}
  ten: {subtasks: {a: {script: {}}, b: {script: {content: "echo {{ tasks.a.output }} {{ tasks.c.output }}"}}}}
"""
    expected = """\
1:1: field 'version' is missing
2:1: unknown field 'taks'; did you mean 'tasks'?
4:10: unknown limit 'max_stdot_bytes'; did you mean 'max_stdout_bytes'?
6:7: unknown provider 'claud'; did you mean 'claude'?
7:7: 'no-such-program' is not installed, or not on the PATH
9:33: there is no input 'b'
9:48: there is no task 'tow'; did you mean 'two'?
9:71: there is no variable 'foo'
9:85: there is no variable 'item'
9:96: unknown reference '{{ in puts }}'; use inputs.NAME
10:27: there is no task 'on'; did you mean 'one'?
10:70: retry: must be a whole number
12:3: 'three' is given twice
13:10: there is no agent 'q'
13:37: an agent reads its prompt on stdin; put the token into it
14:40: {{ inputs.a }}: it is in a here-document whose delimiter is quoted
14:61: loop: a loop has exactly one of for_each, repeat, while, repeat_until
15:3: six: a task has exactly one of script, command, agent, intent, subtasks, await; this has none
16:92: there is no task 'nine'
17:3: eight: must be a mapping
18:3: ni ne: a name may have letters, digits, _ and -, and must not begin with a digit
19:24: script: a script has either content or file
19:86: there is no task 'c'
""".splitlines()
    found = problems(text)
    assert [line[: len(want)] for line, want in zip(found, expected, strict=True)] == expected


def test_references_are_told_where_they_are():
    text = """\
name: "\u00e9\U0001f600"
version: 1
tasks:
  a: {description: "\u00fc\U0001f600", script: {content: "\u00fc {{ inputs.x }} \u20ac{{ inputs.x }}"}}
  b:
    script:
      content: |
        echo {{ inputs.x }}

        eval {{ inputs.x }}
  c:
    script:
      content: >
        over {{
        inputs.x }} two lines
"""
    assert [line.partition(": ")[0] for line in problems(text)] == [
        "4:47",
        "4:63",
        "8:14",
        "10:14",
        "10:14",
        "13:7",
    ]


def test_faults_of_a_task_hide_no_references():
    text = with_tasks(
        "a: {agent: 3, description: 'x {{ tasks.q.output }}'}",
        "b: {script: 'echo {{ inputs.q }}'}",
        "c: {command: {executable: ls, args: ['{{ inputs.q }}', 3]}}",
        "d: {command: {args: ['{{ inputs.q }} {{ inputs.n }}']}}",
        "e: {script: {content: x}, command: {executable: ls, env: {A: '{{ inputs.q }} {{ item }}'}}}",
        "f: {subtasks: {g: {inputs: {own: 1}, script: {contnt: '{{ tasks.a.token }}{{ inputs.own }}{{ inputs.q }}'}}}}",
    )
    columns = [(number, line.find(".q")) for number, line in enumerate(text.splitlines(), 1) if ".q" in line]
    found = [line for line in problems(text) if "there is no" in line]
    # Each begins at its braces.
    assert found == [
        f"{number}:{text.splitlines()[number - 1].rindex('{{', 0, at) + 1}: there is no {what} 'q'"
        for (number, at), what in zip(columns, ["task", *["input"] * 5], strict=True)
    ]


def test_a_long_ring_is_told_in_short():
    lines = [
        f"t{number}: {{depends_on: [t{(number + 1) % 3000}], script: {{content: x}}}}"
        for number in range(3000)
    ]
    (found,) = problems(with_tasks(*lines))
    assert re.search(r"each other: t\d+( -> t\d+){7} -> … 2,992 more … -> t\d+$", found)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["a: {depends_on: [b], script: {content: x}}", "b: {depends_on: [c], script: {content: x}}",
          "c: {depends_on: [a], script: {content: x}}"], "tasks wait for each other: a -> b -> c -> a"),
        (["a: {script: {content: 'echo {{ tasks.b.output }}'}}", "b: {stdin_from: a, command: {executable: cat}}"],
         "tasks wait for each other: a -> b -> a"),
        (["a: {depends_on: [a], script: {content: x}}"], "'a' names itself"),
        (["a: {parallel_with: [b], script: {content: x}}", "b: {depends_on: [a], script: {content: x}}"],
         "(those of parallel_with start together)"),
        (["a: {script: {content: 'echo {{ tasks.a.output }} {{ inputs.m }}'}}"], "there is no input 'm'"),
        (["a: {script: {content: 'echo {{ iteration }}'}}"], "there is no variable 'iteration'"),
        (["a: {script: {content: x}, condition: {type: state_equals, key: inputs.q, value: 1}}"], "no input 'q'"),
        (["a: {script: {content: x}, condition: {type: state_equals}}"], "state_equals needs key"),
        (["a: {script: {content: x}, loop: {for_each: {collection: {type: range}}}}"], "range needs end"),
        (["a: {script: {content: x}, context: {include_tasks: [zz]}}"], "there is no task 'zz'"),
        (["a: {script: {content: x, language: cobol}}"], "language: must be 'bash', 'python'"),
        (["a: {script: {content: x, timeout_secs: -1}}"], "timeout_secs: must be greater than 0"),
        (["a: {subtasks: {x: {script: {content: x}}}, stdin_from: b}", "b: {script: {content: x}}"],
         "subtasks read nothing"),
        (["a: {loop: {repeat: {count: 2}}, script: {content: x}, condition: {type: state_exists, key: iteration}}"],
         "there is no variable 'iteration'"),
        (["a: {script: {content: x}, loop: {for_each: {collection: {type: inline, items: [1]}, iterator: 'a b'}}}"],
         "iterator: must be a name: letters, digits, _ and -, and no digit first"),
        (["a: {agent: b}"], "an agent's task needs a description: it is the prompt"),
    ],
)  # fmt: skip
def test_single_errors(lines, expected):
    found = problems(with_tasks(*lines))
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: a workflow must be a mapping"),
        ("- a", "1:1: a workflow must be a mapping"),
        ("a: [", "2:1: did not find expected node content"),
        ("name: x\ntasks:\n\ta: 1", "3:1: found character '\\t' that cannot start any token"),
        ("name: &a [*a]", "1:11: an alias contains itself"),
        ("? [a]\n: b", "1:3: a key must be a name"),
    ],
)
def test_what_is_no_workflow_at_all(text, expected):
    found = problems(text)
    # The two parsers of PyYAML word it differently; the place is the same.
    assert any(line.startswith(expected) or line.split(" ")[0] == expected.split(" ")[0] for line in found), (
        found
    )


def test_aliases_of_aliases_do_not_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert any("or aliases that make them" in line for line in problems("\n".join(lines)))


def test_limits_that_are_doubtful():
    text = with_tasks("a: {script: {content: x}, limits: {max_stdout_bytes: 100, max_stderr_bytes: 200MiB}}")
    checked = loading.check(Source(text), "flow.yaml")
    assert isinstance(checked, ValidWorkflow)
    assert [problem.to_dict()["severity"] for problem in checked.problems] == ["warning", "warning"]
    assert re.match(r"flow.yaml:5:\d+: warning: max_stdout_bytes", str(checked.problems[0]))


def test_yaml_scalars_are_those_of_yaml_1_2():
    source = Source(
        "a: 010\nb: on\nc: 1e3\nd: ~\ne: '1'\nf: !!str 12\ng: true\nh: 1_000\ni: 2026-01-01\nj: -.5\n"
    )
    assert source.data == {
        "a": 10, "b": "on", "c": 1000.0, "d": None, "e": "1", "f": "12", "g": True, "h": "1_000", "i": "2026-01-01",
        "j": -0.5,
    }  # fmt: skip


def test_upstream_forms_are_read():
    text = """\
name: upstream
version: "1.0"
tasks:
  build:
    description: Build
    subtasks:
      - compile: {script: {language: bash, content: "echo ${workflow.n}"}}
      - link: {depends_on: [compile], script: {language: bash, content: "echo ${task.compile.output}"}}
inputs: {n: {default: 1, required: false, description: how many}}
"""
    checked = loading.check(Source(text), "flow.yaml")
    assert problems(text) == []
    assert checked.graph.dependencies == {"build": [], "build.compile": [], "build.link": ["compile"]}


def test_the_json_schema_is_that_of_the_format():
    schema = json.loads(json.dumps(loading.json_schema()))
    assert schema["required"] == ["name", "version", "tasks"]
    assert {"depends_on", "on_error", "loop", "limits", "stdin_from"} <= set(
        schema["$defs"]["Task"]["properties"]
    )
    assert {"and", "or", "not"} <= set(schema["$defs"]["Condition"]["properties"])
    assert "continue" in schema["$defs"]["OnError"]["properties"]
    limits = schema["$defs"]["Task"]["properties"]["limits"]
    assert "max_stdout_bytes" in limits["properties"]
    assert limits["additionalProperties"] is False


@pytest.mark.parametrize("name", ["starter", "agents", "fan-out"])
def test_templates_are_good_and_follow_the_schema(name):
    text = (files("maxstage.workflow") / "templates" / f"{name}.yaml").read_text()
    assert problems(text) == []
    jsonschema.validate(Source(text).data, loading.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**Source(text).data, "taks": {}}, loading.json_schema())


@pytest.mark.parametrize(("value", "hint"), [("true", "true"), ("5", "5"), ("1.5", "1.5")])
def test_text_that_yaml_takes_for_something_else_needs_quotes(tmp_path, value, hint):
    from maxstage.workflow.format.loading import load

    path = tmp_path / "flow.yaml"
    path.write_text(f"name: x\nversion: 1\ntasks: {{a: {{command: {{executable: {value}}}}}}}\n")
    (problem,) = load(str(path)).errors
    assert f'executable: must be text; put quotes around it: "{hint}"' in str(problem)


def test_loading_gives_a_workflow_or_its_problems():
    faulty = loading.check(Source("name: x\nversion: 1\ntasks: {a: {agent: r, description: d}}\n"), "f")
    assert isinstance(faulty, Problems)
    assert [problem.line for problem in faulty.errors] == [3]
    text = "name: x\nversion: 1\nlimits: {max_lines: 1, max_stdout_bytes: 1}\ntasks: {a: {command: {executable: sh}}}\n"
    workflow = loading.check(Source(text), "f")
    assert isinstance(workflow, ValidWorkflow)
    assert (workflow.file, workflow.text, list(workflow.tasks)) == ("f", text, ["a"])
    assert [problem.warning for problem in workflow.problems] == [True]
    assert workflow.doubts.told() == [str(workflow.problems[0])]


def test_a_system_prompt_is_checked_for_each_task_of_its_agent():
    text = """\
name: x
version: 1
agents:
  a: {command: [cat], system_prompt: "You know {{ inputs.q }} and {{ item }}."}
  unused: {command: [cat], system_prompt: "{{ inputs.q }}"}
tasks:
  one: {agent: a, description: x}
  two: {agent: a, description: x, loop: {for_each: {collection: {type: inline, items: [1]}}}}
"""
    assert problems(text) == [
        "4:48: there is no input 'q'",
        "4:67: there is no variable 'item'",
        "5:44: there is no input 'q'",
    ]


def test_what_has_no_name_is_told_of():
    text = "name: x\nversion: 1\nenv: {'': a}\ntasks: {'': {script: {content: x}}}\n"
    assert problems(text) == [
        '3:7: "": a variable\'s name must not be empty or contain =',
        '4:9: "": a name may have letters, digits, _ and -, and must not begin with a digit',
    ]
    assert problems(with_tasks("a: {script: {content: x}, priority: 99999999999999999999}")) == [
        "5:29: priority: must be at most 9,007,199,254,740,992"
    ]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("command: {exec: ls, args: [1]}", ["7: field 'executable' is missing", "17: unknown field 'exec'",
                                            "34: args[0]: must be text; put quotes around it"]),
        ("condition: {type: compare, lft: 1, op: '='}, script: {content: x}",
         ["7: condition: compare needs left, op and right", "34: unknown field 'lft'; did you mean 'left'?",
          "42: op: must be"]),
        ("script: {content: x, language: ruby, strict: true}", ["44: strict: strict is for bash"]),
        ("script: {content: x, file: y}", ["28: file: a script has either content or file"]),
        ("script: {content: x}, inject_context: true", ["29: inject_context: inject_context is for tasks of agents"]),
        ("script: {content: x}, matrix: {n: [1]}, loop: {repeat: {count: 1}}", ["29: matrix: a task has a matrix or"]),
        ("script: {content: x}, matrix: {n: []}", ["29: matrix: a matrix has lists of values"]),
        ("subtasks: {b: {script: {content: x}}}, cache: {}", ["46: cache: a cache is for what runs a program"]),
        ("await: {prompt: x}, stdin_from: b", ["27: stdin_from: what waits for an answer reads nothing"]),
        ("script: {content: x}, loop: {for_each: {}, repeat: {count: 1}}",
         ["36: field 'collection' is missing", "50: repeat: a loop has exactly one of"]),
        ("script: {content: x}, loop: {for_each: {collection: {type: range, end: 3, step: 0}}}",
         ["81: step: must not be 0"]),
        ("script: {content: x}, condition: {type: always, not: {type: never}}", ["55: not: a condition has exactly"]),
        ("script: {content: x}, condition: {type: matches, value: x, regex: '('}", ["66: regex: Invalid regular"]),
        ("intent: {operation: write, to: 'a', content: '{{ inputs.n }}'}", ["43: content: the templates of an intent"]),
        ("await: {prompt: x, schema: {type: strung}, default: 1}", ["26: schema: schema: type can't be"]),
        ("await: {prompt: x, schema: {type: string}, default: 1}", ["50: default: must be of type string, not 1"]),
        ("agent: z, description: x, priority: 1.5, always: 1, output: 3",
         ["7: there is no agent 'z'", "33: priority: must be a whole number", "48: always: must be true or false",
          "59: output: must be text"]),
    ],
)  # fmt: skip
def test_each_fault_is_told_at_its_own_field_beside_the_others(task, expected):
    found = problems(with_tasks(f"a: {{{task}}}"))
    wanted = [f"5:{line}" for line in expected]
    assert [line[: len(want)] for line, want in zip(found, wanted, strict=True)] == wanted


def test_what_is_missing_is_told_beside_what_is_unknown():
    text = """\
nam: x
agents: {a: {provider: claude, command: [cat], modell: x}, b: {modell: y}, c: 3}
inputs: {n: {type: numbr, default: x}, m: {type: integer, default: x}, o: {patern: x, minimum: y}}
hooks: {pre_workflow: x, post_task: [1]}
tasks: {t: {agent: b, descripton: x}, u: {agent: c, description: x}}
"""
    expected = [
        "1:1: field 'name' is missing",
        "1:1: field 'version' is missing",
        "1:1: unknown field 'nam'; did you mean 'name'?",
        "2:14: provider: an agent has either command or provider",
        "2:48: unknown field 'modell'; did you mean 'model'?",
        "2:60: b: an agent has either command or provider",
        "2:64: unknown field 'modell'; did you mean 'model'?",
        "2:76: c: must be a mapping",
        "3:14: type: must be 'string', 'integer', 'number', 'boolean', 'array' or 'object'",
        '3:59: default: must be a whole number, not "x"',
        "3:76: unknown field 'patern'; did you mean 'pattern'?",
        "3:87: minimum: must be a number",
        "4:9: pre_workflow: must be a list",
        "4:38: post_task[0]: must be text",
        "5:9: t: an agent's task needs a description: it is the prompt",
        "5:23: unknown field 'descripton'; did you mean 'description'?",
    ]
    found = problems(text)
    assert [line[: len(want)] for line, want in zip(found, expected, strict=True)] == expected


def test_the_json_schema_takes_and_refuses_as_the_reader_does():
    schema = loading.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    good = Source(GOOD).data
    for name, value in (
        ("inputs", {"n": {"default": 1}, "m": 2}),
        ("env", {"A": "b"}),
        ("hooks", {"on_error": ["x"]}),
    ):
        jsonschema.validate({**good, name: value}, schema)
    for name, value in (
        ("env", {"A": 1}),
        ("inputs", {"1 n": 1}),
        ("tasks", {}),
        ("limits", {"max_lines": 0}),
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**good, name: value}, schema)

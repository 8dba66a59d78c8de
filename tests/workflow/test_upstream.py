"""Documents in the forms of the upstream DSL, as its published examples have them."""

import pytest

from maxstage.workflow.format import loading
from maxstage.workflow.format.agents import PROVIDERS, command_of, providers_from
from maxstage.workflow.format.problems import Problems
from maxstage.workflow.format.yaml_source import Source

HEAD = "name: upstream\nversion: 1.0.0\n"


def checked(text, *, lenient=False):
    return loading.check(Source(HEAD + text), "f", lenient=lenient)


def problems(text, *, lenient=False):
    found = checked(text, lenient=lenient)
    return [str(one).removeprefix("f:") for one in found.problems]


def bash(content, **fields):
    return {"script": {"language": "bash", "content": content}, **fields}


def output(result, task):
    return [result.tasks[f"{task}[{number}]"].output.text.strip() for number in range(3)]


@pytest.fixture
def no_agents(monkeypatch, tmp_path):
    """A PATH without any agent."""
    monkeypatch.setenv("PATH", str(tmp_path))


AGENTS = """\
dsl_version: "1.0.0"
agents:
  worker:
    description: "Processes items"
    model: "claude-sonnet-4-5"
    tools: [Read, Write]
    permissions: {mode: "acceptEdits", allowed_directories: ["/app", "/data"]}
    max_turns: 12
tasks:
  each:
    description: "Process ${loop.fruit} of ${workflow.basket}, number {{iteration}}"
    agent: worker
    loop:
      type: for_each
      collection: {source: inline, items: [apple, banana]}
      iterator: fruit
      parallel: true
      max_parallel: 2
    loop_control: {collect_results: true, result_key: fruits}
    on_complete: {notify: "done"}
inputs:
  basket: {type: string, required: true, description: "Which"}
task_groups: {all: {tasks: [each]}}
"""


def test_unknown_fields_are_errors_unless_it_is_lenient(no_agents):
    strict, lenient = problems(AGENTS), problems(AGENTS, lenient=True)
    unknown = [
        "21:20: unknown field 'collect_results': what the iterations of a loop printed is {{ tasks.NAME.outputs }}",
        "21:43: unknown field 'result_key': what the iterations of a loop printed is {{ tasks.NAME.outputs }}",
        "22:5: unknown field 'on_complete': hooks.post_task is run after each task",
        "25:1: unknown field 'task_groups': tasks that belong together are subtasks of one",
    ]
    assert strict == ["5:3: worker: an agent has either command or provider", *unknown]
    warned = [f"{one.replace(': ', ': warning: ', 1)}; it is left out" for one in unknown]
    assert lenient[0].startswith(
        "5:3: warning: 'claude' is not installed, or not on the PATH; install it with: npm "
    )
    assert lenient[1] == "5:3: warning: worker: neither command nor provider; claude is taken"
    assert lenient[2:] == warned
    assert isinstance(checked(AGENTS), Problems)
    assert not isinstance(checked(AGENTS, lenient=True), Problems)


def test_what_is_wrong_is_an_error_also_if_it_is_lenient():
    text = "limits: {max_lines: 0, max_lins: 3}\n"
    text += "tasks: {a: {llm: {}}, b: {command: {executable: [x]}, depends_on: [c]}}\n"
    found = problems(text, lenient=True)
    assert [one.partition(", await")[0] for one in found] == [
        "3:10: max_lines must be a whole number, 1 or more, not 0",
        "3:24: warning: unknown field 'max_lins'; did you mean 'max_lines'?; it is left out",
        "4:9: a: a task has exactly one of script, command, agent, intent, subtasks",
        "4:13: warning: unknown field 'llm': an agent does it, with a provider; it is left out",
        "4:37: executable: must be text",
        "4:68: there is no task 'c'",
    ]


def agent(**fields):
    text = HEAD + "tasks: {a: {agent: x, description: y}}\n"
    source = Source(text + f"agents: {{x: {fields}}}\n".replace("'", '"'))
    found = loading.check(source, "f", lenient=True)
    assert not isinstance(found, Problems), found.told()
    return found.spec.agents["x"]


ASKED = {
    "model": "big",
    "tools": ["Read", "Bash(git log:*)"],
    "max_turns": 3,
    "permissions": {"mode": "plan", "allowed_directories": ["/a", "/b c"]},
}


def test_what_an_agent_asks_for_becomes_options_of_its_provider():
    assert command_of(agent(provider="claude", **ASKED), PROVIDERS) == [
        *("claude", "-p", "--model", "big", "--allowedTools", "Read,Bash(git log:*)", "--max-turns", "3"),
        *("--permission-mode", "plan", "--add-dir", "/a", "--add-dir", "/b c"),
    ]
    assert command_of(agent(provider="codex", **ASKED), PROVIDERS) == [
        *(
            "codex",
            "exec",
            "-",
            "--model",
            "big",
            "--sandbox",
            "read-only",
            "--add-dir",
            "/a",
            "--add-dir",
            "/b c",
        )
    ]
    own = providers_from({"claude": ["wrapper"]})
    assert command_of(agent(provider="claude", max_turns=2), own) == ["wrapper", "--max-turns", "2"]


def test_what_a_provider_has_no_option_for_is_told():
    text = "tasks: {{a: {{agent: x, description: y}}}}\nagents: {{x: {}}}\n"
    llm = "{provider: llm, tools: [a], max_turns: 3, permissions: {mode: plan, allowed_directories: [/a]}}"
    found = [one for one in problems(text.format(llm)) if "not installed" not in one]
    assert found == [
        "4:29: the provider llm has no option for tools",
        "4:41: the provider llm has no option for max_turns",
        "4:69: the provider llm has no option for the mode plan",
        "4:103: the provider llm has no option for directories",
    ]
    assert problems(text.format("{command: [sh], tools: [a]}")) == [
        "4:29: tools is for providers; a command has its own options"
    ]
    assert problems(text.format("{command: [sh], permissions: {mode: root}}")) == [
        "4:29: permissions is for providers; a command has its own options",
        "4:43: mode: must be 'default', 'acceptEdits', 'plan' or 'bypassPermissions'",
    ]


def test_loops_in_the_older_form_run(flow):
    items = {
        "type": "for_each",
        "collection": {"source": "inline", "items": ["x", "y", "z"]},
        "iterator": "one",
    }
    times = {"type": "repeat", "count": 3, "iterator": "n", "parallel": True, "max_parallel": 2}
    always = {"condition": {"type": "always"}, "max_iterations": 5}
    turns = {"type": "while", **always, "iteration_variable": "turn"}
    third = {"type": "compare", "left": "{{ turn }}", "op": "==", "right": 3}
    until = {"type": "repeat_until", **always, "min_iterations": 3}
    result = flow(
        {
            "each": bash("echo ${loop.one}", loop=items),
            "times": bash("echo ${loop.n}{{ iteration }}", loop=times),
            "while": bash("echo ${loop.turn}", loop=turns, loop_control={"break_condition": third}),
            "until": bash("echo {{ iteration }}", loop=until),
        }
    )  # fmt: skip
    assert output(result, "each") == ["x", "y", "z"]
    assert output(result, "times") == ["00", "11", "22"]
    assert output(result, "while") == output(result, "until") == ["0", "1", "2"]
    assert "until[3]" not in result.tasks


@pytest.mark.parametrize(
    ("loop", "at", "expected"),
    [
        ("{type: foreach, collection: {}}", "type", "type: must be 'for_each', 'repeat', 'while' or 'repeat_until'"),
        ("{type: [], count: 1}", "type", "type: must be 'for_each'"),
        ("{type: repeat, count: x}", "count", "count: must be a number, or a reference"),
        ("{type: repeat, cout: 3}", "loop", "field 'count' is missing"),
        ("{type: for_each, collection: {source: http}}", "source", "source: can't be http; let a task fetch it"),
        ("{type: for_each, collection: {source: inlin}}", "source", "type: must be 'inline', 'range'"),
        ("{type: for_each, collection: {source: range}}", "collection", "collection: a collection of type range needs"),
        ("{type: for_each, collection: {source: file, path: '{{ item }}'}}", "{{", "there is no variable 'item'"),
        ("{type: while, condition: {type: state_exists, key: inputs.q}}", "key", "there is no input 'q'"),
        ("{type: repeat, count: 1, iteratr: x}", "iteratr", "unknown field 'iteratr'; did you mean 'iterator'?"),
    ],
)  # fmt: skip
def test_faults_of_the_older_form_are_told_at_their_own_fields(loop, at, expected):
    line = f"  a: {{command: {{executable: ls}}, loop: {loop}}}"
    found = problems(f"tasks:\n{line}\n")
    assert any(one.startswith(f"4:{line.index(at) + 1}: {expected}") for one in found), found


def test_names_of_the_older_form_are_known_in_parts_that_are_left_out():
    text = """\
tasks:
  a:
    agent: x
    loop: {type: repeat, count: 2, iterator: outer}
    subtasks:
      - b:
          loop: {type: for_each, collection: {source: inline, items: [1]}, iterator: inner}
          script: {contnt: "echo ${loop.outer} ${loop.inner} ${loop.other}"}
"""
    found = [one for one in problems(text) if "variable" in one]
    assert found == ["10:62: there is no variable 'other'; did you mean 'outer'?"]


def test_secrets_and_outputs_of_the_upstream_form_are_refused_with_what_to_write():
    text = """\
secrets: {token: {source: {type: env, var: TOKEN}}}
outputs: {report: {source: {type: file, path: x}}}
tasks: {a: {command: {executable: ls}, condition: {type: state_equals, key: done, value: 1}}}
"""
    assert problems(text) == [
        "3:1: secrets: must be a list of names of environment variables, like [API_TOKEN]",
        '4:11: report: must be text, like "{{ tasks.NAME.output }}"',
        "5:72: there is no variable 'done'; a key is an input, a variable of the loop, or tasks.NAME.output",
    ]


def test_lenient_on_the_command_line(program):
    (program.folder / "flow.yaml").write_text(
        f"{HEAD}notifications: {{}}\ntasks: {{a: {{script: {{content: echo hello}}, on_complete: {{}}}}}}\n"
    )
    assert b"unknown field 'notifications'" in program("validate", "flow.yaml", check=1).stderr
    done = program("validate", "--lenient", "flow.yaml")
    assert done.stdout == b"flow.yaml is valid: 1 task, 2 warnings\n"
    assert done.stderr.count(b": warning: ") == 2
    program("run", "flow.yaml", check=1)
    done = program("run", "--lenient", "flow.yaml", "--show-task-outputs")
    assert b"hello" in done.stdout
    assert (
        b"warning: unknown field 'notifications': hooks tell others, with a command; it is left out"
        in done.stderr
    )

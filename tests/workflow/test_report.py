"""The page about a run: what it says, and that it is well formed. In a browser: `test_report_in_a_browser`."""

import contextlib
import html
import json
import re

import pytest

import markup
from maxstage.workflow.report import rows
from maxstage.workflow.report.layers import MOST_BOXES, layers_of
from maxstage.workflow.report.page import render
from maxstage.workflow.run.folder import runs_folder
from maxstage.workflow.run.results import TaskResult
from maxstage.workflow.run.state import RunState

FLOW = """\
name: "report <b>"
version: 1
agents: {r: {command: [cat]}}
tasks:
  fetch: {script: {content: "sleep 0.3; seq 5000"}, limits: {max_stdout_bytes: 1KiB}}
  tidy: {script: {content: "echo '<script>alert(1)</script>' >&2; exit 3"}, on_error: {continue: true}}
  no: {script: {content: x}, condition: {type: never}}
  write: {agent: r, description: Go., depends_on: [fetch, tidy], inject_context: true}
  group:
    depends_on: [write]
    subtasks: {x: {script: {content: "echo x"}}, y: {script: {content: "echo y"}, depends_on: [x]}}
outputs: {said: "{{ tasks.group.output }}"}
"""


def report_of(flow, result):
    with contextlib.closing(RunState(runs_folder(flow.store), result.run_id)) as state:
        return render(state, None)


def listed(page):
    """Return the tasks that the page lists, with their states."""
    found = re.findall(
        r'<span class="name">(.*?)</span><span class="state [a-z]+"><span.*?</span> (.*?)</span>', page
    )
    return {html.unescape(name): state for name, state in found}


def section(page, name):
    """Return the text of a section; "" if the page has none."""
    found = re.search(rf'<section aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    return "" if found is None else html.unescape(re.sub("<[^>]*>", "", found[1]))


@pytest.fixture
def page(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    program("run", "flow.yaml")
    program("runs", "report", program.text("runs").split()[0], "--html", "report.html")
    return program.folder / "report.html"


def test_the_page_stands_alone(program, page):
    text = page.read_text()
    markup.check(text)
    assert "report &lt;b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert re.search(r"[\d,]+ bytes were left out; all of it: <code>max retrieve max:[0-9a-f]{8}", text)
    assert "write: " in section(text, "contexts")
    assert "direct dependency" in section(text, "contexts")
    assert section(text, "outputs").split() == ["Outputs", "and", "inputs", "Output", "said", "x", "y"]
    run_id = json.loads(program.text("runs", "-o", "json"))[0]["run"]
    assert program.text("runs", "report", run_id, "--html", "-") == text
    # It is about the run, whatever has become of the file.
    (program.folder / "flow.yaml").unlink()
    assert program.text("runs", "report", run_id, "--html", "-") == text


def test_what_failed_comes_first_and_is_always_there(flow, monkeypatch):
    monkeypatch.setattr(rows, "_MOST_ROWS", 40)
    many = {"for_each": {"collection": {"type": "range", "end": 60}}}
    tasks = {
        "many": {"command": {"executable": "true"}, "loop": many},
        "twice": {
            "script": {"content": "test -e t || { touch t; exit 1; }"},
            "on_error": {"retry": 2},
            "depends_on": ["many"],
        },
        "let": {"script": {"content": "exit 4"}, "on_error": {"continue": True}},
        "group": {
            "subtasks": {"last": {"script": {"content": "echo one; echo 'two\r'why >&2; exit 3"}}},
            "depends_on": ["twice", "let"],
        },
        "never": {"command": {"executable": "true"}, "depends_on": ["group"]},
        "ask": {"await": {"prompt": "Sure <b>?", "choices": ["a", "b"]}},
    }
    page = report_of(flow, flow(tasks, check=False))
    markup.check(page)
    found = listed(page)
    assert len(found) == 40
    assert (found["group.last"], found["group"], found["let"]) == ("failed", "failed", "failed, tolerated")
    assert "and 25 more, which are not listed" in section(page, "tasks")
    assert "60 iterations, from" in section(page, "tasks")
    assert "2 attempts" in section(page, "tasks")
    failed = section(page, "failed")
    assert "group.last" in failed
    assert "exit status 3: why" in failed
    assert "\nwhy" in failed
    assert "one" not in failed  # of stdout
    assert "what is around it: <code>group</code>" in page
    assert "never not started" in section(page, "left")
    assert "let exit status 4" in section(page, "tolerated")
    assert 'Sure <b>?"a" "b" max answer' in section(page, "waiting").replace("\n", "")
    order = [
        page.index(f'<h2 id="{name}"')
        for name in ("failed", "waiting", "left", "tolerated", "graph", "tasks")
    ]
    assert order == sorted(order)


def test_the_graph_shows_a_thousand_tasks_in_few_boxes():
    pairs = {f"a{number}": [] for number in range(500)} | {
        f"b{number}": [f"a{number}"] for number in range(500)
    }
    found = layers_of(pairs, ["b7"])
    assert [(len(box.tasks), box.layer) for box in found.boxes] == [(500, 0), (1, 1), (499, 1)]
    assert found.edges == [(0, 1), (0, 2)]
    fan = {
        "first": [],
        **{f"t-{number}": ["first"] for number in range(1000)},
        "last": [f"t-{n}" for n in range(1000)],
    }
    assert [len(box.tasks) for box in layers_of(fan, []).boxes] == [1, 1000, 1]
    chain = {str(number): [str(number - 1)] if number else [] for number in range(1000)}
    found = layers_of(chain, [])
    assert len(found.boxes) == MOST_BOXES
    assert found.edges == [(number, number + 1) for number in range(MOST_BOXES - 1)]
    few = layers_of({"c": ["a"], "a": [], "b": [], "d": ["b", "c"]}, [])
    assert [box.tasks for box in few.boxes] == [("a",), ("b",), ("c",), ("d",)]


def test_the_plan_of_a_damaged_run_may_go_in_circles():
    assert len(layers_of({"a": ["b"], "b": ["a", "c", "nobody"], "c": []}, []).boxes) == 3


def test_an_output_that_is_damaged_hides_no_other(flow):
    limits = {"prune_memory_bytes": 1, "prune_every_tasks": 1}
    tasks = {
        "a": {"script": {"content": "seq 1000"}},
        "b": {"script": {"content": "seq 1000"}, "depends_on": ["a"]},
        "c": {"command": {"executable": "true"}, "depends_on": ["b"]},
    }
    result = flow(tasks, limits=limits)
    moved = [item for item in flow.store.list() if item.owner == result.run_id]
    with open(flow.store.storage.path(moved[0]), "r+b") as file:
        file.truncate(10)
    page = report_of(flow, result)
    markup.check(page)
    assert "its output can't be read: " in section(page, "tasks")
    assert list(listed(page).values()) == ["completed"] * 3


def test_hostile_texts_are_inert(flow):
    nasty = "</script></style><img src=x>\0\ud83d\x1b[31m" + "n" * 2_000_000
    facts = {
        "workflow": nasty,
        "file": nasty,
        "folder": nasty,
        "error": nasty,
        "status": "failed",
        "inputs": {"a": nasty},
        "outputs": {"o": nasty},
    }
    state = RunState.create(runs_folder(flow.store), "hostile", {**facts, "started": 0.0})
    state.record("a" + "b" * 2_000_000, TaskResult("failed", error=nasty))
    page = render(state, None)
    state.close()
    assert len(page.encode()) < 200_000  # also: it can be encoded
    markup.check(page)
    assert "<img" not in page
    assert "</script" not in page
    assert not re.search("[\0\x1b]", page)

"""The page about a run, looked at in a real browser."""

import json
import re
import shutil
import subprocess

import pytest
from PIL import Image

from helpers import PATIENCE
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
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def page(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    program("run", "flow.yaml")
    program("runs", "report", program.text("runs").split()[0], "--html", "report.html")
    return program.folder / "report.html"


def test_the_page_stands_alone(program, page):
    text = page.read_text()
    assert not re.search(r"<script|<link|<img|src=|href=|@import|url\(", text)
    assert "report &lt;b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert re.search(
        r"truncated, [\d,]+ bytes left out</span>; full output: <code>max retrieve max:[0-9a-f]{8}", text
    )
    assert "<code>write</code>: " in text
    assert "direct dependency" in text
    run_id = json.loads(program.text("runs", "-o", "json"))[0]["run"]
    assert program.text("runs", "report", run_id, "--html", "-") == text
    (program.folder / "flow.yaml").unlink()
    program("runs", "report", run_id, "--html", "without-graph.html")
    assert "<h2>Graph</h2>" not in (program.folder / "without-graph.html").read_text()


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_a_browser_shows_it(page):
    picture = page.with_suffix(".png")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,1600"]
    subprocess.run(
        [
            BROWSER,
            *options,
            f"--user-data-dir={page.parent}/profile",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    with Image.open(picture) as image:
        pixels = image.convert("RGB")
        colours = dict(reversed(one) for one in pixels.getcolors(pixels.width * pixels.height))
    # Bars and boxes: of tasks that completed, that failed, that were skipped.
    assert colours.get((0x2E, 0x9E, 0x5B), 0) > 1000
    assert colours.get((0xD1, 0x45, 0x3B), 0) > 50
    assert colours.get((0x9A, 0xA7, 0xB3), 0) > 50
    # Text was drawn: many shades between that of the letters and the ground.
    assert len(colours) > 50


def test_what_failed_comes_first_and_is_always_there(flow):
    many = {"for_each": {"collection": {"type": "range", "end": 600}}}
    tasks = {
        "many": {"command": {"executable": "true"}, "loop": many},
        "twice": {
            "script": {"content": "test -e t || { touch t; exit 1; }"},
            "on_error": {"retry": 2},
            "depends_on": ["many"],
        },
        "last": {"script": {"content": "echo why >&2; exit 3"}, "depends_on": ["twice"]},
    }
    result = flow(tasks, check=False)
    state = RunState(runs_folder(flow.store), result.run_id)
    page = render(state, None)
    state.close()
    assert "3 tasks, 600 iterations." in page
    rows = re.findall(
        r"<tr><td><code>(.*?)</code>.*?<td>([^<]*)(?:<span[^>]*>([^<]*)</span>)?</td></tr>", page
    )
    assert rows[0][0] == "last"
    assert "exit status 3: why" in rows[0][2]
    assert len(rows) == 500
    told = {name: text for name, text, _ in rows}
    assert (told["many"], told["twice"], told["many[0]"]) == ("600 iterations", "2 attempts", "")
    assert "and 103 more" in page
    assert page.index("<h2>Failed</h2>") < page.index("<h2>Timeline</h2>") < page.index("<h2>Tasks</h2>")


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
    assert "<img" not in page
    assert "</script" not in page
    assert not re.search("[\0\x1b]", page)

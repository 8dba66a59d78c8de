"""The page about a run in a real browser: large runs, small windows, keyboards, screen readers, hostile texts."""

import contextlib
import time

import pytest
from PIL import Image

from browser import CHROMIUM, Browser
from maxstage.output.task_output import TaskOutput
from maxstage.workflow.report.page import render
from maxstage.workflow.run.folder import runs_folder
from maxstage.workflow.run.results import TaskResult
from maxstage.workflow.run.state import RunState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

SMALLEST = 11
"""The size in pixels below which text is hard to read."""

SECONDS = 5
"""How long a page with 2,000 tasks may take to open on a busy machine; alone it is below one."""

NASTY = "<script>document.title = 'ran'</script></script><img src=x onerror=\"document.title='ran'\">]]>--> https://example.com/"

SIZES_OF_TEXT = """
(() => {
  // What is out of sight is not laid out; to do so row by row takes long.
  document.styleSheets[0].insertRule(".rows > li { content-visibility: visible !important }");
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode(); ) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    let size = parseFloat(getComputedStyle(element).fontSize);
    let svg = element.closest("svg");
    if (svg) {
      while (svg.ownerSVGElement) svg = svg.ownerSVGElement;
      size *= svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    }
    found.push(size);
  }
  return Math.min(...found);
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def page_of(store, tmp_path):
    """Return a function that writes the page of a run with so many tasks, of which one has failed."""

    def write(count, *, name="nightly", stderr="oh no\n" * 30 + "the last line", task="check"):
        names = [f"{NASTY if name == NASTY else 'step'}-{number}" for number in range(count - 1)]
        plan = {
            path: {"after": names[: number // 4][-3:], "kind": "program", "loop": False}
            for number, path in enumerate(names)
        }
        plan[task] = {"after": names[-2:], "kind": "agent", "loop": False}
        plan["never"] = {"after": [task], "kind": "group", "loop": False}
        facts = {
            "workflow": name,
            "started": time.time(),
            "status": "failed",
            "error": f"{task}: exit status 3: {stderr[-300:]}",
        }
        facts |= {"file": f"/{name}", "folder": "/", "inputs": {name: name}, "outputs": {name: name}}
        state = RunState.create(runs_folder(store), "large", {**facts, "plan": plan})
        with contextlib.closing(state):
            for number, path in enumerate(names):
                text = f"{name} {number}\n".encode()
                output = TaskOutput(
                    path, "stdout", text, len(text), exit_code=0, duration=0.01, token="max:00000001"
                )
                state.record(path, TaskResult("completed", output, attempts=1), commit=False)
            err = TaskOutput(task, "stderr", stderr.encode(), len(stderr))
            output = TaskOutput(task, "stdout", b"", 0, exit_code=3, duration=1.0, stderr=err)
            state.record(
                task, TaskResult("failed", output, attempts=1, error=f"exit status 3: {stderr[-300:]}")
            )
            page = tmp_path / "report.html"
            page.write_text(render(state, None))
        return page

    return write


@pytest.mark.parametrize("count", [20, 200, 2000])
def test_it_can_be_read_in_every_size(browser, page_of, tmp_path, count):
    page = page_of(count)
    for width in (400, 1280, 2560):
        for dark in (False, True):
            assert browser.open(page, width, dark=dark) < SECONDS
            assert browser.tell("document.documentElement.scrollWidth <= innerWidth"), width
            assert browser.tell(SIZES_OF_TEXT) >= SMALLEST
            assert browser.requests == [page.as_uri()]
            assert browser.complaints == []
            # The failed task, and the last of what it said, are in the window as it opens.
            assert (
                browser.tell("document.querySelector('#failed ~ .cards code').getBoundingClientRect().top")
                > 0
            )
            assert (
                browser.tell("(box => box.bottom)(document.querySelector('.tail').getBoundingClientRect())")
                < 800
            )
            last = "document.querySelector('.tail').getBoundingClientRect().bottom + 1"
            assert browser.tell(
                f"document.querySelector('.tail pre').getBoundingClientRect().bottom <= {last}"
            )
            picture = tmp_path / "page.png"
            browser.picture(picture)
            with Image.open(picture) as image:
                ground = image.convert("RGB").getpixel((width - 3, 3))
            assert (max(ground) < 80) == dark


def test_nothing_in_it_runs(browser, page_of):
    page = page_of(20, name=NASTY, stderr=NASTY, task=NASTY)
    browser.open(page, 1280)
    assert browser.tell("document.title").startswith("<script>document.title")
    assert (
        browser.tell(
            "document.scripts.length + document.images.length + document.querySelectorAll('iframe').length"
        )
        == 0
    )
    assert browser.tell("[...document.links].every(one => one.hash)")
    assert browser.requests == [page.as_uri()]
    # Even what was not escaped would not run.
    page.write_text(
        page.read_text().replace("<main>", f"<main>{NASTY}<script src='https://example.com/x.js'></script>")
    )
    browser.open(page, 1280)
    assert browser.tell("document.scripts.length") == 2
    assert browser.tell("document.title") != "ran"
    assert browser.complaints != []


def test_long_texts_do_not_push_out_what_matters(browser, page_of):
    page = page_of(20, name="n" * 5000, stderr="e" * 5000, task="t" * 3000)
    for width in (400, 1280):
        browser.open(page, width)
        assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
        assert browser.tell("document.querySelector('.tail').getBoundingClientRect().bottom") < 800


def test_it_is_read_and_reached_in_order(browser, page_of):
    browser.open(page_of(40), 1280)
    told = browser.outline()
    headings = [name for role, name in told if role == "heading"]
    assert headings == [
        "✗ failed nightly",
        "Failed",
        "check",
        "Without a result",
        "Graph",
        "Tasks",
        "Outputs and inputs",
        "Sums",
    ]
    assert ("region", "last lines of stderr of check") in told
    assert ("radio", "Overview") in told
    assert ("checkbox", "completed") in told
    reached = []
    for _ in range(8):
        browser.press("Tab")
        reached.append(browser.tell("(e => e.id || e.className || e.tagName)(document.activeElement)"))
    assert reached == ["skip", "tail", "zoom-1", "canvas", "show-bad", "show-ok", "line", "line"]
    browser.press("Enter")
    assert browser.tell("document.activeElement.parentElement.open")
    assert browser.tell("document.activeElement.nextElementSibling.checkVisibility()")


def test_it_can_be_filtered_and_zoomed(browser, page_of):
    browser.open(page_of(200), 1280)
    seen = (
        "[...document.querySelectorAll('.rows > li:not(.axis)')].filter(one => one.checkVisibility()).length"
    )
    assert browser.tell(seen) == 200
    browser.tell("document.getElementById('show-ok').click()")
    assert browser.tell(seen) == 1
    wide = "document.querySelector('.canvas > svg').getBoundingClientRect().width"
    usual = browser.tell(wide)
    browser.tell("document.getElementById('zoom-2').click()")
    assert browser.tell(wide) == pytest.approx(1.6 * usual, rel=0.01)
    browser.tell("document.getElementById('zoom-0').click()")
    assert browser.tell(wide) <= 1280
    assert browser.tell(SIZES_OF_TEXT) >= SMALLEST
    # A box leads to what is told of its task, which opens.
    browser.tell("location.hash = document.querySelector('svg a[href]').getAttribute('href')")
    assert browser.tell(
        "new Promise(done => setTimeout(() => done(document.querySelector(':target').parentElement.open), 100))"
    )

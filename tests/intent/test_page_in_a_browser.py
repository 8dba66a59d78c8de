"""The page of a preview in a real browser."""

import pytest

from browser import CHROMIUM, Browser
from maxstage.intent.page import page
from maxstage.intent.telling import ADDED, BAD, HEAD, PLAIN, Line

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

NASTY = "</p></main><script>document.title = 'ran'</script><img src=x onerror=\"document.title='ran'\">"


def test_it_can_be_read_and_nothing_in_it_runs(tmp_path):
    lines = [
        Line(f"max:intent:00000001: 2 copies {NASTY}", HEAD),
        Line("2 problems:", BAD),
        *(
            Line(f"1: copy {NASTY} {'long' * 200}", style, indent)
            for style in (PLAIN, ADDED)
            for indent in (1, 2)
        ),
    ]
    file = tmp_path / "preview.html"
    file.write_text(page(lines))
    browser = Browser(tmp_path / "profile")
    try:
        for width in (400, 1280):
            for dark in (False, True):
                browser.open(file, width, dark=dark)
                assert browser.tell("document.documentElement.scrollWidth <= innerWidth")
                assert browser.tell("document.scripts.length + document.images.length") == 0
                assert browser.requests == [file.as_uri()]
                sizes = "[...document.querySelectorAll('p, h1, h2')].map(e => parseFloat(getComputedStyle(e).fontSize))"
                assert min(browser.tell(sizes)) >= 11
        assert browser.tell("document.title").startswith("max:intent:00000001: 2 copies </p>")
        headings = [name for role, name in browser.outline() if role == "heading"]
        assert headings[1:] == ["2 problems:"]
    finally:
        browser.close()

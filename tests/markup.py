"""What holds of each page that we write: it is well formed, stands alone, and everything in it can be reached."""

import itertools
import re
from html.parser import HTMLParser

VOID = {"meta", "input", "br"}
WITHIN_SVG = {"path", "rect"}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in WITHIN_SVG, f"<{tag}/> is not closed in HTML"
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def check(page):
    """Check a page; return its tags, each with its attributes."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    tags = reader.found
    assert {tag for tag, _ in tags}.isdisjoint(
        {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    )
    assert not re.search(r"@import|url\(", page)
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "srcset"}], tag
    policies = [one["content"] for tag, one in tags if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert page.index("Content-Security-Policy") < page.index("<style")
    ids = [one["id"] for _, one in tags if "id" in one]
    assert len(ids) == len(set(ids))
    asked = [one["href"] for _, one in tags if "href" in one]
    asked += [f"#{one[name]}" for _, one in tags for name in ("aria-labelledby", "for") if name in one]
    assert [target for target in asked if target[:1] != "#" or target[1:] not in ids] == []
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[:1] == [1]
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert "html" in dict(tags)
    assert dict(tags)["html"] == {"lang": "en"}
    return tags

"""A preview as one page of HTML, which needs nothing else: no network, and no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.html_page import document, escaped
from maxstage.intent.telling import ADDED, BAD, DIM, GOOD, HEAD, PLAIN, REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from maxstage.intent.telling import Line

_CLASSES = {PLAIN: "", HEAD: "", BAD: "bad", GOOD: "ok", ADDED: "ok", REMOVED: "bad", DIM: "dim"}


def page(lines: Iterable[Line]) -> str:
    """Return a page of the lines of a preview."""
    first, *rest = lines
    return document(first.text, ["<main>", f"<h1>{escaped(first.text, None)}</h1>", *_body(rest), "</main>"])


def _body(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the lines: headings are those that end in a colon."""
    is_after_gap = False
    for line in lines:
        if not line.text:
            is_after_gap = True
            continue
        text = escaped(line.text, None)
        is_heading = not line.indent and line.text.endswith(":")
        gap = "gap" if is_after_gap and not is_heading else ""
        is_after_gap = False
        names = (gap, _CLASSES[line.style], f"i{line.indent}" if line.indent else "")
        classes = " ".join(name for name in names if name)
        tag = "h2" if is_heading else "p"
        yield f'<{tag} class="{classes}">{text}</{tag}>' if classes else f"<{tag}>{text}</{tag}>"

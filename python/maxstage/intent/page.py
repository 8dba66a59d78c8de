"""A preview as one page of HTML, which needs nothing else: no network, and no script."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from maxstage.intent.telling import ADDED, BAD, DIM, GOOD, HEAD, PLAIN, REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maxstage.intent.telling import Line

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --bad: #b3261e; --good: #1a6b33; --dim: #666; --line: #8883; }}
@media (prefers-color-scheme: dark) {{ :root {{ --bad: #ff8a80; --good: #7fd48f; --dim: #999; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1rem; margin: 1.6rem 0 .3rem; border-bottom: 1px solid var(--line); }}
p {{ margin: .1rem 0; overflow-wrap: anywhere; }}
.i1, .i2 {{ font: 13px/1.5 ui-monospace, monospace; }}
.i1 {{ padding-left: 1rem; }} .i2 {{ padding-left: 2rem; }}
.bad {{ color: var(--bad); }} .good {{ color: var(--good); }} .dim {{ color: var(--dim); }}
.added {{ color: var(--good); white-space: pre-wrap; }} .removed {{ color: var(--bad); white-space: pre-wrap; }}
</style>
{body}
</html>
"""

_CLASSES = {PLAIN: "", HEAD: "", BAD: "bad", GOOD: "good", ADDED: "added", REMOVED: "removed", DIM: "dim"}


def page(lines: Iterable[Line]) -> str:
    """Return a page of the lines of a preview."""
    parts: list[str] = []
    title = ""
    for line in lines:
        text = html.escape(line.text)
        if not line.text:
            continue
        if not title:
            title = text
            parts.append(f"<h1>{text}</h1>")
            continue
        classes = " ".join(filter(None, (_CLASSES[line.style], f"i{line.indent}" if line.indent else "")))
        is_heading = not line.indent and line.text.endswith(":")
        tag = "h2" if is_heading else "p"
        parts.append(f'<{tag} class="{classes}">{text}</{tag}>' if classes else f"<{tag}>{text}</{tag}>")
    return _PAGE.format(title=title, body="\n".join(parts))

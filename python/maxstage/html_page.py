"""Pages of HTML that stand alone: one file, no network, no script, the same look for all.

Whatever is shown comes from others: names, outputs, file names. It is escaped; and if that ever failed, the policy at
the top of each page still forbids a browser to run or fetch anything.
"""

from __future__ import annotations

import html
from importlib.resources import files
from typing import TYPE_CHECKING

from maxstage.humanize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 1000
"""The most characters of a name or an error that a page shows."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do with a page: apply its own styles."""

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
"""


def document(title: str, body: Iterable[str]) -> str:
    """Return a page.

    Args:
        title: Its title, as it is: untrusted text.
        body: The lines of its body: HTML, in which untrusted text is escaped.
    """
    style = (files("maxstage") / "page.css").read_text(encoding="utf-8")
    head = _HEAD.format(policy=html.escape(POLICY), title=escaped(title), style=style)
    return head + "\n".join(body) + "\n</body>\n</html>\n"


def escaped(value: object, most: int | None = LONGEST) -> str:
    """Return untrusted text as HTML: on one line, clipped, without control or bidirectional characters.

    >>> escaped("</b><script>\\x1b\\n"), escaped("a" * 9, 4)
    ('&lt;/b&gt;&lt;script&gt;\\\\x1b ', 'aaaa...')
    """
    return html.escape(printable(str(value), most), quote=True)


def escaped_lines(text: str) -> str:
    """Return untrusted text of several lines as HTML.

    >>> escaped_lines("<a>\\n\\tb\\x07")
    '&lt;a&gt;\\n    b\\\\x07'
    """
    return "\n".join(escaped(line.expandtabs(4), None) for line in text.split("\n"))

"""What a record of a log tells, where it is too long; the rules are told in ``rust/src/summary/record.rs``."""

import re

from maxstage._pure.lines import cut_head
from maxstage._pure.summary.signals import TOLD
from maxstage._pure.summary.terminal import GAP

SHORT, VALUE = 160, 160
"""A record that is no longer stays as it is; and how much is shown of a value."""

_STRING = r'"(?:[^"\\]|\\.)*"?'
_PAIR = re.compile(rf"({_STRING})(?: ?: ?({_STRING}|[-+.0-9A-Za-z]+))?".encode(), re.DOTALL)
_TOLD = re.compile("|".join(TOLD).encode())


def brief(text: bytes, at: int) -> bytes | None:
    """Return the fields of a JSON record that tell what happened, and the one in which `at` is.

    Returns:
        These, with signs where others are missing; nothing if it is no record, is short, or has none of them.
    """
    if len(text) <= SHORT or not text.startswith(b'{"'):
        return None
    found = []
    end = 0
    for pair in _PAIR.finditer(text):
        if pair[2] is None or not (pair.start() < at < pair.end() or _TOLD.search(pair[1].lower())):
            continue
        between = text[end : pair.start()]
        found.append(between if between in (b"{", b",", b", ") else GAP)
        value = pair[2][: cut_head(pair[2], VALUE)]
        found.append(text[pair.start() : pair.start(2)] + value + (GAP if len(value) < len(pair[2]) else b""))
        end = pair.end()
    if not end:
        return None
    return b"".join(found) + (text[end:] if len(text) - end <= 1 else GAP)

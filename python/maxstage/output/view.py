"""How an output is shown: unchanged, for a screen, or as plain text. Full outputs are always kept unchanged."""

from __future__ import annotations

import re

from maxstage.humanize import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from maxstage._backend import core

    View = Literal["raw", "screen", "plain"]

VIEWS = {
    "raw": "as it came",
    "screen": "as it came, with the colours closed that a cut leaves open",
    "plain": "without ANSI escape sequences; of a line that was written over, what was written last",
}
"""What is shown, by name."""

RESET = b"\x1b[0m"
"""Ends all colours, and an escape sequence that was cut in two."""

_LOOKED_AT = 64 * 1024
"""Bytes before a cut that are searched for colours; an older one is assumed to be open, which does no harm."""
_SEQUENCE = 4096
"""The most bytes of an escape sequence that may have been cut."""

_SGR = re.compile(rb"\x1b\[([0-9;:]*)m")
_CUT = re.compile(rb"\x1b(?:\[[\x30-\x3f]*[\x20-\x2f]*|[\]PX^_][^\x07\x1b]*|[\x20-\x2f]*)\Z")

_EXTENDED = {38, 48, 58}
"""Colours that have parameters: 5 and a number, or 2 and three."""
_PARAMETERS = {5: 1, 2: 3}
_ENDS = {
    **dict.fromkeys((1, 2), 22),
    **dict.fromkeys((3, 20), 23),
    **dict.fromkeys((4, 21), 24),
    **dict.fromkeys((5, 6), 25),
    7: 27,
    8: 28,
    9: 29,
    **dict.fromkeys([*range(11, 20)], 10),
    26: 50,
    **dict.fromkeys([*range(30, 39), *range(90, 98)], 39),
    **dict.fromkeys([*range(40, 49), *range(100, 108)], 49),
    **dict.fromkeys((51, 52), 54),
    53: 55,
    58: 59,
    **dict.fromkeys((73, 74), 75),
}
"""What ends a kind of emphasis, by what begins it."""


def with_colours_closed(
    cut: core.Truncated, max_bytes: int, render: Callable[[int], core.Truncated]
) -> tuple[core.Truncated, bytes]:
    """Return a cut text whose colours end where it was cut, before the marker, so that nothing else is coloured.

    Args:
        cut: The text.
        max_bytes: The limit of what is returned.
        render: Cuts it shorter, to make room.

    Returns:
        What was cut, and the text.
    """
    if not cut.truncated or _closed(cut) == cut.content:
        return cut, cut.content
    cut = render(max(1, max_bytes - 2 * len(RESET)))
    closed = _closed(cut)
    return cut, closed if len(closed) <= max_bytes else cut.content


def _closed(cut: core.Truncated) -> bytes:
    marker = cut.content.find(f"--- [{counted(cut.dropped_bytes, 'byte')}".encode())
    head, tail = (cut.content[:marker], cut.content[marker:]) if marker >= 0 else (b"", cut.content)
    return _close(head) + _close(tail)


def _close(text: bytes) -> bytes:
    if not leaves_open(text):
        return text
    # Before the end of the line, so that it doesn't add a line.
    return text[:-1] + RESET + b"\n" if text.endswith(b"\n") else text + RESET


def leaves_open(text: bytes) -> bool:
    """Whether text ends in a colour or another emphasis, or within an escape sequence.

    >>> leaves_open(b"\\x1b[31mred"), leaves_open(b"\\x1b[1;31mred\\x1b[0;39m"), leaves_open(b"a\\x1b[3")
    (True, False, True)
    """
    if b"\x1b" not in text:
        return False
    near = text[-_LOOKED_AT:]
    if _CUT.search(near[-_SEQUENCE:].removesuffix(b"\n")):
        return True
    start = max(near.rfind(RESET), near.rfind(b"\x1b[m"))
    if start < 0:
        if len(near) < len(text) and b"\x1b[" in text[: -len(near)]:
            return True
        start = 0
    active: set[int] = set()
    for found in _SGR.finditer(near, start):
        _apply(found[1], active)
    return bool(active)


def _apply(parameters: bytes, active: set[int]) -> None:
    """Record what a sequence begins, by what will end it, and remove what it ends."""
    rest = iter(parameters.split(b";"))
    for parameter in rest:
        number, *more = parameter.split(b":")
        code = int(number[:9] or b"0")
        if code == 0:
            active.clear()
        elif code in _ENDS and more[:1] != [b"0"]:
            active.add(_ENDS[code])
            if code in _EXTENDED and not more:
                for _ in range(_PARAMETERS.get(int(next(rest, b"")[:9] or b"0"), 0)):
                    next(rest, None)
        elif code in _ENDS:
            active.discard(_ENDS[code])  # 4:0 is no underline
        else:
            active.discard(code)

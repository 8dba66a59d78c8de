"""Lines as a terminal shows them; the rules are told in ``rust/src/summary/terminal.rs``."""

import re

from maxstage._pure.lines import character_around, cut_head

GAP = "…".encode()
"""Stands where a line was clipped."""
PIECE = 2048
"""A longer line is looked at in pieces."""
BLANK = b" \t\r"

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")


def plain(text: bytes) -> bytes:
    """Return the text without colours and other escape sequences, and without the ``\\r`` of line ends."""
    if b"\x1b" in text:
        text = _ESCAPE.sub(b"", text)
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def units(line: bytes) -> tuple[list[bytes], int, bool]:
    """Return what a line shows: what follows a ``\\r`` is written over what was there.

    Returns:
        What is shown one after the other, each no longer than a piece; which of them stands there at the end; and
        whether that is all that does.
    """
    if b"\r" not in line and len(line) <= PIECE:
        return [line], 0, True
    found: list[bytes] = []
    stands, whole = 0, True
    for part in [part for part in line.split(b"\r") if part.strip(BLANK)] or [b""]:
        stands, whole = len(found), len(part) <= PIECE
        while len(part) > PIECE:
            end = cut_head(part, PIECE)
            found.append(part[:end])
            part = part[end:]  # noqa: PLW2901 - what is left of it
        found.append(part)
    return found, stands, whole


def clip(text: bytes, at: int, most: int) -> tuple[bytes, int, int]:
    """Return no more than `most` bytes of a line: those around `at`.

    Returns:
        These, with signs where something is missing; where `at` is in them; and how many they are without the signs.
    """
    if len(text) <= most:
        return text, at, len(text)
    room = max(0, most - 2 * len(GAP))
    start = min(max(0, at - room // 4), len(text) - room)
    around = character_around(text, start)
    if around is not None:
        start = around[1]
    end = start + cut_head(text[start:], room)
    shown = text[start:end]
    before, after = GAP if start else b"", GAP if end < len(text) else b""
    return before + shown + after, max(0, at - start) + len(before), len(shown)

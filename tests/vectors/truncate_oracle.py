"""What a cut text has to be, by a second implementation, which is slow and plain; ``truncate.json`` is written by it.

It follows docs/bounded-output.md and knows nothing of the package. Run it where the contract changes, and look at what
the difference is::

    python tests/vectors/truncate_oracle.py
"""

import json
import re
from pathlib import Path

VECTORS = Path(__file__).with_name("truncate.json")
HINT = "max retrieve max:a1b2c3d4"
STRATEGIES = ["head", "tail", "both", "head_lines", "tail_lines"]
"""All but `summary`: which lines matter most is told by its tables, and may be told better some day."""
MAX_LINES = 3
LIMITS = [(0, None), (1, None), (7, None), (40, None), (90, HINT), (150, None), (200, HINT)]
"""Most bytes, and what the marker names."""
TEXTS = {
    "empty": b"",
    "one line": b"x" * 300,
    "lines": b"".join(b"line %d\n" % n for n in range(1, 61)),
    "crlf": b"".join(b"line %d\r\n" % n for n in range(1, 61)),
    "emoji": "👩‍👩‍👧‍👦é".encode() * 20,
    "combining": "e\u0301\u0323".encode() * 60,
    "nul": b"\0" * 250,
    "no final newline": b"a\nbb\nccc\n" * 30 + b"end",
    "not utf-8 (latin-1 bytes)": b"\xff\x80\xfe abc\n" * 40,
    "broken utf-8": "€".encode()[:2] * 50 + "€uro ".encode() * 20 + b"\xf0\x9f\x91\n",
    "log": b"".join(b"error: it broke at step 40\n" if n == 40 else b"step %d ok\n" % n for n in range(90)),
    "records": b"".join(b'{"id": %d, "name": "n%d"}\n' % (n, n) for n in range(25)),
}

CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
    rb"|.",
    re.DOTALL,
)
"""A character of UTF-8, as Unicode's table of well-formed sequences has them; a byte that belongs to none."""


def lines_of(data):
    """Return the lines, with their ends; what follows the last newline is one, too."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def first_bytes(data, most):
    """Return as many of the first bytes as fit: no character is cut."""
    places = [0, *(found.end() for found in CHARACTER.finditer(data))]
    return data[: max(place for place in places if place <= most)]


def last_bytes(data, most):
    """Return as many of the last bytes as fit."""
    places = [0, *(found.end() for found in CHARACTER.finditer(data))]
    return data[min(place for place in places if place >= len(data) - most) :]


def first_lines(data, most, count):
    """Return whole lines from the beginning: `count` at most, as many as fit."""
    kept = b""
    for line in lines_of(data)[:count]:
        if len(kept) + len(line) > most:
            break
        kept += line
    return kept


def last_lines(data, most, count):
    """Return whole lines up to the end."""
    kept = b""
    for line in lines_of(data)[-count:][::-1]:
        if len(kept) + len(line) > most:
            break
        kept = line + kept
    return kept


def plural(number, unit):
    return f"{number:,} {unit}" + "s" * (number != 1)


def marker(dropped_bytes, dropped_lines, hint):
    lines = f" ({plural(dropped_lines, 'line')})" if dropped_lines else ""
    where = f"; whole output: {hint}" if hint else ""
    return f"--- [{plural(dropped_bytes, 'byte')}{lines} truncated{where}] ---"


def room_for_text(data, max_bytes, hint):
    """Return what a limit leaves for text, and whether a marker fits.

    A marker may need as much as one that says that all is missing, and a newline before and after it.
    """
    longest = len(marker(len(data), max(2, len(lines_of(data))), hint)) + 2
    return (max_bytes - longest, True) if max_bytes > longest else (max_bytes, False)


def kept_ends(data, strategy, most, count):
    """Return the kept beginning and the kept end."""
    if strategy == "head":
        return first_bytes(data, most), b""
    if strategy == "tail":
        return b"", last_bytes(data, most)
    if strategy == "both":
        return first_bytes(data, most // 2), last_bytes(data, most - most // 2)
    # A single line that is longer than the limit is cut by bytes.
    if strategy == "head_lines":
        return first_lines(data, most, count) or first_bytes(data, most), b""
    return b"", last_lines(data, most, count) or last_bytes(data, most)


def truncate(data, strategy, max_bytes, max_lines, hint):
    """Return what is left of a text, and how many bytes and lines are not."""
    lines = lines_of(data)
    if len(data) <= max_bytes and (not strategy.endswith("_lines") or len(lines) <= max(1, max_lines)):
        return data, 0, 0
    most, with_marker = room_for_text(data, max_bytes, hint)
    head, tail = kept_ends(data, strategy, most, max_lines)
    shown_bytes, shown_lines = len(head) + len(tail), head.count(b"\n") + len(lines_of(tail))
    dropped_bytes, dropped_lines = len(data) - shown_bytes, len(lines) - shown_lines
    if not with_marker:
        return head + tail, dropped_bytes, dropped_lines
    newline = b"\n" if head and not head.endswith(b"\n") else b""
    text = marker(dropped_bytes, dropped_lines, hint).encode()
    return head + newline + text + b"\n" + tail, dropped_bytes, dropped_lines


def make():
    """Return the file's text."""
    cases = []
    for name, data in TEXTS.items():
        for strategy in STRATEGIES:
            for max_bytes, hint in LIMITS:
                content, dropped_bytes, dropped_lines = truncate(data, strategy, max_bytes, MAX_LINES, hint)
                assert len(content) <= max_bytes
                cases.append(
                    {
                        "text": name,
                        "strategy": strategy,
                        "max_bytes": max_bytes,
                        "max_lines": MAX_LINES,
                        "hint": hint,
                        "content": content.decode("latin-1"),
                        "dropped_bytes": dropped_bytes,
                        "dropped_lines": dropped_lines,
                    }
                )
    vectors = {
        "about": "Written by truncate_oracle.py. Inputs and contents are the bytes as latin-1 text. Both backends must "
        "give exactly these.",
        "texts": {name: data.decode("latin-1") for name, data in TEXTS.items()},
        "cases": cases,
    }
    return json.dumps(vectors, indent=0) + "\n"


if __name__ == "__main__":
    VECTORS.write_text(make())

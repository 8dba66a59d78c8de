"""What tasks print, as it comes: on stderr, each line after the name of its task."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from typing import TYPE_CHECKING

from maxstage.cli.printing import warn, write_all
from maxstage.humanize import cells, fitted, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maxstage.workflow.workflow import Event

_MOST_HELD = 64 * 1024
"""Bytes of a line that are waited for; a longer one is printed in parts."""
_WIDEST = 24
"""Columns that names have at most, on a terminal, and for their alignment elsewhere."""
_NARROWEST = 8
_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95)
"""Of names, one after the other. Red is for stderr."""
_RED = 31
_SGR = re.compile(r"(\x1b\[[0-9;:]*m)")
_RESET = "\x1b[0m"


class LiveLines:
    """Prints what tasks print, line by line, so that lines of different tasks are never mixed.

    On a terminal a line can do nothing but be coloured; elsewhere it is as it came. Its methods may be called from any
    thread; a task waits while its lines are printed.

    Args:
        names: The paths of the tasks in the file.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, int], bytes] = {}
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        is_dumb = os.environ.get("TERM") == "dumb"
        self._is_coloured = self._is_terminal and not is_dumb and not os.environ.get("NO_COLOR")
        longest = max((cells(name) for name in names), default=0)
        self._width = min(longest, _WIDEST)
        if self._is_terminal:
            third = shutil.get_terminal_size().columns // 3
            self._width = min(self._width, max(_NARROWEST, third))
        self._colours: dict[str, int] = {}
        self._is_closed = False

    def __call__(self, task: str, stream: int, data: bytes) -> None:
        """Take what a task has printed.

        Args:
            task: Its path.
            stream: 0 for stdout, 1 for stderr.
            data: What came.
        """
        with self._lock:
            *lines, rest = (self._held.pop((task, stream), b"") + data).split(b"\n")
            if len(rest) > _MOST_HELD:
                lines.append(rest)
            elif rest:
                self._held[task, stream] = rest
            self._print(task, stream, lines)

    def notice(self, event: Event) -> None:
        """Handle an event of the run: of a task that has ended, no more comes."""
        if event.task is not None and event.kind in {"task_finished", "task_retried"}:
            with self._lock:
                for stream in (0, 1):
                    rest = self._held.pop((event.task, stream), None)
                    if rest is not None:
                        self._print(event.task, stream, [rest])

    def say(self, message: str) -> None:
        """Print a line of our own between them."""
        with self._lock:
            warn(message)

    def _print(self, task: str, stream: int, lines: list[bytes]) -> None:
        if not lines or self._is_closed:
            return
        before = self._prefix(task, stream)
        if self._is_terminal:
            lines = [_harmless(line) for line in lines]
        try:
            write_all(2, b"".join(before + line + b"\n" for line in lines), "<stderr>")
        except OSError:
            # Nobody reads it any more. The run goes on, as it does where its own messages can't be printed.
            self._is_closed = True

    def _prefix(self, task: str, stream: int) -> bytes:
        name = printable(task)
        if self._is_terminal:
            name = fitted(name, self._width)
        name += " " * (self._width - cells(name))
        bar = " | "
        if self._is_coloured:
            colour = self._colours.setdefault(task.partition("[")[0], len(self._colours) % len(_COLOURS))
            name = f"\x1b[{_COLOURS[colour]}m{name}{_RESET}"
            bar = f"\x1b[{_RED}m{bar}{_RESET}" if stream else bar
        return (name + bar).encode("utf-8", "backslashreplace")


def _harmless(line: bytes) -> bytes:
    """Return a line that a terminal can show: of one that was written over, what was written last; colours stay.

    >>> _harmless(b" 10%\\r100%\\r"), _harmless(b"\\x1b[2J\\x1b[31mred")
    (b'100%', b'\\\\x1b[2J\\x1b[31mred\\x1b[0m')
    """
    text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
    if text.isprintable():
        return text.encode()
    parts = _SGR.split(text.expandtabs(8))
    shown = "".join(part if number % 2 else printable(part) for number, part in enumerate(parts))
    return (shown + _RESET if len(parts) > 1 else shown).encode()

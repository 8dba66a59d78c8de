"""What the adapters for agents' frameworks share: long results of tools are kept, and shown as a summary.

The summary ends within a limit, and names the token of the whole; a tool, `max_retrieve`, reads on. If a result can't
be kept, it is passed on as it is: what is left out of a prompt must be somewhere else.
"""

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

from maxstage.errors import Error, describe
from maxstage.humanize import printable
from maxstage.mcp.reading import Piece, parse_lines, parse_range, read_piece
from maxstage.output.bound import bound, spooled
from maxstage.output.gained import note
from maxstage.output.limits import Limits
from maxstage.sizes import parse_size
from maxstage.store.gain import note_again
from maxstage.store.store import Store

MAX_BYTES = "16KiB"
"""What is shown as it is: as with `max agent`, more than most results, and less than a prompt minds."""

CUT_TO = "4KiB"
"""What is shown of a longer result: enough for its beginning, its end, and the errors between them."""

TOOL = "max_retrieve"

TOOL_HELP = (
    "Read what a token stands for, or a piece of it. A tool result that was too long to show ends with a command like "
    "'max retrieve max:a1b2c3d4': max:a1b2c3d4 is the token of all of it. What is more than is shown at once ends with "
    "a line in brackets that says how to go on. Give at most one of lines, tail and bytes."
)

ARGUMENTS = {
    "token": "The token, like max:a1b2c3d4.",
    "lines": 'Lines, the first is 1: "40000:40020", "5" or "100:" (to the end).',
    "tail": "Only the last so many lines.",
    "bytes": 'From byte A (the first is 0) to before byte B: "0:4096", "4096:"; for very long lines.',
}

_REMEMBERED = 1000
"""How many results a `Keeper` remembers, so that the same result is always shown by the same text."""

_LONGEST_NAME = 100
"""Characters of a tool's name that become part of an item's source."""


class Keeper:
    """Keeps long results of tools, and reads on in them. Safe to share between threads.

    Args:
        store: Where they are kept; None for the project around the working directory or, outside any, the user's own
            store, once it is needed.
        max_bytes: Results of up to so many bytes, or a size like ``16KiB``, are passed on as they are. Whatever is read
            on is cut to it, too.
        cut_to: What is shown of a longer one, marker included.
        client: The framework, for `max gain`.

    >>> import tempfile
    >>> keeper = Keeper(Store.init(tempfile.mkdtemp()), max_bytes="1KiB", cut_to=300)
    >>> keeper.shortened("short", "ls") is None
    True
    >>> shown = keeper.shortened("one\\n" * 1000, "ls")
    >>> len(shown) <= 300, "max retrieve max:" in shown
    (True, True)
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        max_bytes: int | str = MAX_BYTES,
        cut_to: int | str = CUT_TO,
        client: str | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._max_bytes = parse_size(max_bytes)
        self._cut_to = min(parse_size(cut_to), self._max_bytes)
        self._shown: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def shortened(self, text: str, tool: str) -> str | None:
        """Keep a result and return what to show of it; None if it is to be shown as it is.

        Args:
            text: The result.
            tool: The name of the tool.
        """
        if len(text) <= self._max_bytes // 4:  # no character takes more than four bytes
            return None
        content = text.encode("utf-8", "surrogatepass")
        if len(content) <= self._max_bytes:
            return None
        key = sha256(content).digest()
        with self._lock:
            if key in self._shown:
                self._shown.move_to_end(key)
                return self._shown[key]
        try:
            shown = self._keep(content, f"tool/{printable(tool, _LONGEST_NAME)}")
        except (Error, OSError) as error:
            warnings.warn(f"A long result of {tool} can't be kept: {describe(error)}", stacklevel=2)
            return None
        with self._lock:
            self._shown[key] = shown
            if len(self._shown) > _REMEMBERED:
                self._shown.popitem(last=False)
        return shown

    def _keep(self, content: bytes, source: str) -> str:
        store = self._store or Store.nearest()
        limits = Limits.parse(store.settings.limits).override(
            Limits.parse({"max_stdout_bytes": self._max_bytes, "truncation_strategy": "summary"})
        )
        fd = spooled(content)
        try:
            done = bound(fd, limits, store, task_id=source, name=source, cut_to=self._cut_to)
        finally:
            os.close(fd)
        if done.token is None:
            raise Error("; ".join(done.warnings) or "nothing is kept")
        note(done, "tool", self._client)
        return done.content.decode("utf-8", "replace")

    def shortened_parts(self, parts: Sequence[str], tool: str) -> str | None:
        """Keep a result that comes in several texts as one, an empty line between them; as `shortened`."""
        return self.shortened(parts[0] if len(parts) == 1 else "\n\n".join(parts), tool)

    def read(
        self,
        token: str,
        lines: str | None = None,
        tail: int | None = None,
        bytes: str | None = None,  # noqa: A002 - what models see
    ) -> str:
        """Return what a token stands for, or a piece of it, as text within the limit; of an error, what it says.

        Args:
            token: The token.
            lines: Which lines: ``40000:40020``, ``5``, ``100:``.
            tail: Only so many lines at the end.
            bytes: Which bytes: ``0:4096``, ``4096:``.
        """
        try:
            if sum(one is not None for one in (lines, tail, bytes)) > 1:
                raise ValueError("give at most one of lines, tail and bytes")
            piece = Piece(
                None if lines is None else parse_lines(lines),
                None if tail is None else max(1, tail),
                None if bytes is None else parse_range(bytes),
            )
            store = self._store or Store.nearest()
            with store.open_item_or_own(token) as opened:
                found = read_piece(opened, piece, self._max_bytes, TOOL).text
                if store.settings.gain:
                    note_again(store.layout.project, opened.item.id, len(found))
                return found
        except (Error, OSError, ValueError) as error:
            return f"Error: {describe(error)}"

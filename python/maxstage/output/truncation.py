"""Cutting text to a limit: in memory, in files, in staged items.

A strategy says what is kept (`maxstage.output.strategies`). The result, including its marker, never exceeds the limit;
no UTF-8 character is split; bytes that are not UTF-8 pass through.
"""

from typing import Generic, TypeVar, overload

from maxstage._backend import core
from maxstage.errors import wrong_type
from maxstage.output.strategies import STRATEGIES
from maxstage.sizes import MOST_COUNT, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from maxstage.store.reading import OpenItem

Text = TypeVar("Text", bytes, str)

_CHARACTER = 4
"""Bytes beyond the limit that are read: a character may span it."""
_READ = 1024 * 1024
"""Bytes read at a time: the size of a gzip member."""


class Truncation(Generic[Text]):
    """A text that was cut if it was too long.

    Attributes:
        content: The text, marker included.
        original_size: Its size in bytes before (text as UTF-8).
        truncated: Whether anything was dropped.
        dropped_bytes: The number of bytes dropped.
        dropped_lines: The number of lines whose end was dropped.
        strategy: The strategy that was used.
    """

    __slots__ = ("content", "dropped_bytes", "dropped_lines", "original_size", "strategy", "truncated")

    def __init__(self, content: Text, cut: "core.Truncated", strategy: str) -> None:
        self.content: Text = content
        self.original_size = cut.original_size
        self.truncated = cut.truncated
        self.dropped_bytes = cut.dropped_bytes
        self.dropped_lines = cut.dropped_lines
        self.strategy = strategy


@overload
def truncate(
    data: bytes,
    max_bytes: int | str = ...,
    strategy: str = ...,
    *,
    max_lines: int = ...,
    hint: str | None = ...,
) -> Truncation[bytes]: ...
@overload
def truncate(
    data: str,
    max_bytes: int | str = ...,
    strategy: str = ...,
    *,
    max_lines: int = ...,
    hint: str | None = ...,
) -> Truncation[str]: ...
def truncate(
    data: bytes | str,
    max_bytes: int | str = 1024 * 1024,
    strategy: str = "tail",
    *,
    max_lines: int = 1000,
    hint: str | None = None,
) -> Truncation[bytes] | Truncation[str]:
    """Cut a text in memory.

    Args:
        data: The text; a str is encoded as UTF-8.
        max_bytes: The limit in bytes, marker included; or a size like ``64KiB``.
        strategy: What is kept, a name in `maxstage.output.strategies.STRATEGIES`.
        max_lines: The most lines, for the strategies that count lines.
        hint: How to get the full text, for the marker.

    Raises:
        ValueError: A limit or the strategy is not valid.
        TypeError: An argument has the wrong type.

    >>> cut = truncate("one\\ntwo\\n" * 100, max_bytes=60, strategy="head_lines")
    >>> print(cut.content, end="")
    one
    two
    one
    two
    --- [784 bytes (196 lines) truncated] ---
    >>> cut.original_size, cut.dropped_bytes
    (800, 784)
    """
    if not isinstance(data, bytes | str):
        raise wrong_type("data", data, "bytes or text")
    limits = _checked(strategy, max_bytes, max_lines)
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    cut = core.truncate(raw, *limits, hint)
    if isinstance(data, str):
        return Truncation(cut.content.decode("utf-8", "surrogatepass"), cut, strategy)
    return Truncation(cut.content, cut, strategy)


def truncate_stream(
    file: "BinaryIO",
    max_bytes: int | str,
    strategy: str = "tail",
    *,
    max_lines: int = 1000,
    hint: str | None = None,
) -> "core.Truncated":
    """Cut a binary file from its position to its end; uses about three times the limit, and some MiB, of memory.

    Raises as `truncate` does.
    """
    if not hasattr(file, "read"):
        raise wrong_type("file", file, "a binary file")
    strategy, limit, max_lines = _checked(strategy, max_bytes, max_lines)
    truncator = core.Truncator(strategy, limit, max_lines)
    while chunk := file.read(_READ):
        if not isinstance(chunk, bytes):
            raise TypeError(
                f"file must give bytes, not {type(chunk).__name__}; open text files in binary mode"
            )
        truncator.feed(chunk)
    return truncator.render(limit, hint)


def _checked(strategy: str, max_bytes: int | str, max_lines: int) -> tuple[str, int, int]:
    """Check the arguments and return them as the core takes them."""
    if not isinstance(strategy, str):
        raise wrong_type("strategy", strategy, f"one of {', '.join(STRATEGIES)}")
    if not isinstance(max_lines, int) or isinstance(max_lines, bool):
        raise wrong_type("max_lines", max_lines, "a whole number")
    if max_lines < 1:
        raise ValueError(f"max_lines must be at least 1, not {max_lines}")
    try:
        return strategy, parse_size(max_bytes), min(max_lines, MOST_COUNT)
    except ValueError as error:
        raise ValueError(f"max_bytes {error}, not {max_bytes!r}") from None


def truncate_item(
    opened: "OpenItem", part: tuple[int, int], strategy: str, max_bytes: int, max_lines: int
) -> "core.Truncated":
    """Cut a staged item, or its bytes from `part[0]` to before `part[1]`.

    Only the ends of an item are read, unless the strategy needs all of it.
    """
    start, end = part
    item = opened.item
    hint = f"max retrieve {item.token}"
    if (start, end) == (0, item.byte_size) and not STRATEGIES[strategy].needs_all:
        head = opened.read(0, max_bytes + _CHARACTER)
        tail = opened.read(max(0, end - max_bytes - _CHARACTER), end)
        return core.truncate_ends(head, tail, end, item.record_count, strategy, max_bytes, max_lines, hint)
    truncator = core.Truncator(strategy, max_bytes, max_lines)
    for at in range(start, end, _READ):
        truncator.feed(opened.read(at, min(at + _READ, end)))
    return truncator.render(max_bytes, hint)

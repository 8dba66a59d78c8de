"""Printing, without the command-line library: what every command needs, the quick ones too."""

import sys

from maxstage.errors import describe
from maxstage.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from maxstage.store.metadata import Item


def item_json(item: "Item", *, internals: bool = False) -> "dict[str, Any]":
    """Return an item as every ``-o json`` shows it: its metadata, with the token beside the bare id, as ``ref``.

    Args:
        item: The item.
        internals: Also what only reading it needs: the line index, which grows with the data.
    """
    meta = item.to_dict()
    if not internals:
        meta.pop("lineIndex", None)
    # In this order; a key "ref" that somebody wrote into the metadata doesn't stand for ours.
    return {"token": item.id, "ref": item.token} | meta | {"ref": item.token}


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON: indented, or as one line."""
    write_out(to_json(value, indent=indent))


def print_all(values: "Iterable[object]", output: str) -> None:
    """Print several things: as an array for ``json``, as a line each for ``ndjson``."""
    if output == "json":
        print_json([*values])
    else:
        for value in values:
            print_json(value, indent=None)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON that every reader takes and no terminal obeys, whatever the data holds.

    What JSON has no number for (NaN, infinity) is null, half of a surrogate pair is U+FFFD, and what a terminal would
    obey is an escape.

    Raises:
        Error: It is nested too deeply.
    """
    import json

    from maxstage.errors import Error

    try:
        try:
            text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
        except ValueError:
            text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise Error("this is nested too deeply to be printed as JSON") from None
    # All that need not be looked at: json itself escapes what lies before the blank.
    if text.isascii() and "\x7f" not in text:
        return text
    return _disarm(text)


def _finite(value: object) -> object:
    """Return a value with null for the numbers that JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:  # infinity less itself is NaN
        return None
    return value


def _disarm(text: str) -> str:
    """Return JSON with escapes for what a terminal would obey; such characters stand within strings only."""
    from maxstage.humanize import is_harmless

    for char in set(text):
        if char != "\n" and not is_harmless(char):
            # An escape beyond U+FFFF is a pair of surrogates.
            units = char.encode("utf-16-be", "surrogatepass").hex()
            escape = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
            text = text.replace(char, "\ufffd" if "\ud800" <= char <= "\udfff" else escape)
    return text


def write_out(text: str) -> None:
    """Print text to stdout now, so that an error of the disk or the reader is seen here and not at exit."""
    sys.stdout.flush()
    data = text + "\n"
    try:
        content = data.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = data.encode("utf-8", "backslashreplace")  # half of a surrogate pair, from no file name
    write_all(1, content, "<stdout>")


def warn(message: str) -> None:
    """Print one line to stderr, with nothing in it that a terminal obeys: it may name files and data."""
    if not message.isprintable():
        from maxstage.humanize import name_bytes, printable

        message = printable(name_bytes(message))
    tell(message)


def tell(text: str) -> None:
    """Print text to stderr; where that is full or its reader has gone, only the exit code is left to tell."""
    try:
        write_all(2, (text + "\n").encode("utf-8", "backslashreplace"), "<stderr>")
    except OSError:
        return


__all__ = [
    "describe",
    "item_json",
    "print_all",
    "print_json",
    "tell",
    "to_json",
    "warn",
    "write_all",
    "write_out",
]

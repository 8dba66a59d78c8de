"""Printing, without the command-line library, so that the fast path can use it as well."""

import sys

from maxstage.errors import describe
from maxstage.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from maxstage.store.metadata import Item


def item_json(item: "Item", *, internals: bool = False) -> "dict[str, Any]":
    """Return an item as every ``-o json`` shows it: its metadata, in which ``token`` is the bare id, and ``ref``.

    Args:
        item: The item.
        internals: Include what is only needed to read it: the line index, which grows with the data.
    """
    meta = item.to_dict()
    if not internals:
        meta.pop("lineIndex", None)
    # `token` and `ref` come first; a "ref" that somebody wrote into the metadata must not replace ours.
    return {"token": item.id, "ref": item.token} | meta | {"ref": item.token}


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON: indented, or as one line."""
    write_out(to_json(value, indent=indent))


def print_all(values: "Iterable[object]", output: str) -> None:
    """Print several values: as an array for ``json``, one per line for ``ndjson``."""
    if output == "json":
        print_json([*values])
    else:
        for value in values:
            print_json(value, indent=None)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON that every reader accepts and every terminal can safely show, whatever the data contains.

    NaN and infinity become null, lone surrogates become U+FFFD, and control characters are escaped.

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
    # The common case: json itself escapes the control characters below the space.
    if text.isascii() and "\x7f" not in text:
        return text
    return _disarm(text)


def _finite(value: object) -> object:
    """Return a value with None for the numbers that JSON doesn't have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:  # infinity minus itself is NaN
        return None
    return value


def _disarm(text: str) -> str:
    """Return JSON with control characters escaped; they only occur inside strings."""
    from maxstage.humanize import is_harmless

    for char in set(text):
        if char != "\n" and not is_harmless(char):
            # JSON escapes characters beyond U+FFFF as surrogate pairs.
            units = char.encode("utf-16-be", "surrogatepass").hex()
            escape = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
            text = text.replace(char, "\ufffd" if "\ud800" <= char <= "\udfff" else escape)
    return text


def write_out(text: str) -> None:
    """Print text to stdout at once, so that a write error is raised here and not at exit."""
    sys.stdout.flush()
    data = text + "\n"
    try:
        content = data.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = data.encode("utf-8", "backslashreplace")  # a lone surrogate that is not from a file name
    write_all(1, content, "<stdout>")


def warn(message: str) -> None:
    """Print one line to stderr, with control characters escaped, since it may quote file names and data."""
    if not message.isprintable():
        from maxstage.humanize import name_bytes, printable

        message = printable(name_bytes(message))
    tell(message)


def tell(text: str) -> None:
    """Print text to stderr, ignoring errors: if it can't be written, the exit code must do."""
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

"""Printing, without the command-line library: what every command needs, the quick ones too."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A file name that is not UTF-8, or half of a character in the data: as an escape it is valid JSON.
        text = json.dumps(value, indent=indent)
    write_out(text)


def write_out(text: str) -> None:
    """Print text to stdout now, so that an error of the disk or the reader is seen here and not at exit."""
    sys.stdout.flush()
    write_all(1, (text + "\n").encode("utf-8", "surrogateescape"), "<stdout>")


def write_all(fd: int, data: bytes, name: str) -> None:
    """Write all of `data` to a descriptor, called `name` in errors."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except OSError as error:
            raise type(error)(error.errno, error.strerror, name) from None


def describe(error: Exception) -> str:
    """Return an error as the line that stderr shows: a system's error with the file it is about."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.strerror}: {os.fsdecode(error.filename)}"


def warn(message: str) -> None:
    """Print one line to stderr."""
    if sys.stderr is not None:
        sys.stderr.write(" ".join(message.split("\n")) + "\n")
        sys.stderr.flush()

"""Printing, without the command-line library: what every command needs, the quick ones too."""

import os
import sys


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON: indented, or as one line."""
    import json

    write_out(json.dumps(value, indent=indent, ensure_ascii=False))


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


def warn(message: str) -> None:
    """Print one line to stderr."""
    if sys.stderr is not None:
        sys.stderr.write(" ".join(message.split("\n")) + "\n")
        sys.stderr.flush()

"""CSV as records: each row is an object, whose keys are the columns of the first row and whose values are texts."""

import csv
import io
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_MOST = 16 * 1024 * 1024
"""Characters of a field: as for other records. `csv` itself stops at an eighth of a megabyte."""


_BUFFER = 1024 * 1024


class _Stream(io.RawIOBase):
    """Pieces of data as a file."""

    def __init__(self, pieces: "Iterator[bytes]") -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray", /) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def rows(pieces: "Iterator[bytes]", step: int) -> "Iterator[bytes]":
    """Give the rows as JSON, a line each, about `step` bytes at a time.

    Raises:
        ValueError: It is not CSV; the message names the line.
    """
    raw: Any = _Stream(pieces)
    text = io.TextIOWrapper(io.BufferedReader(raw, _BUFFER), "utf-8-sig", "surrogateescape", newline="")
    csv.field_size_limit(_MOST)
    reader = csv.reader(text, strict=True)
    try:
        yield from _as_json(reader, step)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None


def _as_json(reader: "Any", step: int) -> "Iterator[bytes]":
    columns: list[str] = next(reader, [])
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise ValueError(f"two columns are named {twice!r}")
    keys = [json.dumps(column, ensure_ascii=False) + ": " for column in columns]
    encode: Callable[[str], str] = json.encoder.encode_basestring
    lines: list[str] = []
    size = 0
    for row in reader:
        if not row:
            continue
        if len(row) > len(keys):
            raise ValueError(f"line {reader.line_num} has more fields than there are columns")
        # A row that is short has nulls: strict is not wanted.
        lines.append(
            "{" + ", ".join([key + encode(value) for key, value in zip(keys, row, strict=False)]) + "}\n"
        )
        size += len(lines[-1])
        if size > step:
            yield "".join(lines).encode("utf-8", "surrogateescape")
            lines, size = [], 0
    yield "".join(lines).encode("utf-8", "surrogateescape")

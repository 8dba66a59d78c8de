"""Sorting more than memory holds: parts that are sorted go into a file, and are merged from there."""

import heapq
import marshal
import tempfile

from maxstage.query import scratch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = tuple[Any, ...]

_MOST_BYTES = 12 * 1024 * 1024
"""Bytes of rows that are held before they go into the file; as objects they take about twice that."""

_BATCH_BYTES = 64 * 1024
"""Bytes of rows that are read at a time from each part: with hundreds of parts still little."""

_ROW = 100
"""Bytes that a row takes besides its texts, about."""


class Sorter:
    """Sorts rows, tuples of bytes and numbers, by their first; equal ones stay in the order in which they came.

    Used as a context manager it closes its file, which has no name.

    Args:
        folder: Where the file is; None for the system's place.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._rows: list[Row] = []
        self._bytes = 0
        self._file: Any = None
        self._parts: list[tuple[int, int]] = []

    def __enter__(self) -> "Sorter":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rows: "list[Row]") -> None:
        """Take rows in."""
        self._rows += rows
        self._bytes += sum([_size(row) for row in rows])
        if self._bytes > _MOST_BYTES:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".sort.", buffering=0)  # noqa: SIM115 - kept open
        self._rows.sort(key=_first)
        start = self._file.seek(0, 2)
        batch: list[Row] = []
        size = 0
        for row in self._rows:
            batch.append(row)
            size += _size(row)
            if size > _BATCH_BYTES:
                self._write(batch)
                batch, size = [], 0
        self._write(batch)
        self._parts.append((start, self._file.tell()))
        self._rows, self._bytes = [], 0

    def _write(self, batch: "list[Row]") -> None:
        data = marshal.dumps(batch)
        assert self._file is not None  # noqa: S101 - made before the first batch
        scratch.write(self._file, len(data).to_bytes(8, "big") + data, self._folder)

    def merged(self) -> "Iterator[Row]":
        """Give all rows in order."""
        self._rows.sort(key=_first)
        # What is merged from several is taken from the earlier first, where rows are equal.
        return heapq.merge(*[self._read(*part) for part in self._parts], iter(self._rows), key=_first)

    def _read(self, start: int, end: int) -> "Iterator[Row]":
        import os

        fd = self._file.fileno()
        while start < end:
            size = int.from_bytes(os.pread(fd, 8, start), "big")
            yield from marshal.loads(os.pread(fd, size, start + 8))  # noqa: S302 - we wrote it, and it has no name
            start += 8 + size


def _first(row: "Row") -> "Any":
    return row[0]


def _size(row: "Row") -> int:
    return _ROW + sum([len(part) for part in row if isinstance(part, bytes)])

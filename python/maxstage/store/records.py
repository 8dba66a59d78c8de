"""Reads the records of data one by one: JSON, NDJSON, CSV or lines. Large data is streamed.

Only ``\\n`` ends a line, as in the store; a ``\\r`` right before it is stripped. A ``\\r`` elsewhere, a form feed or
U+2028 is part of the record. CSV has its own rules.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, TextIO

from maxstage import exact
from maxstage.errors import Error

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import BinaryIO

_READ = 64 * 1024
"""Characters read at a time from a JSON array."""

_MOST = 64 * 1024 * 1024
"""The most characters of one record, since each is held in memory. `/dev/zero` is one endless line."""

FORMATS = {"ndjson": "json_lines", "json": "json", "text": "lines"}
"""How an item of each content type is read, unless the format is given."""


_BOM = "\ufeff"
"""The byte order mark that spreadsheets write before the first column."""


class NotRecords(Error):
    """The data is not in the format that it is read as."""


def open_text(raw: BinaryIO, kind: str) -> TextIO:
    """Return data as text for `read_records`; bytes that are not UTF-8 become surrogates.

    Args:
        raw: The data; closing the text closes it.
        kind: The format: ``json``, ``json_lines``, ``csv`` or ``lines``.
    """
    # In CSV, quoted fields may contain any line ending: leave them to the CSV reader.
    return io.TextIOWrapper(raw, "utf-8", "surrogateescape", newline="" if kind == "csv" else "\n")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without their line endings.

    >>> lines_of("a\\r\\nb\\rc\\x0c\\n\\nd")
    ['a', 'b\\rc\\x0c', '', 'd']
    """
    return [_without_end(line) for line in io.StringIO(text, newline="\n")]


def _without_end(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2]
    return line.removesuffix("\n")


def count_elements(file: TextIO, name: str) -> int | None:
    """Return how many elements a JSON array has; None if the text is not a JSON array.

    Args:
        file: The text, at its beginning.
        name: What to call it in errors.
    """
    if not file.read(_READ).lstrip(_BLANK).startswith("["):
        return None
    file.seek(0)
    try:
        return sum(1 for _ in _json(file, name))
    except NotRecords:
        return None


def _lines(file: TextIO, name: str) -> Iterator[str]:
    """Yield the lines of a text with their line endings.

    Raises:
        NotRecords: One is too long for a record.
    """
    number = 0
    while line := file.readline(_MOST + 1):
        number += 1
        if len(line) > _MOST:
            raise NotRecords(
                f"{name}, line {number} is longer than {_MOST:,} characters, the most for a record"
            )
        yield line


def count_lines(file: TextIO, name: str) -> int:
    """Return how many lines a text has, not counting empty ones at its end; `name` is what errors call it."""
    total = 0
    for number, line in enumerate(_lines(file, name), 1):
        total = number if _without_end(line) else total
    return total


def read_records(file: TextIO, kind: str, name: str) -> Generator[Any]:
    """Yield the records of a text one by one, then close it.

    Args:
        file: The text.
        kind: The format: ``json`` (the elements of an array, or one value), ``json_lines``, ``csv`` (dicts keyed by
            column) or ``lines``.
        name: What to call the text in errors.

    Raises:
        NotRecords: It is not in that format.
        OSError: It can't be read.
    """
    with file:
        if kind == "csv":
            yield from _csv(file, name)
        elif kind == "json":
            yield from _json(file, name)
        else:
            for number, line in enumerate(_lines(file, name), 1):
                text = _without_end(line)
                if kind == "lines":
                    yield text
                elif text.strip(_BLANK):
                    yield _record(text, f"{name}, line {number}")


def _without_mark(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line.removeprefix(_BOM)
        break
    yield from lines


def _csv(file: TextIO, name: str) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(_without_mark(_lines(file, name)), strict=True)
    try:
        columns = list(reader.fieldnames or ())
        twice = next((column for column in columns if columns.count(column) > 1), None)
        if twice is not None:
            raise NotRecords(f"{name} has two columns named {twice!r}")
        for row in reader:
            if None in row:
                raise NotRecords(f"{name}, line {reader.line_num} has more fields than there are columns")
            yield dict(row)
    except csv.Error as error:
        raise NotRecords(f"{name}, line {reader.line_num} is not CSV: {error}") from None


def _json(file: TextIO, name: str) -> Iterator[Any]:
    """Yield the elements of a JSON array, with only a few of them in memory; any other value is one record."""
    text = file.read(_READ).lstrip()
    if not text.startswith("["):
        yield _record(text + file.read(), name)
        return
    at, wanted = 1, "value or ]"
    while True:
        at = len(text) - len(text[at:].lstrip(_BLANK))
        value, end = _element(text, at, wanted, name)
        if end is None or not text[end:].strip(_NUMERIC):
            # The value is cut off, or may be: a number may continue, and ``1.`` is incomplete.
            more = file.read(max(_READ, len(text)))
            if more:
                text, at = text[at:] + more, 0
                continue
            if end is None:
                raise NotRecords(f"{name} is not JSON: a {wanted} was expected at: {text[at : at + 20]!r}")
        if value is _END:
            _check_end(text[end:], file, name)
            return
        if value is not _COMMA:
            yield value
        wanted = ", or ]" if value is not _COMMA else "value"
        at = end or 0
        if at > _READ:
            text, at = text[at:], 0


def _check_end(rest: str, file: TextIO, name: str) -> None:
    """Check that nothing follows the end of an array."""
    while not rest.strip(_BLANK):
        rest = file.read(_READ)
        if not rest:
            return
    raise NotRecords(f"{name} is not JSON: something follows its end: {rest.strip(_BLANK)[:20]!r}")


_BLANK = " \t\r\n"
_END, _COMMA = object(), object()
_NUMERIC = "0123456789+-.eE"
"""The characters that numbers consist of."""


def parsed(text: str) -> Any:
    """Return a JSON text as a value.

    Raises:
        ValueError: It is not JSON, or has a number that can't be passed on.
    """
    try:
        return exact.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _record(text: str, where: str) -> Any:
    """Return a JSON text as a value, or raise NotRecords, which names `where`."""
    try:
        return parsed(text)
    except exact.NoNumberError as error:
        raise NotRecords(f"{where} has {error}") from None
    except ValueError as error:
        raise NotRecords(f"{where} is not JSON: {exact.why_no_json(error)}") from None


def _element(text: str, at: int, wanted: str, name: str) -> tuple[Any, int | None]:
    """Return the element or mark at `at` in an array and where it ends; None for incomplete or unexpected text."""
    if text[at : at + 1] == "]" and wanted != "value":
        return _END, at + 1
    if wanted == ", or ]":
        return (_COMMA, at + 1) if text[at : at + 1] == "," else (None, None)
    try:
        return exact.decoder.raw_decode(text, at)
    except exact.NoNumberError as error:
        raise NotRecords(f"{name} has {error}") from None
    except RecursionError:
        raise NotRecords(f"{name} is not JSON that can be read: it is nested too deeply") from None
    except ValueError:
        return None, None

"""The records of data, one by one: JSON, NDJSON, CSV or lines; large data is streamed.

A line ends with ``\\n`` and with nothing else, as the store counts lines; a ``\\r`` right before it belongs to the end.
A ``\\r`` elsewhere, a form feed or U+2028 is part of a record. CSV keeps its own rules.
"""

from __future__ import annotations

import csv
import io
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from maxstage.errors import Error

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import BinaryIO

_READ = 64 * 1024
"""Characters read at a time from a JSON array."""

_MOST = 64 * 1024 * 1024
"""Characters of one record: what is larger is hardly one, and would be held whole. `/dev/zero` is one endless line."""

FORMATS = {"ndjson": "json_lines", "json": "json", "text": "lines"}
"""How an item of each content type is read, unless the format is given."""


_BOM = "\ufeff"
"""What spreadsheets write before the first column."""


class NotRecords(Error):
    """Data is not of the format that it is read as."""


def open_text(raw: BinaryIO, kind: str) -> TextIO:
    """Return data as the text that `read_records` takes; bytes that are not UTF-8 become surrogates.

    Args:
        raw: The data; it is closed with the text.
        kind: The format: ``json``, ``json_lines``, ``csv`` or ``lines``.
    """
    # In CSV a quoted field may hold any end of a line: that is left to its reader.
    return io.TextIOWrapper(raw, "utf-8", "surrogateescape", newline="" if kind == "csv" else "\n")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without their ends.

    >>> lines_of("a\\r\\nb\\rc\\x0c\\n\\nd")
    ['a', 'b\\rc\\x0c', '', 'd']
    """
    return [_without_end(line) for line in io.StringIO(text, newline="\n")]


def _without_end(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2]
    return line.removesuffix("\n")


def count_elements(file: TextIO, name: str) -> int | None:
    """Return how many elements a JSON array has; None where a text is no such array.

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
    """Give the lines of a text with their ends.

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
    """Return how many lines a text has, but for blank ones at its end; `name` is what errors call it."""
    total = 0
    for number, line in enumerate(_lines(file, name), 1):
        total = number if _without_end(line) else total
    return total


def read_records(file: TextIO, kind: str, name: str) -> Generator[Any]:
    """Give the records of a text one by one, and close it.

    Args:
        file: The text.
        kind: The format: ``json`` (the elements of an array, or one value), ``json_lines``, ``csv`` (mappings from
            the columns) or ``lines``.
        name: What to call the text in errors.

    Raises:
        NotRecords: It is not of that format.
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
    """Give the elements of a JSON array one by one, holding a few of them at most; any other value is one record."""
    text = file.read(_READ).lstrip()
    if not text.startswith("["):
        yield _record(text + file.read(), name)
        return
    at, wanted = 1, "value or ]"
    while True:
        at = len(text) - len(text[at:].lstrip(_BLANK))
        value, end = _element(text, at, wanted, name)
        if end is None or end == len(text):
            # What is there is cut off, or a number that may go on.
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
_SHOWN = 40
"""Characters of a number that an error quotes."""


class _NoNumber(ValueError):
    """A number that can't be passed on as it is."""


def _float(text: str) -> float:
    """Return a number with a point or an exponent, if it is still the same then."""
    value = float(text)
    if not math.isfinite(value) or Decimal(repr(value)) != Decimal(text):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        raise _NoNumber(
            f"the number {shown}, which would be passed on as {value!r}; write it as text, in quotes"
        )
    return value


def _constant(text: str) -> float:
    raise _NoNumber(f"{text}, which is no JSON; write null, or text in quotes")


_decoder = json.JSONDecoder(parse_float=_float, parse_constant=_constant)


def parsed(text: str) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: It is no JSON, or has a number that can't be passed on as it is.
    """
    return _decoder.decode(text)


def _record(text: str, where: str) -> Any:
    """Return what JSON says; raise NotRecords, with where it is, if that can't be told."""
    try:
        return parsed(text)
    except _NoNumber as error:
        raise NotRecords(f"{where} has {error}") from None
    except ValueError as error:
        raise NotRecords(f"{where} is not JSON: {error}") from None


def _element(text: str, at: int, wanted: str, name: str) -> tuple[Any, int | None]:
    """Return what stands at a place in an array and where it ends; None where it is not whole, or not as wanted."""
    if text[at : at + 1] == "]" and wanted != "value":
        return _END, at + 1
    if wanted == ", or ]":
        return (_COMMA, at + 1) if text[at : at + 1] == "," else (None, None)
    try:
        return _decoder.raw_decode(text, at)
    except _NoNumber as error:
        raise NotRecords(f"{name} has {error}") from None
    except ValueError:
        return None, None

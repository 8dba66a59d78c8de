"""The collections that a for_each goes over; large ones are streamed.

A line ends with ``\\n`` and with nothing else, as the store counts lines; a ``\\r`` right before it belongs to the end.
A ``\\r`` elsewhere, a form feed or U+2028 is part of a record. CSV keeps its own rules.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

from maxstage.errors import WorkflowError
from maxstage.workflow.execution.outputs import reading
from maxstage.workflow.run import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store
    from maxstage.workflow.format.schema import Collection
    from maxstage.workflow.run.scope import Scope

_READ = 64 * 1024
"""Characters read at a time from a JSON array."""

_FORMATS = {"ndjson": "json_lines", "json": "json", "text": "lines"}
"""How a staged item of each content type is read, unless the format is given."""


class Records(NamedTuple):
    """Items to go over.

    Attributes:
        items: The items.
        total: How many there are, where that is known before.
    """

    items: Iterator[Any]
    total: int | None

    def close(self) -> None:
        """Close what is read."""
        if isinstance(self.items, Generator):
            self.items.close()


def open_records(collection: Collection, scope: Scope, folder: str, store: Store) -> Records:
    """Open a collection.

    Args:
        collection: What the file says.
        scope: What it can refer to.
        folder: Where relative paths start.
        store: Where tokens are looked up.

    Raises:
        WorkflowError: There is no such value, or it is no list.
        OSError, Error: The file or the staged data can't be read.
    """
    if collection.type == "inline":
        return _of_list(collection.items or [])
    if collection.type == "range":
        numbers = range(collection.start, collection.end or 0, collection.step)
        return Records(iter(numbers), len(numbers))
    if collection.type == "state":
        key = collection.key or ""
        printed = scope.open_output(key)
        return _of_list(_list_of(key, scope)) if printed is None else _of_output(printed, key)
    if collection.type == "file":
        path, opened = files.open_to_read(folder, collection.path or "", scope)
        newline = _newline(collection.format)
        file = open(opened, encoding="utf-8", errors="surrogateescape", newline=newline)  # noqa: SIM115 - `_read` closes it
        return Records(_read(file, collection.format, path), None)
    token = scope.render(collection.token or "")
    item = store.info(token)
    kind = collection.format if "format" in collection.model_fields_set else _FORMATS[item.content_type]
    # A CSV's first line are its columns, and a JSON array's lines say nothing.
    total = item.record_count if kind in {"lines", "json_lines"} else None
    raw = store.open(token)
    file = io.TextIOWrapper(raw, "utf-8", "surrogateescape", newline=_newline(kind))
    return Records(_read(file, kind, token), total)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, without their ends.

    >>> lines_of("a\\r\\nb\\rc\\x0c\\n\\nd")
    ['a', 'b\\rc\\x0c', '', 'd']
    """
    return [_without_end(line) for line in io.StringIO(text, newline="\n")]


def _newline(kind: str) -> str:
    """Return what ends a line, as `open` takes it; "" leaves that to who reads: in CSV a quoted field may hold any."""
    return "" if kind == "csv" else "\n"


def _without_end(line: str) -> str:
    if line.endswith("\r\n"):
        return line[:-2]
    return line.removesuffix("\n")


def _of_list(items: list[Any]) -> Records:
    return Records(iter(items), len(items))


def _of_output(printed: BinaryIO, key: str) -> Records:
    """Return the records of an output: the elements of a JSON array, or lines but for blank ones at the end.

    It is gone through twice, so that all of it has been read, and checked, before the first iteration.
    """
    with reading(key.split(".", 1)[1].rpartition(".")[0]):
        file = io.TextIOWrapper(printed, "utf-8", "surrogateescape", newline="\n")
        kind, total = "json", _length(file, key)
        if total is None:
            kind, total = "lines", 0
            file.seek(0)
            for number, line in enumerate(file, 1):
                total = number if _without_end(line) else total
        file.seek(0)
    return Records(_first(_read(file, kind, key), total), total)


def _first(items: Generator[Any], count: int) -> Iterator[Any]:
    with contextlib.closing(items):
        yield from itertools.islice(items, count)


def _length(file: TextIO, key: str) -> int | None:
    """Return how many elements a JSON array has; None where it is none."""
    if not file.read(_READ).lstrip(_BLANK).startswith("["):
        return None
    file.seek(0)
    try:
        return sum(1 for _ in _json(file, key))
    except WorkflowError:
        return None


def _list_of(key: str, scope: Scope) -> list[Any]:
    value = scope.state(key)
    if isinstance(value, str):
        # An input: a JSON array, or lines.
        with contextlib.suppress(ValueError):
            parsed = json.loads(value)
            return parsed if isinstance(parsed, list) else lines_of(value)
        return lines_of(value)
    if not isinstance(value, list):
        raise WorkflowError(
            f"{key!r} is no list to go over" if value is not None else f"{key!r} has no value"
        )
    return value


def _read(file: TextIO, kind: str, name: str) -> Generator[Any]:
    with file:
        if kind == "csv":
            yield from _csv(file, name)
        elif kind == "json":
            yield from _json(file, name)
        else:
            for number, line in enumerate(file, 1):
                text = _without_end(line)
                if kind == "lines":
                    yield text
                elif text.strip(_BLANK):
                    try:
                        yield json.loads(text)
                    except ValueError as error:
                        raise WorkflowError(f"{name}, line {number} is not JSON: {error}") from None


def _csv(file: TextIO, name: str) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(file, strict=True)
    try:
        for row in reader:
            yield {key: value for key, value in row.items() if isinstance(key, str)}
    except csv.Error as error:
        raise WorkflowError(f"{name}, line {reader.line_num} is not CSV: {error}") from None


def _json(file: TextIO, name: str) -> Iterator[Any]:
    """Give the elements of a JSON array one by one, holding a few of them at most; any other value is one record."""
    text = file.read(_READ).lstrip()
    if not text.startswith("["):
        try:
            yield json.loads(text + file.read())
        except ValueError as error:
            raise WorkflowError(f"{name} is not JSON: {error}") from None
        return
    at, wanted = 1, "value or ]"
    while True:
        at = len(text) - len(text[at:].lstrip(_BLANK))
        value, end = _element(text, at, wanted)
        if end is None or end == len(text):
            # What is there is cut off, or a number that may go on.
            more = file.read(max(_READ, len(text)))
            if more:
                text, at = text[at:] + more, 0
                continue
            if end is None:
                raise WorkflowError(f"{name} is not JSON: a {wanted} was expected at: {text[at : at + 20]!r}")
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
    raise WorkflowError(f"{name} is not JSON: something follows its end: {rest.strip(_BLANK)[:20]!r}")


_BLANK = " \t\r\n"
_END, _COMMA = object(), object()
_decoder = json.JSONDecoder()


def _element(text: str, at: int, wanted: str) -> tuple[Any, int | None]:
    """Return what stands at a place in an array and where it ends; None where it is not whole, or not as wanted."""
    if text[at : at + 1] == "]" and wanted != "value":
        return _END, at + 1
    if wanted == ", or ]":
        return (_COMMA, at + 1) if text[at : at + 1] == "," else (None, None)
    try:
        return _decoder.raw_decode(text, at)
    except ValueError:
        return None, None

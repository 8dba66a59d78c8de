"""The items that a for_each iterates over."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.store.records import (
    FORMATS,
    count_elements,
    count_lines,
    lines_of,
    open_text,
    parsed,
    read_records,
)
from maxstage.workflow.execution.outputs import reading
from maxstage.workflow.run import files
from maxstage.workflow.run.numbers import whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store
    from maxstage.workflow.format.loop_schema import Collection
    from maxstage.workflow.run.scope import Scope


class Records(NamedTuple):
    """Items to iterate over.

    Attributes:
        items: The items.
        total: How many there are, if that is known in advance.
    """

    items: Iterator[Any]
    total: int | None

    def close(self) -> None:
        """Close the source of the items."""
        if isinstance(self.items, Generator):
            self.items.close()


def open_records(collection: Collection, scope: Scope, folder: str, store: Store) -> Records:
    """Open a collection.

    Args:
        collection: The collection as the workflow file has it.
        scope: What it can refer to.
        folder: Where relative paths start.
        store: Where tokens are looked up.

    Raises:
        WorkflowError: There is no such value, or it is not a list.
        OSError, Error: The file or the staged data can't be read.
    """
    if collection.type == "inline":
        return _of_list(collection.items or [])
    if collection.type == "range":
        numbers = _range(collection, scope)
        return Records(iter(numbers), len(numbers))
    if collection.type == "state":
        key = collection.key or ""
        printed = scope.open_output(key)
        return _of_list(_list_of(key, scope)) if printed is None else _of_output(printed, key, scope)
    if collection.type == "file":
        path, opened = files.open_to_read(folder, collection.path or "", scope)
        file = open_text(open(opened, "rb"), collection.format)  # noqa: SIM115 - `read_records` closes it
        return Records(read_records(file, collection.format, path), None)
    token = scope.render(collection.token or "")
    item = store.info(token)
    kind = collection.format if "format" in collection.given else FORMATS[item.content_type]
    # The first line of CSV has the columns, and the lines of a JSON array are not its elements.
    total = item.record_count if kind in {"lines", "json_lines"} else None
    return Records(read_records(open_text(store.open(token), kind), kind, token), total)


def _range(collection: Collection, scope: Scope) -> range:
    step = whole(collection.step, scope)
    if step == 0:
        raise WorkflowError(f"step: {collection.step} is 0, and must not be")
    return range(whole(collection.start, scope), whole(collection.end or 0, scope), step)


def _of_list(items: list[Any]) -> Records:
    return Records(iter(items), len(items))


def _of_output(printed: BinaryIO, key: str, scope: Scope) -> Records:
    """Return the records of an output: the elements of a JSON array, or lines except for empty ones at the end.

    It is read twice, so that all of it has been checked before the first iteration.
    """
    task = key.split(".", 1)[1].rpartition(".")[0]
    with reading(task, scope.path_of(task)):
        file = open_text(printed, "json")
        kind, total = "json", count_elements(file, key)
        file.seek(0)
        if total is None:
            kind, total = "lines", count_lines(file, key)
            file.seek(0)
    return Records(_first(read_records(file, kind, key), total), total)


def _first(items: Generator[Any], count: int) -> Iterator[Any]:
    with contextlib.closing(items):
        yield from itertools.islice(items, count)


def _list_of(key: str, scope: Scope) -> list[Any]:
    value = scope.state(key)
    if isinstance(value, str):
        # An input: a JSON array, or lines.
        # In lines, numbers stay as they are written, even those that JSON can't represent.
        with contextlib.suppress(ValueError):
            found = parsed(value)
            return found if isinstance(found, list) else lines_of(value)
        return lines_of(value)
    if not isinstance(value, list):
        raise WorkflowError(f"{key!r} is not a list" if value is not None else f"{key!r} has no value")
    return value

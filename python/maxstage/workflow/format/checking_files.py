"""Checks that no two tasks write the same file, as far as that can be known before a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format import references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format import schema
    from maxstage.workflow.format.problems import Problems
    from maxstage.workflow.format.yaml_source import Path


def check_files(tasks: Mapping[str, schema.Task], problems: Problems) -> None:
    """Report each file that two tasks are certain to write, or one task more than once."""
    first: dict[str, str] = {}
    for one in _written(tasks, "", ("tasks",), repeats=False):
        where = (*one.where, "output")
        if one.repeats:
            problems.add(where, f"output: each iteration writes {one.file}; name {{{{ iteration }}}} in it")
        elif first.setdefault(one.file, one.task) != one.task:
            problems.add(where, f"output: {first[one.file]} writes {one.file} already")


class _Written(NamedTuple):
    """A file that a task is certain to write, and whether more than once."""

    task: str
    where: Path
    file: str
    repeats: bool


def _written(
    tasks: Mapping[str, schema.Task], prefix: str, path: Path, *, repeats: bool
) -> Iterator[_Written]:
    """Yield the files that are certain to be written; those that depend on a condition or failure are checked later."""
    for name, task in tasks.items():
        if task.condition is not None or task.on_error.continue_:
            continue
        where = (*path, name)
        if task.output is not None and references.PATTERN.search(task.output) is None:
            # A task's own loop writes one file for all its iterations.
            yield _Written(f"{prefix}{name}", where, os.path.normpath(task.output), repeats)
        inner = repeats or _goes_round(task)
        yield from _written(task.subtasks or {}, f"{prefix}{name}.", (*where, "subtasks"), repeats=inner)


def _goes_round(task: schema.Task) -> bool:
    """Return whether the loop of a task is known to have more than one iteration."""
    control, loop = task.loop_control, task.loop
    if loop is None or control.break_condition is not None or control.continue_condition is not None:
        return False
    if loop.repeat is not None:
        return isinstance(loop.repeat.count, int) and loop.repeat.count > 1
    if loop.for_each is None:
        return False
    collection = loop.for_each.collection
    if collection.type == "inline":
        return len(collection.items or []) > 1
    start, end, step = collection.start, collection.end or 0, collection.step
    if isinstance(start, str) or isinstance(end, str) or isinstance(step, str):
        return False
    return collection.type == "range" and len(range(start, end, step)) > 1

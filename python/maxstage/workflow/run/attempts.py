"""Earlier attempts of tasks: how they ended and what they printed, before they were done again.

They are rows of the table ``attempts``, numbered from 1 for each task, however often the run was started. The last few
of a task keep their output; older ones only say how they ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.workflow.run import moved

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

KEPT = 3
"""Earlier attempts of a task that keep their output: enough to compare, and a bound for a thousand retries."""
COLUMNS = "path, status, tolerated, attempts, error, output, ended, accessed, size, pruned, moved"
"""What an attempt has in common with the result of a task."""

GIVEN_UP = """
SELECT path, error FROM (SELECT path, status, error, max(number) FROM attempts GROUP BY path)
WHERE status = 'failed' AND path NOT IN (SELECT path FROM tasks)
"""
"""SQL for the tasks that failed, were to be tried again and were not, each with the error."""

Kept = list[tuple[str, str | None]]
"""Tokens of items in stores, each with the folder of its project."""


def set_aside(db: sqlite3.Connection, paths: Iterable[str]) -> Kept:
    """Make the results of tasks earlier attempts, within the open transaction.

    Returns:
        What stores keep of attempts that are too old now: it may be deleted once this is committed.
    """
    found: Kept = []
    for path in paths:
        db.execute(
            f"INSERT INTO attempts (number, {COLUMNS})"  # noqa: S608 - ours
            " SELECT (SELECT coalesce(max(number), 0) + 1 FROM attempts AS known WHERE known.path = tasks.path),"
            f" {COLUMNS} FROM tasks WHERE path = ?",
            (path,),
        )
        db.execute("DELETE FROM tasks WHERE path = ?", (path,))
        found += _drop_old(db, path)
    return found


def _drop_old(db: sqlite3.Connection, path: str) -> Kept:
    rows = db.execute(
        "SELECT number, output FROM attempts WHERE path = ? AND output IS NOT NULL"
        " AND number <= (SELECT max(number) FROM attempts WHERE path = ?) - ?",
        (path, path, KEPT),
    ).fetchall()
    return [one for number, output in rows for one in _drop(db, path, number, output)]


def _drop(db: sqlite3.Connection, path: str, number: int, output: str) -> Kept:
    db.execute(
        "UPDATE attempts SET output = NULL, size = 0, moved = 0, pruned = 1 WHERE path = ? AND number = ?",
        (path, number),
    )
    return moved.tokens_in(output)


def drop_all(db: sqlite3.Connection, path: str) -> None:
    """Drop the outputs of all earlier attempts of a task, within the open transaction."""
    query = "SELECT number, output FROM attempts WHERE path = ? AND output IS NOT NULL"
    for number, output in db.execute(query, (path,)).fetchall():
        _drop(db, path, number, output)

"""The runs of a project, whether they can be read or not."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.workflow.run import run_files
from maxstage.workflow.run.state import DamagedRun, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGED, UNREADABLE = "damaged", "unreadable"
"""What is told of a run whose state can't be read: it is broken; or it can't be read as things are: it is another
user's, a newer version's, or something stands in its place."""


def list_runs(folder: str) -> list[str]:
    """Return the ids of all runs, newest first: an id begins with the time."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = (name.removesuffix(".db") for name in names if name.endswith(".db"))
    # A file of another name is none of ours, whatever it holds.
    return sorted(filter(run_files.is_run_id, found), reverse=True)


def find_runs(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give all runs, newest first, each with what is known of it."""
    for run_id in list_runs(folder):
        yield run_id, facts_of(folder, run_id)


def facts_of(folder: str, run_id: str) -> dict[str, Any]:
    """Return what is known of a run. One that can't be read must not hide the others: its status says so."""
    try:
        with contextlib.closing(RunState(folder, run_id)) as state:
            return state.facts() | {"live": state.is_live()}
    except DamagedRun:
        return {"status": DAMAGED, "live": False}
    except (WorkflowError, OSError):
        return {"status": UNREADABLE, "live": False}

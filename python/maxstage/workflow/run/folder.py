"""The folder of a project's runs: which there are, whether they can be read or not, and making one of an export."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.trust import check_path
from maxstage.workflow.run import run_files, shapes
from maxstage.workflow.run.state import DamagedRun, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store

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


def runs_folder(store: Store) -> str:
    """Return the folder that a project's runs lie in, which need not exist.

    Raises:
        Untrusted: It belongs to another user.
    """
    check_path(store.layout.runs, store.layout.project)
    return store.layout.runs


def new_run_id() -> str:
    """Return an id for a run: when it began, to the millisecond, and random digits."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03}{os.urandom(2).hex()}"


_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\[\d+\])?(\.[A-Za-z_][A-Za-z0-9_-]*(\[\d+\])?)*")
"""A task's path in a run, like ``build[2].compile``."""


def _check_older(results: Any, name: str) -> None:
    """Check what the older form holds.

    Raises:
        WorkflowError: It is no mapping of texts by names of tasks.
    """
    if not isinstance(results, dict):
        raise WorkflowError(
            f"{name} is not the state of a run: task_results must be a mapping of names to texts"
        )
    for task, text in results.items():
        shown = printable(task, _LONGEST_NAME)
        if not _PATH.fullmatch(task):
            raise WorkflowError(
                f"{name} is not the state of a run: task_results has {shown!r}, which can't be the name of a task"
            )
        if not isinstance(text, str):
            raise WorkflowError(
                f"{name} is not the state of a run: task_results.{shown} must be text; put quotes around it"
            )


_LONGEST_NAME = 120
"""Characters of a name that an error quotes."""


def import_run(folder: str, exported: Any, name: str) -> RunState:
    """Make a run of what `RunState.export` returned, or of the older form ``{"task_results": {name: text}}``.

    Raises:
        WorkflowError: It has neither form, or there is a run of that name.
    """
    known = isinstance(exported, dict) and ("task_results" in exported or "task_outputs" in exported)
    if not known:
        raise WorkflowError(f"{name} is not the state of a run: it has neither task_outputs nor task_results")
    run_id = str(exported.get("run") or new_run_id())
    older = "task_results" in exported
    if older:
        _check_older(exported["task_results"], name)
    # Of the older form nothing is known but what some tasks said: it has neither begun nor ended here.
    facts = {"imported": True, "started": time.time()} if older else exported.get("facts", {})
    if not shapes.FACTS(facts):
        raise WorkflowError(f"{name} is not the state of a run: its facts are not those of one")
    state = RunState.create(folder, run_id, facts)
    try:
        state.restore(exported)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        state.delete()
        raise WorkflowError(f"{name} is not the state of a run: {error!r}") from None
    return state

"""The folder of a project's runs: listing them, readable or not, and creating one from an export."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.store.clock import check_clock
from maxstage.trust import check_path
from maxstage.workflow.run import run_files, shapes
from maxstage.workflow.run.state import DamagedRun, RunState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store

DAMAGED, UNREADABLE = "damaged", "unreadable"
"""The status of a run whose state can't be read: it is damaged, or it can't be read at the moment, since it belongs to
another user or a newer version, or something else is in its place."""


def list_runs(folder: str) -> list[str]:
    """Return the ids of all runs, newest first: an id begins with the time."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = (name.removesuffix(".db") for name in names if name.endswith(".db"))
    # Files with other names are not ours.
    return sorted(filter(run_files.is_run_id, found), reverse=True)


def find_runs(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all runs, newest first, each with its facts.

    Those from the future come last: the clock was wrong when they started, so nothing is newer than those of today.
    """
    now = _start_of_id(time.time())
    for run_id in sorted(list_runs(folder), key=lambda one: one[: len(now)] > now):
        yield run_id, facts_of(folder, run_id)


def facts_of(folder: str, run_id: str) -> dict[str, Any]:
    """Return the facts of a run. If it can't be read, its status says so, instead of an error that hides the others."""
    try:
        with contextlib.closing(RunState(folder, run_id)) as state:
            return state.facts() | {"live": state.is_live()}
    except DamagedRun:
        return {"status": DAMAGED, "live": False}
    except (WorkflowError, OSError):
        return {"status": UNREADABLE, "live": False}


def runs_folder(store: Store) -> str:
    """Return the folder of a project's runs, which need not exist.

    Raises:
        Untrusted: It belongs to another user.
    """
    check_path(store.layout.runs, store.layout.project)
    return store.layout.runs


def new_run_id() -> str:
    """Return an id for a run: its start to the millisecond, and random digits.

    Raises:
        Error: The machine's clock is wrong by centuries.
    """
    now = time.time()
    check_clock(now)
    return f"{_start_of_id(now)}-{int(now % 1 * 1000):03}{os.urandom(2).hex()}"


def _start_of_id(now: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))


_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\[\d+\])?(\.[A-Za-z_][A-Za-z0-9_-]*(\[\d+\])?)*")
"""A task's path in a run, like ``build[2].compile``."""


def _check_older(results: Any, name: str) -> None:
    """Check the content of the older form.

    Raises:
        WorkflowError: It is not a mapping from names of tasks to texts.
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
"""The most characters of a name that an error quotes."""


def import_run(folder: str, exported: Any, name: str) -> RunState:
    """Create a run from the result of `RunState.export`, or from the older form ``{"task_results": {name: text}}``.

    Raises:
        WorkflowError: It has neither form, or there is a run with this name.
    """
    known = isinstance(exported, dict) and ("task_results" in exported or "task_outputs" in exported)
    if not known:
        raise WorkflowError(f"{name} is not the state of a run: it has neither task_outputs nor task_results")
    run_id = str(exported.get("run") or new_run_id())
    older = "task_results" in exported
    if older:
        _check_older(exported["task_results"], name)
    # The older form only has the outputs of some tasks: the run neither started nor ended here.
    facts = {"imported": True, "started": time.time()} if older else exported.get("facts", {})
    if not shapes.FACTS(facts):
        raise WorkflowError(f"{name} is not the state of a run: its facts are not those of one")
    _check_paths(exported, name)
    state = RunState.create(folder, run_id, {})
    try:
        state.restore(exported, facts)
    except BaseException as error:
        state.delete()
        # OverflowError: a number that SQLite can't hold.
        if not isinstance(
            error, LookupError | TypeError | ValueError | AttributeError | OverflowError | DamagedRun
        ):
            raise
        raise WorkflowError(
            f"{name} is not the state of a run: something in its tasks, contexts, items or files is missing, "
            "or has the wrong type"
        ) from None
    return state


def _check_paths(exported: dict[str, Any], name: str) -> None:
    """Check that what should be the path of a task can be one.

    Raises:
        WorkflowError: It can't.
    """
    for part in ("task_outputs", "contexts", "items", "files", "attempts"):
        paths = exported.get(part, {})
        for path in paths if isinstance(paths, dict) else ():
            if not _PATH.fullmatch(path):
                raise WorkflowError(
                    f"{name} is not the state of a run: {part} has {printable(path, _LONGEST_NAME)!r}, "
                    "which can't be the path of a task"
                )

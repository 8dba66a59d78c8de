"""The items that a run owns in stores: deleting those that no result refers to, or all of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.workflow.run.folder import DAMAGED, facts_of, runs_folder
from maxstage.workflow.run.run_files import delete_files, lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store
    from maxstage.workflow.run.state import RunState


def sweep_orphans(store: Store, state: RunState, spared: str | None = None) -> None:
    """Delete the items of a run that none of its results refer to.

    Args:
        store: The project.
        state: The run.
        spared: The source of items that are kept nevertheless.
    """
    known = state.tokens()
    for place, token, source in _owned(store, state):
        if token not in known and (spared is None or source != spared):
            place.unstage(token)


def delete_run(store: Store, state: RunState) -> int:
    """Delete a run and the items that it owns; return how many items there were."""
    count = sum(place.unstage(token) for place, token, _ in list(_owned(store, state)))
    state.delete()
    return count


def delete_damaged(store: Store, run_id: str) -> int:
    """Delete a run whose state is damaged, and the items that it owns in the project's store; return their number.

    Raises:
        WorkflowError: Under its lock it is not damaged: it was being written when it was read before.
    """
    folder = runs_folder(store)
    fd = lock(folder, run_id)
    try:
        if facts_of(folder, run_id).get("status") != DAMAGED:
            raise WorkflowError(f"Run {run_id} is no longer damaged, and was not deleted")
        owned = [item.token for item in store.list() if item.owner == run_id]
        delete_files(folder, run_id)
        return sum(store.unstage(token) for token in owned)
    finally:
        os.close(fd)


def _owned(store: Store, state: RunState) -> Iterator[tuple[Store, str, str | None]]:
    """Yield the items that a run owns, each with its store and its source."""
    directories = state.facts().get("stores", [])
    for place in (store, *(type(store).open(path) for path in directories if os.path.isdir(path))):
        yield from ((place, item.token, item.source) for item in place.list() if item.owner == state.run_id)

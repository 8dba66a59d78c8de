"""What a run owns in stores: deleting what no result refers to, or all of it."""

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


def sweep_orphans(store: Store, state: RunState) -> None:
    """Delete the full outputs of a run that none of its results refers to."""
    known = state.tokens()
    for place, token in _owned(store, state):
        if token not in known:
            place.unstage(token)


def delete_run(store: Store, state: RunState) -> int:
    """Delete a run and all that it owns; return how many items that were."""
    count = sum(place.unstage(token) for place, token in list(_owned(store, state)))
    state.delete()
    return count


def delete_damaged(store: Store, run_id: str) -> int:
    """Delete a run whose state is damaged, and what it owns in the project's store; return how much that was.

    Raises:
        WorkflowError: It is not damaged, once nobody else has it: somebody wrote it while it was looked at.
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


def _owned(store: Store, state: RunState) -> Iterator[tuple[Store, str]]:
    """Give the items that a run owns, each with the store that it lies in."""
    directories = state.facts().get("stores", [])
    for place in (store, *(type(store).open(path) for path in directories if os.path.isdir(path))):
        yield from ((place, item.token) for item in place.list() if item.owner == state.run_id)

"""Whether a loop that is resumed goes over the same items as before: else results of different items would be mixed.

The state has a digest of the item that each iteration was given. An older version noted none: there, all that can be
told is that there are fewer items than iterations that were done.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import WorkflowError
from maxstage.workflow.execution.outputs import do_again

if TYPE_CHECKING:
    from maxstage.workflow.run.state import RunState

_DIGITS = 32
"""Of a digest: nobody makes up items that have the same one."""
_SHOWN = 60
"""Characters of an item that an error shows."""


def _changed(path: str) -> str:
    again = do_again(path.rpartition("[")[0] if path.endswith("]") else path)
    return f"the items of the loop have changed since; restore them, or {again}"


class ItemsChanged(WorkflowError):
    """A loop goes over other items than before."""


def check(state: RunState, path: str, item: Any, *, is_done: bool) -> None:
    """Note the item that an iteration is given.

    Args:
        state: The run.
        path: The iteration's path.
        item: What it is given.
        is_done: Whether it has ended for good.

    Raises:
        ItemsChanged: It, or something within it, was done with another one.
    """
    digest, before = _digest_of(item), state.item(path)
    if digest == before:
        return
    if not is_done and not state.has_within(path):
        state.note_item(path, digest)
    elif before is not None:
        raise ItemsChanged(f"{path} was run with another item than {_shorten(item)}: {_changed(path)}")


def check_count(state: RunState, path: str, count: int) -> None:
    """Check that a loop has as many items as were gone over.

    Raises:
        ItemsChanged: It has fewer.
    """
    last = state.last_iteration(path)
    if last >= count:
        raise ItemsChanged(f"{path}[{last}] was done, and there are {count} items now: {_changed(path)}")


def _digest_of(item: Any) -> str:
    # Not sorted: with its fields in another order it is another text where it is referred to.
    return hashlib.sha256(exact.dumps(item, ensure_ascii=True, default=str).encode()).hexdigest()[:_DIGITS]


def _shorten(item: Any) -> str:
    text = exact.dumps(item, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

"""Noting for `max gain` what of a command's output was kept out of a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.errors import Error
from maxstage.store.gain import note_cut
from maxstage.store.store import Store

if TYPE_CHECKING:
    from maxstage.output.task_output import TaskOutput


def note(done: TaskOutput, command: str, client: str | None = None) -> None:
    """Note what was cut of an output and is kept whole, of both its streams. Never fails.

    Args:
        done: The output.
        command: What cut it: ``exec``, ``truncate``, …
        client: For whom; None to tell by the environment.
    """
    for one in (done, done.stderr):
        if one is None or not one.truncated or one.token is None or one.store is None:
            continue
        try:
            wanted = Store.open(one.store).settings.gain
        except (Error, OSError):
            continue  # it was deleted since, which is its owner's business
        if wanted:
            shown, item_id = len(one.content), one.token.removeprefix("max:")
            note_cut(one.store, command, one.task_id, one.original_size, shown, item_id, client)

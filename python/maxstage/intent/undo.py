"""Taking an intent back: itself an intent, made from what the journal says was done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error
from maxstage.intent import folder
from maxstage.intent.journal import SUCCEEDED, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.plan import NoOperations, Planner
from maxstage.intent.result import KEY, places
from maxstage.intent.tokens import format_intent
from maxstage.store.tokens import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.intent.journal import Journal
    from maxstage.store.store import Store


def intent_of(store: Store, token: str) -> str:
    """Return the intent that a result, or an intent, stands for.

    Raises:
        InvalidToken, NotFound, Expired: There is none.
        Error: The token is that of other data.
    """
    from maxstage.intent.tokens import INTENT, parse_intent

    bare = token.strip().lower().removeprefix("max:")
    if bare.startswith(INTENT):
        return parse_intent(token)
    item = store.info(token)
    intent_id = (item.extra or {}).get(KEY)
    if not isinstance(intent_id, str):
        raise Error(f"{item.token} is not the result of an intent; results are max:{RESULT}…")
    return parse_intent(intent_id)


class NothingToUndo(Error):
    """Nothing that an intent did can be taken back."""


def plan_undo(store: Store, intent_id: str, journal: Journal, facts: dict[str, Any], ttl: float) -> str:
    """Make the intent that takes another back, or return the one that was made before.

    Args:
        store: The store of both.
        intent_id: The intent that is taken back, whose lock the caller holds.
        journal: Its journal, open for writing, with nothing in flight.
        facts: What is known of it.
        ttl: Minutes in which it must be begun.

    Raises:
        NothingToUndo: It did nothing that can be taken back, or was taken back before.
    """
    before = facts.get("undoneBy")
    if before is not None and os.path.exists(folder.path_of(store, before)):
        return str(before)
    if facts.get("undone"):
        raise NothingToUndo(f"{format_intent(intent_id)} was taken back already")
    done = [_back(row) is not None for row, entry in journal.done() if entry.status == SUCCEEDED]
    cannot = done.count(False)
    planner = Planner(store, os.fsdecode(facts["root"].encode("latin-1")))
    try:
        made = planner.publish(
            _rows(journal),
            ttl=ttl,
            kind="undo",
            undoes=intent_id,
            takes=done.count(True),
            cannot=cannot,
            labels=facts.get("labels", {}),
            madeFolders=[path.decode("latin-1") for path in journal.folders()],
        )
    except NoOperations:
        root = folder.open_root(store, facts["root"].encode("latin-1"))
        for path in journal.folders():
            root.remove_empty(path)
        root.close()
        why = (
            f"{cannot:,} programs were run, which nothing can take back" if cannot else "it has done nothing"
        )
        raise NothingToUndo(f"{format_intent(intent_id)} can't be taken back: {why}") from None
    journal.set_facts(undoneBy=made)
    return made


def _back(row: Row) -> Any:
    return OPERATIONS[row.op].back


def _rows(journal: Journal) -> Iterator[Row]:
    """Yield the operations that take back what was done, the last first."""
    import json

    number = 0
    for row, entry in journal.done(backwards=True):
        back = _back(row)
        if entry.status != SUCCEEDED or back is None:
            continue
        record = json.dumps(
            {"operation": row.op, "number": row.n, **places(row, entry.target)}, ensure_ascii=False
        )
        for step in back(row, entry):
            number += 1
            yield Row(
                number,
                step.op,
                step.source,
                step.target,
                None,
                record.encode("utf-8", "surrogateescape"),
                None,
                step.seen,
                None,
            )

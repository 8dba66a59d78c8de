"""Staging what a search has found."""

from maxstage.interrupts import Deferred
from maxstage.store.schedule import expect_expiry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maxstage.query.inputs import Input
    from maxstage.query.search import Query
    from maxstage.store.metadata import Item
    from maxstage.store.store import Store

_MOST_TEXT = 1024


def stage_results(
    store: "Store", inputs: "Sequence[Input]", query: "Query", data: "Iterable[bytes]"
) -> "Item":
    """Stage records, with ``derivedFrom`` in the metadata: what they come from, and the query.

    Raises:
        QuotaExceeded, OSError: As `Store.stage`.
    """
    names = [one.name for one in inputs]
    derived = {"from": names, "query": query.to_dict()}
    is_text = query.fields is None and not all(one.is_json for one in inputs)
    with Deferred() as signals, store.draft() as draft:
        with signals.open():
            draft.fill(data)
            item = draft.finalize(
                store.settings.ttl_minutes,
                "text" if is_text else "ndjson",
                source=", ".join(names)[:_MOST_TEXT],
                extra={"derivedFrom": derived},
            )
            draft.sync()
        draft.commit()
    expect_expiry(store.storage, item.expires)
    return item

"""Staging what a search has found."""

from maxstage.interrupts import Deferred
from maxstage.store.schedule import expect_expiry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from maxstage.query.inputs import Input
    from maxstage.query.search import Query
    from maxstage.store.metadata import ContentType, Item
    from maxstage.store.store import Store

_MOST_TEXT = 1024


def stage_results(
    store: "Store",
    inputs: "Sequence[Input]",
    query: "Query",
    data: "Iterable[bytes]",
    *,
    offset: int = 0,
    limit: int | None = None,
) -> "Item":
    """Stage records, with ``derivedFrom`` in the metadata: what they come from, and the query.

    Args:
        store: The store.
        inputs: What they come from.
        query: What was looked for.
        data: What was found.
        offset: How many of those were passed over.
        limit: How many were taken at most; None for all.

    Raises:
        QuotaExceeded, OSError: As `Store.stage`.
    """
    is_text = query.fields is None and not all(one.is_json for one in inputs)
    asked = query.to_dict()
    if offset:
        asked["offset"] = offset
    if limit is not None:
        asked["limit"] = limit
    return stage_derived(store, [one.origin for one in inputs], asked, data, "text" if is_text else "ndjson")


def stage_derived(
    store: "Store",
    names: "Sequence[str]",
    query: "dict[str, Any]",
    data: "Iterable[bytes]",
    content_type: "ContentType",
) -> "Item":
    """Stage what was made of something, with ``derivedFrom`` in the metadata.

    Args:
        store: The store.
        names: What it was made of.
        query: How it was made, as plain data.
        data: What was made.
        content_type: What that is.

    Raises:
        QuotaExceeded, OSError: As `Store.stage`.
    """
    derived = {"from": [*names], "query": query}
    with Deferred() as signals, store.draft() as draft:
        with signals.open():
            draft.fill(data)
            item = draft.finalize(
                store.settings.ttl_minutes,
                content_type,
                source=", ".join(names)[:_MOST_TEXT] or None,
                extra={"derivedFrom": derived},
            )
            draft.sync()
        draft.commit()
    expect_expiry(store.storage, item.expires)
    return item

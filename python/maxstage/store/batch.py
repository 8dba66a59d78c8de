"""Staging many items at once: if they must survive power loss, they are flushed to disk together."""

import itertools
import os

from maxstage.errors import wrong_type
from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from maxstage.store.draft import Data, Draft
    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage

_AT_ONCE = 250
"""The most items flushed together: each stays open until then."""

_END: "Any" = object()
"""Marks the end of the data."""


def publish_many(
    storage: "Storage",
    data: "Iterable[Data]",
    new_draft: "Callable[[], Draft]",
    finalize: "Callable[[Draft], Item]",
    *,
    sync: bool,
) -> "list[Item]":
    """Publish each element of `data` as an item; if one fails, none is left.

    Args:
        storage: Where the items go.
        data: What to stage.
        new_draft: Makes a draft that doesn't flush itself to disk.
        finalize: Finalizes a draft, with its metadata.
        sync: Whether to wait until they are on disk.
    """
    published: list[Item] = []
    if isinstance(data, bytes | bytearray | memoryview | str) or not hasattr(data, "__iter__"):
        raise wrong_type("data", data, "several things to stage, like a list of bytes")
    rest = iter(data)
    # Each takes two descriptors; use at most half of those that the process can have.
    at_once = max(1, min(_AT_ONCE, os.sysconf("SC_OPEN_MAX") // 4))
    with Deferred() as signals:
        try:
            while batch := _publish_batch(
                storage, itertools.islice(rest, at_once), new_draft, finalize, signals, sync=sync
            ):
                published += batch
            if sync:
                storage.sync()
        except BaseException:
            storage.take_back(published)
            raise
    return published


def _publish_batch(
    storage: "Storage",
    batch: "Iterator[Data]",
    new_draft: "Callable[[], Draft]",
    finalize: "Callable[[Draft], Item]",
    signals: Deferred,
    *,
    sync: bool,
) -> "list[Item]":
    drafts: list[Draft] = []
    items: list[Item] = []
    try:
        with storage.batch() as flush:
            while True:
                with signals.open():
                    data = next(batch, _END)
                if data is _END:
                    break
                drafts.append(new_draft())
                with signals.open():
                    drafts[-1].fill(data)
                    items.append(finalize(drafts[-1]))
            with signals.open():
                if sync:
                    flush([draft.upload for draft in drafts])
            for draft in drafts:
                draft.commit()
    except BaseException:
        for draft in drafts:
            draft.discard()
        raise
    return items

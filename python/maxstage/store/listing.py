"""Listing items, newest first."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage


def scan(
    storage: "Storage", source: str | None, labels: "Mapping[str, str | None]", limit: int | None
) -> "tuple[list[Item], list[str]]":
    """Return the items that have not expired, newest first, and what is damaged as `Storage.newest` names it.

    Args:
        storage: Where the items are kept.
        source: A shell pattern that the source must match.
        labels: Labels that the item must have; a value of None matches any.
        limit: The maximum number of items; None for all.
    """
    return storage.newest(time.time(), _filter(source, labels), limit)


def _filter(source: str | None, labels: "Mapping[str, str | None]") -> "Callable[[Item], bool] | None":
    """Return a predicate for the items that are wanted; None if all are."""
    if source is None and not labels:
        return None
    import fnmatch

    def is_wanted(item: "Item") -> bool:
        if source is not None and not fnmatch.fnmatchcase(item.source or "unknown", source):
            return False
        return all(key in item.labels and value in (None, item.labels[key]) for key, value in labels.items())

    return is_wanted

"""Staging many items at once: where they must survive power loss, they wait for the disk together."""

import itertools
import os

from maxstage._backend import core
from maxstage.interrupts import Deferred
from maxstage.store.draft import sync_directory
from maxstage.store.sweep import take_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from maxstage.store.draft import Data, Draft
    from maxstage.store.layout import Layout
    from maxstage.store.metadata import Item

_AT_ONCE = 250
"""Items that wait for the disk together, at most: each is open until then."""

_END: "Any" = object()
"""In the place of data, after the last."""

_ERRORS_ARE_TOLD = (5, 8)
"""The Linux from which on syncing a file system tells of what could not be written."""


def publish_many(
    layout: "Layout",
    data: "Iterable[Data]",
    new_draft: "Callable[[], Draft]",
    settle: "Callable[[Draft], Item]",
    *,
    sync: bool,
) -> "list[Item]":
    """Publish each of `data` as an item; where one fails, none is left.

    Args:
        layout: The store.
        data: What to stage.
        new_draft: Makes a draft that does not wait for the disk by itself.
        settle: Settles a draft, with what is to be known of it.
        sync: Whether to wait for the disk.
    """
    published: list[Item] = []
    rest = iter(data)
    # Each takes two descriptors, and half of those that a process may have are left to others.
    at_once = max(1, min(_AT_ONCE, os.sysconf("SC_OPEN_MAX") // 4))
    with Deferred() as signals:
        try:
            while batch := _publish_batch(
                layout, itertools.islice(rest, at_once), new_draft, settle, signals, sync=sync
            ):
                published += batch
            if sync:
                sync_directory(layout.root)
        except BaseException:
            take_back(layout, published)
            raise
    return published


def _publish_batch(
    layout: "Layout",
    batch: "Iterator[Data]",
    new_draft: "Callable[[], Draft]",
    settle: "Callable[[Draft], Item]",
    signals: Deferred,
    *,
    sync: bool,
) -> "list[Item]":
    drafts: list[Draft] = []
    items: list[Item] = []
    # Opened before anything is written: it is told of what could not be written since.
    directory = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            with signals.open():
                data = next(batch, _END)
            if data is _END:
                break
            drafts.append(new_draft())
            with signals.open():
                drafts[-1].fill(data)
                items.append(settle(drafts[-1]))
        with signals.open():
            if sync and not _sync_file_system(directory):
                for draft in drafts:
                    draft.flush()
        for draft in drafts:
            draft.commit()
    except BaseException:
        for draft in drafts:
            draft.discard()
        raise
    finally:
        os.close(directory)
    return items


def _sync_file_system(directory: int) -> bool:
    """Wait until all that was written to a file system is on the disk; false where the system can't."""
    system = os.uname()
    numbers = system.release.split(".")[:2]
    if system.sysname != "Linux" or not all(map(str.isdigit, numbers)):
        return False
    return tuple(map(int, numbers)) >= _ERRORS_ARE_TOLD and core.sync_file_system(directory)

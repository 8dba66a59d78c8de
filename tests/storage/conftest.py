"""The storages that the suite runs on; to add one, add a line to `STORAGES`."""

import os
from collections.abc import Callable

import pytest
from memory import MemoryStorage

from maxstage.settings import Settings
from maxstage.store.project import Layout
from maxstage.store.storage.local import LocalStorage
from maxstage.store.store import Store


class Kind:
    """How to create a storage for the tests, and the little that they need to know of its internals.

    Args:
        make: Creates it, for a project.
        die: Leaves an upload as the death of its process would.
        damage_metadata: Replaces an item's metadata by other bytes; a name that is not an id makes a stray.
        damage_data: Replaces an item's data by other bytes.
        is_remote: Whether it is on a server: nobody waits for a lock there, large data is gone with its item, data
            that nobody names stays for two days, and small data leaves nothing when its writer dies.
    """

    def __init__(
        self,
        make: Callable,
        die: Callable,
        damage_metadata: Callable,
        damage_data: Callable,
        *,
        is_remote: bool = False,
    ):
        self.make = make
        self.die = die
        self.damage_metadata = damage_metadata
        self.damage_data = damage_data
        self.is_remote = is_remote


def _local_metadata(storage, item_id, content):
    with open(os.path.join(storage.place, f"{item_id}.meta.json"), "wb") as file:
        file.write(content)


def _local_data(storage, item, content):
    with open(storage.path(item), "wb") as file:
        file.write(content)


def _memory_metadata(storage, item_id, content):
    from memory import Stored

    storage.items.setdefault(item_id, Stored(b"", b"")).meta = content


def _memory_data(storage, item, content):
    storage.items[item.id].data = content


def _memory(medium):
    return Kind(
        lambda layout: MemoryStorage(medium), lambda upload: upload.die(), _memory_metadata, _memory_data
    )


STORAGES = {
    "local": Kind(
        lambda layout: LocalStorage(layout.project),
        lambda upload: upload._close(),
        _local_metadata,
        _local_data,
    ),
    "pipe": _memory("pipe"),
    "memfd": _memory("memfd"),
}


if os.environ.get("MAXSTAGE_REMOTE"):
    from remote_kind import make, remove_upload, replace_data, replace_metadata

    STORAGES = {"object": Kind(make, remove_upload, replace_metadata, replace_data, is_remote=True)}


@pytest.fixture(params=STORAGES)
def kind(request) -> Kind:
    return STORAGES[request.param]


@pytest.fixture
def layout(tmp_path) -> Layout:
    Store.init(tmp_path)
    return Layout(str(tmp_path))


@pytest.fixture
def storage(kind, layout):
    return kind.make(layout)


@pytest.fixture
def make_store(layout, storage):
    """Return a function that creates a store on the storage, with given settings."""
    return lambda **settings: Store(layout, storage, Settings(**settings))


@pytest.fixture
def store(make_store) -> Store:
    return make_store()

"""Listing and sweeping a store of many items."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from data import write_items

import maxstage
from conftest import OURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Measure

COUNT = 100_000
NEWEST = 50
PLAIN = "os.scandir and json.load of each"


class Full(NamedTuple):
    """A store with many items: its directory, and their ids, newest first."""

    store: maxstage.Store
    staging: str
    ids: list[str]


@pytest.fixture(scope="module")
def full(new_folder: Callable[[], Path], scale: float) -> Full:
    """Make the store, once."""
    store = maxstage.Store.init(new_folder())
    ids = write_items(Path(store.storage.layout.root), max(NEWEST, int(COUNT * scale)))
    return Full(store, store.storage.layout.root, ids)


def plain_list(staging: str, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the metadata of the items, newest first."""
    items = []
    with os.scandir(staging) as entries:
        for entry in entries:
            if entry.name.endswith(".meta.json"):
                with open(entry.path, "rb") as file:
                    items.append(json.load(file))
    items.sort(key=lambda item: item["createdNs"], reverse=True)
    return items[:limit]


def plain_sweep(staging: str) -> int:
    """Return how many items have expired."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return sum(item["expiresAt"] is not None and item["expiresAt"] <= now for item in plain_list(staging))


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_newest(impl: str, measure: Measure, full: Full) -> None:
    group = f"the newest {NEWEST} of {len(full.ids):,} items"
    if impl == OURS:
        items = measure(group, lambda: full.store.list(limit=NEWEST))
        assert [item.id for item in items] == full.ids[:NEWEST]
    else:
        found = measure(group, plain_list, args=(full.staging, NEWEST))
        assert [item["token"] for item in found] == full.ids[:NEWEST]


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_all(impl: str, measure: Measure, full: Full) -> None:
    group = f"list all of {len(full.ids):,} items"
    if impl == OURS:
        items = measure(group, full.store.list)
        assert [item.id for item in items] == full.ids
    else:
        found = measure(group, plain_list, args=(full.staging,))
        assert [item["token"] for item in found] == full.ids


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_idle_sweep(impl: str, measure: Measure, full: Full) -> None:
    group = f"look for a sweep that is not due, {len(full.ids):,} items"
    if impl == OURS:
        full.store.cleanup()  # from here on none is due
        assert measure(group, full.store.sweep_if_due, iterations=1000) is None
        assert sum(name.endswith(".meta.json") for name in os.listdir(full.staging)) == len(full.ids)
    else:
        assert measure(group, plain_sweep, args=(full.staging,)) == 0


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_sweep(impl: str, measure: Measure, full: Full) -> None:
    group = f"sweep {len(full.ids):,} items, none expired"
    if impl == OURS:
        swept = measure(group, full.store.cleanup)
        assert (swept.expired, swept.orphans, swept.freed) == ([], [], 0)
    else:
        assert measure(group, plain_sweep, args=(full.staging,)) == 0

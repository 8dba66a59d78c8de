"""Many small items, staged from one process: one thread, eight, a batch, and durably."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import maxstage
from conftest import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from conftest import Measure

COUNT = 10_000
SLOW_COUNT = 1_000
"""Items for a peer that waits for the disk at each of them."""
SIZE = 1024
THREADS = 8
PLAIN = "plain Python, two files each with rename"
SYNCED = "plain Python, two files each with fsync and rename"


class Ours:
    """A store of maxstage."""

    def __init__(self, folder: Path) -> None:
        self.store = maxstage.Store.init(folder)

    def stage(self, data: bytes) -> str:
        """Stage one item."""
        return self.store.stage(data).token

    def stage_many(self, items: Sequence[bytes]) -> list[str]:
        """Stage a batch."""
        return [item.token for item in self.store.stage_many(items)]

    def stage_durably(self, items: Sequence[bytes]) -> list[str]:
        """Stage a batch that survives power loss."""
        return [item.token for item in self.store.stage_many(items, sync=True)]

    def read(self, token: str) -> bytes:
        """Return what was staged."""
        with self.store.open(token) as file:
            return file.read()

    def count(self) -> int:
        """Return how many items there are."""
        return len(self.store.list())


class Plain:
    """The cheapest that plain Python can do: data, then metadata, each by a temporary file and a rename."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self.folder = str(folder)
        self.sync = sync

    def stage(self, data: bytes) -> str:
        """Stage one item."""
        item_id = os.urandom(4).hex()
        now = time.time()
        meta = {
            "token": item_id,
            "createdAt": _format_time(now),
            "expiresAt": _format_time(now + 3600),
            "recordCount": data.count(b"\n"),
            "byteSize": len(data),
            "source": None,
            "contentType": "ndjson",
        }
        self._write(f"{item_id}.ndjson", data)
        self._write(f"{item_id}.meta.json", json.dumps(meta).encode())
        return item_id

    def _write(self, name: str, content: bytes) -> None:
        temporary = f"{self.folder}/.{name}"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, content)
        if self.sync:
            os.fsync(fd)
        os.close(fd)
        os.rename(temporary, f"{self.folder}/{name}")

    def stage_many(self, items: Sequence[bytes]) -> list[str]:
        """Stage a batch."""
        return [self.stage(data) for data in items]

    def read(self, token: str) -> bytes:
        """Return what was staged."""
        with open(f"{self.folder}/{token}.ndjson", "rb") as file:
            return file.read()

    def count(self) -> int:
        """Return how many items there are."""
        return sum(name.endswith(".meta.json") for name in os.listdir(self.folder))


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def make_items(count: int) -> list[bytes]:
    """Return records of 1 KiB, a line each."""
    heads = (b'{"id":"%012d","source":"bench","text":"' % number for number in range(count))
    return [head.ljust(SIZE - 3, b"x") + b'"}\n' for head in heads]


def one_by_one(target: Ours | Plain, items: Sequence[bytes]) -> list[str]:
    """Stage from one thread; return the tokens."""
    return [target.stage(data) for data in items]


def by_threads(target: Ours | Plain, items: Sequence[bytes]) -> list[str]:
    """Stage from eight threads; return the tokens, that of the first item first."""
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(lambda first: one_by_one(target, items[first::THREADS]), range(THREADS))
        return [token for part in parts for token in part]


def stage_all(
    measure: Measure,
    group: str,
    new_target: Callable[[], Ours | Plain],
    function: Callable[..., list[str]],
    items: Sequence[bytes],
) -> None:
    """Measure `function`, each round in a store of its own, and check what it made."""
    made: list[Ours | Plain] = []

    def setup() -> tuple[Ours | Plain, Sequence[bytes]]:
        made.append(new_target())
        return made[-1], items

    tokens = measure(group, function, setup=setup, items=len(items))
    assert len(tokens) == len(items)
    assert made[-1].count() == len(items)
    assert made[-1].read(tokens[0]) == items[0]


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_one_thread(impl: str, measure: Measure, new_folder: Callable[[], Path], scale: float) -> None:
    target = Ours if impl == OURS else Plain
    items = make_items(int(COUNT * scale))
    group = f"stage {len(items):,} items of 1 KiB, each"
    stage_all(measure, group, lambda: target(new_folder()), one_by_one, items)


@pytest.mark.parametrize("impl", [OURS, f"{PLAIN}, 8 threads", "maxstage, one thread"])
def test_eight_threads(impl: str, measure: Measure, new_folder: Callable[[], Path], scale: float) -> None:
    target = Plain if impl.startswith(PLAIN) else Ours
    function = one_by_one if impl == "maxstage, one thread" else by_threads
    items = make_items(int(COUNT * scale))
    group = f"the same from {THREADS} threads, each"
    stage_all(measure, group, lambda: target(new_folder()), function, items)


@pytest.mark.parametrize("impl", [OURS, PLAIN])
def test_batch(impl: str, measure: Measure, new_folder: Callable[[], Path], scale: float) -> None:
    target = Ours if impl == OURS else Plain
    items = make_items(int(COUNT * scale))
    group = "the same by `stage_many`, each"
    stage_all(measure, group, lambda: target(new_folder()), target.stage_many, items)


@pytest.mark.parametrize("impl", [OURS, SYNCED])
def test_durable_batch(impl: str, measure: Measure, new_folder: Callable[[], Path], scale: float) -> None:
    group = "the same by `stage_many`, durable, each"
    if impl == OURS:
        items = make_items(int(COUNT * scale))
        stage_all(measure, group, lambda: Ours(new_folder()), Ours.stage_durably, items)
    else:
        items = make_items(int(SLOW_COUNT * scale))
        stage_all(measure, group, lambda: Plain(new_folder(), sync=True), one_by_one, items)

"""One large file, staged and read back from Python, beside the loops that one would write."""

from __future__ import annotations

import os
import shutil
import zlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

import maxstage
from conftest import OURS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Measure

CHUNK = 1 << 20
LOOP = "readinto, zlib.crc32, count, os.write"
COPY = "shutil.copyfile"
READ = "read(1 MiB), zlib.crc32"


class Copied(NamedTuple):
    """What a copy has learnt of the data: bytes, lines, and the CRC-32."""

    byte_size: int
    record_count: int
    crc32: int


def copy_by_loop(source: Path, target: Path) -> Copied:
    """Copy a file, count its lines, and take its checksum, in one buffer."""
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    size = lines = crc = 0
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(source, "rb", buffering=0) as file:
        while length := file.readinto(buffer):
            part = view[:length]
            crc = zlib.crc32(part, crc)
            lines += buffer.count(b"\n", 0, length)
            size += length
            while part:
                part = part[os.write(out, part) :]
    os.close(out)
    return Copied(size, lines, crc)


@pytest.fixture(scope="module")
def expected(text_file: Path) -> Copied:
    """What every copy must tell."""
    data = text_file.read_bytes()
    return Copied(len(data), data.count(b"\n"), zlib.crc32(data))


@pytest.fixture
def store(new_folder: Callable[[], Path]) -> maxstage.Store:
    """An empty store."""
    return maxstage.Store.init(new_folder())


def stage_object(store: maxstage.Store, path: Path) -> maxstage.Item:
    """Stage by an open file."""
    with open(path, "rb") as file:
        return store.stage(file)


@pytest.mark.parametrize("impl", [OURS, LOOP, COPY])
@pytest.mark.parametrize("given", ["path", "file object"])
def test_stage(
    impl: str, given: str, measure: Measure, store: maxstage.Store, text_file: Path, expected: Copied
) -> None:
    group = f"stage {expected.byte_size >> 20} MiB by a {given}"
    target = text_file.with_name("copy")

    def setup() -> tuple[object, object]:
        for item in store.list():
            store.unstage(item.id)
        target.unlink(missing_ok=True)
        return (store, text_file) if impl == OURS else (text_file, target)

    if impl == OURS:
        function = maxstage.Store.stage if given == "path" else stage_object
        item = measure(group, function, setup=setup)
        assert Copied(item.byte_size, item.record_count, item.crc32) == expected
        assert store.verify(item.id).crc32 == expected.crc32
    elif impl == LOOP:
        assert measure(group, copy_by_loop, setup=setup) == expected
    else:
        measure(group, shutil.copyfile, setup=setup)
    if impl != OURS:
        assert zlib.crc32(target.read_bytes()) == expected.crc32
    setup()  # nothing is left


def read_item(store: maxstage.Store, token: str) -> int:
    """Read an item whole, which checks it; return its bytes."""
    size = 0
    with store.open(token) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
    return size


def read_file(path: Path) -> tuple[int, int]:
    """Read a file whole; return its bytes and checksum."""
    size = crc = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
    return size, crc


@pytest.mark.parametrize("impl", [OURS, READ])
def test_read(impl: str, measure: Measure, store: maxstage.Store, text_file: Path, expected: Copied) -> None:
    group = f"read {expected.byte_size >> 20} MiB, checked"
    if impl == OURS:
        item = store.stage(text_file)
        assert measure(group, read_item, args=(store, item.token)) == expected.byte_size
        store.unstage(item.id)
    else:
        assert measure(group, read_file, args=(text_file,)) == (expected.byte_size, expected.crc32)

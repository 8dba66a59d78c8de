"""A second storage, for the tests: items in a dictionary, with data from a pipe that a thread reads, or in a memfd."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from maxstage._backend import core
from maxstage.errors import Corrupt, QuotaExceeded
from maxstage.humanize import counted
from maxstage.store.damage import damaged
from maxstage.store.metadata import Item, parse_item
from maxstage.store.storage.protocol import Busy
from maxstage.store.tokens import is_id, new_id

_READ = 1 << 20
_TRIES = 100


@dataclass
class Stored:
    """A stored item; for one that expired, the time of that, without data."""

    meta: bytes
    data: bytes
    since: float = 0.0


class MemoryStorage:
    """Items in the memory of this process. `medium` decides what `Upload.fd` is: ``pipe`` or ``memfd``."""

    def __init__(self, medium: str = "pipe") -> None:
        self.place = "memory:"
        self.medium = medium
        self.lock = threading.RLock()
        self.items: dict[str, Stored] = {}
        self.tombstones: dict[str, Stored] = {}
        self.uploads: dict[str, MemoryUpload] = {}
        self._sweep_time: float | None = None
        self._sweeper = threading.Lock()

    # One item

    def create(self, id_bytes: int) -> "MemoryUpload":
        with self.lock:
            for _ in range(_TRIES):
                item_id = new_id(id_bytes)
                if not any(item_id in taken for taken in (self.items, self.tombstones, self.uploads)):
                    upload = (PipeUpload if self.medium == "pipe" else MemfdUpload)(self, item_id)
                    self.uploads[item_id] = upload
                    return upload
        raise QuotaExceeded("no free token")

    spool = create

    def head(self, item_id: str) -> Item:
        return _parse(self.items, item_id)

    def tombstone(self, item_id: str) -> Item:
        return _parse(self.tombstones, item_id)

    def open(self, item: Item) -> "MemoryData":
        data = self.items[item.id].data
        if len(data) != item.stored_size:
            raise Corrupt(f"it has {counted(len(data), 'byte')}, not {item.stored_size:,}")
        return MemoryData(data, item)

    def link(self, item: Item, made: Callable[[str], Item], id_bytes: int) -> Item:
        self.open(item)
        with self.lock:
            new = made(new_id(id_bytes))
            self.items[new.id] = Stored(new.to_json(), self.items[item.id].data)
        return new

    def replace(self, item_id: str, change: Callable[[Item], None], *, sync: bool) -> Item:
        with self.lock:
            item = self.head(item_id)
            change(item)
            self.items[item_id] = Stored(item.to_json(), self.items[item_id].data)
        return item

    def delete(self, item_id: str) -> bool:
        with self.lock:
            return self.items.pop(item_id, None) is not None

    def take_back(self, items: Iterable[Item]) -> None:
        for item in items:
            self.delete(item.id)

    def expire(self, item_id: str, now: float, *, patience: float | None = None) -> bool:
        if not self.lock.acquire(timeout=-1 if patience is None else patience):
            raise Busy
        try:
            try:
                item = self.head(item_id)
            except (KeyError, Corrupt):
                return False
            if not item.is_expired(now):
                return False
            self.tombstones[item_id] = Stored(self.items.pop(item_id).meta, b"", time.time())
            return True
        finally:
            self.lock.release()

    def grant(self, item: Item, seconds: float) -> None:
        return None

    # All items

    def path(self, item: Item) -> None:
        return None

    def ids(self) -> list[str]:
        return sorted(filter(is_id, self.items))

    def strays(self) -> list[str]:
        return sorted(name for name in self.items if not is_id(name))

    def newest(
        self, now: float, is_wanted: Callable[[Item], bool] | None, limit: int | None
    ) -> tuple[list[Item], list[str]]:
        items, bad = [], self.strays()
        for item_id in self.ids():
            try:
                items.append(self.head(item_id))
            except KeyError:
                continue
            except Corrupt:
                bad.append(item_id)
        current = [item for item in items if not item.is_expired(now)]
        wanted = sorted(filter(is_wanted, current), key=lambda item: (-item.created_ns, item.id))
        return wanted[:limit], bad

    def expired(self, now: float, *, hurried: bool) -> tuple[list[str], float]:
        return self.ids(), float("inf")

    def usage(self, *, published: bool = False) -> int:
        with self.lock:
            writing = 0 if published else sum(upload.size() for upload in self.uploads.values())
            return writing + sum(len(stored.data) for stored in self.items.values())

    def free_space(self) -> None:
        return None

    @contextlib.contextmanager
    def batch(self) -> Iterator[Callable[[Sequence["MemoryUpload"]], None]]:
        yield lambda uploads: [upload.flush() for upload in uploads]

    def sync(self) -> None:
        pass

    # Sweeping

    def leftovers(self, now: float, orphan_seconds: float, tombstone_seconds: float) -> list[list["Left"]]:
        with self.lock:
            dead = [Left(self, self.uploads, name, now - orphan_seconds) for name in self.uploads]
            old = [Left(self, self.tombstones, name, now - tombstone_seconds) for name in self.tombstones]
        return [dead, old]

    def sweep_time(self) -> float | None:
        return self._sweep_time

    def set_sweep_time(self, when: float) -> None:
        self._sweep_time = when

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[bool]:
        alone = self._sweeper.acquire(blocking=False)
        try:
            yield alone
        finally:
            if alone:
                self._sweeper.release()


def _parse(stored: dict[str, Stored], item_id: str) -> Item:
    try:
        return parse_item(stored[item_id].meta, item_id)
    except Corrupt as error:
        raise damaged(item_id, str(error)) from None


class MemoryUpload:
    """An item that is being written; subclasses decide what holds its data."""

    def __init__(self, storage: MemoryStorage, item_id: str) -> None:
        self.id = item_id
        self.name = f"memory:{item_id}"
        self.since = time.time()
        self.is_alive = True
        self._storage = storage
        self._meta: bytes | None = None
        self.fd = self._open()

    def _open(self) -> int:
        raise NotImplementedError

    def size(self) -> int:
        """Return the number of bytes that have arrived."""
        raise NotImplementedError

    def _data(self) -> bytes:
        """Return all the data; nothing is written afterwards."""
        raise NotImplementedError

    def received(self) -> None:
        pass

    def put_metadata(self, item: Item) -> None:
        self._meta = item.to_json()

    def flush(self) -> None:
        pass

    def publish(self, *, sync: bool, check: Callable[[], None] | None = None) -> None:
        data = self._data()
        with self._storage.lock:
            if check is not None:
                check()
            assert self._meta is not None
            self._storage.items[self.id] = Stored(self._meta, data)
            self._storage.uploads.pop(self.id)
        self._close()

    def discard(self) -> None:
        with self._storage.lock:
            self._storage.items.pop(self.id, None)
            self._storage.uploads.pop(self.id, None)
        self._close()

    def detach(self) -> int:
        data = self._data()
        with self._storage.lock:
            self._storage.uploads.pop(self.id)
        self._close()
        return memfd_of(data)

    def _close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def die(self) -> None:
        """Do what the death of a process does: close its descriptors, and nothing else."""
        self.is_alive = False
        self._close()


class PipeUpload(MemoryUpload):
    """The data goes through a pipe that a thread reads, as a storage that sends it over a network would."""

    def _open(self) -> int:
        self._arrived = bytearray()
        source, target = os.pipe()
        self._reader = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._reader.start()
        return target

    def _read(self, source: int) -> None:
        with open(source, "rb", buffering=0) as file:
            while chunk := file.read(_READ):
                self._arrived += chunk

    def size(self) -> int:
        return len(self._arrived)

    def _data(self) -> bytes:
        self._close()
        self._reader.join()
        return bytes(self._arrived)

    def _close(self) -> None:
        super()._close()
        self._reader.join()


class MemfdUpload(MemoryUpload):
    """The data goes into an unnamed file."""

    _left = 0
    """Bytes that a dead writer left."""

    def _open(self) -> int:
        return os.memfd_create(self.name)

    def size(self) -> int:
        return os.fstat(self.fd).st_size if self.fd >= 0 else self._left

    def die(self) -> None:
        self._left = self.size()
        super().die()

    def _data(self) -> bytes:
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)


class MemoryData:
    """The data of an item: `core.Reader` on a private copy."""

    def __init__(self, data: bytes, item: Item) -> None:
        self._fd = memfd_of(data)
        try:
            self._reader = core.Reader(
                self._fd,
                f"memory:{item.id}",
                file_size=len(data),
                codec=item.codec,
                line_index=item.line_index,
            )
        except BaseException:
            self.close()
            raise

    def descriptor(self) -> None:
        return None

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Left:
    """What a dead writer left, or a tombstone."""

    def __init__(self, storage: MemoryStorage, among: dict, item_id: str, before: float) -> None:
        self.name = item_id
        self.is_orphan = among is storage.uploads
        self._storage = storage
        self._among = among
        self._before = before

    def remove(self, *, dry_run: bool, patience: float | None) -> int | None:
        if dry_run and not self.is_orphan:
            return None
        with self._storage.lock:
            left = self._among.get(self.name)
            if left is None or left.since >= self._before or getattr(left, "is_alive", False):
                return None
            if not dry_run:
                del self._among[self.name]
            return left.size() if self.is_orphan else 0


def memfd_of(data: bytes) -> int:
    """Return the descriptor of an unnamed file with these bytes, at its beginning."""
    fd = os.memfd_create("data")
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd

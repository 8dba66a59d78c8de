"""The data of an item, read in ranges: each becomes a file in memory that the core reads.

A *window* is a row of whole frames of compressed data, or of blocks of data that is not. Windows that are asked for one
after the other are fetched ahead, a few at a time, so that memory stays constant however large the item is.
"""

import bisect
import os
import threading

from maxstage._backend import core
from maxstage.codecs import NONE
from maxstage.errors import Corrupt, NotFound
from maxstage.files import write_all
from maxstage.store.storage.object.frames import DAMAGED, Frames
from maxstage.store.tokens import format_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from maxstage.store.storage.object.bucket import Bucket
    from maxstage.store.storage.object.layout import ObjectItem

BLOCK = 1024 * 1024
"""Bytes of data in a block, as in a frame: a slice costs no more than one or two of them."""

WINDOW = 4 * BLOCK
"""Bytes of data that are fetched at once while much is read."""

_PIECE = 256 * 1024
"""Bytes written at a time: few enough to stay in the processor's cache for the checksum."""

AHEAD = 4
"""Windows on their way, or waiting: 16 MiB."""


class Inline:
    """Fetches from data that came with the item.

    Args:
        content: The data, as it is stored.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __call__(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`."""
        return self._content[start:end]


class Remote:
    """Fetches from the data's object.

    Args:
        bucket: Where it is.
        item: The item.
        key: The name of the object.
    """

    def __init__(self, bucket: "Bucket", item: "ObjectItem", key: str) -> None:
        self._bucket = bucket
        self._item = item
        self._key = key
        self._is_checked = False

    def __call__(self, start: int, end: int) -> "Any":
        """Return the bytes from `start` to before `end`, as a buffer.

        Raises:
            Corrupt: The object is missing or has another size.
            NotFound: The item was deleted meanwhile.
        """
        if self._is_checked:
            content = self._bucket.client.range(self._key, start, end)
        else:
            got = self._bucket.client.get(self._key, start, end)
            content = None if got is None else got.content
            if got is not None and got.size != self._item.stored_size:
                raise _wrong_size(got.size, self._item.stored_size)
            self._is_checked = True
        if content is None:
            if self._bucket.is_there(self._item):
                raise Corrupt("its data is missing")
            raise NotFound(f"Staged data was deleted while it was read: {format_token(self._item.id)}")
        if len(content) != end - start:
            raise Corrupt("its data ends too early")
        return content


def _wrong_size(size: int, said: int) -> Corrupt:
    from maxstage.humanize import counted

    return Corrupt(f"its data has {counted(size, 'byte')}, not {said:,}")


def check_whole(bucket: "Bucket", item: "ObjectItem") -> None:
    """Check that the data of an item is there, and as long as its metadata says.

    Raises:
        Corrupt: It is not.
    """
    if item.place.data is None:
        check_inline(item)
    else:
        Remote(bucket, item, item.place.data)(0, 1)


def open_data(bucket: "Bucket", item: "ObjectItem") -> "ObjectData":
    """Open the data of an item; that of a large one is asked for when it is read. Raises as `check_inline`."""
    if item.place.data is None:
        check_inline(item)
        return ObjectData(item, Inline(item.body))
    return ObjectData(item, Remote(bucket, item, item.place.data))


def check_inline(item: "ObjectItem") -> None:
    """Check that the data that came with an item is as long as its metadata says.

    Raises:
        Corrupt: It is not.
    """
    if len(item.body) != item.stored_size:
        raise _wrong_size(len(item.body), item.stored_size)


class Window:
    """A row of frames or blocks, fetched.

    Args:
        item: The item.
        base: Where its data begins.
        end: Where its data ends.
        stored: Its bytes, as they are stored, in any buffer.
        trailer: What makes them a file by themselves.

    Raises:
        Corrupt: They are not what the index says.
    """

    __slots__ = ("_fd", "_item", "_reader", "_stored", "base", "end")

    def __init__(self, item: "ObjectItem", base: int, end: int, stored: "Any", trailer: bytes) -> None:
        self.base = base
        self.end = end
        self._item = item
        self._stored: Any = stored
        self._fd = -1
        self._reader: core.Reader | None = None
        if item.codec != NONE:
            self._stored = b""
            self._open(stored, trailer)
        elif len(stored) != end - base:
            raise Corrupt(DAMAGED)

    @property
    def reader(self) -> core.Reader:
        """Reads it, with offsets from `base`."""
        return self._reader or self._open(self._stored, b"")

    def _open(self, stored: "Any", trailer: bytes) -> core.Reader:
        fd = _in_memory(stored, trailer)
        try:
            size = len(stored) + len(trailer)
            reader = core.Reader(fd, f"data of {self._item.token}", file_size=size, codec=self._item.codec)
            if reader.size != self.end - self.base:
                raise Corrupt(DAMAGED)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._reader = fd, reader
        return reader

    def read(self, lo: int, hi: int) -> bytes:
        """Return the bytes of data from `lo` up to `hi`."""
        if self._item.codec == NONE:
            return bytes(memoryview(self._stored)[lo - self.base : hi - self.base])
        return self.reader.read(lo - self.base, hi - self.base)

    def copy_to(self, target: int, lo: int, hi: int, name: str, crc: int) -> int:
        """Write the bytes of data from `lo` up to `hi` to a descriptor; return `crc` updated with them."""
        if self._item.codec != NONE:
            return self.reader.copy_to(target, lo - self.base, hi - self.base, name, crc=crc)
        view = memoryview(self._stored)[lo - self.base : hi - self.base]
        for at in range(0, len(view), _PIECE):
            piece = bytes(view[at : at + _PIECE])
            write_all(target, piece, name)
            crc = core.crc32(piece, crc)
        return crc

    def close(self) -> None:
        """Free its memory."""
        self._stored = b""
        self._reader = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Rows:
    """The frames of compressed data, or the blocks of other: where each begins, and how windows are made of them.

    Args:
        item: The item.
        fetch: Returns stored bytes.
    """

    def __init__(self, item: "ObjectItem", fetch: "Callable[[int, int], Any]") -> None:
        self._item = item
        self._fetch = fetch
        self._frames: Frames | None = None
        if item.codec == NONE:
            self.offsets: list[int] = [*range(0, item.byte_size, BLOCK), item.byte_size]
            self._stored = self.offsets
        else:
            self._frames = self._find_frames()
            self.offsets, self._stored = self._frames.offsets, self._frames.stored

    def _find_frames(self) -> Frames:
        item = self._item
        if item.place.data is not None and item.body:
            return Frames(item.codec, item.body)
        # It came with the item, or has no index: look at all of it.
        from maxstage.store.storage.object.frames import Gathering

        gathering = Gathering()
        for at in range(0, item.stored_size, WINDOW):
            gathering.add(memoryview(self._fetch(at, min(at + WINDOW, item.stored_size))))
        index = gathering.index(item.codec)
        if not index and item.byte_size:
            raise Corrupt("the compressed data is damaged")
        return Frames(item.codec, index)

    @property
    def size(self) -> int:
        """Bytes of data."""
        return self.offsets[-1]

    @property
    def newlines(self) -> "list[int] | None":
        """How many newlines each row has, if that is known."""
        return None if self._frames is None else self._frames.newlines

    def row_at(self, offset: int) -> int:
        """Return the number of the row that has the byte at `offset`."""
        return min(max(0, bisect.bisect_right(self.offsets, offset) - 1), max(0, len(self.offsets) - 2))

    def window(self, first: int, after: int) -> Window:
        """Fetch the rows from `first` to before `after`."""
        start, end = self._stored[first], self._stored[after]
        stored = self._fetch(start, end) if end > start else b""
        trailer = b"" if self._frames is None else self._frames.trailer(first, after)
        return Window(self._item, self.offsets[first], self.offsets[after], stored, trailer)


def _in_memory(*contents: "Any") -> int:
    """Return a file in memory, or without a name, with these contents."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("maxstage", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        for content in contents:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(fd, rest) :]
    except BaseException:
        os.close(fd)
        raise
    return fd


class ObjectData:
    """The open data of an item. See `ItemData`.

    Args:
        item: The item.
        fetch: Returns stored bytes.
    """

    def __init__(self, item: "ObjectItem", fetch: "Callable[[int, int], Any]") -> None:
        self._item = item
        self._rows = Rows(item, fetch)
        self._current: Window | None = None
        self._ahead = Ahead(self._rows)
        self.size = self._rows.size

    def line_offset(self, number: int, /) -> int:
        """Return where line `number` begins. See `ItemData.line_offset`."""
        ends = number - 1
        if ends <= 0:
            return 0
        if number > self._item.record_count:
            return self.size
        start, before, upto = self._block_of(ends)
        left = ends - before
        for window in self._windows(start, upto):
            lo, hi = max(start, window.base) - window.base, min(upto, window.end) - window.base
            _, found = window.reader.measure(lo, hi, max(1, hi - lo))
            if sum(found) >= left:
                # The reader counts from the beginning of its window.
                _, skipped = window.reader.measure(0, lo, max(1, lo))
                return min(window.base + window.reader.line_offset(left + sum(skipped) + 1), self.size)
            left -= sum(found)
        return self.size

    def _block_of(self, ends: int) -> tuple[int, int, int]:
        """Return where the block begins that has newline `ends`, how many come before it, and where it ends."""
        offsets: list[int]
        if self._rows.newlines is not None:
            offsets, counts = self._rows.offsets, self._rows.newlines
        elif self._item.line_index is not None:
            block, counts = self._item.line_index
            offsets = [*(at * block for at in range(len(counts))), self.size]
        else:
            return 0, 0, self.size
        before = 0
        for at, count in enumerate(counts):
            if before + count >= ends:
                return offsets[at], before, min(offsets[at + 1], self.size)
            before += count
        return self.size, before, self.size

    def tail_offset(self, count: int, /) -> int:
        """Return where the last `count` lines begin: by their number, so that only one block is looked at."""
        if count <= 0:
            return self.size
        return self.line_offset(max(1, self._item.record_count - count + 1))

    def read(self, start: int, end: int, /) -> bytes:
        """Return the bytes from `start` up to `end`. See `ItemData.read`."""
        return b"".join(window.read(lo, hi) for window, lo, hi in self._parts(start, end))

    def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
        """Write the bytes from `start` up to `end` to a descriptor. See `ItemData.copy_to`."""
        for window, lo, hi in self._parts(start, end):
            crc = window.copy_to(target, lo, hi, name, crc)
        return crc

    def measure(self, start: int, end: int, block: int, /, *, crc: int = 0) -> tuple[int, list[int]]:
        """Return a checksum and the newlines in each `block` bytes. See `ItemData.measure`."""
        end = min(end, self.size)
        counts = [0] * max(0, -(-(end - start) // block))
        for window, lo, hi in self._parts(start, end):
            at = lo
            while at < hi:
                number = (at - start) // block
                upto = min(hi, start + (number + 1) * block)
                crc, found = window.reader.measure(at - window.base, upto - window.base, upto - at, crc=crc)
                counts[number] += sum(found)
                at = upto
        return crc, counts

    def scan(self, scan: core.Scan, start: int, end: int, /) -> None:
        """Pass the bytes from `start` up to `end` to a scan."""
        for window, lo, hi in self._parts(start, end):
            scan.read(window.reader, lo - window.base, hi - window.base)

    def descriptor(self) -> None:
        """Return None: no file holds the data."""
        return

    def close(self) -> None:
        """Free its memory."""
        self._ahead.close()
        if self._current is not None:
            self._current.close()
            self._current = None

    def _parts(self, start: int, end: int) -> "Iterator[tuple[Window, int, int]]":
        """Yield the windows that have the bytes from `start` up to `end`, and what of each is wanted."""
        end = min(end, self.size)
        if start < end:
            for window in self._windows(start, end):
                lo, hi = max(start, window.base), min(end, window.end)
                if lo < hi:
                    yield window, lo, hi

    def _windows(self, start: int, end: int) -> "Iterator[Window]":
        """Yield the windows from that at `start` up to that before `end`; the last stays open for the next call."""
        at = start
        while at < end:
            current = self._current
            if current is None or not current.base <= at < current.end:
                current = self._open(at, end)
            yield current
            at = current.end

    def _open(self, at: int, end: int) -> Window:
        if self._current is not None:
            self._current.close()
            self._current = None
        self._current = self._ahead.take(self._rows.row_at(at), self._rows.row_at(end - 1) + 1)
        return self._current


class Ahead:
    """Fetches windows before they are asked for.

    Args:
        rows: Fetches them.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._coming: dict[int, _Coming] = {}
        self._next = -1
        # Bytes that were read one after the other.
        self._streak = 0

    def take(self, first: int, after: int) -> Window:
        """Return the window that begins with row `first`.

        Args:
            first: The row.
            after: The row before which what is wanted now ends.
        """
        coming = self._coming.pop(first, None)
        if coming is None:
            self.close()
        if first != self._next:
            self._streak = 0
        # Who has read much in order will go on reading.
        goes_on = self._streak >= WINDOW
        if coming is None:
            coming = _Coming(self._rows, first, self._upto(first, after, goes_on=goes_on))
        self._streak += self._rows.offsets[coming.after] - self._rows.offsets[first]
        self._next = at = coming.after
        last = len(self._rows.offsets) - 1
        while at < (last if goes_on else after) and (at in self._coming or len(self._coming) < AHEAD):
            if at not in self._coming:
                self._coming[at] = _Coming(self._rows, at, self._upto(at, after, goes_on=goes_on))
                self._coming[at].start()
            at = self._coming[at].after
        return coming.result()

    def _upto(self, first: int, after: int, *, goes_on: bool) -> int:
        """Return where a window that begins with row `first` ends: it has what is wanted, at most `WINDOW` bytes."""
        offsets, most = self._rows.offsets, len(self._rows.offsets) - 1
        upto = first + 1
        while upto < most and (goes_on or upto < after) and offsets[upto + 1] - offsets[first] <= WINDOW:
            upto += 1
        return upto

    def close(self) -> None:
        """Free what came and was not asked for."""
        for coming in self._coming.values():
            coming.drop()
        self._coming.clear()


class _Coming:
    """A window that is being fetched."""

    def __init__(self, rows: Rows, first: int, after: int) -> None:
        self._rows = rows
        self._first = first
        self.after = after
        self._thread: threading.Thread | None = None
        self._window: Window | None = None
        self._problem: BaseException | None = None
        self._lock = threading.Lock()
        self._is_dropped = False

    def start(self) -> None:
        """Fetch it in a thread."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            window = self._rows.window(self._first, self.after)
        except BaseException as error:  # noqa: BLE001 - who asks for it hears of it
            self._problem = error
            return
        with self._lock:
            self._window = window
            if self._is_dropped:
                window.close()

    def result(self) -> Window:
        """Return the window; raise what went wrong."""
        if self._thread is None:
            return self._rows.window(self._first, self.after)
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        if self._window is None:
            raise AssertionError("a window that was fetched is there")
        return self._window

    def drop(self) -> None:
        """Free it, now or once it has come."""
        with self._lock:
            self._is_dropped = True
            if self._window is not None:
                self._window.close()

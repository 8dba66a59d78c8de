"""Reading an item: opening its data, slicing it, and checking that it is what was staged."""

from maxstage.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage._backend import core
    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage

STEP = 16 * 1024 * 1024
"""Bytes read between two updates of the progress bar; a multiple of the frame size, so no frame is inflated twice."""

_MOST_LINES = 2**63 - 1
"""No item has more lines: the data path uses signed 64-bit integers."""


class OpenItem:
    """An item that is open for reading. It stays readable even if it is deleted meanwhile.

    Used as a context manager, it closes itself.

    Args:
        storage: Where the item is kept.
        item: Its metadata.

    Raises:
        NotFound: It has been removed.
        Corrupt: Its data doesn't match its metadata.
    """

    def __init__(self, storage: "Storage", item: "Item") -> None:
        self.item = item
        self._naming = _Naming(item.id)
        try:
            with self._naming:
                self._data = storage.open(item)
        except KeyError:
            from maxstage.store.finding import missing

            raise missing(storage, item.id) from None
        if self._data.size != item.byte_size:
            from maxstage.humanize import counted

            self.close()
            raise _damaged(item.id, f"it holds {counted(self._data.size, 'byte')}, not {item.byte_size:,}")

    def __enter__(self) -> "OpenItem":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the data."""
        self._data.close()

    def head(self, count: int) -> tuple[int, int]:
        """Return the range of bytes of the first `count` lines."""
        return self.lines(1, count)

    def tail(self, count: int) -> tuple[int, int]:
        """Return the range of bytes of the last `count` lines."""
        with self._naming:
            return self._data.tail_offset(min(count, _MOST_LINES)), self.item.byte_size

    def lines(self, first: int, last: int | None) -> tuple[int, int]:
        """Return the byte range of the lines from `first` (1 is the first) through `last`, or through the end."""
        with self._naming:
            start = self._data.line_offset(min(first, _MOST_LINES))
            if last is None or last >= self.item.record_count:
                return start, self.item.byte_size
            return start, self._data.line_offset(last + 1)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`; for short ranges, since they are held in memory."""
        with self._naming:
            return self._data.read(start, end)

    def scan(self, scan: "core.Scan", start: int, end: int) -> None:
        """Pass the bytes from `start` up to `end` to a scan."""
        with self._naming:
            self._data.scan(scan, start, end)

    def descriptor(self) -> int | None:
        """Return the open file that holds the data as it was staged; None where no file does. It stays ours."""
        return self._data.descriptor()

    def copy_to(
        self,
        fd: int,
        name: str,
        start: int = 0,
        end: int | None = None,
        *,
        progress: "Callable[[int], None] | None" = None,
    ) -> None:
        """Write the bytes from `start` up to `end` to a descriptor; if that is all, verify the checksum.

        Raises:
            Corrupt: The data is not what was staged. Some of it may have been written by then.
        """
        end = self.item.byte_size if end is None else end
        crc = 0
        for at in range(start, end, STEP):
            upto = min(at + STEP, end)
            with self._naming:
                crc = self._data.copy_to(fd, at, upto, name, crc=crc)
            if progress is not None:
                progress(upto - at)
        if start == 0 and end == self.item.byte_size:
            self.check_crc(crc)

    def verify(self, *, progress: "Callable[[int], None] | None" = None) -> None:
        """Read all of the data, and compare it with its checksum, number of lines and line index.

        Raises:
            Corrupt: The data is not what was staged, or its metadata is wrong.
        """
        size = self.item.byte_size
        block, said = self.item.line_index or (STEP, None)
        step = max(1, STEP // block) * block
        crc, found = 0, list[int]()
        for at in range(0, size, step):
            upto = min(at + step, size)
            with self._naming:
                crc, newlines = self._data.measure(at, upto, block, crc=crc)
            found += newlines
            if progress is not None:
                progress(upto - at)
        self.check_crc(crc)
        if said not in (None, found):
            raise _damaged(self.item.id, "lineIndex in its metadata does not match its lines")
        self._check_lines(sum(found))

    def _check_lines(self, newlines: int) -> None:
        size, said = self.item.byte_size, self.item.record_count
        # An unterminated last line counts.
        lines = newlines + int(size > 0 and self.read(size - 1, size) != b"\n")
        if lines != said:
            from maxstage.humanize import counted

            raise _damaged(self.item.id, f"it holds {counted(lines, 'line')}, and recordCount says {said:,}")

    def check_crc(self, crc: int) -> None:
        """Compare the checksum of all the data with the one recorded when it was staged.

        Raises:
            Corrupt: They differ.
        """
        if self.item.crc32 is not None and crc != self.item.crc32:
            raise _damaged(self.item.id, "its checksum does not match: the data was altered")


class _Naming:
    """Adds the token to the errors of the data path, which only knows files."""

    __slots__ = ("_id",)

    def __init__(self, item_id: str) -> None:
        self._id = item_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, Corrupt):
            raise _damaged(self._id, str(error)) from None


def _damaged(item_id: str, what: str) -> Corrupt:
    from maxstage.store.damage import damaged

    return damaged(item_id, what)

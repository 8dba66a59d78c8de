"""Reading an item: finding it, opening its data, slicing it, and checking that it is what was staged."""

import io
import os
import time
import zlib

from maxstage._backend import core
from maxstage.errors import Corrupt, Expired, NotFound
from maxstage.store.layout import EXPIRED, open_regular, read_small
from maxstage.store.metadata import Item, parse_item
from maxstage.store.tokens import format_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from maxstage.store.layout import Layout

STEP = 16 * 1024 * 1024
"""Bytes read between two steps of the progress bar; a multiple of a gzip member, so that none is inflated twice."""


def read_item(layout: "Layout", item_id: str, *, now: float | None = None) -> Item:
    """Return the metadata of an item that is there and has not expired.

    Raises:
        NotFound: There is no such item.
        Expired: Its time has passed, whether it was swept already or not.
        Corrupt: Its metadata is damaged.
    """
    try:
        item = load_item(layout.meta(item_id), item_id)
    except FileNotFoundError:
        raise _missing(layout, item_id) from None
    if item.is_expired(time.time() if now is None else now):
        raise _expired(item)
    return item


def load_item(path: str, item_id: str) -> Item:
    """Read a metadata file.

    Raises:
        Corrupt: It is damaged; the message names the token and what to do.
        FileNotFoundError: It is not there.
    """
    try:
        return parse_item(read_small(path), item_id)
    except Corrupt as error:
        raise damaged(item_id, str(error)) from None


def damaged(item_id: str, what: str) -> Corrupt:
    """Return the error for an item that is not what was staged."""
    token = format_token(item_id)
    return Corrupt(
        f'Staged data is damaged: {token}: {what}. Stage it again and remove this with "max unstage {token}"'
    )


def _missing(layout: "Layout", item_id: str) -> NotFound:
    try:
        return _expired(load_item(layout.hidden(item_id, EXPIRED), item_id))
    except (FileNotFoundError, Corrupt):
        token = format_token(item_id)
        return NotFound(f'Staged data not found: {token}; "max stage list" shows what there is')


def _expired(item: Item) -> Expired:
    from maxstage.store.wording import format_duration

    ago = format_duration(time.time() - (item.expires or 0))
    what = f"{item.source or 'unknown'}, {item.record_count:,} records"
    return Expired(
        f"Staged data expired {ago} ago: {item.token} ({what}); stage it again, with a longer --ttl"
    )


_MOST_LINES = 2**63 - 1
"""No item has more; the data path counts in 64 bits."""

BUFFER = 1024 * 1024
"""Bytes that `Store.open` reads at a time: one gzip member."""


class OpenItem:
    """An item that is open for reading: what happens to its files from now on does not matter to it.

    Used as a context manager it closes itself.
    """

    def __init__(self, layout: "Layout", item: Item) -> None:
        self.item = item
        self._naming = _Naming(item.id)
        self._path = layout.path(item.file_name)
        try:
            self.fd = open_regular(self._path)
        except FileNotFoundError:
            # Removed since its metadata was read, unless the metadata is still there.
            if os.path.lexists(layout.meta(item.id)):
                raise damaged(item.id, "its data file is missing") from None
            raise _missing(layout, item.id) from None
        except Corrupt as error:
            raise damaged(item.id, str(error)) from None
        try:
            with self._naming:
                self._check_size()
                self._reader = core.Reader(
                    self.fd,
                    self._path,
                    file_size=item.stored_size,
                    compressed=item.compressed,
                    line_index=item.line_index,
                )
                if self._reader.size != item.byte_size:
                    raise Corrupt(f"it holds {self._reader.size:,} bytes, not {item.byte_size:,}")
        except BaseException:
            self.close()
            raise

    def _check_size(self) -> None:
        size = os.fstat(self.fd).st_size
        if size != self.item.stored_size:
            raise Corrupt(f"its data file has {size:,} bytes, not {self.item.stored_size:,}")

    def __enter__(self) -> "OpenItem":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the data file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def head(self, count: int) -> tuple[int, int]:
        """Return the range of bytes of the first `count` lines."""
        return self.lines(1, count)

    def tail(self, count: int) -> tuple[int, int]:
        """Return the range of bytes of the last `count` lines."""
        with self._naming:
            return self._reader.tail_offset(min(count, _MOST_LINES)), self.item.byte_size

    def lines(self, first: int, last: int | None) -> tuple[int, int]:
        """Return the range of bytes of the lines from `first` (1 is the first) to `last`, both included."""
        with self._naming:
            start = self._reader.line_offset(min(first, _MOST_LINES))
            if last is None or last >= self.item.record_count:
                return start, self.item.byte_size
            return start, self._reader.line_offset(last + 1)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`; for short ranges, they are held in memory."""
        with self._naming:
            return self._reader.read(start, end)

    def copy_to(
        self,
        fd: int,
        name: str,
        start: int = 0,
        end: int | None = None,
        *,
        progress: "Callable[[int], None] | None" = None,
    ) -> None:
        """Write the bytes from `start` to before `end` to a descriptor; all of them are checked against the checksum.

        Raises:
            Corrupt: The data is not what was staged. Some of it was written by then.
        """
        self._run(
            lambda at, upto, crc: self._reader.copy_to(fd, at, upto, name, crc=crc), start, end, progress
        )

    def verify(self, *, progress: "Callable[[int], None] | None" = None) -> None:
        """Read all of the data.

        Raises:
            Corrupt: It is not what was staged.
        """
        self._run(lambda at, upto, crc: self._reader.crc32(at, upto, crc=crc), 0, None, progress)

    def _run(
        self,
        step: "Callable[[int, int, int], int]",
        start: int,
        end: int | None,
        progress: "Callable[[int], None] | None",
    ) -> None:
        end = self.item.byte_size if end is None else end
        crc = 0
        for at in range(start, end, STEP):
            upto = min(at + STEP, end)
            with self._naming:
                crc = step(at, upto, crc)
            if progress is not None:
                progress(upto - at)
        if start == 0 and end == self.item.byte_size:
            self.check_crc(crc)

    def check_crc(self, crc: int) -> None:
        """Compare the checksum of all the data with the one that was kept when it was staged.

        Raises:
            Corrupt: They differ.
        """
        if self.item.crc32 is not None and crc != self.item.crc32:
            raise damaged(self.item.id, "its checksum does not match: the data was altered")


class _Naming:
    """Names the token in the errors of the data path, which knows only files."""

    __slots__ = ("_id",)

    def __init__(self, item_id: str) -> None:
        self._id = item_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, Corrupt):
            raise damaged(self._id, str(error)) from None


class ItemFile(io.RawIOBase):
    """The raw file behind `Store.open`: reads the data, and checks it when all was read from start to end."""

    def __init__(self, opened: OpenItem) -> None:
        super().__init__()
        self._opened = opened
        self._at = 0
        self._crc: int | None = 0
        self._seen = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read into `buffer`; at the end of a read of everything, check the checksum."""
        view = memoryview(buffer).cast("B")
        data = self._opened.read(self._at, self._at + len(view))
        view[: len(data)] = data
        if self._crc is not None and self._seen == self._at:
            self._crc = zlib.crc32(data, self._crc)
            self._seen += len(data)
            if self._seen == self._opened.item.byte_size:
                self._opened.check_crc(self._crc)
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read the rest."""
        return b"".join(iter(lambda: self.read(BUFFER), b""))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a byte of the data as it was staged."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._opened.item.byte_size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def close(self) -> None:
        """Close the data file."""
        self._opened.close()
        super().close()

"""The data of an item, as an open file."""

import os

from maxstage._backend import core
from maxstage.errors import Corrupt
from maxstage.store.storage.local.layout import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.layout import ItemLayout


def open_data(layout: "ItemLayout", item: "Item") -> "LocalData":
    """Open the data file of an item.

    Raises:
        KeyError: The item is gone.
        Corrupt: Its data file is missing, is not a regular file, or has the wrong size.
    """
    path = layout.path(item.file_name)
    try:
        fd = open_regular(path)
    except FileNotFoundError:
        # If the metadata is gone too, the item was removed after its metadata was read.
        if os.path.lexists(layout.meta(item.id)):
            raise Corrupt("its data file is missing") from None
        raise KeyError(item.id) from None
    try:
        size = os.fstat(fd).st_size
        if size != item.stored_size:
            from maxstage.humanize import counted

            raise Corrupt(f"its data file has {counted(size, 'byte')}, not {item.stored_size:,}")
        return LocalData(fd, path, item)
    except BaseException:
        os.close(fd)
        raise


class LocalData:
    """An open data file: `core.Reader` with the descriptor that it reads.

    Args:
        fd: The file; this object closes it.
        path: What errors call it.
        item: The item.
    """

    __slots__ = (
        "_fd",
        "_is_plain",
        "_reader",
        "copy_to",
        "line_offset",
        "measure",
        "read",
        "size",
        "tail_offset",
    )

    def __init__(self, fd: int, path: str, item: "Item") -> None:
        reader = core.Reader(
            fd, path, file_size=item.stored_size, codec=item.codec, line_index=item.line_index
        )
        self._fd = fd
        self._reader = reader
        self._is_plain = item.codec is None
        self.size = reader.size
        self.line_offset = reader.line_offset
        self.tail_offset = reader.tail_offset
        self.read = reader.read
        self.copy_to = reader.copy_to
        self.measure = reader.measure

    def scan(self, scan: core.Scan, start: int, end: int, /) -> None:
        """Pass the bytes from `start` up to `end` to a scan."""
        scan.read(self._reader, start, end)

    def descriptor(self) -> int | None:
        """Return the open file that holds the data as it was staged; None where it is compressed."""
        return self._fd if self._is_plain else None

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

"""An item as a Python file object, which `Store.open` returns."""

import io

from maxstage._backend import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from maxstage.store.reading import OpenItem

BUFFER = 1024 * 1024
"""Bytes that `Store.open` reads at a time: one gzip member."""


class ItemFile(io.RawIOBase):
    """The raw file behind `Store.open`. Verifies the checksum once the data has been read from start to end."""

    def __init__(self, opened: "OpenItem") -> None:
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
        """Read into `buffer`; once everything has been read in order, verify the checksum."""
        view = memoryview(buffer).cast("B")
        data = self._opened.read(self._at, self._at + len(view))
        view[: len(data)] = data
        if self._crc is not None and self._seen == self._at:
            self._crc = core.crc32(data, self._crc)
            self._seen += len(data)
            if self._seen == self._opened.item.byte_size:
                self._opened.check_crc(self._crc)
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read the rest."""
        return b"".join(iter(lambda: self.read(BUFFER), b""))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to an offset in the data as it was staged."""
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

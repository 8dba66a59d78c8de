"""The files of a store: where they are, who owns each, and how they are opened.

``.max/staging/`` holds, for the item with id ``a1b2c3d4``::

    a1b2c3d4.ndjson         the data (or .json, .txt; with .gz or .zst if compressed)
    a1b2c3d4.meta.json      its metadata; the item exists exactly as long as this file does

and temporarily, or after the item's end::

    .a1b2c3d4.claim         created first, exclusively: reserves the id. Its writer holds a lock (flock) on it
                            as long as it lives. Renamed to the metadata: that is the commit.
    .a1b2c3d4.part          the data while it is being written
    .a1b2c3d4.update        new metadata of an item, before it is renamed over the old
    .a1b2c3d4.leaving       the metadata of an item whose data is being deleted
    .a1b2c3d4.expired.json  the metadata of an item that was swept: records for 24 hours that it expired
    .lock                   held (flock) while metadata is changed or deleted
    .sweep                  its modification time is when the next sweep is worthwhile

and next to it, in a store of many items, ``.max/index.sqlite3``: see `maxstage.store.storage.local.index`.
"""

import os
import stat

from maxstage.codecs import CODECS
from maxstage.errors import Corrupt
from maxstage.store.metadata import EXTENSIONS
from maxstage.store.project import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

META = ".meta.json"
CLAIM = ".claim"
PART = ".part"
UPDATE = ".update"
LEAVING = ".leaving"
EXPIRED = ".expired.json"
LOCK = ".lock"
SWEEP = ".sweep"
INDEX = "index.sqlite3"

DATA = tuple(extension + codec.extension for extension in EXTENSIONS.values() for codec in CODECS.values())
"""The suffixes of data files."""

_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ItemLayout(Layout):
    """The paths of the items of one project."""

    __slots__ = ()

    def path(self, name: str) -> str:
        """Return the path of a file of the store."""
        return f"{self.root}/{name}"

    @property
    def index(self) -> str:
        """The path of the index: outside the staging directory, whose modification time it must not change."""
        return f"{self.base}/{INDEX}"

    def meta(self, item_id: str) -> str:
        """Return the path of an item's metadata."""
        return self.path(item_id + META)

    def hidden(self, item_id: str, suffix: str) -> str:
        """Return the path of an item's hidden file with this suffix."""
        return self.path(f".{item_id}{suffix}")


class WhileThere:
    """Turns a missing file into an error that says that the whole store was deleted, if it was.

    Args:
        layout: The paths of the store.
    """

    __slots__ = ("_root",)

    def __init__(self, layout: ItemLayout) -> None:
        self._root = layout.root

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, FileNotFoundError) and not os.path.lexists(self._root):
            raise FileNotFoundError(error.errno, "The store was deleted meanwhile", self._root) from None


def open_regular(path: str) -> int:
    """Open a file of the store for reading.

    It never follows, waits for or reads anything else that was planted there.

    Raises:
        Corrupt: It is not a regular file, but a symbolic link, for instance.
        FileNotFoundError: It doesn't exist.
    """
    try:
        fd = os.open(path, _READING)
    except OSError as error:
        import errno

        # ELOOP: a symbolic link; ENXIO: a socket.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Corrupt(f"{path} is not a regular file; it is refused") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Corrupt(f"{path} is not a regular file; it is refused")
    return fd


def names_with(layout: ItemLayout, suffix: str) -> "Iterator[str]":
    """Yield the names of files that end in `suffix`, without it: ids, and whatever else was put there.

    Metadata files don't begin with a dot; for any other suffix only hidden files count, and their dot is removed.
    """
    hidden = suffix != META
    with WhileThere(layout), os.scandir(layout.root) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(suffix) and name.startswith(".") == hidden:
                yield name.removesuffix(suffix).removeprefix(".")

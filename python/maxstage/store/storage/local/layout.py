"""Where the files of a store lie, who owns each, and how they are opened.

``.max/staging/`` holds, for the item with id ``a1b2c3d4``::

    a1b2c3d4.ndjson         the data (.json, .txt; .gz or .zst at the end where compressed)
    a1b2c3d4.meta.json      its metadata; the item exists exactly as long as this file does

and for a while, or after the item's end::

    .a1b2c3d4.claim         made first, exclusively: the id is taken. Its writer holds a lock (flock) on it
                            as long as it lives. Becomes the metadata by rename: that is the commit.
    .a1b2c3d4.part          the data while it is written
    .a1b2c3d4.update        new metadata of an item that is renewed, before it is renamed over the old
    .a1b2c3d4.leaving       the metadata of an item whose data is being deleted
    .a1b2c3d4.expired.json  the metadata of an item that was swept: says for 24 hours that it expired
    .lock                   held (flock) while metadata is changed or deleted
    .sweep                  its time of change is when the next sweep is worth while

and beside it, in a store of many items, ``.max/index.sqlite3``: see `maxstage.store.storage.local.index`.
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
"""What the names of data files end in."""

_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ItemLayout(Layout):
    """The paths of the items of one project."""

    __slots__ = ()

    def path(self, name: str) -> str:
        """Return the path of a file of the store."""
        return f"{self.root}/{name}"

    @property
    def index(self) -> str:
        """The path of the index: beside the staging directory, whose time of change it must not touch."""
        return f"{self.base}/{INDEX}"

    def meta(self, item_id: str) -> str:
        """Return the path of an item's metadata."""
        return self.path(item_id + META)

    def hidden(self, item_id: str, suffix: str) -> str:
        """Return the path of a file of an item that is coming or going."""
        return self.path(f".{item_id}{suffix}")


class WhileThere:
    """Says of a file that is not there, where that is so, that the whole store was deleted since it was opened.

    Args:
        layout: The store.
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

    Whatever somebody planted there, nothing else is followed, waited for or read.

    Raises:
        Corrupt: It is a symbolic link or anything else but a regular file.
        FileNotFoundError: It is not there.
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
    """Give what stands before `suffix` in the names of files: ids, and whatever else somebody has put there.

    Metadata is what does not begin with a dot; everything else that belongs to an id does.
    """
    hidden = suffix != META
    with WhileThere(layout), os.scandir(layout.root) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(suffix) and name.startswith(".") == hidden:
                yield name.removesuffix(suffix).removeprefix(".")

"""Items as files in a directory. `maxstage.store.storage.local.layout` describes the files and who owns each."""

import os

from maxstage.store.storage.local.items import load_item
from maxstage.store.storage.local.layout import EXPIRED, LOCK, META, SWEEP, ItemLayout, WhileThere, names_with
from maxstage.store.tokens import is_id

# Modules that only some commands need are imported inside functions: reading one item takes less time than
# importing them all.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.upload import LocalUpload
    from maxstage.store.storage.protocol import ItemData, Leftover, Upload

    Ids = list[str]


class LocalStorage:
    """The storage of a project on this machine, or in a directory that several machines share.

    Args:
        project: The folder that holds ``.max``, absolute.
    """

    __slots__ = ("layout", "place")

    def __init__(self, project: str) -> None:
        self.layout = ItemLayout(project)
        self.place = self.layout.root

    # One item

    def create(self, id_bytes: int) -> "LocalUpload":
        """Reserve an id. See `Storage.create`."""
        from maxstage.store.storage.local.upload import LocalUpload

        return LocalUpload(self.layout, id_bytes)

    spool = create

    def head(self, item_id: str) -> "Item":
        """Return the metadata of an item. See `Storage.head`."""
        return load_item(self.layout.meta(item_id), item_id)

    def tombstone(self, item_id: str) -> "Item":
        """Return the metadata that an expired item had. See `Storage.tombstone`."""
        return load_item(self.layout.hidden(item_id, EXPIRED), item_id)

    def open(self, item: "Item") -> "ItemData":
        """Open the data of an item. See `Storage.open`."""
        from maxstage.store.storage.local.data import open_data

        return open_data(self.layout, item)

    def path(self, item: "Item") -> str:
        """Return the path of an item's data file."""
        return self.layout.path(item.file_name)

    def link(self, item: "Item", made: "Callable[[str], Item]", id_bytes: int) -> "Item":
        """Publish the data of an item once more. See `Storage.link`."""
        self.open(item).close()  # it is there, whole, and a regular file
        upload = self.create(id_bytes)
        try:
            upload.link_from(self.layout.path(item.file_name))
            new = made(upload.id)
            upload.put_metadata(new)
            upload.publish(sync=False)
        except BaseException:
            upload.discard()
            raise
        return new

    def replace(self, item_id: str, change: "Callable[[Item], None]", *, sync: bool) -> "Item":
        """Change the metadata of an item. See `Storage.replace`."""
        from maxstage.errors import Error
        from maxstage.store.storage.local.locking import LONG, Locked
        from maxstage.store.storage.local.renewal import replace_metadata

        with Locked(self.layout, LONG) as free:
            if not free:
                raise Error(
                    f"Another process holds the lock of the store: {self.layout.path(LOCK)}; try again"
                )
            item = self.head(item_id)
            change(item)
            replace_metadata(self.layout, item, sync=sync)
        return item

    def delete(self, item_id: str) -> bool:
        """Delete an item. See `Storage.delete`."""
        from maxstage.store.storage.local.removal import delete

        return delete(self.layout, item_id)

    def take_back(self, items: "Iterable[Item]") -> None:
        """Delete items that were published a moment ago. See `Storage.take_back`."""
        from maxstage.store.storage.local.removal import take_back

        take_back(self.layout, items)

    def expire(self, item_id: str, now: float, *, patience: float | None = None) -> bool:
        """Remove an item if it has expired. See `Storage.expire`."""
        from maxstage.store.storage.local.removal import expire

        return expire(self.layout, item_id, now, patience)

    def grant(self, item: "Item", seconds: float) -> None:
        """Return None: nobody serves the folder."""

    # All items

    def ids(self) -> "Ids":
        """Return the ids of all items. See `Storage.ids`."""
        return sorted(filter(is_id, names_with(self.layout, META)))

    def strays(self) -> "Ids":
        """Return the names of metadata files that don't begin with an id. See `Storage.strays`."""
        return sorted(name + META for name in names_with(self.layout, META) if not is_id(name))

    def newest(
        self, now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
    ) -> "tuple[list[Item], Ids]":
        """Return the newest items, and what is damaged. See `Storage.newest`."""
        from maxstage.store.storage.local.listing import newest

        return newest(self.layout, now, is_wanted, limit)

    def expired(self, now: float, *, hurried: bool) -> "tuple[Ids, float]":
        """Return the items that may have expired, and when the next one may. See `Storage.expired`."""
        from maxstage.store.storage.local.listing import expired

        return expired(self.layout, now, hurried=hurried)

    def usage(self, *, published: bool = False) -> int:
        """Return the bytes that data takes. See `Storage.usage`."""
        from maxstage.store.storage.local.listing import usage

        return usage(self.layout, published=published)

    def free_space(self) -> int | None:
        """Return the free space of the file system, in bytes."""
        with WhileThere(self.layout):
            disk = os.statvfs(self.layout.root)
        return disk.f_bavail * disk.f_frsize

    def batch(self) -> "AbstractContextManager[Callable[[Sequence[Upload]], None]]":
        """Begin to write several items. See `Storage.batch`."""
        from maxstage.store.storage.local.batch import Batch

        return Batch(self.layout)

    def sync(self) -> None:
        """Wait until everything published survives power loss."""
        from maxstage.store.storage.local.items import sync_directory

        sync_directory(self.layout.root)

    # Sweeping

    def leftovers(
        self, now: float, orphan_seconds: float, tombstone_seconds: float
    ) -> "list[list[Leftover]]":
        """Return what may be left behind. See `Storage.leftovers`."""
        from maxstage.store.storage.local.leftovers import find

        return find(self.layout, now, orphan_seconds, tombstone_seconds)

    def sweep_time(self) -> float | None:
        """Return when the next sweep is worthwhile: the modification time of a file."""
        try:
            return os.stat(self.layout.path(SWEEP), follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return None

    def set_sweep_time(self, when: float) -> None:
        """Record when the next sweep is worthwhile."""
        os.utime(self.layout.path(SWEEP), (when, when), follow_symlinks=False)

    def sweeping(self) -> "AbstractContextManager[bool]":
        """Keep others from sweeping. See `Storage.sweeping`."""
        from maxstage.store.storage.local.locking import Sweeping

        return Sweeping(self.layout)

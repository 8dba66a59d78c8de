"""Replacing the metadata of an item, to renew or pin it, for instance."""

import os

from maxstage.files import remove, write_all
from maxstage.interrupts import Deferred
from maxstage.store.storage.local.index import changing
from maxstage.store.storage.local.items import sync_directory
from maxstage.store.storage.local.layout import UPDATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.layout import ItemLayout


def replace_metadata(layout: "ItemLayout", item: "Item", *, sync: bool) -> None:
    """Replace an item's metadata. The caller holds the store's lock."""
    update = layout.hidden(item.id, UPDATE)
    with Deferred():
        fd = os.open(update, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, item.to_json(), layout.meta(item.id))
            if sync:
                os.fsync(fd)
            with changing(layout, item.id):
                os.rename(update, layout.meta(item.id))
        except BaseException:
            remove(update)
            raise
        finally:
            os.close(fd)
        if sync:
            sync_directory(layout.root)

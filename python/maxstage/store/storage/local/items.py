"""The metadata of single items: read, and replaced."""

import errno
import os

from maxstage.errors import Corrupt
from maxstage.files import remove, write_all
from maxstage.store.metadata import MOST_BYTES, parse_item
from maxstage.store.storage.local.layout import UPDATE, open_regular
from maxstage.store.tokens import format_token, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item
    from maxstage.store.storage.local.layout import ItemLayout

_READ = 64 * 1024
"""Bytes of metadata that are read at once: all of it, many labels apart."""

_NOT_ITS_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of reading a file that say nothing of that file."""


def load_item(path: str, item_id: str) -> "Item":
    """Read a metadata file.

    Raises:
        Corrupt: It is damaged, or can't be read; the message names the token and what to do.
        KeyError: It is not there.
        OSError: Nothing can be read now: this process has too many files open, say.
    """
    if not is_id(item_id):
        raise Corrupt(f"{path} is not an item: its name is not a token's; move it away")
    try:
        return parse_item(_read_small(path, MOST_BYTES), item_id)
    except Corrupt as error:
        from maxstage.store.finding import damaged

        raise damaged(item_id, str(error)) from None
    except FileNotFoundError:
        raise KeyError(item_id) from None
    except OSError as error:
        if error.errno in _NOT_ITS_FAULT:
            raise
        raise Corrupt(
            f"Staged data can't be read: {format_token(item_id)}: {error.strerror}: {path}"
        ) from None


def _read_small(path: str, most: int) -> bytes:
    """Return the content of a file, or of a larger one more than `most` bytes. Raises as `open_regular` does."""
    fd = open_regular(path)
    try:
        content = b""
        while len(content) <= most and (more := os.read(fd, _READ)):
            content += more
        return content
    finally:
        os.close(fd)


def replace_metadata(layout: "ItemLayout", item: "Item", *, sync: bool) -> None:
    """Write an item's metadata anew. The caller holds the store's lock."""
    from maxstage.store.storage.local.index import changing

    update = layout.hidden(item.id, UPDATE)
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


def sync_directory(path: str) -> None:
    """Wait until the names in a directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Reading the metadata files of items."""

import os

from maxstage.errors import Corrupt
from maxstage.store.metadata import MOST_BYTES, parse_item
from maxstage.store.storage.local.layout import open_regular
from maxstage.store.tokens import format_token, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import Item

_READ = 64 * 1024
"""Bytes of metadata read at a time: all of it, unless there are many labels."""


def load_item(path: str, item_id: str) -> "Item":
    """Read a metadata file.

    Raises:
        Corrupt: It is damaged, or can't be read; the message names the token and says what to do.
        KeyError: It doesn't exist.
        OSError: No file can be opened at the moment: too many files are open, for instance.
    """
    if not is_id(item_id):
        raise Corrupt(f"{path} is not an item: its name is not a token's; move it away")
    try:
        return parse_item(_read_small(path, MOST_BYTES), item_id)
    except Corrupt as error:
        from maxstage.store.damage import damaged

        raise damaged(item_id, str(error)) from None
    except FileNotFoundError:
        raise KeyError(item_id) from None
    except OSError as error:
        import errno

        # Too many open files, or no memory: this file isn't to blame.
        if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
            raise
        raise Corrupt(
            f"Staged data can't be read: {format_token(item_id)}: {error.strerror}: {path}"
        ) from None


def _read_small(path: str, most: int) -> bytes:
    """Return the content of a file; if it is larger than `most`, more than `most` bytes. Raises as `open_regular`."""
    fd = open_regular(path)
    try:
        content = b""
        while len(content) <= most and (more := os.read(fd, _READ)):
            content += more
        return content
    finally:
        os.close(fd)


def sync_directory(path: str) -> None:
    """Wait until the names in a directory are on disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

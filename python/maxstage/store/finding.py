"""Finding an item: its metadata, or what to say where there is none."""

import errno
import time

from maxstage.errors import Corrupt, Expired, NotFound
from maxstage.store.layout import EXPIRED, read_small
from maxstage.store.metadata import MOST_BYTES, Item, parse_item
from maxstage.store.tokens import format_token, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.layout import Layout

_SHOWN = 100
"""Characters of a source that an error repeats."""

_NOT_ITS_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of reading a file that say nothing of that file."""


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
        raise missing(layout, item_id) from None
    if item.is_expired(time.time() if now is None else now):
        raise _expired(item)
    return item


def load_item(path: str, item_id: str) -> Item:
    """Read a metadata file.

    Raises:
        Corrupt: It is damaged, or can't be read; the message names the token and what to do.
        FileNotFoundError: It is not there.
        OSError: Nothing can be read now: this process has too many files open, say.
    """
    if not is_id(item_id):
        raise Corrupt(f"{path} is not an item: its name is not a token's; move it away")
    try:
        return parse_item(read_small(path, MOST_BYTES), item_id)
    except Corrupt as error:
        raise damaged(item_id, str(error)) from None
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in _NOT_ITS_FAULT:
            raise
        raise Corrupt(
            f"Staged data can't be read: {format_token(item_id)}: {error.strerror}: {path}"
        ) from None


def damaged(item_id: str, what: str) -> Corrupt:
    """Return the error for an item that is not what was staged."""
    token = format_token(item_id)
    return Corrupt(
        f'Staged data is damaged: {token}: {what}. Stage it again and remove this with "max unstage {token}"'
    )


def missing(layout: "Layout", item_id: str) -> NotFound:
    """Return the error for an item that is not there, or not any more."""
    try:
        return _expired(load_item(layout.hidden(item_id, EXPIRED), item_id))
    except (FileNotFoundError, Corrupt):
        token = format_token(item_id)
        return NotFound(f'Staged data not found: {token}; "max stage list" shows what there is')


def _expired(item: Item) -> Expired:
    from maxstage.humanize import counted, format_duration, printable

    ago = format_duration(time.time() - (item.expires or 0))
    what = f"{printable(item.source or 'unknown', _SHOWN)}, {counted(item.record_count, 'record')}"
    return Expired(
        f"Staged data expired {ago} ago: {item.token} ({what}); stage it again, with a longer --ttl"
    )

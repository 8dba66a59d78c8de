"""Handing items from one store to another, and reading one of a store that is named by its URL."""

import time

from maxstage._backend import core
from maxstage.errors import Error, InvalidToken
from maxstage.interrupts import Deferred
from maxstage.settings import SETTINGS, SHARED_TOKEN_BYTES, Settings, value_of
from maxstage.store.draft import Draft
from maxstage.store.finding import read_item
from maxstage.store.reading import STEP, OpenItem
from maxstage.store.storage import open_remote
from maxstage.store.tokens import parse_token
from maxstage.store_urls import parse_store_url, split_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item
    from maxstage.store.storage.protocol import Storage


class Place:
    """A store as far as copying needs it: where its items are, and its settings.

    Attributes:
        storage: Where the items are kept.
        settings: The settings in force.
    """

    __slots__ = ("settings", "storage")

    def __init__(self, storage: "Storage", settings: Settings) -> None:
        self.storage = storage
        self.settings = settings


def place_at(url: str) -> Place:
    """Return the store at a URL, for which no project is needed: its settings are those of the environment.

    Raises:
        ValueError: That is no URL of a store.
        MissingDependency: What reaches it is not installed.
    """
    values = {setting.key: value_of(setting.key) for setting in SETTINGS}
    values |= {
        "store.url": parse_store_url(url),
        "token_bytes": max(values["token_bytes"], SHARED_TOKEN_BYTES),
    }
    settings = Settings(**values)
    return Place(open_remote(settings), settings)


def find_reference(text: str) -> "tuple[Place, str] | None":
    """Return the store and the id that ``URL#TOKEN`` names; None if it is no such text.

    Raises:
        InvalidToken: The URL, or the token, is none.
    """
    parts = split_reference(text)
    if parts is None:
        return None
    item_id = parse_token(parts[1])
    try:
        return place_at(parts[0]), item_id
    except ValueError as error:
        raise InvalidToken(
            f"Invalid reference: {text[:100]!a}: it {error}, with # and a token at its end"
        ) from None


def open_reference(text: str) -> OpenItem | None:
    """Open the item that ``URL#TOKEN`` names; None if it is no such text. Raises as `find_reference`, `Store.open`."""
    found = find_reference(text)
    return None if found is None else OpenItem(found[0].storage, read_item(found[0].storage, found[1]))


def copy_item(
    source: "Storage",
    item_id: str,
    target: Place,
    *,
    minutes: float | None = None,
    progress: "Callable[[int], None] | None" = None,
) -> "Item":
    """Stage an item of one store in another; return the new item. Its data is verified on the way.

    Args:
        source: Where it is.
        item_id: The item.
        target: Where it goes.
        minutes: Time until the new one expires; None for as long as the old one, pinned if that is.
        progress: Called from time to time with the number of bytes copied since the last call.

    Raises:
        NotFound, Expired: There is no such item.
        Corrupt: Its data is not what was staged.
        QuotaExceeded: There is no room for it.
    """
    old = read_item(source, item_id)
    draft_of = target.settings
    with Deferred() as signals, Draft(target.storage, draft_of, codec=old.codec, sync=draft_of.sync) as draft:
        with signals.open():
            with OpenItem(source, old) as opened:
                _pour(opened, draft, progress)
            ttl = (
                minutes
                if minutes is not None or old.expires is None
                else max(1, (old.expires - time.time()) / 60)
            )
            draft.redacted = dict(old.redacted)
            new = draft.finalize(ttl, old.content_type, old.source, dict(old.labels))
            if (new.byte_size, new.record_count) != (old.byte_size, old.record_count):
                raise Error(
                    f"{old.token} was not copied: its data has {new.byte_size:,} bytes, not {old.byte_size:,}"
                )
            draft.sync()
        draft.commit()
    return new


def _pour(opened: OpenItem, draft: Draft, progress: "Callable[[int], None] | None") -> None:
    crc, size = 0, opened.item.byte_size
    for at in range(0, size, STEP):
        data = opened.read(at, min(at + STEP, size))
        crc = core.crc32(data, crc)
        draft.write(data)
        if progress is not None:
            progress(len(data))
    opened.check_crc(crc)

"""The objects of a store: their names, and what is in each.

Below the prefix of the URL lie::

    maxstage.json       the format, and that the server was tested: made once by ``max init``
    items/ID            the item: one line of JSON, and after it its data, up to `INLINE` bytes. It is made with
                        ``If-None-Match: *``, which claims the id and publishes the item in one request; it is changed
                        with ``If-Match``. After it has expired, it is a tombstone for a day.
    data/NONCE.EXT      the data of a larger item: complete before the item is made, never overwritten
    newest/REVERSED-TIME.ID.NONCE.EXPIRES.SIZE
                        empty, one for each item: a list of these names tells which are the newest, which have
                        expired, and how many bytes they take
    sweep               who sweeps, and when the next sweep is worthwhile

The line of JSON is the item's metadata, as in a local store, with one more key, ``object``:

- ``nonce``: 32 random hex digits, which name the data and are in the marker's name;
- ``write``: 32 others, new whenever the line is written: who gets no answer to a write reads the item and sees whether
  it was his;
- ``data``: the name of the data's object; missing if the data follows the line. What follows then is an index of the
  compressed data (`maxstage.store.storage.object.frames`);
- ``shared``: the data may belong to several items, so that none deletes it: a sweep does, once nobody names it;
- ``swept``: Unix time at which it expired: this is a tombstone; ``left``: it is being deleted.
"""

import math
import os

from maxstage import light_json
from maxstage.codecs import CODECS
from maxstage.errors import Corrupt
from maxstage.store.clock import format_time, parse_time
from maxstage.store.metadata import EXTENSIONS, MOST_BYTES, OBJECT, Item, parse_item
from maxstage.store.tokens import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INLINE = 128 * 1024
"""The most bytes of data that lie in the item itself: then staging and retrieving it are one request each."""

FORMAT = "maxstage.json"
SWEEP = "sweep"
ITEMS = "items"
DATA = "data"
NEWEST = "newest"

MARGIN = 30 * 60
"""Seconds after its expiry before an item is swept: servers accept clocks that are up to 15 minutes off, so two clients
may be half an hour apart, and one may just have renewed what has expired for the other."""

_NANOSECONDS = 10**19 - 1
"""What times are taken from, so that the newest is the first in the order of names."""

_DIGITS = 19
_NONCE_BYTES = 16
_NEVER = "never"
_LINE = MOST_BYTES + 1024
"""The most bytes of the line: the metadata, and our key."""

_ENDINGS = (*(codec.extension for codec in CODECS.values() if codec.extension), *EXTENSIONS.values())
"""The endings of data objects."""


def new_nonce() -> str:
    """Return 32 random hex digits."""
    return os.urandom(_NONCE_BYTES).hex()


def is_nonce(text: object) -> bool:
    """Return whether `text` is what `new_nonce` returns."""
    return isinstance(text, str) and len(text) == 2 * _NONCE_BYTES and is_id(text)


def item_key(item_id: str) -> str:
    """Return the name of an item's object."""
    return f"{ITEMS}/{item_id}"


def data_key(nonce: str, ending: str) -> str:
    """Return the name of the object for the data of a large item."""
    return f"{DATA}/{nonce}{ending}"


class Place:
    """What the ``object`` key of an item says.

    Attributes:
        nonce: Names its data, and is in its marker.
        write: Identifies who wrote the line.
        data: The name of the data's object; None if the data is in the item.
        shared: Whether other items may have the same data.
        swept: When it was swept, Unix time; None if it was not.
        left: Whether it is being deleted.
    """

    __slots__ = ("data", "left", "nonce", "shared", "swept", "write")

    def __init__(
        self,
        nonce: str,
        write: str,
        data: str | None = None,
        *,
        shared: bool = False,
        swept: float | None = None,
        left: bool = False,
    ) -> None:
        self.nonce = nonce
        self.write = write
        self.data = data
        self.shared = shared
        self.swept = swept
        self.left = left

    @property
    def is_alive(self) -> bool:
        """Whether the item exists: it has neither been swept, nor is it being deleted."""
        return self.swept is None and not self.left

    def to_dict(self) -> "dict[str, Any]":
        """Return the value of the key."""
        said: dict[str, Any] = {"nonce": self.nonce, "write": self.write}
        if self.data is not None:
            said["data"] = self.data
        if self.shared:
            said["shared"] = True
        if self.swept is not None:
            said["swept"] = self.swept
        if self.left:
            said["left"] = True
        return said


class ObjectItem(Item):
    """An item as its object has it.

    Attributes:
        place: Where its data is.
        body: What follows the line.
        version: Identifies this state of the object, for ``If-Match``.
    """

    __slots__ = ("body", "place", "version")

    place: Place
    body: bytes
    version: "dict[str, str]"


def line_of(item: Item, place: Place) -> bytes:
    """Return the line of an item.

    Raises:
        InvalidMetadata: `parse_item` would not accept the metadata.
    """
    item.to_json()  # checks its size and its text
    return light_json.dumps({**item.to_dict(), OBJECT: place.to_dict()}).encode() + b"\n"


def parse_object(content: bytes, item_id: str, version: "dict[str, str]") -> ObjectItem:
    """Read an item's object.

    Raises:
        Corrupt: Its line is not what `line_of` returns.
    """
    end = content.find(b"\n", 0, _LINE)
    if end < 0:
        raise Corrupt(
            f"its metadata is larger than {MOST_BYTES:,} bytes"
            if len(content) > _LINE
            else "its metadata has no end"
        )
    parsed = parse_item(content[: end + 1], item_id)
    place = _place_of(parsed.extra.pop(OBJECT, None))
    item = ObjectItem.__new__(ObjectItem)
    for name in Item.__slots__:
        setattr(item, name, getattr(parsed, name))
    item.place = place
    item.body = content[end + 1 :]
    item.version = version
    return item


def _place_of(said: object) -> Place:
    if not isinstance(said, dict):
        raise Corrupt(f"{OBJECT} in its metadata is missing or not an object")
    nonce: Any = said.get("nonce")
    data, swept = said.get("data"), said.get("swept")
    if not is_nonce(nonce) or not is_nonce(said.get("write")):
        raise Corrupt(f"{OBJECT} in its metadata has no nonce")
    if data is not None and data not in [data_key(nonce, ending) for ending in _ENDINGS]:
        raise Corrupt(f"{OBJECT} in its metadata names no data")
    if swept is not None and (isinstance(swept, bool) or not isinstance(swept, int | float)):
        raise Corrupt(f"{OBJECT} in its metadata has a wrong time")
    return Place(
        nonce,
        said["write"],
        data,
        shared=said.get("shared") is True,
        swept=swept,
        left=said.get("left") is True,
    )


class Marker:
    """The name of a marker, taken apart.

    Attributes:
        key: The name.
        id: The item.
        nonce: Its nonce.
        created_ns: When it was staged, Unix time in nanoseconds.
        expires: When it expires, Unix time; None if never.
        size: Bytes that its data takes.
    """

    __slots__ = ("created_ns", "expires", "id", "key", "nonce", "size")

    def __init__(
        self, key: str, item_id: str, nonce: str, created_ns: int, expires: int | None, size: int
    ) -> None:
        self.key = key
        self.id = item_id
        self.nonce = nonce
        self.created_ns = created_ns
        self.expires = expires
        self.size = size


def marker_key(item: Item, nonce: str, *, expires: float | None = None) -> str:
    """Return the name of an item's marker, with its own expiry or another."""
    ends = item.expires if expires is None else expires
    reversed_time = f"{_NANOSECONDS - item.created_ns:0{_DIGITS}d}"
    # As it will be read again: the metadata has no fractions.
    shown = _NEVER if ends is None else str(math.ceil(parse_time(format_time(ends))))
    return f"{NEWEST}/{reversed_time}.{item.id}.{nonce}.{shown}.{item.stored_size}"


def parse_marker(key: str) -> Marker | None:
    """Return a marker by its name; None if it is no marker of ours."""
    parts = key.rpartition("/")[2].split(".")
    if len(parts) != 5:  # noqa: PLR2004
        return None
    time, item_id, nonce, expires, size = parts
    numbers = [time, size] if expires == _NEVER else [time, expires, size]
    if not is_id(item_id) or not is_nonce(nonce) or not all(map(_is_number, numbers)):
        return None
    return Marker(
        key,
        item_id,
        nonce,
        _NANOSECONDS - int(time),
        None if expires == _NEVER else int(expires),
        int(size),
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS + 1

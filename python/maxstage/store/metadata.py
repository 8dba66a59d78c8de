"""The metadata of an item: what ``<id>.meta.json`` says, as an object.

The seven keys of the contract (``token createdAt expiresAt recordCount byteSize source contentType``) are
always there. Beside them we write

- ``createdNs``: the same moment in nanoseconds, for the order of items of one second; as text, since jq and JavaScript
  lose digits of numbers beyond 2**53 (earlier versions wrote a number, and either is read);
- ``checksum``: ``crc32:`` and 8 hex digits, of the bytes as they were staged;
- ``storedSize``: bytes of the data file, where it is compressed less than ``byteSize``;
- ``compression``: ``gzip``, or null;
- ``labels``: an object of strings;
- ``lineIndex``: ``{"block": bytes, "newlines": [in each block]}``, where there is more than one block.

Readers ignore keys that they don't know, and do without those of ours that are missing.
"""

from maxstage import light_json
from maxstage.errors import Corrupt
from maxstage.store.clock import format_time, parse_time
from maxstage.store.tokens import format_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, Literal

    ContentType = Literal["ndjson", "json", "text"]

EXTENSIONS: "dict[str, str]" = {"ndjson": ".ndjson", "json": ".json", "text": ".txt"}
"""The data file's extension for each content type."""

_MOST_DIGITS = 19
"""Of a whole number of 63 bits."""

GZIP = "gzip"
_CHECKSUM = "crc32:"


class Item:
    """A staged item.

    Attributes:
        id: The hex digits of the token.
        created: When it was staged, Unix time in seconds.
        created_ns: The same in nanoseconds.
        expires: When it expires, Unix time in seconds; None for a pinned item.
        record_count: Lines; an unterminated last one counts.
        byte_size: Bytes as they were staged.
        stored_size: Bytes of the data file.
        source: Where the data came from, or None.
        content_type: ``ndjson``, ``json`` or ``text``.
        compressed: Whether the data file is gzip.
        crc32: Checksum of the bytes as they were staged; None where the metadata names none.
        labels: The labels given to it.
        line_index: Bytes in a block, and the newlines in each; None where there is one block.
        extra: Keys of the metadata that this version doesn't know, kept when it is written again.
    """

    __slots__ = (
        "byte_size",
        "compressed",
        "content_type",
        "crc32",
        "created",
        "created_ns",
        "expires",
        "extra",
        "id",
        "labels",
        "line_index",
        "record_count",
        "source",
        "stored_size",
    )

    def __init__(
        self,
        *,
        id: str,  # noqa: A002
        created_ns: int,
        expires: float | None,
        record_count: int,
        byte_size: int,
        stored_size: int,
        source: str | None,
        content_type: "ContentType",
        compressed: bool = False,
        crc32: int | None = None,
        labels: dict[str, str] | None = None,
        line_index: tuple[int, list[int]] | None = None,
        extra: "dict[str, Any] | None" = None,
    ) -> None:
        self.id = id
        self.created_ns = created_ns
        self.created = created_ns / 1e9
        self.expires = expires
        self.record_count = record_count
        self.byte_size = byte_size
        self.stored_size = stored_size
        self.source = source
        self.content_type: ContentType = content_type
        self.compressed = compressed
        self.crc32 = crc32
        self.labels = labels or {}
        self.line_index = line_index
        self.extra = extra or {}

    @classmethod
    def from_values(cls, values: "tuple[Any, ...]") -> "Item":
        """Return an item of these values, in the order of the arguments above; quicker, for many of them."""
        item = cls.__new__(cls)
        (
            item.id,
            item.created_ns,
            item.expires,
            item.record_count,
            item.byte_size,
            item.stored_size,
            item.source,
            item.content_type,
            item.compressed,
            item.crc32,
            item.labels,
            item.line_index,
            item.extra,
        ) = values
        item.created = item.created_ns / 1e9
        return item

    @property
    def token(self) -> str:
        """The token, ``max:`` included."""
        return format_token(self.id)

    @property
    def pinned(self) -> bool:
        """Whether it never expires."""
        return self.expires is None

    @property
    def created_at(self) -> "datetime":
        """When it was staged, in UTC."""
        return _utc(self.created)

    @property
    def expires_at(self) -> "datetime | None":
        """When it expires, in UTC; None for a pinned item."""
        return None if self.expires is None else _utc(self.expires)

    @property
    def file_name(self) -> str:
        """The name of the data file."""
        return self.id + EXTENSIONS[self.content_type] + (".gz" if self.compressed else "")

    def is_expired(self, now: float) -> bool:
        """Whether its time has passed at Unix time `now`."""
        return self.expires is not None and self.expires <= now

    def to_dict(self) -> "dict[str, Any]":
        """Return the metadata as ``<id>.meta.json`` holds it."""
        known: dict[str, Any] = {
            "token": self.id,
            "createdAt": format_time(self.created),
            "expiresAt": None if self.expires is None else format_time(self.expires),
            "recordCount": self.record_count,
            "byteSize": self.byte_size,
            "source": self.source,
            "contentType": self.content_type,
            "createdNs": str(self.created_ns),
            "checksum": None if self.crc32 is None else f"{_CHECKSUM}{self.crc32:08x}",
            "storedSize": self.stored_size,
            "compression": GZIP if self.compressed else None,
            "labels": self.labels,
        }
        if self.line_index is not None:
            known["lineIndex"] = {"block": self.line_index[0], "newlines": self.line_index[1]}
        return known | self.extra

    def to_json(self) -> bytes:
        """Return the content of ``<id>.meta.json``: one line, so that a store of many items stays small."""
        return light_json.dumps(self.to_dict()).encode() + b"\n"

    def __repr__(self) -> str:
        from maxstage.store.wording import counted

        source = "" if self.source is None else f" from {self.source}"
        return f"<Item {self.token}: {counted(self.record_count, 'record')}, {counted(self.byte_size, 'byte')}{source}>"


def parse_item(content: bytes, item_id: str) -> Item:
    """Read the content of ``<id>.meta.json``.

    Raises:
        Corrupt: It is not JSON, a key is missing or of the wrong type, or it names another token.
    """
    try:
        meta = light_json.loads(content)
    except (ValueError, RecursionError):
        raise Corrupt("its metadata is not JSON") from None
    if not isinstance(meta, dict):
        raise Corrupt("its metadata is not a JSON object")
    return _Fields(meta).to_item(item_id)


class _Fields:
    """The keys of a metadata object, taken out one by one; what is left at the end is unknown."""

    def __init__(self, meta: "dict[str, Any]") -> None:
        self._meta = meta

    def to_item(self, item_id: str) -> Item:
        if self._take("token", str) != item_id:
            raise Corrupt("its metadata names another token")
        created = self._time("createdAt")
        if created is None:
            raise Corrupt("createdAt in its metadata is null")
        byte_size = self._count("byteSize")
        content_type = self._take("contentType", str)
        if content_type not in EXTENSIONS:
            raise Corrupt("contentType in its metadata is none of ndjson, json, text")
        compression = self._take("compression", str, None)
        if compression not in (None, GZIP):
            raise Corrupt("compression in its metadata is neither null nor gzip")
        return Item(
            id=item_id,
            created_ns=self._nanoseconds(int(created * 1e9)),
            expires=self._time("expiresAt"),
            record_count=self._count("recordCount"),
            byte_size=byte_size,
            stored_size=self._count("storedSize", byte_size),
            source=self._take("source", str, None),
            content_type=content_type,
            compressed=compression == GZIP,
            crc32=self._checksum(),
            labels=self._labels(),
            line_index=self._line_index(byte_size),
            extra=self._meta,
        )

    def _take(self, key: str, kind: type, *default: "Any") -> "Any":
        """Take a key of type `kind`; missing or null, it is the default, where there is one."""
        value = self._meta.pop(key, None)
        if value is None and default:
            return default[0]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Corrupt(f"{key} in its metadata is missing or of the wrong type")
        return value

    def _count(self, key: str, *default: int) -> int:
        value: int = self._take(key, int, *default)
        if value < 0:
            raise Corrupt(f"{key} in its metadata is negative")
        return value

    def _nanoseconds(self, default: int) -> int:
        value = self._meta.get("createdNs")
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
            self._meta["createdNs"] = int(value)
        return self._count("createdNs", default)

    def _time(self, key: str) -> float | None:
        if key not in self._meta:
            raise Corrupt(f"{key} in its metadata is missing")
        text: str | None = self._take(key, str, None)
        try:
            return None if text is None else parse_time(text)
        except ValueError:
            raise Corrupt(f"{key} in its metadata is not a time") from None

    def _checksum(self) -> int | None:
        text: str | None = self._take("checksum", str, None)
        if text is None:
            return None
        try:
            return int(text.removeprefix(_CHECKSUM), 16)
        except ValueError:
            raise Corrupt("checksum in its metadata is not crc32: and hex digits") from None

    def _labels(self) -> dict[str, str]:
        labels: dict[str, str] = self._take("labels", dict, {})
        if not all(isinstance(value, str) for value in labels.values()):
            raise Corrupt("labels in its metadata are not all text")
        return labels

    def _line_index(self, byte_size: int) -> tuple[int, list[int]] | None:
        index = self._take("lineIndex", dict, None)
        if index is None:
            return None
        block, newlines = index.get("block"), index.get("newlines")
        good = isinstance(block, int) and block > 0 and isinstance(newlines, list)
        good = good and all(isinstance(count, int) and 0 <= count <= block for count in newlines)
        if not good or len(newlines) != -(-byte_size // block):
            raise Corrupt("lineIndex in its metadata does not fit its size")
        return block, newlines


def _utc(seconds: float) -> "datetime":
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)

"""The metadata of an item: the content of ``<id>.meta.json`` as an object.

The seven keys of the contract (``token createdAt expiresAt recordCount byteSize source contentType``) are
always there. We also write


- ``createdNs``: ``createdAt`` in nanoseconds, to order items of the same second; as text, since jq and JavaScript
  lose digits of numbers beyond 2**53 (earlier versions wrote a number; both are read);
- ``checksum``: ``crc32:`` and 8 hex digits, of the bytes as they were staged;
- ``storedSize``: the size of the data file, which differs from ``byteSize`` if it is compressed;
- ``compression``: the name of a codec (`maxstage.codecs`), or null;
- ``labels``: an object of strings;
- ``lineIndex``: ``{"block": bytes, "newlines": [in each block]}``, if there is more than one block and the data
  file doesn't record its newlines itself;
- ``owner``: what the item belongs to, such as the id of a run, which unstages it; or null;
- ``redacted``: how many secrets were masked in the data, by rule name; missing if there were none.

To add a key, add a line to `FIELDS`, an attribute to `Item` and a line where it is written and read, all in this file.

Readers ignore unknown keys, and do without those of ours that are missing.

Anybody may have written the file, so nothing in it is trusted: it must be one object in UTF-8 of at most `MOST_BYTES`,
its text must be Unicode, its numbers whole and below 2**63, its times within the calendar. An item that breaks these
rules is damaged, without affecting others. We never write one that does.
"""

from maxstage import light_json
from maxstage.codecs import CODECS, NONE
from maxstage.errors import Corrupt, InvalidMetadata, wrong_type
from maxstage.store.clock import format_time, is_nameable, parse_time
from maxstage.store.tokens import format_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any, Literal

    ContentType = Literal["ndjson", "json", "text"]

EXTENSIONS: "dict[str, str]" = {"ndjson": ".ndjson", "json": ".json", "text": ".txt"}
"""The data file's extension for each content type."""

MOST_BYTES = 256 * 1024
"""The most a metadata file may have: up to a quarter each for labels and the caller's keys; the line index takes
24 KiB."""

MOST_SOURCE = 1024
"""The most characters of a source that we write."""

_MOST_SAID = 64 * 1024
"""The most bytes that the labels, and the caller's own keys, may each take as JSON."""

_MOST = 2**63 - 1
"""The largest number of bytes, lines or nanoseconds: SQLite and the data path use signed 64-bit integers."""

_MOST_DIGITS = len(str(_MOST))

_DEEPEST = 32
"""Levels that unknown keys may be nested: few enough to write them back without reaching the recursion limit."""

FIELDS = (
    ("id", "token", "TEXT"),
    ("created_ns", "createdNs", "INTEGER"),
    ("expires", "expiresAt", "REAL"),
    ("record_count", "recordCount", "INTEGER"),
    ("byte_size", "byteSize", "INTEGER"),
    ("stored_size", "storedSize", "INTEGER"),
    ("source", "source", "TEXT"),
    ("content_type", "contentType", "TEXT"),
    ("codec", "compression", "TEXT"),
    ("crc32", "checksum", "INTEGER"),
    ("labels", "labels", "JSON"),
    ("line_index", "lineIndex", "JSON"),
    ("owner", "owner", "TEXT"),
    ("redacted", "redacted", "JSON"),
    ("extra", None, "JSON"),
)
"""The fields of an item, in the order of `Item.from_values`: the attribute, the key in the file, and the type of
its column in an index. ``createdAt`` is `created_ns` in readable form; `extra` is all other keys."""

OBJECT = "object"
"""The key that items in object storage have besides: see `maxstage.store.storage.object.layout`."""

_KEYS = frozenset(("createdAt", OBJECT, *(key for _, key, _ in FIELDS if key is not None)))
_CHECKSUM = "crc32:"
_CHECKSUM_DIGITS = 8
_HEX = frozenset("0123456789abcdefABCDEF")


class Item:
    """A staged item.

    Attributes:
        id: The hex digits of the token.
        created: When it was staged, Unix time in seconds.
        created_ns: When it was staged, Unix time in nanoseconds.
        expires: When it expires, Unix time in seconds; None for a pinned item.
        record_count: Number of lines, including an unterminated last one.
        byte_size: Size of the data as it was staged.
        stored_size: Size of the data file.
        source: Where the data came from, or None.
        content_type: ``ndjson``, ``json`` or ``text``.
        codec: The codec of the data file: a name in `maxstage.codecs`, ``none`` if it is not compressed.
        crc32: Checksum of the bytes as they were staged; None if the metadata has none.
        labels: Its labels.
        line_index: Bytes in a block, and the newlines in each; None for a single block, or if the file records them.
        owner: What it belongs to, or None.
        redacted: How many secrets were masked in it, by rule name.
        extra: Metadata keys that this version doesn't know, preserved when the metadata is rewritten.
    """

    __slots__ = (
        "byte_size",
        "codec",
        "content_type",
        "crc32",
        "created",
        "created_ns",
        "expires",
        "extra",
        "id",
        "labels",
        "line_index",
        "owner",
        "record_count",
        "redacted",
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
        codec: str = NONE,
        crc32: int | None = None,
        labels: dict[str, str] | None = None,
        line_index: tuple[int, list[int]] | None = None,
        owner: str | None = None,
        redacted: dict[str, int] | None = None,
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
        self.codec = codec
        self.crc32 = crc32
        self.labels = labels or {}
        self.line_index = line_index
        self.owner = owner
        self.redacted = redacted or {}
        self.extra = extra or {}

    @classmethod
    def from_values(cls, values: "tuple[Any, ...]") -> "Item":
        """Return an item with these values, in the order of `FIELDS`; faster than the constructor."""
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
            item.codec,
            item.crc32,
            item.labels,
            item.line_index,
            item.owner,
            item.redacted,
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
        return self.id + EXTENSIONS[self.content_type] + CODECS[self.codec].extension

    def is_expired(self, now: float) -> bool:
        """Return whether it has expired at Unix time `now`."""
        return self.expires is not None and self.expires <= now

    def to_dict(self) -> "dict[str, Any]":
        """Return the metadata as the object in ``<id>.meta.json``."""
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
            "compression": None if self.codec == NONE else self.codec,
            "labels": self.labels,
        }
        if self.line_index is not None:
            known["lineIndex"] = {"block": self.line_index[0], "newlines": self.line_index[1]}
        if self.owner is not None:
            known["owner"] = self.owner
        if self.redacted:
            known["redacted"] = self.redacted
        return known | self.extra

    def to_json(self) -> bytes:
        """Return the content of ``<id>.meta.json``: a single line, to keep large stores small.

        Raises:
            InvalidMetadata: `parse_item` would not accept it.
        """
        try:
            content = light_json.dumps(self.to_dict()).encode() + b"\n"
        except ValueError:
            raise InvalidMetadata("source, labels and further keys must be Unicode text") from None
        if len(content) > MOST_BYTES:
            raise InvalidMetadata(
                f"the metadata would have {len(content):,} bytes; the limit is {MOST_BYTES:,}"
            )
        return content

    def __repr__(self) -> str:
        from maxstage.humanize import counted, printable

        source = "" if self.source is None else f" from {printable(self.source, _SHOWN)}"
        return f"<Item {self.token}: {counted(self.record_count, 'record')}, {counted(self.byte_size, 'byte')}{source}>"


def parse_item(content: bytes, item_id: str) -> Item:
    """Read the content of ``<id>.meta.json``.

    Raises:
        Corrupt: It is not JSON, a key is missing or of the wrong type or size, or it names another token.
    """
    if len(content) > MOST_BYTES:
        raise Corrupt(f"its metadata is larger than {MOST_BYTES:,} bytes")
    try:
        meta = light_json.loads(content.decode())
    except (ValueError, RecursionError):
        raise Corrupt("its metadata is not JSON in UTF-8") from None
    if not isinstance(meta, dict):
        raise Corrupt("its metadata is not a JSON object")
    # In valid UTF-8, only an escape can produce a lone surrogate.
    if b"\\u" in content:
        _check_foreign(meta)
    return _Fields(meta).to_item(item_id)


def check_said(source: str | None, labels: "Mapping[str, str]") -> None:
    """Check the caller's source and labels before anything is written.

    Raises:
        InvalidMetadata: They are not printable, or too large.
    """
    if source is not None and not isinstance(source, str):
        raise wrong_type("source", source, "text or None")
    if not hasattr(labels, "items"):
        raise wrong_type("labels", labels, 'a mapping like {"job": "42"}')
    if source == "":
        raise InvalidMetadata("source is empty; None tells it from the data")
    if source is not None and not source.isprintable():
        raise InvalidMetadata(f"source has characters that can't be printed: {source[:_SHOWN]!a}")
    if source is not None and len(source) > MOST_SOURCE:
        raise InvalidMetadata(f"source has {len(source):,} characters; the limit is {MOST_SOURCE:,}")
    for key, value in labels.items():
        texts = isinstance(key, str) and isinstance(value, str)
        if not texts or not key or not (key + value).isprintable():
            shown = f"{key!a:.{_SHOWN}}: {value!a:.{_SHOWN}}"
            raise InvalidMetadata(f"a label is two printable texts, the first not empty, not {shown}")
    size = len(light_json.dumps(dict(labels)).encode()) if labels else 0
    if size > _MOST_SAID:
        raise InvalidMetadata(f"the labels have {size:,} bytes; the limit is {_MOST_SAID:,}")


def check_extra(extra: "dict[str, Any]") -> None:
    """Check the keys that a caller adds.

    Raises:
        InvalidMetadata: One of them is reserved, or they are not JSON or too large.
    """
    ours = sorted(_KEYS.intersection(extra))
    if ours:
        raise InvalidMetadata(f"{ours[0]!r} is a key of maxstage's own metadata, and can't be set")
    try:
        _check_foreign(extra)
        size = len(light_json.dumps(extra).encode())
    except (Corrupt, TypeError) as error:
        raise InvalidMetadata(f"the further keys of an item can't be kept: {error}") from None
    if size > _MOST_SAID:
        raise InvalidMetadata(f"the further keys of an item have {size:,} bytes; the limit is {_MOST_SAID:,}")


def _check_foreign(value: object, levels: int = _DEEPEST) -> None:
    """Check that the value of an unknown key is one that every JSON reader accepts.

    Raises:
        Corrupt: It is not.
    """
    if isinstance(value, str):
        if not value.isascii() and value.encode("utf-8", "ignore").decode() != value:
            raise Corrupt("its metadata has text that is not Unicode")
    elif isinstance(value, float):
        # Infinity minus itself is NaN, and so is NaN minus itself.
        if value - value != 0:
            raise Corrupt("its metadata has a number that is not finite")
    elif isinstance(value, dict | list):
        if not levels:
            raise Corrupt(f"its metadata is nested more than {_DEEPEST} levels deep")
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_foreign(inner, levels - 1)


class _Fields:
    """The keys of a metadata object, taken out one by one; those left at the end are unknown."""

    def __init__(self, meta: "dict[str, Any]") -> None:
        self._meta = meta

    def to_item(self, item_id: str) -> Item:
        if self._take("token", str) != item_id:
            raise Corrupt("its metadata names another token")
        created = self._time("createdAt")
        if created is None:
            raise Corrupt("createdAt in its metadata is null")
        if not is_nameable(created):
            raise Corrupt("createdAt in its metadata is not between 1970 and 2262")
        byte_size = self._count("byteSize")
        content_type = self._take("contentType", str)
        if content_type not in EXTENSIONS:
            raise Corrupt("contentType in its metadata is not ndjson, json or text")
        compression = self._take("compression", str, None)
        if compression is not None and (compression not in CODECS or compression == NONE):
            raise Corrupt(
                f"compression in its metadata is neither null nor one of {', '.join(list(CODECS)[1:])}"
            )
        item = Item.from_values(
            (
                item_id,
                self._nanoseconds(int(created * 1e9)),
                self._time("expiresAt"),
                self._count("recordCount"),
                byte_size,
                self._count("storedSize", byte_size),
                self._take("source", str, None),
                content_type,
                compression or NONE,
                self._checksum(),
                self._labels(),
                self._line_index(byte_size),
                self._take("owner", str, None),
                self._redacted(),
                self._meta,
            )
        )
        if self._meta:
            _check_foreign(self._meta)
        return item

    def _take(self, key: str, kind: type, *default: "Any") -> "Any":
        """Take out a key of type `kind`; return the default, if there is one, for a missing key or null."""
        value = self._meta.pop(key, None)
        if value is None and default:
            return default[0]
        # Not `isinstance`, since bool is a subclass of int.
        if type(value) is not kind:
            raise Corrupt(f"{key} in its metadata is missing or of the wrong type")
        return value

    def _count(self, key: str, *default: int) -> int:
        value: int = self._take(key, int, *default)
        if 0 <= value <= _MOST:
            return value
        raise Corrupt(f"{key} in its metadata is {'negative' if value < 0 else 'too large'}")

    def _nanoseconds(self, default: int) -> int:
        value = self._meta.get("createdNs")
        if type(value) is str and len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit():
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
        # `int` alone would accept a sign, blanks, underscores and 0x.
        digits = text.removeprefix(_CHECKSUM)
        if len(digits) == _CHECKSUM_DIGITS != len(text) and _HEX.issuperset(digits):
            return int(digits, 16)
        raise Corrupt(f"checksum in its metadata is not {_CHECKSUM} and {_CHECKSUM_DIGITS} hex digits")

    def _labels(self) -> dict[str, str]:
        labels: dict[str, str] = self._take("labels", dict, {})
        if labels and not all(isinstance(value, str) for value in labels.values()):
            raise Corrupt("labels in its metadata are not all text")
        return labels

    def _redacted(self) -> dict[str, int]:
        redacted: dict[str, int] = self._take("redacted", dict, {})
        # `type`, since bool is a subclass of int.
        if redacted and not all(type(count) is int and 0 <= count <= _MOST for count in redacted.values()):
            raise Corrupt("redacted in its metadata is not all numbers")
        return redacted

    def _line_index(self, byte_size: int) -> tuple[int, list[int]] | None:
        index = self._take("lineIndex", dict, None)
        if index is None:
            return None
        block, newlines = index.get("block"), index.get("newlines")
        # `type`, since bool is a subclass of int.
        good = type(block) is int and 0 < block <= _MOST and isinstance(newlines, list)
        good = good and all(type(count) is int and 0 <= count <= block for count in newlines)
        if not good or len(newlines) != -(-byte_size // block):
            raise Corrupt("lineIndex in its metadata does not fit its size")
        return block, newlines


_SHOWN = 60
"""Characters of an invalid value that an error quotes."""


def _utc(seconds: float) -> "datetime":
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)

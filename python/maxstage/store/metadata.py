"""The metadata of an item: what ``<id>.meta.json`` says, as an object.

The seven keys of the contract (``token createdAt expiresAt recordCount byteSize source contentType``) are
always there. Beside them we write

- ``createdNs``: the same moment in nanoseconds, for the order of items of one second; as text, since jq and JavaScript
  lose digits of numbers beyond 2**53 (earlier versions wrote a number, and either is read);
- ``checksum``: ``crc32:`` and 8 hex digits, of the bytes as they were staged;
- ``storedSize``: bytes of the data file, where it is compressed less than ``byteSize``;
- ``compression``: the name of a codec (`maxstage.codecs`), or null;
- ``labels``: an object of strings;
- ``lineIndex``: ``{"block": bytes, "newlines": [in each block]}``, where there is more than one block and the data
  file itself does not tell;
- ``owner``: what the item belongs to, such as the id of a run, which unstages it; or null;
- ``redacted``: how many secrets were masked in the data, by the names of the rules; missing where none was.

A further key is a line in `FIELDS`, an attribute of `Item` and a line where it is written and read, all in this file.

Readers ignore keys that they don't know, and do without those of ours that are missing.

Anybody may have written what lies there, so nothing is believed: the file is one object in UTF-8 of at most
`MOST_BYTES`, its text is Unicode, its numbers are whole and below 2**63, its times lie within the calendar. What breaks
this is damaged, and costs that item alone. What we write never breaks it.
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
"""Of a metadata file: a quarter may be labels, a quarter keys of the caller's own; the line index takes 24 KiB."""

MOST_SOURCE = 1024
"""Characters of a source that we write."""

_MOST_SAID = 64 * 1024
"""Bytes that the labels may take as JSON, and as many the keys of a caller's own."""

_MOST = 2**63 - 1
"""The largest number: of bytes, lines, nanoseconds. SQLite and the data path count in 64 bits."""

_MOST_DIGITS = len(str(_MOST))

_DEEPEST = 32
"""Levels that keys unknown to us may be nested: few enough to be written again, however deep in calls we are."""

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
"""What is known of an item, in the order of `Item.from_values`: the attribute, the key in the file, and how a column
of an index holds it. ``createdAt`` is `created_ns` once more, for people; `extra` is all other keys."""

_KEYS = frozenset(("createdAt", *(key for _, key, _ in FIELDS if key is not None)))
_CHECKSUM = "crc32:"
_CHECKSUM_DIGITS = 8
_HEX = frozenset("0123456789abcdefABCDEF")


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
        codec: How the data file is compressed: a name in `maxstage.codecs`, ``none`` where it is not.
        crc32: Checksum of the bytes as they were staged; None where the metadata names none.
        labels: The labels given to it.
        line_index: Bytes in a block, and the newlines in each; None where there is one block, or the file tells.
        owner: What it belongs to, or None.
        redacted: How many secrets were masked in it, by the names of the rules.
        extra: Keys of the metadata that this version doesn't know, kept when it is written again.
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
        """Return the content of ``<id>.meta.json``: one line, so that a store of many items stays small.

        Raises:
            InvalidMetadata: It would be nothing that `parse_item` takes.
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
    # Only by an escape can JSON in UTF-8 name half of a surrogate pair.
    if b"\\u" in content:
        _check_foreign(meta)
    return _Fields(meta).to_item(item_id)


def check_said(source: str | None, labels: "Mapping[str, str]") -> None:
    """Check what a caller says of an item, before anything is written.

    Raises:
        InvalidMetadata: It can't be shown, or is too large.
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
        InvalidMetadata: One is ours, they are not JSON, or too large.
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
    """Check that a value is one that every reader of JSON takes: for keys of which we know nothing.

    Raises:
        Corrupt: It is not.
    """
    if isinstance(value, str):
        if not value.isascii() and value.encode("utf-8", "ignore").decode() != value:
            raise Corrupt("its metadata has text that is not Unicode")
    elif isinstance(value, float):
        # Infinity less itself is NaN, and so is NaN.
        if value - value != 0:
            raise Corrupt("its metadata has a number that is not finite")
    elif isinstance(value, dict | list):
        if not levels:
            raise Corrupt(f"its metadata is nested more than {_DEEPEST} levels deep")
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            _check_foreign(inner, levels - 1)


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
        """Take a key of type `kind`; missing or null, it is the default, where there is one."""
        value = self._meta.pop(key, None)
        if value is None and default:
            return default[0]
        # Not `isinstance`: true is a number to Python.
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
        # `int` alone would take a sign, blanks, underscores and 0x.
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
        # `type`, since true is a number to Python.
        if redacted and not all(type(count) is int and 0 <= count <= _MOST for count in redacted.values()):
            raise Corrupt("redacted in its metadata is not all numbers")
        return redacted

    def _line_index(self, byte_size: int) -> tuple[int, list[int]] | None:
        index = self._take("lineIndex", dict, None)
        if index is None:
            return None
        block, newlines = index.get("block"), index.get("newlines")
        # `type`, since true is a number to Python.
        good = type(block) is int and 0 < block <= _MOST and isinstance(newlines, list)
        good = good and all(type(count) is int and 0 <= count <= block for count in newlines)
        if not good or len(newlines) != -(-byte_size // block):
            raise Corrupt("lineIndex in its metadata does not fit its size")
        return block, newlines


_SHOWN = 60
"""Characters of what is no good that an error repeats."""


def _utc(seconds: float) -> "datetime":
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)

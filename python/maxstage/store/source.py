"""Detecting where data came from: the ``source`` that its first record names."""

from maxstage import light_json
from maxstage.store.metadata import MOST_SOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import ContentType


def detect_source(prefix: bytes, content_type: "ContentType") -> str | None:
    """Return the source that the first record names, or None.

    If the record is a JSON object with a string ``source``, the result is that string, followed by ``/`` and the
    string ``type`` if there is one. It is None if the record doesn't end within the prefix, or the name is too long.

    >>> detect_source(b'{"source": "hubspot", "type": "contact"}', "json")
    'hubspot/contact'
    """
    if content_type == "text":
        return None
    lines = prefix.lstrip().split(b"\n", 1)
    try:
        record = light_json.loads(lines[0] if content_type == "ndjson" else prefix)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _is_text(record.get("source")):
        return None
    source: str = record["source"]
    named = f"{source}/{record['type']}" if _is_text(record.get("type")) else source
    return named if len(named) <= MOST_SOURCE else None


def _is_text(value: object) -> bool:
    """Return whether a value is printable text that UTF-8 can encode: JSON may contain lone surrogates."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and value != ""
        and value.encode("utf-8", "ignore").decode() == value
    )
